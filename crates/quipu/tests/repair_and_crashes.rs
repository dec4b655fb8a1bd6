//! A repair that ends at any of its calls: the old state or the new one, and nothing durable lost.

mod common;
#[allow(unreachable_pub)]
#[path = "common/faulty.rs"]
mod faulty;

use std::sync::Arc;

use common::{copy_of, key, value};
use faulty::{Fault, Faulty};
use quipu::storage::{Memory, OpenMode, Storage};
use quipu::{Archive, Bytes, Error, Options, Status};

const ITEMS: u64 = 40;
const HEADER: usize = 4096;
const LOST: [u64; 10] = [8, 10, 11, 12, 23, 24, 25, 28, 29, 30];

type Store = Archive<[u8; 8]>;

fn options() -> Options {
    Options::new().items_per_section(8).page_size(60)
}

fn open(storage: Arc<dyn Storage>) -> quipu::Result<Store> {
    options().open_on::<[u8; 8], Bytes>(storage)
}

fn flip(memory: &Memory, partition: &str, name: &str, at: usize) {
    let blob = memory.open(partition, name, OpenMode::Write).unwrap();
    let mut byte = [0];
    blob.read_at(&mut byte, at as u64).unwrap();
    blob.write_at(&[std::io::IoSlice::new(&[byte[0] ^ 0x10])], at as u64)
        .unwrap();
}

/// An archive with damage in values and pages, of which some is noted in the marks.
fn damaged() -> Memory {
    let memory = Memory::new();
    let mut archive = open(Arc::new(memory.clone())).unwrap();
    for index in 0..ITEMS {
        let _ = archive.put(index, &key(index), &value(index, 30)).unwrap();
    }
    archive.close().unwrap();
    flip(&memory, "values", "0000000000000008", HEADER);
    flip(&memory, "index", "0000000000000008", HEADER + 72);
    flip(&memory, "values", "0000000000000010", HEADER + 7 * 34);
    // So much that a page of whole entries stands behind what is left.
    flip(&memory, "values", "0000000000000018", HEADER);
    flip(&memory, "values", "0000000000000018", HEADER + 34);
    flip(&memory, "index", "0000000000000018", HEADER + 2 * 72);
    let archive = open(Arc::new(memory.clone())).unwrap();
    assert!(archive.get(8).is_err() && archive.get(24).is_err() && archive.get(25).is_err());
    archive.close().unwrap();
    memory
}

/// Every item that was whole is there, by index and by key, and nothing else is.
fn check(archive: &Store, context: &str) {
    for index in 0..ITEMS {
        let status = archive.status(index).unwrap();
        if LOST.contains(&index) {
            assert_eq!(status, Status::Damaged, "{context}: {index}");
            continue;
        }
        let read = archive.get(index).unwrap();
        assert_eq!(read.unwrap(), value(index, 30), "{context}: {index}");
        let by_key = archive.get_item(&key::<8>(index)).unwrap();
        assert_eq!(by_key.unwrap().index, index, "{context}");
    }
    assert_eq!(archive.missing_items(0, 100), LOST, "{context}");
}

/// Runs a repair with a fault at each of its calls, and then `check`; how many calls there were.
fn at_every_call(
    fault: Fault,
    check: impl Fn(Memory, quipu::Result<()>, Arc<Faulty>, &str),
) -> u64 {
    let whole = Arc::new(Faulty::new(damaged(), u64::MAX, fault));
    let mut archive = open(whole.clone()).unwrap();
    let before = whole.log().len() as u64;
    archive.repair().unwrap();
    let calls = whole.log().len() as u64 - before;
    assert!(calls > 20, "{:#?}", whole.log());
    for at in 0..calls {
        let memory = damaged();
        let storage = Arc::new(Faulty::new(memory.clone(), before + at, fault));
        let mut archive = open(storage.clone()).unwrap();
        let done = archive.repair().map(drop);
        // The last calls need no room, and the very last may be done.
        let may_end = fault == Fault::NoSpace || at + 1 == calls;
        assert!(done.is_err() || may_end, "{at}");
        assert!(storage.was_hit(), "{at}");
        let log = storage.log();
        let context = format!("{fault:?} at {at}, {:?}", log.get((before + at) as usize));
        for index in (0..ITEMS).filter(|index| !LOST.contains(index)) {
            let read = archive.get(index).unwrap();
            assert_eq!(read.unwrap(), value(index, 30), "{context}");
        }
        drop(archive);
        check(memory, done, storage, &context);
    }
    calls
}

