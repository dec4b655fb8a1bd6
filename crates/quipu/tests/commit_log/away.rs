//! What the log has for files that are away: it waits for them, and comes to no others.

use std::sync::Arc;

use quipu::storage::simulated::{Simulated, Survival, When};
use quipu::storage::{OpenMode, Storage};
use quipu::{Options, Status};

use super::common::{key, value};
use super::{NAME, Store, copy, open, options, put, put_syncs, whole};

/// A section whose files are away is made anew: what the log kept for the old ones does not come to the new ones.
#[test]
fn a_section_that_is_made_anew_gets_nothing_of_the_old_one() {
    let options = || options().items_per_section(10).page_size(28);
    let machine = Simulated::new(0);
    let mut archive = open(&machine, options());
    put_syncs(&mut archive, 0..6);
    let after = machine.after_crash(Survival::Nothing, 0);
    drop(archive);
    for partition in ["index", "values"] {
        after.remove(partition, NAME).unwrap();
    }
    let mut archive = open(&after, options());
    let _ = archive.put_sync(3, &key(77), &value(77, 30)[..]).unwrap();
    archive.close().unwrap();
    let archive = open(&after, options());
    assert_eq!(archive.get_all(3).unwrap(), [value(77, 30)]);
    assert_eq!(archive.last_index(), Some(3));
}

/// Files that are away when the archive is opened get what the log has when they are back.
#[test]
fn a_log_waits_for_files_that_are_away() {
    let machine = Simulated::new(0);
    let mut archive = open(&machine, options().items_per_section(10));
    put_syncs(&mut archive, 0..2);
    put_syncs(&mut archive, 10..12);
    put_syncs(&mut archive, 2..6);
    let after = machine.after_crash(Survival::Nothing, 0);
    drop(archive);
    let away = after.after_crash(Survival::All, 0);
    for partition in ["index", "values"] {
        after.remove(partition, NAME).unwrap();
    }
    let mut archive = open(&after, options().items_per_section(10));
    put_syncs(&mut archive, 12..15);
    // Nothing that has to do with them.
    archive.rewind(500).unwrap();
    assert!(archive.rewind(3).is_err());
    archive.close().unwrap();
    for partition in ["index", "values"] {
        copy(&away, &after, partition, NAME);
    }
    let archive = open(&after, options().items_per_section(10));
    for index in (0..6).chain(10..15) {
        assert_eq!(archive.get(index).unwrap().unwrap(), value(index, 30));
    }
}

fn small() -> Options {
    options().items_per_section(10)
}

/// A loss of power after which the files of section 0 are away; and the machine that still has them. That of
/// section 10 has synced in the log, too.
fn away() -> (Simulated, Simulated) {
    let machine = Simulated::new(0);
    let mut archive = open(&machine, small());
    put_syncs(&mut archive, 0..2);
    put_syncs(&mut archive, 10..12);
    put_syncs(&mut archive, 2..6);
    put_syncs(&mut archive, 12..15);
    let after = machine.after_crash(Survival::Nothing, 0);
    let whole = after.after_crash(Survival::All, 0);
    remove(&after);
    (after, whole)
}

fn remove(machine: &Simulated) {
    for partition in ["index", "values"] {
        machine.remove(partition, NAME).unwrap();
        machine.sync_partition(partition).unwrap();
    }
}

