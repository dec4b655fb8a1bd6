//! The log is kept for files that are away, and what lies in other files changes meanwhile.

use std::sync::Arc;

use quipu::storage::Storage;
use quipu::storage::simulated::{CallKind, Fault, Simulated, Survival, When};
use quipu::{Bytes, Options, Result, Status};

use super::common::{key, value};
use super::{LOG, NAME, Store, calls, copy, of, open, options, put, put_syncs};

const SURVIVALS: [Survival; 3] = [Survival::Nothing, Survival::All, Survival::Memory];

fn small(page: u16) -> Options {
    options().items_per_section(10).page_size(page)
}

/// A loss of power after which the files of section 0 are away, and the machine that still has them; the log has syncs
/// of the sections 10 and 20 as well.
fn away(page: u16) -> (Simulated, Simulated) {
    let machine = Simulated::new(0);
    let mut archive = open(&machine, small(page));
    for begin in [0, 10, 20] {
        put_syncs(&mut archive, begin..begin + 2);
    }
    for begin in [0, 10, 20] {
        put_syncs(&mut archive, begin + 2..begin + 7);
    }
    let after = machine.after_crash(Survival::Nothing, 0);
    let whole = after.after_crash(Survival::All, 0);
    for partition in ["index", "values"] {
        after.remove(partition, NAME).unwrap();
        after.sync_partition(partition).unwrap();
    }
    (after, whole)
}

/// What was dropped is not told as lost, at the next open or later.
#[test]
fn a_rewind_takes_nothing_that_the_log_would_miss() {
    for to in [14, 19, 24] {
        let (machine, back) = away(28);
        let mut archive = open(&machine, small(28));
        assert!(!archive.recovery().commit_log_incomplete);
        archive.rewind(to).unwrap();
        archive.close().unwrap();
        for _ in 0..2 {
            let archive = open(&machine, small(28));
            assert!(!archive.recovery().commit_log_incomplete, "{to}");
            assert_eq!(archive.recovery().damaged, 7, "{to}");
            for index in to + 1..30 {
                assert_eq!(
                    archive.status(index).unwrap(),
                    Status::Missing,
                    "{to} {index}"
                );
            }
        }
        for partition in ["index", "values"] {
            copy(&back, &machine, partition, NAME);
        }
        let archive = open(&machine, small(28));
        for index in (0..7).chain(10..=to.min(16)) {
            assert_eq!(
                archive.get(index).unwrap().unwrap(),
                value(index, 30),
                "{to}"
            );
        }
        assert_eq!(archive.last_index(), Some(if to == 19 { 16 } else { to }));
    }
}

/// Puts where a rewind dropped others, of keys and values of their own, and syncs once.
fn put_others(machine: &Simulated, count: u64, len: usize) -> Result<()> {
    let mut archive: Store = small(28).open_on(Arc::new(machine.clone()))?;
    archive.rewind(19)?;
    for index in 20..20 + count {
        let _ = archive.put(index, &key(1000 + index), &value(1000 + index, len)[..])?;
    }
    archive.sync()
}

/// A sync behind a rewind stops at each call: nothing that was dropped comes back, and nothing comes to what is new.
#[test]
fn a_sync_that_stops_behind_a_rewind_brings_nothing_back() {
    let (start, _) = away(28);
    for (count, len) in [(1, 30), (2, 200), (4, 30)] {
        let machine = start.after_crash(Survival::All, 0);
        put_others(&machine, count, len).unwrap();
        let all = machine.calls();
        // From where the rewind is done.
        let last = calls_of_a_rewind(&start);
        for call in last..=all {
            for survival in SURVIVALS {
                let machine = start.after_crash(Survival::All, 0);
                machine.stop_at(call, When::Before);
                let synced = put_others(&machine, count, len).is_ok();
                let archive = open(&machine.after_crash(survival, call), small(28));
                for index in 20..30 {
                    let found = archive.get(index).unwrap();
                    let is_new = found
                        .as_ref()
                        .is_some_and(|of| *of == value(1000 + index, len));
                    assert!(
                        found.is_none() || is_new,
                        "{count} {call} {survival:?} {index}"
                    );
                    assert!(!synced || is_new || index >= 20 + count);
                }
            }
        }
    }
}

fn calls_of_a_rewind(start: &Simulated) -> u64 {
    let machine = start.after_crash(Survival::All, 0);
    let mut archive = open(&machine, small(28));
    archive.rewind(19).unwrap();
    machine.calls()
}

/// What was synced and closed behind a rewind needs no marks to be there.
#[test]
fn what_is_put_behind_a_rewind_is_there_without_marks() {
    for (end, len) in [(21, 30), (21, 200), (22, 30), (22, 500)] {
        let (machine, _) = away(28);
        let mut archive = open(&machine, small(28));
        archive.rewind(19).unwrap();
        for index in 20..end {
            let new = value(1000 + index, len);
            let _ = archive
                .put_sync(index, &key(1000 + index), &new[..])
                .unwrap();
        }
        archive.close().unwrap();
        machine.remove("quipu", "marks").unwrap();
        let archive = open(&machine, small(28));
        for index in 20..end {
            let found = archive.get(index).unwrap().unwrap();
            assert_eq!(found, value(1000 + index, len));
        }
        assert_eq!(archive.last_index(), Some(end - 1));
    }
}

