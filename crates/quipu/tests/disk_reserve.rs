//! A disk that is full, and bytes that were kept for that.

mod common;

use std::io::IoSlice;
use std::sync::Arc;

use common::{key, value};
use quipu::storage::simulated::{Simulated, Survival, When};
use quipu::storage::{Memory, OpenMode, Storage};
use quipu::{Archive, Error, Options, Put, Result, ScrubOptions};

type Store = Archive<[u8; 8]>;

const RESERVE: u64 = 48 << 10;

fn options() -> Options {
    Options::new()
        .items_per_section(8)
        .page_size(50)
        .write_buffer(200)
        .disk_reserve(RESERVE)
}

fn open(machine: &Simulated, options: Options) -> Result<Store> {
    options.open_on(Arc::new(machine.clone()))
}

#[track_caller]
fn is_full<T: std::fmt::Debug>(result: Result<T>) {
    assert!(
        matches!(result, Err(Error::StorageFull { .. })),
        "{result:?}"
    );
}

fn put(archive: &mut Store, index: u64) -> Result<Put> {
    archive.put(index, &key(index), &value(index, 60))
}

fn assert_holds(archive: &Store, indices: std::ops::Range<u64>) {
    for index in indices {
        let found = archive.get(index).unwrap();
        assert_eq!(found.as_deref(), Some(&value(index, 60)[..]), "{index}");
    }
}

/// Bytes of the reserve, if there is one.
fn reserve(storage: &dyn Storage) -> Option<u64> {
    let blob = storage.open("quipu", "reserve", OpenMode::Read).ok()?;
    Some(blob.len().unwrap())
}

/// Somebody else takes every byte that is left.
fn fill_disk(machine: &Simulated) {
    let blob = machine.open("other", "file", OpenMode::Create).unwrap();
    is_full(blob.write_at(&[IoSlice::new(&vec![1; 1 << 20])], blob.len().unwrap()));
}

fn free_disk(machine: &Simulated) {
    machine.remove("other", "file").unwrap();
}

/// Puts until a put is refused, with a sync now and then; how many items are there.
fn put_until_refused(archive: &mut Store, from: u64) -> u64 {
    let mut index = from;
    loop {
        match put(archive, index) {
            Ok(_) => index += 1,
            full => {
                is_full(full);
                return index;
            }
        }
        if index.is_multiple_of(5) {
            archive.sync().unwrap();
        }
    }
}

#[test]
fn every_size_of_a_disk() {
    let (mut refused, mut pruned) = (0, 0);
    for capacity in (0..400 << 10).step_by(1 << 10) {
        let machine = Simulated::new(capacity);
        machine.set_capacity(Some(capacity));
        let mut archive = match open(&machine, options()) {
            Ok(archive) => archive,
            Err(error) => {
                // Not even the manifest fits.
                is_full::<()>(Err(error));
                assert!(capacity < 2 << 10, "{capacity}");
                continue;
            }
        };
        let items = put_until_refused(&mut archive, 0);
        refused += 1;
        archive.sync().unwrap();
        is_full(put(&mut archive, items));
        assert_holds(&archive, 0..items);
        let disk = machine.after_crash(Survival::Nothing, 0);
        let reopened = open(&disk, options()).unwrap();
        assert_holds(&reopened, 0..items);
        // The reserve is as large as six sections.
        let half = items / 16 * 8;
        archive.prune(half).unwrap();
        assert_holds(&archive, half..items);
        if half >= 64 {
            let _ = put(&mut archive, items).unwrap();
            archive.sync().unwrap();
            assert_eq!(reserve(&machine), Some(RESERVE), "{capacity}");
            assert_holds(&archive, half..items + 1);
            pruned += 1;
        }
    }
    assert!(refused > 390 && pruned > 100, "{refused} {pruned}");
}

#[test]
fn a_full_disk_stops_puts_and_nothing_else() {
    let machine = Simulated::new(0);
    machine.set_capacity(Some(1 << 20));
    let mut archive = open(&machine, options()).unwrap();
    for index in 0..40 {
        let _ = put(&mut archive, index).unwrap();
    }
    fill_disk(&machine);
    archive.sync().unwrap();
    for _ in 0..3 {
        is_full(put(&mut archive, 40));
        is_full(archive.put_multi(3, &key(3), "again"));
        is_full(archive.put_batch([(40, key(40), "x")]));
    }
    assert_eq!(archive.last_index(), Some(39));
    assert_holds(&archive, 0..40);
    archive.rewind(35).unwrap();
    archive.prune(8).unwrap();
    assert_holds(&archive, 8..36);
    free_disk(&machine);
    let _ = put(&mut archive, 36).unwrap();
    assert_eq!(reserve(&machine), Some(RESERVE));
    archive.close().unwrap();
    let disk = machine.after_crash(Survival::Nothing, 0);
    let archive = open(&disk, options()).unwrap();
    assert_holds(&archive, 8..37);
    assert!(archive.verify(&mut |_| {}).unwrap().is_clean());
}

