//! Syncs of many sections, as of items that come in random order: the log takes more of them, and is longer for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use quipu::storage::Storage;
use quipu::storage::simulated::{CallKind, Simulated, Survival, When};
use quipu::{Error, Options, Result, Status};

use super::common::delegate::delegate;
use super::common::{key, value};
use super::{LOG, Store, calls, of, open, options, put};

/// A sync of one section may have 1 KiB, and the longest log has 256.
const BYTES: u64 = 16 << 10;
const SECTIONS: u64 = 10;
/// Bytes of a value.
const LEN: usize = 300;

fn scattered() -> Options {
    options().items_per_section(100).commit_log_bytes(BYTES)
}

/// Puts an item to each section, the nth of each, of some 4 KiB together, and syncs.
fn put_to_all(archive: &mut Store, nth: u64) {
    for section in 0..SECTIONS {
        let index = section * 100 + nth;
        let _ = archive
            .put(index, &key(index), &value(index, LEN)[..])
            .unwrap();
    }
    archive.sync().unwrap();
}

fn log_len(machine: &Simulated) -> Option<u64> {
    let lengths = machine.lengths("quipu").unwrap();
    let log = lengths.into_iter().find(|(name, _)| name == LOG);
    log.map(|(_, len)| len)
}

#[track_caller]
fn assert_all(archive: &Store, of_each: u64) {
    for index in (0..SECTIONS).flat_map(|section| section * 100..section * 100 + of_each) {
        let found = archive.get(&key(index)).unwrap();
        assert_eq!(found.as_deref(), Some(&value(index, LEN)[..]), "{index}");
    }
    assert_eq!(archive.status(of_each).unwrap(), Status::Missing);
}

/// Of two files a section without it.
#[test]
fn a_sync_of_many_sections_takes_one_flush() {
    let machine = Simulated::new(0);
    let mut archive = open(&machine, scattered());
    (0..3).for_each(|nth| put_to_all(&mut archive, nth));
    assert_eq!(log_len(&machine), Some(BYTES * 16));
    let mut flushes = Vec::new();
    for nth in 3..99 {
        let made = calls(&machine, || put_to_all(&mut archive, nth));
        flushes.push(
            made.iter()
                .filter(|call| call.kind == CallKind::Sync)
                .count(),
        );
        if flushes.last() == Some(&1) {
            assert_eq!(of(&made, CallKind::Sync, LOG).len(), 1);
        }
    }
    // Where the log is full, two of each section and one that clears it.
    let (ones, checkpoints): (Vec<_>, Vec<_>) = flushes.into_iter().partition(|&count| count == 1);
    assert!(ones.len() >= 90, "{checkpoints:?}");
    assert!(!checkpoints.is_empty());
    assert!(
        checkpoints
            .iter()
            .all(|&count| count <= 2 * SECTIONS as usize + 2)
    );
    drop(archive);
    let after = machine.after_crash(Survival::Nothing, 0);
    assert_all(&open(&after, scattered()), 99);
}

/// It counts as often as it has sections; one whose files are new counts for nothing.
#[test]
fn few_syncs_of_many_sections_are_enough_for_a_log() {
    let machine = Simulated::new(0);
    let mut archive = open(&machine, scattered().commit_log_after(2 * SECTIONS as u32));
    for (nth, has_log) in [false, false, false, true].into_iter().enumerate() {
        put_to_all(&mut archive, nth as u64);
        assert_eq!(log_len(&machine).is_some(), has_log, "{nth}");
    }
}

/// What is long for many sections is no place for large syncs of few, and one for small ones.
#[test]
fn a_longer_log_takes_no_more_of_one_section() {
    let machine = Simulated::new(0);
    let mut archive = open(&machine, scattered());
    (0..3).for_each(|nth| put_to_all(&mut archive, nth));
    let mut index = 50;
    for (items, takes) in [(1, true), (2, true), (10, false), (1, true)] {
        let made = calls(&machine, || {
            for _ in 0..items {
                let _ = archive
                    .put(index, &key(index), &value(index, LEN)[..])
                    .unwrap();
                index += 1;
            }
            archive.sync().unwrap();
        });
        let flushes = made
            .iter()
            .filter(|call| call.kind == CallKind::Sync)
            .count();
        assert_eq!(flushes == 1, takes, "{items}: {made:?}");
    }
    assert_eq!(log_len(&machine), Some(BYTES * 16));
}

/// A close leaves none that is longer than the option says, nor does an open after a kill.
#[test]
fn a_longer_log_stays_no_longer_than_its_writer() {
    let machine = Simulated::new(0);
    for (life, closes) in [true, false, true].into_iter().enumerate() {
        let mut archive = open(&machine, scattered());
        assert_eq!(log_len(&machine), None, "{life}");
        (0..3).for_each(|nth| put_to_all(&mut archive, life as u64 * 3 + nth));
        assert_eq!(log_len(&machine), Some(BYTES * 16));
        match closes {
            true => archive.close().unwrap(),
            false => drop(archive),
        }
        assert_eq!(log_len(&machine).is_none(), closes);
    }
    assert_all(&open(&machine, scattered()), 9);
}