/// What was synced in them, and what the log alone has, is told as damaged and missing.
#[test]
fn what_files_that_are_away_would_get_is_told() {
    let (after, _) = away();
    let archive = open(&after, small());
    for index in 0..6 {
        assert_eq!(archive.status(index).unwrap(), Status::Damaged, "{index}");
    }
    assert_eq!(archive.missing_items(0, 9), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(archive.recovery().damaged, 6);
}

/// A put in their place that was never synced takes nothing from them, however often the archive is opened meanwhile.
#[test]
fn a_put_that_was_never_synced_takes_nothing_of_what_waits() {
    for len in [30, 70_000] {
        for opens in 0..3 {
            let (after, back) = away();
            let mut archive = open(&after, small().write_buffer(1000));
            let _ = archive.put(7, &key(7), &value(7, len)[..]).unwrap();
            drop(archive);
            let mut after = after.after_crash(Survival::Memory, 0);
            for _ in 0..opens {
                let archive = open(&after, small());
                assert!(!archive.recovery().commit_log_incomplete);
                assert_eq!(archive.status(4).unwrap(), Status::Damaged);
                drop(archive);
                after = after.after_crash(Survival::Memory, 0);
            }
            for partition in ["index", "values"] {
                copy(&back, &after, partition, NAME);
            }
            let archive = open(&after, small());
            assert_eq!(whole(&archive, 0..15), 11, "{len} {opens}");
            assert!(!archive.recovery().commit_log_incomplete);
        }
    }
}

/// A section is made anew in place of one that the log keeps something for, and its first sync stops at each call: no
/// byte of the old section comes to the new one, nor does what is put behind it come to harm.
#[test]
fn a_sync_of_other_files_that_stops_mixes_nothing() {
    for page in [28, 100] {
        for (old, new, len) in [(1, 1, 1), (3, 2, 200), (3, 8, 200), (10, 2, 30)] {
            let options = || options().items_per_section(100).page_size(page);
            let machine = Simulated::new(0);
            let mut archive = open(&machine, options());
            put_syncs(&mut archive, 0..old);
            put_syncs(&mut archive, 100..101);
            put_syncs(&mut archive, old..old + 6);
            let after = machine.after_crash(Survival::Nothing, 0);
            remove(&after);
            let life = |machine: &Simulated| -> quipu::Result<()> {
                let mut archive: Store = options().open_on(Arc::new(machine.clone()))?;
                for index in 50..50 + new {
                    let _ = archive.put(index, &key(index), &value(index, len)[..])?;
                }
                archive.sync()
            };
            let calls = {
                let machine = after.after_crash(Survival::All, 0);
                life(&machine).unwrap();
                machine.calls()
            };
            for call in calls - 40..calls {
                for survival in [Survival::Nothing, Survival::All, Survival::Memory] {
                    let machine = after.after_crash(Survival::All, 0);
                    machine.stop_at(call, When::Before);
                    let _ = life(&machine);
                    let machine = machine.after_crash(survival, call);
                    let mut archive = open(&machine, options());
                    for index in 50..50 + new {
                        let found = archive.get(index).unwrap();
                        assert!(found.is_none_or(|found| found == value(index, len)));
                    }
                    put_syncs(&mut archive, 70..75);
                    let machine = machine.after_crash(Survival::Nothing, call);
                    drop(archive);
                    let archive = open(&machine, options());
                    assert_eq!(whole(&archive, 70..75), 5, "{call} {survival:?}");
                }
            }
        }
    }
}

/// What the log keeps needs no room on a full disk that a reserve does not give: for a section that is there none, and
/// else as much as is kept.
#[test]
fn with_a_disk_reserve_syncs_go_on_while_the_log_is_kept() {
    let (after, back) = away();
    // What waits for a second section.
    for partition in ["index", "values"] {
        after.remove(partition, "000000000000000a").unwrap();
    }
    for index in [7, 25] {
        let machine = after.after_crash(Survival::All, 0);
        let mut archive = open(&machine, small().disk_reserve(30_000));
        put(&mut archive, index);
        fill(&machine);
        archive.sync().unwrap();
        machine.set_capacity(None);
        put_syncs(&mut archive, 26..28);
        drop(archive);
        let machine = machine.after_crash(Survival::Nothing, 0);
        for name in [NAME, "000000000000000a"] {
            for partition in ["index", "values"] {
                if name != NAME || index != 7 {
                    copy(&back, &machine, partition, name);
                }
            }
        }
        let archive = open(&machine, small());
        let first = if index == 7 { 0 } else { 6 };
        assert_eq!(whole(&archive, 0..6), first);
        assert_eq!(whole(&archive, 10..15), 5);
        assert_eq!(whole(&archive, 26..28), 2);
        assert_eq!(archive.get(index).unwrap().unwrap(), value(index, 30));
    }
}

/// Leaves no room on the machine's disk.
fn fill(machine: &Simulated) {
    let ballast = machine.open("ballast", "x", OpenMode::Create).unwrap();
    let mut capacity = 0;
    let is_full = |capacity| {
        machine.set_capacity(Some(capacity));
        ballast.write_at(&[std::io::IoSlice::new(&[1])], 0).is_err()
    };
    while is_full(capacity) {
        capacity += 100;
    }
}
