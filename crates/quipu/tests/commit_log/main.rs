//! Small syncs that go through the commit log: what they cost, and that nothing of them is lost.

mod away;
mod beside;
#[path = "../common/mod.rs"]
mod common;
mod damage;
#[allow(dead_code, unreachable_pub)]
#[path = "../common/hooked.rs"]
mod hooked;
mod kept;
mod order;
mod scattered;

use std::ops::Range;
use std::sync::Arc;

use common::{key, value};
use quipu::storage::simulated::{Call, CallKind, Fault, Simulated, Survival, When};
use quipu::storage::{OpenMode, Storage};
use quipu::{Archive, Compression, Error, Options, Status};

type Store = Archive<[u8; 8]>;

const NAME: &str = "0000000000000000";
const LOG: &str = "commit-log";

/// The log is used from the first small sync on that finds its section's files named.
fn options() -> Options {
    Options::new()
        .items_per_section(1000)
        .page_size(100)
        .commit_log_bytes(64 << 10)
        .commit_log_after(0)
}

fn open(machine: &Simulated, options: Options) -> Store {
    options.open_on(Arc::new(machine.clone())).unwrap()
}

fn put(archive: &mut Store, index: u64) {
    let _ = archive
        .put(index, &key(index), &value(index, 30)[..])
        .unwrap();
}

fn put_syncs(archive: &mut Store, indices: Range<u64>) {
    for index in indices {
        put(archive, index);
        archive.sync().unwrap();
    }
}

#[track_caller]
fn assert_holds(archive: &quipu::Reader<[u8; 8]>, indices: Range<u64>) {
    for index in indices.clone() {
        let expected = value(index, 30);
        assert_eq!(
            archive.get(index).unwrap().as_deref(),
            Some(&expected[..]),
            "{index}"
        );
        assert_eq!(
            archive.get(&key(index)).unwrap().as_deref(),
            Some(&expected[..])
        );
    }
    assert_eq!(archive.status(indices.end).unwrap(), Status::Missing);
}

/// What a call makes the machine do, as far as it changes or flushes something.
fn calls(machine: &Simulated, call: impl FnOnce()) -> Vec<Call> {
    let from = machine.log().len();
    call();
    let mut calls = machine.log().split_off(from);
    calls.retain(|call| {
        matches!(
            call.kind,
            CallKind::Write | CallKind::Sync | CallKind::SyncPartition
        )
    });
    calls
}

fn of<'a>(calls: &'a [Call], kind: CallKind, name: &str) -> Vec<&'a Call> {
    let is_of = |call: &&Call| call.kind == kind && *call.name == *name;
    calls.iter().filter(is_of).collect()
}

/// One flush, of the log, and the files after it; without a log two.
#[test]
fn a_small_sync_takes_one_flush() {
    let machine = Simulated::new(0);
    let mut archive = open(&machine, options());
    put_syncs(&mut archive, 0..2);
    for index in 2..20 {
        put(&mut archive, index);
        let calls = calls(&machine, || archive.sync().unwrap());
        let is_flush = |call: &Call| call.kind != CallKind::Write;
        let flushes: Vec<_> = calls.iter().map(is_flush).collect();
        // The log, its flush, values, entries.
        assert_eq!(flushes, [false, true, false, false], "{calls:?}");
        assert_eq!(&*calls[1].name, LOG);
        // Nothing is dirty.
        assert!(
            self::calls(&machine, || archive.sync().unwrap()).is_empty(),
            "{index}"
        );
    }
    let mut archive = open(&Simulated::new(0), options().commit_log_bytes(0));
    put_syncs(&mut archive, 0..20);
    assert!(archive.stats().syncs >= 20);
}

/// Only syncs that come one after the other are worth a log.
#[test]
fn a_few_small_syncs_make_no_log() {
    let machine = Simulated::new(0);
    let mut archive = open(&machine, options().commit_log_after(8));
    let has_log = || machine.list("quipu").unwrap().contains(&LOG.to_owned());
    for round in 0..5 {
        put_syncs(&mut archive, round * 20..round * 20 + 8);
        for index in round * 20 + 8..round * 20 + 20 {
            let large = vec![7; 5000];
            let _ = archive.put(index, &key(index), &large[..]).unwrap();
        }
        archive.sync().unwrap();
        assert!(!has_log(), "{round}");
    }
    put_syncs(&mut archive, 100..110);
    assert!(has_log());
}

/// What the log alone has durably is there after a loss of power, at each of its records.
#[test]
fn nothing_is_lost_with_the_power() {
    for compression in [Compression::Off, Compression::Zstd(1)] {
        let machine = Simulated::new(1);
        let options = || options().compression(compression);
        let mut archive = open(&machine, options());
        for index in 0..40 {
            put_syncs(&mut archive, index..index + 1);
            for survival in [Survival::Nothing, Survival::Bytes, Survival::Prefix] {
                let after = machine.after_crash(survival, index);
                let archive = open(&after, options());
                assert_holds(&archive, 0..index + 1);
                let redone = archive.recovery().redone.clone();
                if survival == Survival::Nothing && index > 0 {
                    assert_eq!(redone, [0], "{index}");
                }
                // What was redone is durable in the section files.
                let again = after.after_crash(Survival::Nothing, index);
                drop(archive);
                again.remove("quipu", LOG).ok();
                assert_holds(&open(&again, options()), 0..index + 1);
            }
        }
    }
}

