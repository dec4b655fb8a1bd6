//! Opening, for writing and beside a writer: what is read must be durable before it is built upon.

use std::sync::Arc;

use quipu::storage::Storage;
use quipu::storage::simulated::{CallKind, Fault, Simulated, Survival, When};
use quipu::{Bytes, ReadOnly};

use super::common::{key, value};
use super::{Store, filled, open, options, plant, put, without_power};

const NAME: &str = "0000000000000000";

fn assert_holds(archive: &Store, indices: std::ops::Range<u64>, context: &str) {
    for index in indices {
        let found = archive.get(index).unwrap();
        assert_eq!(
            found.as_deref(),
            Some(&value(index, 30)[..]),
            "{context}: {index}"
        );
    }
}

/// A file without a header counts as an interrupted creation and is made anew. Its mark says that its
/// name is durable, so no sync makes it so.
#[test]
fn a_file_made_anew_in_place_of_an_emptied_one_stays() {
    for partition in ["index", "values"] {
        let machine = filled(0..6);
        plant(&machine, partition, NAME, b"");
        let mut archive = open(&machine).unwrap();
        put(&mut archive, 6..8).unwrap();
        archive.sync().unwrap();
        let archive = open(&without_power(&machine)).unwrap();
        assert_holds(&archive, 6..8, partition);
        assert_eq!(archive.missing_items(0, 9), (0..6).collect::<Vec<_>>());
    }
}

/// The same for files that are gone, which the open makes.
#[test]
fn a_file_made_in_place_of_a_lost_one_stays() {
    for partition in ["index", "values"] {
        let machine = filled(0..6);
        machine.remove(partition, NAME).unwrap();
        machine.sync_partition(partition).unwrap();
        let mut archive = open(&machine).unwrap();
        put(&mut archive, 6..8).unwrap();
        archive.sync().unwrap();
        let archive = open(&without_power(&machine)).unwrap();
        assert_holds(&archive, 6..8, partition);
    }
}

/// What an open for writing found and went on with is durable, whichever flush of the process before
/// failed: the system takes its pages for clean, and only a write makes it flush them.
#[test]
fn what_was_left_by_a_flush_that_failed_is_written_again() {
    let calls = sync_of_two(0, None).0.len() as u64;
    let mut shown = 0;
    // Each seed leaves others of the writes in memory.
    for (call, seed) in (0..calls).flat_map(|call| (0..16).map(move |seed| (call, seed))) {
        let (_, machine) = sync_of_two(seed, Some((call, Fault::FlushFails)));
        // The fault may wait for a flush of the open itself.
        let archive = open(&machine).or_else(|_| open(&machine)).unwrap();
        let last = archive.last_index().unwrap();
        shown += u64::from(last > 2);
        drop(archive);
        let archive = open(&without_power(&machine)).unwrap();
        assert_holds(&archive, 0..last + 1, "power lost");
    }
    assert!(shown > 0);
}

/// Puts into a section that is there and into a new one, and a sync of which a call fails: the kinds
/// of its calls, and the machine.
fn sync_of_two(seed: u64, fault: Option<(u64, Fault)>) -> (Vec<CallKind>, Simulated) {
    let machine = filled(0..3).after_crash(Survival::All, seed);
    let mut archive = open(&machine).unwrap();
    put(&mut archive, 3..12).unwrap();
    let before = machine.calls();
    if let Some((call, fault)) = fault {
        machine.inject(before + call, fault);
    }
    let synced = archive.sync();
    // A mark does without what it cannot read.
    let is_read = |call: u64| machine.log()[(before + call) as usize].kind == CallKind::Read;
    let may_end = |(call, of)| of == Fault::FlushFails || is_read(call);
    assert!(synced.is_err() || fault.is_none_or(may_end));
    let log = machine.log().split_off(before as usize);
    drop(archive);
    (log.into_iter().map(|call| call.kind).collect(), machine)
}

/// A reader of another process may look between the writer's write and its flush.
#[test]
fn what_a_reader_beside_has_seen_stays() {
    let (calls, _) = sync_of_two(0, None);
    let mut seen_early = 0;
    for call in 0..calls.len() as u64 {
        let (_, machine) = sync_of_two(0, Some((call, Fault::ErrorBefore)));
        let reader: ReadOnly<[u8; 8]> = read_only(&machine);
        let what = format!("call {call}, {:?}", calls[call as usize]);
        seen_early += u64::from(stays_without_power(&reader, &machine, &what) > 2);
    }
    assert!(seen_early > 0);
}

#[test]
fn what_a_reader_beside_has_seen_after_a_refresh_stays() {
    let (calls, _) = sync_of_two(0, None);
    let mut seen_early = 0;
    for call in 0..calls.len() as u64 {
        let machine = filled(0..3);
        let mut reader = read_only(&machine);
        let mut archive = open(&machine).unwrap();
        put(&mut archive, 3..12).unwrap();
        machine.inject(machine.calls() + call, Fault::ErrorBefore);
        let is_read = calls[call as usize] == CallKind::Read;
        assert!(archive.sync().is_err() || is_read);
        reader.refresh().unwrap();
        let what = format!("call {call}, {:?}", calls[call as usize]);
        seen_early += u64::from(stays_without_power(&reader, &machine, &what) > 2);
    }
    assert!(seen_early > 0);
}