fn finish(memory: Memory, context: &str) {
    let mut archive = open(Arc::new(memory.clone())).unwrap();
    archive.repair().unwrap();
    assert!(archive.plan_repair().unwrap().is_empty(), "{context}");
    check(&archive, context);
    let verified = archive.verify(&mut |_| {}).unwrap();
    assert!(!verified.needs_repair(), "{context}: {verified:?}");
    for index in LOST {
        let _ = archive.put(index, &key(index), &value(index, 30)).unwrap();
    }
    archive.close().unwrap();
    let archive = open(Arc::new(memory)).unwrap();
    assert!(archive.verify(&mut |_| {}).unwrap().is_clean(), "{context}");
    assert_eq!(archive.missing_items(0, 100), []);
}

#[test]
fn a_crash_at_every_call_loses_nothing() {
    for fault in [Fault::CrashBefore, Fault::CrashAfter] {
        at_every_call(fault, |memory, _, _, context| {
            for _ in 0..2 {
                let archive = open(Arc::new(memory.clone())).unwrap();
                assert!(archive.recovery().sections.is_empty(), "{context}");
                let _ = archive.verify(&mut |_| {}).unwrap();
                check(&archive, context);
            }
            finish(memory, context);
        });
    }
}

/// A repair of headers alone announces each section: marks are brought up before the next one, or an open after
/// a crash would not believe them.
#[test]
fn a_crash_between_headers_leaves_marks_that_are_believed() {
    let headers = || {
        let memory = Memory::new();
        let mut archive = open(Arc::new(memory.clone())).unwrap();
        for index in 0..ITEMS {
            let _ = archive.put(index, &key(index), &value(index, 30)).unwrap();
        }
        archive.close().unwrap();
        for section in ["0000000000000000", "0000000000000010"] {
            flip(&memory, "index", section, 2000);
            flip(&memory, "values", section, 2000);
        }
        memory
    };
    let storage = Arc::new(Faulty::new(headers(), u64::MAX, Fault::CrashBefore));
    let _whole = open(storage.clone()).unwrap();
    let before = storage.log().len() as u64;
    for at in 0.. {
        let memory = headers();
        let storage = Faulty::new(memory.clone(), before + at, Fault::CrashBefore);
        let mut archive = open(Arc::new(storage)).unwrap();
        let done = archive.repair().is_ok();
        drop(archive);
        let mut archive = open(Arc::new(memory)).unwrap();
        assert!(!archive.recovery().marks_incomplete, "{at}");
        archive.repair().unwrap();
        assert!(archive.verify(&mut |_| {}).unwrap().is_clean(), "{at}");
        if done {
            assert!(at > 20, "{at}");
            break;
        }
    }
}

#[test]
fn a_call_that_fails_leaves_the_old_state_or_the_new_one() {
    at_every_call(Fault::FailOnce, |memory, _, _, context| {
        finish(memory, context);
    });
}

#[test]
fn a_disk_without_room_says_so_and_keeps_everything() {
    let calls = at_every_call(Fault::NoSpace, |memory, done, _, context| {
        if let Err(error) = done {
            let is_full = matches!(error, Error::StorageFull { .. });
            assert!(is_full, "{context}: {error}");
        }
        finish(memory, context);
    });
    assert!(calls > 0);
}

#[test]
fn without_room_for_the_copies_the_archive_goes_on() {
    let memory = damaged();
    let full = Arc::new(Faulty::new(memory.clone(), u64::MAX, Fault::NoSpace));
    let archive = open(full.clone()).unwrap();
    let before = full.log().len() as u64;
    drop(archive);
    let storage = Arc::new(Faulty::new(damaged(), before, Fault::FailOnce));
    let mut archive = open(storage).unwrap();
    assert!(archive.repair().is_err());
    let _ = archive.put_sync(8, &key(8), &value(8, 30)).unwrap();
    assert_eq!(archive.get(8).unwrap().unwrap(), value(8, 30));
    assert_eq!(
        archive.repair().unwrap().lost_indices(),
        LOST.len() as u128 - 1
    );
}

#[test]
fn a_repair_without_damage_makes_no_call_that_changes_anything() {
    let memory = Memory::new();
    let storage = Arc::new(Faulty::new(memory, u64::MAX, Fault::FailOnce));
    let mut archive = open(storage.clone()).unwrap();
    for index in 0..ITEMS {
        let _ = archive.put(index, &key(index), &value(index, 30)).unwrap();
    }
    archive.sync().unwrap();
    let before = storage.log();
    assert!(archive.repair().unwrap().is_empty());
    assert!(archive.plan_repair().unwrap().is_empty());
    assert_eq!(storage.log(), before);
}