/// A full log, and a sync that is too large for it, flush the section files; then it begins anew.
#[test]
fn a_full_log_begins_anew() {
    let machine = Simulated::new(0);
    let options = || options().items_per_section(7).commit_log_bytes(17_000);
    let mut archive = open(&machine, options());
    let mut checkpoints = 0;
    for index in 0..300 {
        put(&mut archive, index);
        if index % 50 == 49 {
            continue;
        }
        let calls = calls(&machine, || archive.sync().unwrap());
        let flushed = of(
            &calls,
            CallKind::Sync,
            &format!("{:016x}", index - index % 7),
        );
        checkpoints += u64::from(!flushed.is_empty());
        assert_holds(
            &open(&machine.after_crash(Survival::Nothing, index), options()),
            0..index + 1,
        );
    }
    // A new section's first sync goes to its files in any case.
    assert!((300 / 7..150).contains(&checkpoints), "{checkpoints}");
}

/// Whatever changes section files in another way than by appending finds the log empty, and everything flushed.
#[test]
fn what_changes_files_clears_the_log_first() {
    type Change = fn(&mut Store);
    let changes: [Change; 3] = [
        |archive| archive.rewind(12).unwrap(),
        |archive| {
            let large = vec![7; 20_000];
            let _ = archive.put(15, &key(15), &large[..]).unwrap();
            archive.sync().unwrap();
        },
        |archive| drop(archive.repair().unwrap()),
    ];
    for change in changes {
        let machine = Simulated::new(0);
        let mut archive = open(&machine, options());
        put_syncs(&mut archive, 0..15);
        let calls = calls(&machine, || change(&mut archive));
        let at = |name: &str, kind| {
            let is_it = |call: &Call| call.kind == kind && *call.name == *name;
            calls.iter().position(is_it)
        };
        let cleared = at(LOG, CallKind::Sync).unwrap();
        let last_flush = calls[..cleared]
            .iter()
            .rposition(|call| call.kind == CallKind::Sync && &*call.name == NAME);
        assert!(last_flush.is_some(), "{calls:?}");
        let after = machine.after_crash(Survival::Nothing, 0);
        assert!(open(&after, options()).recovery().redone.is_empty());
    }
}

/// A reader of another process sees what the log has, also where the section files lack it, and changes nothing.
#[test]
fn a_reader_sees_what_the_log_has() {
    let machine = Simulated::new(3);
    let mut archive = open(&machine, options());
    put_syncs(&mut archive, 0..5);
    let shared = || Arc::new(machine.clone());
    let mut beside = options().open_read_only_on(shared()).unwrap();
    put_syncs(&mut archive, 5..30);
    beside.refresh().unwrap();
    assert_holds(&beside, 0..30);

    let after = machine.after_crash(Survival::Nothing, 3);
    let before = after.log().len();
    let mut reader = options()
        .open_read_only_on::<[u8; 8], quipu::Bytes>(Arc::new(after.clone()))
        .unwrap();
    assert_holds(&reader, 0..30);
    let all: Vec<_> = reader.range(..).map(|item| item.unwrap().index).collect();
    assert_eq!(all, (0..30).collect::<Vec<_>>());
    let changes = |call: &&Call| {
        matches!(
            call.kind,
            CallKind::Write | CallKind::Resize | CallKind::Create | CallKind::Rename
        )
    };
    assert_eq!(after.log()[before..].iter().find(changes), None);
    // And goes on when a writer has brought it to the files, and more.
    let mut archive = open(&after, options());
    assert_eq!(archive.recovery().redone, [0]);
    put_syncs(&mut archive, 30..35);
    reader.refresh().unwrap();
    assert_holds(&reader, 0..35);
}

/// An earlier process cleared the log and did not come to flush that: what a rewind then dropped does not come back.
#[test]
fn a_log_that_was_cleared_in_memory_alone_does_not_undo_a_rewind() {
    let machine = Simulated::new(0);
    let mut archive = open(&machine, options());
    put_syncs(&mut archive, 0..16);
    let start = machine.calls();
    let stopped = machine.after_crash(Survival::Memory, 0);
    drop(archive);
    for call in 0..40 {
        let machine = stopped.after_crash(Survival::Memory, 0);
        machine.stop_at(machine.calls() + call, When::Before);
        let opened: quipu::Result<Store> = options().open_on(Arc::new(machine.clone()));
        let _ = opened.and_then(|archive| archive.close());
        let next = machine.after_crash(Survival::Memory, call);
        let mut archive = open(&next, options());
        archive.rewind(10).unwrap();
        drop(archive);
        let after = next.after_crash(Survival::Nothing, call);
        assert_holds(&open(&after, options()), 0..11);
    }
    assert!(start > 40);
}