/// The same in a section that rested until then.
#[test]
fn what_a_reader_beside_finds_in_a_section_at_rest_stays() {
    let sync = |fault: Option<u64>| {
        let machine = Simulated::new(0);
        let with_tables = || options().keys_per_table(16);
        let open = || -> Store { with_tables().open_on(Arc::new(machine.clone())).unwrap() };
        let mut archive = open();
        put(&mut archive, 0..3).unwrap();
        archive.close().unwrap();
        let reader = with_tables().open_read_only_on::<[u8; 8], Bytes>(Arc::new(machine.clone()));
        let mut archive = open();
        put(&mut archive, 3..8).unwrap();
        let before = machine.calls();
        machine.inject(before + fault.unwrap_or(u64::MAX >> 1), Fault::ErrorBefore);
        let _ = archive.sync();
        (machine.calls() - before, machine, reader.unwrap())
    };
    let mut seen_early = 0;
    for call in 0..sync(None).0 {
        let (_, machine, reader) = sync(Some(call));
        assert_eq!(reader.stats().open_files, 0);
        assert!(reader.get(0).unwrap().is_some());
        seen_early += u64::from(stays_without_power(&reader, &machine, &format!("{call}")) > 2);
    }
    assert!(seen_early > 0);
}

/// What a reader has seen is there once the power is back; the last index of it.
fn stays_without_power(reader: &ReadOnly<[u8; 8]>, machine: &Simulated, what: &str) -> u64 {
    let last = reader.last_index().unwrap();
    let archive = open(&without_power(machine)).unwrap();
    assert_holds(&archive, 0..last + 1, what);
    last
}

fn read_only(machine: &Simulated) -> ReadOnly<[u8; 8]> {
    let opened = options().open_read_only_on::<[u8; 8], Bytes>(Arc::new(machine.clone()));
    opened.unwrap()
}

/// Behind damage a section goes on only as far as its mark says: what an open made of it must be
/// durable before anything is put behind it.
#[test]
fn what_is_put_behind_damage_stays() {
    for survival in [Survival::Nothing, Survival::All] {
        let machine = Simulated::new(0);
        let mut archive = open(&machine).unwrap();
        put(&mut archive, 0..6).unwrap();
        archive.sync().unwrap();
        // Marked, but the marks are not flushed.
        drop(archive);
        let machine = machine.after_crash(Survival::All, 0);
        machine
            .flip_bit("index", NAME, (super::HEADER + 2 * 68 + 5) * 8)
            .unwrap();
        let mut archive = open(&machine).unwrap();
        let _ = archive.put_sync(7, &key(7), &value(7, 30)).unwrap();
        let archive = open(&machine.after_crash(survival, 0)).unwrap();
        assert_holds(&archive, 7..8, &format!("{survival:?}"));
        assert_holds(&archive, 0..4, &format!("{survival:?}"));
    }
}

/// A crash between the two copies of the manifest leaves one behind; what the next open then does
/// rests on both.
#[test]
fn after_an_open_either_copy_of_the_manifest_is_right() {
    let prune = |stop: Option<u64>| {
        let machine = filled(0..40);
        let mut archive = open(&machine).unwrap();
        let before = machine.calls();
        if let Some(call) = stop {
            machine.stop_at(before + call, When::After);
        }
        let _ = archive.prune(20);
        (
            machine.calls() - before,
            machine.after_crash(Survival::All, 0),
        )
    };
    let mut raised = 0;
    for call in 0..prune(None).0 {
        let (_, left) = prune(Some(call));
        let archive = open(&left).unwrap();
        let (floor, items) = (archive.floor(), archive.range(..).count());
        drop(archive);
        raised += u64::from(floor > 0);
        for lost in ["manifest", "manifest-copy"] {
            let machine = without_power(&left);
            machine.remove("quipu", lost).unwrap();
            let archive = open(&machine).unwrap();
            assert_eq!(archive.floor(), floor, "call {call}, without {lost}");
            assert_eq!(
                archive.range(..).count(),
                items,
                "call {call}, without {lost}"
            );
        }
    }
    assert!(raised > 0);
}

/// An archive whose destruction has begun is whole or gone after the next open, with all of its files.
#[test]
fn a_destruction_that_was_cut_off_is_finished() {
    let destroy = |stop: Option<u64>| {
        let machine = filled(0..20);
        machine.flip_bit("values", NAME, super::HEADER * 8).unwrap();
        let mut archive = open(&machine).unwrap();
        archive.repair().unwrap();
        let before = machine.calls();
        if let Some(call) = stop {
            machine.stop_at(before + call, When::After);
        }
        let _ = archive.destroy();
        (machine.calls() - before, machine)
    };
    let mut counts = Vec::new();
    for call in 0..destroy(None).0 {
        let left = destroy(Some(call)).1.after_crash(Survival::All, 0);
        let archive = open(&left).unwrap();
        let items = archive.range(..).filter(Result::is_ok).count();
        if items == 0 {
            for partition in ["index", "values", "quarantine"] {
                assert_eq!(left.list(partition).unwrap(), [""; 0], "call {call}");
            }
            assert_eq!(archive.missing_items(0, 100), []);
        }
        counts.push(items);
    }
    counts.dedup();
    assert_eq!(counts, [19, 0]);
}