/// What a crash can leave behind a rename: notes of positions that others have by now.
#[test]
fn damage_that_was_noted_does_not_stick_to_the_entry_that_moved_there() {
    let memory = Memory::new();
    let mut archive = open(Arc::new(memory.clone())).unwrap();
    for n in 0..4u64 {
        let _ = archive.put_multi(5, &key(n), &value(n, 30)).unwrap();
    }
    archive.close().unwrap();
    flip(&memory, "values", "0000000000000000", HEADER + 34);
    let archive = open(Arc::new(memory.clone())).unwrap();
    assert!(archive.get(&key::<8>(1)).is_err());
    archive.close().unwrap();
    let whole = Faulty::new(memory.clone(), u64::MAX, Fault::CrashBefore);
    let whole = Arc::new(whole);
    let (mut at, mut crashes) = (0, 0);
    loop {
        let copy = copy_of(&memory);
        let storage = Arc::new(Faulty::new(copy.clone(), at, Fault::CrashAfter));
        let done = open(storage).and_then(|mut archive| archive.repair().map(drop));
        let archive = open(Arc::new(copy)).unwrap();
        for n in [0, 2, 3] {
            let read = archive.get_item(&key::<8>(n)).unwrap().unwrap();
            assert_eq!((read.index, read.value.to_vec()), (5, value(n, 30)), "{at}");
        }
        if done.is_ok() {
            break;
        }
        crashes += 1;
        at += 1;
    }
    assert!(crashes > 10, "{:?}", whole.log());
}

/// Copies first, then who reads, then the file, then its mark: each durable before the next.
#[test]
fn the_calls_of_a_repair_come_in_their_order() {
    let storage = Arc::new(Faulty::new(damaged(), u64::MAX, Fault::FailOnce));
    let mut archive = open(storage.clone()).unwrap();
    let before = storage.log().len();
    archive.repair().unwrap();
    let log = storage.log()[before..].to_vec();
    let root = storage.path("", "").display().to_string();
    let section = "0000000000000008";
    let at = |call: String| {
        let found = log.iter().position(|of| *of == call);
        found.unwrap_or_else(|| panic!("{call}: {log:#?}"))
    };
    let order = [
        at(format!("sync {root}/quarantine/{section}-1.index.new")),
        at(format!("rename {root}/quarantine/{section}-1.index")),
        at(format!("sync {root}/quarantine/{section}-1.value-0.new")),
        at(format!("rename {root}/quarantine/{section}-1.value-0")),
        at(format!("sync {root}/quarantine")),
        at(format!("rename {root}/quipu/manifest")),
        at(format!("sync {root}/index/{section}.new")),
        at(format!("rename {root}/index/{section}")),
        at(format!("sync {root}/index")),
        at(format!("rename {root}/quipu/marks")),
    ];
    assert!(order.is_sorted(), "{order:?}: {log:#?}");
    assert!(
        !log.iter().any(|call| call.contains("/values/")),
        "{log:#?}"
    );
}

/// A reader of another process waited for its end for two seconds, as long as the writer lived.
#[cfg(feature = "simulated")]
#[test]
fn a_repair_that_failed_and_left_the_writer_usable_is_not_announced_any_more() {
    use quipu::storage::simulated::{Fault, Simulated};

    let mut went_on = 0;
    for call in 0..250 {
        let machine = Simulated::new(7);
        let mut archive = open(Arc::new(machine.clone())).unwrap();
        for index in 0..ITEMS {
            let _ = archive.put(index, &key(index), &value(index, 30)).unwrap();
        }
        archive.close().unwrap();
        for name in ["0000000000000008", "0000000000000010", "0000000000000018"] {
            let bit = (HEADER as u64 + 34) * 8;
            machine.flip_bit("values", name, bit).unwrap();
        }
        let mut archive = open(Arc::new(machine.clone())).unwrap();
        machine.inject(machine.calls() + call, Fault::ErrorBefore);
        if archive.repair().is_ok() || archive.put_sync(100, &key(100), b"more").is_err() {
            continue;
        }
        went_on += 1;
        let before = machine.log().len();
        let beside = options().open_read_only_on::<[u8; 8], Bytes>(Arc::new(machine.clone()));
        assert_eq!(beside.unwrap().get(100).unwrap().unwrap(), b"more"[..]);
        let looks = machine.log().split_off(before);
        let of_manifest = looks.iter().filter(|of| &*of.name == "manifest");
        assert!(of_manifest.count() < 40, "{call}: it waited");
    }
    assert!(went_on > 20, "{went_on}");
}