#[test]
fn a_batch_keeps_what_came_before_it_was_refused() {
    let machine = Simulated::new(0);
    machine.set_capacity(Some(200 << 10));
    let mut archive = open(&machine, options()).unwrap();
    let items = (0..10_000).map(|index| (index, key(index), value(index, 60)));
    is_full(archive.put_batch(items));
    let last = archive.last_index().unwrap();
    archive.sync().unwrap();
    let disk = machine.after_crash(Survival::Nothing, 0);
    assert_holds(&open(&disk, options()).unwrap(), 0..last + 1);
}

#[test]
fn an_error_in_the_request_comes_first() {
    let machine = Simulated::new(0);
    machine.set_capacity(Some(1 << 20));
    let mut archive = open(&machine, options().max_value_size(100)).unwrap();
    fill_disk(&machine);
    let _ = put(&mut archive, 0).unwrap();
    archive.sync().unwrap();
    let large = archive.put(1, &key(1), &[0; 101]);
    assert!(matches!(large, Err(Error::ValueTooLarge { .. })));
    is_full(put(&mut archive, 1));
}

#[test]
fn without_a_reserve_a_full_disk_poisons() {
    let machine = Simulated::new(0);
    machine.set_capacity(Some(1 << 20));
    let mut archive = open(&machine, options().disk_reserve(0)).unwrap();
    let _ = put(&mut archive, 0).unwrap();
    fill_disk(&machine);
    is_full(archive.sync());
    let after = put(&mut archive, 1);
    assert!(matches!(after, Err(Error::Poisoned { .. })), "{after:?}");
}

#[test]
fn a_reserve_without_room_at_the_open() {
    let machine = Simulated::new(0);
    machine.set_capacity(Some(1 << 20));
    let mut archive = open(&machine, options().disk_reserve(0)).unwrap();
    for index in 0..40 {
        let _ = put(&mut archive, index).unwrap();
    }
    archive.close().unwrap();
    fill_disk(&machine);
    let mut archive = open(&machine, options()).unwrap();
    assert_holds(&archive, 0..40);
    is_full(put(&mut archive, 40));
    archive.sync().unwrap();
    free_disk(&machine);
    let _ = put(&mut archive, 40).unwrap();
    assert_eq!(reserve(&machine), Some(RESERVE));
}

/// Also the reserve that an earlier open kept serves the open itself.
#[test]
fn an_open_of_a_full_disk_can_use_the_reserve() {
    let machine = Simulated::new(0);
    machine.set_capacity(Some(1 << 20));
    let mut archive = open(&machine, options()).unwrap();
    for index in 0..20 {
        let _ = put(&mut archive, index).unwrap();
    }
    archive.close().unwrap();
    fill_disk(&machine);
    // A value file that is lost is created anew, which takes room.
    machine.remove("values", "0000000000000000").unwrap();
    fill_disk(&machine);
    let mut archive = open(&machine, options()).unwrap();
    assert_holds(&archive, 8..20);
    is_full(put(&mut archive, 20));
}

#[test]
fn the_option_resizes_and_removes_it() {
    let memory = Memory::new();
    let open = |bytes| -> Store {
        let options = options().disk_reserve(bytes);
        options.open_on(Arc::new(memory.clone())).unwrap()
    };
    for bytes in [10_000, 100_000, 5_000] {
        let archive = open(bytes);
        assert_eq!(reserve(&memory), Some(bytes));
        assert!(archive.stats().disk_other > bytes);
    }
    let archive = open(0);
    assert_eq!(reserve(&memory), None);
    assert!(archive.stats().disk_other < 1000);
    let names = memory.list("quipu").unwrap();
    assert!(names.iter().all(|name| !name.starts_with("reserve")));
    drop(archive);
    let options = options().disk_reserve(1 << 63);
    let opened = options.open_on::<[u8; 8], quipu::Bytes>(Arc::new(memory.clone()));
    assert!(matches!(
        opened,
        Err(Error::InvalidOption {
            option: "disk_reserve",
            ..
        })
    ));
}