/// What a reader shows of a log that was written, and not flushed when its writer was killed, stays.
#[test]
fn what_a_reader_shows_of_the_log_stays() {
    let machine = Simulated::new(0);
    let mut archive = open(&machine, options());
    put_syncs(&mut archive, 0..5);
    put(&mut archive, 5);
    machine.stop_at(machine.calls(), When::After);
    assert!(archive.sync().is_err());
    let killed = machine.after_crash(Survival::Memory, 0);
    let reader = options()
        .open_read_only_on::<[u8; 8], quipu::Bytes>(Arc::new(killed.clone()))
        .unwrap();
    assert_holds(&reader, 0..6);
    let after = killed.after_crash(Survival::Nothing, 0);
    assert_holds(&open(&after, options()), 0..6);
}

/// Its size may be another at each open; without one the file goes.
#[test]
fn the_size_may_change() {
    let machine = Simulated::new(0);
    for (life, bytes) in [20_000, 64 << 10, 16_384, 0, 30_000]
        .into_iter()
        .enumerate()
    {
        let mut archive = open(&machine, options().commit_log_bytes(bytes));
        put_syncs(&mut archive, life as u64 * 10..life as u64 * 10 + 10);
        let len = machine
            .open("quipu", LOG, OpenMode::Read)
            .map_or(0, |log| log.len().unwrap());
        assert_eq!(len, bytes);
        drop(archive);
    }
    let archive = open(&machine, options());
    assert_holds(&archive, 0..50);
    archive.destroy().unwrap();
    assert_eq!(machine.list("quipu").unwrap(), [""; 0]);
}

/// Without room for a log there is none.
#[test]
fn a_full_disk_has_no_room_for_a_log() {
    let machine = Simulated::new(0);
    let mut archive = open(&machine, options().commit_log_bytes(1 << 20));
    machine.set_capacity(Some(500_000));
    put_syncs(&mut archive, 0..30);
    let names = machine.list("quipu").unwrap();
    assert!(!names.iter().any(|name| name.starts_with(LOG)), "{names:?}");
    assert_holds(
        &open(&machine.after_crash(Survival::Nothing, 0), options()),
        0..30,
    );
}

/// A log whose flush failed is not believed to be durable, whatever the system shows of it.
#[test]
fn a_flush_of_the_log_that_failed_is_not_believed() {
    for nth in 0..60 {
        let machine = Simulated::new(nth);
        let mut archive = open(&machine, options());
        put_syncs(&mut archive, 0..3);
        machine.inject(machine.calls() + nth, Fault::FlushFails);
        let mut stored = 3;
        for index in 3..20 {
            let put = archive.put_sync(index, &key(index), &value(index, 30)[..]);
            match put {
                Ok(_) => stored = index + 1,
                Err(_) => break,
            }
        }
        if stored < 20 {
            let put = archive.put(50, &key(50), &b"x"[..]);
            assert!(matches!(put, Err(Error::Poisoned { .. })));
        }
        drop(archive);
        let mut archive = open(&machine, options());
        put_syncs(&mut archive, 100..102);
        let after = machine.after_crash(Survival::Nothing, nth);
        let archive = open(&after, options());
        for index in (0..stored).chain(100..102) {
            assert_eq!(archive.get(index).unwrap().unwrap(), value(index, 30));
        }
    }
}

fn bytes(machine: &Simulated, partition: &str, name: &str) -> Vec<u8> {
    let blob = machine.open(partition, name, OpenMode::Read).unwrap();
    let mut bytes = Vec::new();
    blob.read_into(&mut bytes, 0, blob.len().unwrap() as usize)
        .unwrap();
    bytes
}

fn copy(from: &Simulated, to: &Simulated, partition: &str, name: &str) {
    write(to, partition, name, &bytes(from, partition, name));
}

/// Puts other bytes in the place of a file's, durably.
fn write(machine: &Simulated, partition: &str, name: &str, bytes: &[u8]) {
    let blob = machine.open(partition, name, OpenMode::Create).unwrap();
    blob.resize(0).unwrap();
    blob.write_at(&[std::io::IoSlice::new(bytes)], 0).unwrap();
    blob.sync().unwrap();
    machine.sync_partition(partition).unwrap();
}

/// How many items have the bytes that were put.
fn whole(archive: &quipu::Reader<[u8; 8]>, indices: Range<u64>) -> usize {
    let is_whole =
        |&index: &u64| matches!(archive.get(index), Ok(Some(found)) if found == value(index, 30));
    indices.filter(is_whole).count()
}

fn read_only(machine: &Simulated, options: Options) -> quipu::ReadOnly<[u8; 8]> {
    options
        .open_read_only_on(Arc::new(machine.clone()))
        .unwrap()
}