/// A rewind to before a section of which the log alone knows drops it for good; one into it waits for its files.
#[test]
fn a_rewind_drops_what_is_away() {
    let machine = Simulated::new(0);
    let mut archive = open(&machine, small(28));
    put_syncs(&mut archive, 0..5);
    put_syncs(&mut archive, 10..15);
    let after = machine.after_crash(Survival::Nothing, 0);
    let back = after.after_crash(Survival::All, 0);
    let second = "000000000000000a";
    for partition in ["index", "values"] {
        after.remove(partition, second).unwrap();
        after.sync_partition(partition).unwrap();
    }
    for to in [3, 12] {
        let machine = after.after_crash(Survival::All, 0);
        let mut archive = open(&machine, small(28));
        assert_eq!(archive.rewind(to).is_ok(), to == 3);
        archive.close().unwrap();
        for partition in ["index", "values"] {
            copy(&back, &machine, partition, second);
        }
        let archive = open(&machine, small(28));
        assert_eq!(archive.last_index(), Some(if to == 3 { 3 } else { 14 }));
    }
    // With marks that know nothing of it.
    after.remove("quipu", "marks").unwrap();
    assert!(open(&after, small(28)).rewind(12).is_err());
}

/// Once what is away is pruned, small syncs go into the log again.
#[test]
fn a_prune_of_what_is_away_frees_the_log() {
    let (machine, _) = away(28);
    let mut archive = open(&machine, small(28));
    put_syncs(&mut archive, 27..28);
    archive.prune(10).unwrap();
    put_syncs(&mut archive, 28..29);
    put(&mut archive, 29);
    let calls = calls(&machine, || archive.sync().unwrap());
    assert_eq!(of(&calls, CallKind::Sync, LOG).len(), 1, "{calls:?}");
}

/// An open that has no room for a log of what waits alone goes on with the one there is; a rewind then makes it first.
#[test]
fn an_open_without_room_leaves_the_log_to_the_rewind() {
    let (start, _) = away(28);
    let calls = {
        let machine = start.after_crash(Survival::All, 0);
        let archive = open(&machine, small(28));
        let calls = machine.calls();
        drop(archive);
        calls
    };
    let mut opened = 0;
    for call in 0..calls {
        let machine = start.after_crash(Survival::All, 0);
        machine.inject(call, Fault::NoSpace);
        let archive: Result<Store> = small(28).open_on(Arc::new(machine.clone()));
        let Ok(mut archive) = archive else {
            continue;
        };
        // It may be the rewind that finds no room.
        if archive.rewind(19).is_err() {
            continue;
        }
        opened += 1;
        archive.close().unwrap();
        let archive = open(&machine, small(28));
        assert!(!archive.recovery().commit_log_incomplete, "{call}");
        assert_eq!(archive.status(24).unwrap(), Status::Missing, "{call}");
        assert_eq!(archive.last_index(), Some(16), "{call}");
    }
    assert!(opened > 0);
}

/// A killed process leaves syncs that the log alone has durably; then an open cannot read one of the blocks, or open one
/// of the files, and the power goes. Whatever that open made of it, the next one has all.
#[test]
fn what_the_log_alone_has_stays_in_it_while_its_section_cannot_be_read() {
    let killed = Simulated::new(0);
    let mut archive = open(&killed, small(500));
    for begin in [0, 10] {
        put_syncs(&mut archive, begin..begin + 3);
    }
    drop(archive);
    let calls = {
        let machine = killed.after_crash(Survival::Memory, 0);
        drop(open(&machine, small(500)));
        machine.calls()
    };
    let mut unreadable = 0;
    for call in 0..calls {
        let machine = killed.after_crash(Survival::Memory, 0);
        machine.inject(call, Fault::Unreadable);
        let opened = small(500).open_on::<[u8; 8], Bytes>(Arc::new(machine.clone()));
        if let Ok(archive) = &opened {
            unreadable += archive.recovery().unreadable.len();
        }
        drop(opened);
        let archive = open(&machine.after_crash(Survival::Nothing, 0), small(500));
        for index in (0..3).chain(10..13) {
            let found = archive.get(index).unwrap();
            assert_eq!(
                found.as_deref(),
                Some(&value(index, 30)[..]),
                "{call} {index}"
            );
        }
    }
    assert!(unreadable > 0);
}

/// Of what the log has no mark tells. What an open has brought to files, and cannot read there, is damaged for it all
/// the same, be it a page or a section.
#[test]
fn what_cannot_be_read_of_what_the_log_has_is_told() {
    for page in [100, 500] {
        let killed = Simulated::new(0);
        let mut archive = open(&killed, small(page));
        for begin in [0, 10] {
            put_syncs(&mut archive, begin..begin + 8);
        }
        drop(archive);
        let calls = {
            let machine = killed.after_crash(Survival::Memory, 0);
            drop(open(&machine, small(page)));
            machine.calls()
        };
        let mut damaged = 0;
        for call in 0..calls {
            let machine = killed.after_crash(Survival::Memory, 0);
            machine.inject(call, Fault::Unreadable);
            let opened = small(page).open_on::<[u8; 8], Bytes>(Arc::new(machine.clone()));
            let Ok(archive) = opened else { continue };
            for index in (0..8).chain(10..18) {
                let status = archive.status(index).unwrap();
                assert_ne!(status, Status::Missing, "{page} {call} {index}");
                damaged += u64::from(status != Status::Present);
            }
        }
        assert!(damaged > 0, "{page}");
    }
}