#[test]
fn destroying_the_archive_removes_it() {
    let machine = Simulated::new(0);
    machine.set_capacity(Some(1 << 20));
    let mut archive = open(&machine, options()).unwrap();
    let _ = put(&mut archive, 0).unwrap();
    archive.sync().unwrap();
    fill_disk(&machine);
    archive.destroy().unwrap();
    for partition in ["index", "values", "quipu"] {
        assert!(machine.list(partition).unwrap().is_empty(), "{partition}");
    }
    assert!(reserve(&machine.after_crash(Survival::Nothing, 0)).is_none());
}

#[test]
fn readers_leave_it_alone() {
    let memory = Memory::new();
    let archive: Store = options().open_on(Arc::new(memory.clone())).unwrap();
    drop(archive);
    let reader =
        Options::new().open_read_only_on::<[u8; 8], quipu::Bytes>(Arc::new(memory.clone()));
    drop(reader.unwrap());
    assert_eq!(reserve(&memory), Some(RESERVE));
}

/// Puts until the disk is full, prunes, and puts again, as far as the machine goes; (durable from,
/// durable to, put to).
fn work(machine: &Simulated) -> (u64, u64, u64) {
    let (mut from, mut durable, mut next) = (0, 0, 0);
    let mut run = || -> Result<()> {
        let mut archive = open(machine, options())?;
        for _ in 0..3 {
            loop {
                match put(&mut archive, next) {
                    Ok(_) => next += 1,
                    Err(Error::StorageFull { .. }) => break,
                    Err(error) => return Err(error),
                }
            }
            archive.sync()?;
            durable = next;
            from = next / 8 * 8 - 16;
            archive.prune(from)?;
        }
        archive.close()
    };
    let _ = run();
    (from, durable, next)
}

#[test]
fn a_crash_at_every_call_loses_nothing() {
    let capacity = Some(180 << 10);
    let healthy = Simulated::new(0);
    healthy.set_capacity(capacity);
    assert!(work(&healthy).0 > 0 && !healthy.is_stopped());
    for call in (0..healthy.calls()).step_by(3) {
        let machine = Simulated::new(0);
        machine.set_capacity(capacity);
        machine.stop_at(call, [When::Before, When::After][call as usize % 2]);
        let (from, durable, put_to) = work(&machine);
        for seed in 0..3 {
            let disk = machine.after_crash(Survival::Bytes, seed);
            let mut archive = match open(&disk, options()) {
                Ok(archive) => archive,
                Err(error) => panic!("call {call}, seed {seed}: {error}"),
            };
            assert_holds(&archive, from..durable);
            assert!(archive.last_index().is_none_or(|last| last < put_to));
            archive.sync().unwrap();
            archive.prune(put_to).unwrap();
            let _ = put(&mut archive, put_to + 8).unwrap();
            archive.sync().unwrap();
            assert_eq!(reserve(&disk), Some(RESERVE));
        }
    }
}

/// Nothing rests on a key table: it is given up, and the reserve is there for what does.
#[test]
fn a_key_table_is_not_made_of_the_reserve() {
    let machine = Simulated::new(1);
    machine.set_capacity(Some(200 << 10));
    // One is made when the archive is closed.
    let options = || options().keys_per_table(16);
    let tables = || {
        let names = machine.list("quipu").unwrap();
        names.iter().filter(|name| name.contains("keys")).count()
    };
    let mut archive = open(&machine, options()).unwrap();
    for index in 0..3 {
        assert_eq!(put(&mut archive, index).unwrap(), Put::Stored);
    }
    archive.sync().unwrap();
    fill_disk(&machine);
    let other = machine.open("other", "file", OpenMode::Write).unwrap();
    // Room for the marks, and for the first pages of a table.
    other.resize(other.len().unwrap() - (12 << 10)).unwrap();
    archive.close().unwrap();
    assert_eq!((reserve(&machine), tables()), (Some(RESERVE), 0));
    drop(other);
    free_disk(&machine);
    let archive = open(&machine, options()).unwrap();
    assert_holds(&archive, 0..3);
    archive.close().unwrap();
    assert_eq!((reserve(&machine), tables()), (Some(RESERVE), 1));
}

/// Its place is written down when there is room again, and not in the reserve.
#[test]
fn a_scrub_goes_on_while_the_disk_is_full() {
    let machine = Simulated::new(1);
    machine.set_capacity(Some(200 << 10));
    let mut archive = open(&machine, options()).unwrap();
    assert_eq!(put(&mut archive, 0).unwrap(), Put::Stored);
    archive.sync().unwrap();
    fill_disk(&machine);
    let mut scrub = archive.scrub(ScrubOptions::default()).unwrap();
    assert!((0..100).any(|_| scrub.step(1 << 20).unwrap().pass_ended));
    assert_eq!(reserve(&machine), Some(RESERVE));
}