/// The short one goes on, and what comes to it is found.
#[test]
fn a_disk_without_room_for_a_longer_log_keeps_the_short_one() {
    let machine = Simulated::new(0);
    let mut archive = open(&machine, scattered());
    put_to_all(&mut archive, 0);
    for index in 50..53 {
        put(&mut archive, index);
        archive.sync().unwrap();
    }
    assert_eq!(log_len(&machine), Some(BYTES));
    let used: u64 = ["quipu", "index", "values"]
        .iter()
        .flat_map(|partition| machine.lengths(partition).unwrap())
        .map(|(_, len)| len)
        .sum();
    machine.set_capacity(Some(used + 200_000));
    let mut in_log = 0;
    for nth in 1..20 {
        let made = calls(&machine, || put_to_all(&mut archive, nth));
        in_log += u64::from(!of(&made, CallKind::Write, LOG).is_empty());
        assert_eq!(log_len(&machine), Some(BYTES));
        // The power may go behind any of them.
        let after = machine.after_crash(Survival::Nothing, nth);
        after.set_capacity(None);
        let archive = open(&after, scattered());
        assert!(!archive.recovery().commit_log_incomplete, "{nth}");
        assert_all(&archive, nth + 1);
    }
    assert!(in_log >= 10, "{in_log}");
}

/// A machine whose disk is full for the flush of the folder in which a log has got its name.
#[derive(Debug)]
struct FullFolder {
    machine: Simulated,
    /// Logs that get their names before that.
    logs_left: AtomicU32,
    is_full: AtomicBool,
}

impl Storage for FullFolder {
    fn rename(&self, partition: &str, from: &str, to: &str) -> Result<()> {
        if to == LOG && self.logs_left.fetch_sub(1, Ordering::Relaxed) == 0 {
            self.is_full.store(true, Ordering::Relaxed);
        }
        self.machine.rename(partition, from, to)
    }

    fn sync_partition(&self, partition: &str) -> Result<()> {
        match self.is_full.swap(false, Ordering::Relaxed) {
            true => Err(Error::StorageFull {
                action: "flush",
                path: self.machine.path(partition, ""),
            }),
            false => self.machine.sync_partition(partition),
        }
    }

    delegate!(machine: open, remove, list, remove_partition, lock, path_of);
}

/// The longer log has the name by then: nothing goes to the short one any more.
#[test]
fn a_log_that_has_no_name_any_more_gets_no_sync() {
    let machine = Simulated::new(0);
    let storage = FullFolder {
        machine: machine.clone(),
        logs_left: AtomicU32::new(1),
        is_full: AtomicBool::new(false),
    };
    let mut archive: Store = scattered().open_on(Arc::new(storage)).unwrap();
    put_to_all(&mut archive, 0);
    for index in 50..53 {
        put(&mut archive, index);
        archive.sync().unwrap();
    }
    assert_eq!(log_len(&machine), Some(BYTES));
    (1..4).for_each(|nth| put_to_all(&mut archive, nth));
    assert_eq!(log_len(&machine), Some(16 * BYTES));
    for index in 53..56 {
        put(&mut archive, index);
        archive.sync().unwrap();
    }
    for is_named in [false, true] {
        if is_named {
            machine.sync_partition("quipu").unwrap();
        }
        let archive = open(&machine.after_crash(Survival::Nothing, 0), scattered());
        assert_all(&archive, 4);
        for index in 50..56 {
            assert_eq!(archive.get(index).unwrap().unwrap(), value(index, 30));
        }
    }
}

/// Wherever the power goes: what was synced is there, and nothing else is but what was put.
#[test]
fn a_longer_log_that_is_being_made_loses_nothing() {
    let steps = |machine: &Simulated| -> u64 {
        let opened =
            scattered().open_on::<[u8; 8], quipu::Bytes>(std::sync::Arc::new(machine.clone()));
        let Ok(mut archive) = opened else { return 0 };
        for nth in 0..6 {
            for section in 0..5 {
                let index = section * 100 + nth;
                if archive
                    .put(index, &key(index), &value(index, LEN)[..])
                    .is_err()
                {
                    return nth;
                }
            }
            if archive.sync().is_err() {
                return nth;
            }
        }
        6
    };
    let whole = Simulated::new(0);
    assert_eq!(steps(&whole), 6);
    assert!(log_len(&whole) > Some(BYTES));
    for call in 0..whole.calls() {
        for survival in [Survival::Nothing, Survival::All, Survival::Bytes] {
            let machine = Simulated::new(0);
            machine.stop_at(call, When::After);
            let synced = steps(&machine);
            let after = machine.after_crash(survival, call);
            let archive = open(&after, scattered());
            for index in (0..5).flat_map(|section| section * 100..section * 100 + synced) {
                let found = archive.get(index).unwrap();
                assert_eq!(
                    found.as_deref(),
                    Some(&value(index, LEN)[..]),
                    "{call} {index}"
                );
            }
        }
    }
}
