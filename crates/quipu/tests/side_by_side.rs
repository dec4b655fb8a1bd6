//! Sections that are flushed, and items that are read, by several threads at a time.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use common::delegate::delegate;
use quipu::storage::Storage;
use quipu::storage::simulated::{Fault, Simulated, Survival};
use quipu::{Archive, Error, Options, Result, Status};

type Store = Archive<[u8; 8]>;

const SECTIONS: u64 = 12;
const ITEMS: u64 = SECTIONS * 8;

/// Files that were made by a thread of their own.
static MADE_AHEAD: AtomicU32 = AtomicU32::new(0);

/// A simulated machine that says it serves several threads.
#[derive(Clone, Debug)]
struct Wide(Simulated);

impl Storage for Wide {
    fn serves_side_by_side(&self) -> bool {
        true
    }
    /// Who makes files ahead is slow: what does not wait for it goes on before.
    fn rename(&self, partition: &str, from: &str, to: &str) -> Result<()> {
        if thread::current().name() == Some("quipu-files") {
            MADE_AHEAD.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(20));
        }
        self.0.rename(partition, from, to)
    }

    delegate!(0: open, remove, list, sync_partition, remove_partition, lock, path_of);
}

fn open(machine: &Simulated) -> Store {
    let options = Options::new().items_per_section(8);
    options.open_on(Arc::new(Wide(machine.clone()))).unwrap()
}

fn put(archive: &mut Store, indices: impl Iterator<Item = u64>) {
    for index in indices {
        let _ = archive
            .put(index, &index.to_be_bytes(), &index.to_le_bytes()[..])
            .unwrap();
    }
}

/// A round of the items, one or more of each section.
fn round(nth: u64) -> impl Iterator<Item = u64> {
    (0..ITEMS).filter(move |index| index % 3 == nth)
}

#[test]
fn a_sync_of_many_sections_makes_all_of_them_durable() {
    let machine = Simulated::new(1);
    let mut archive = open(&machine);
    for nth in 0..3 {
        put(&mut archive, round(nth));
        archive.sync().unwrap();
        let left = open(&machine.after_crash(Survival::Nothing, nth));
        for index in 0..ITEMS {
            let expected = match index % 3 <= nth {
                true => Status::Present,
                false => Status::Missing,
            };
            assert_eq!(left.status(index).unwrap(), expected, "{index}");
        }
    }
    let values = archive.get_many((0..ITEMS).rev().chain(0..ITEMS)).unwrap();
    for (value, index) in values.iter().zip((0..ITEMS).rev().chain(0..ITEMS)) {
        assert_eq!(value.as_deref(), Some(&index.to_le_bytes()[..]));
    }
}

/// Whichever call of whichever thread fails: the sync says so, nothing is written any more, and what was durable stays;
/// or the sync has made all of it durable.
#[test]
fn a_sync_of_which_one_section_fails_fails() {
    for at in 0..4 * SECTIONS {
        for fault in [Fault::ErrorBefore, Fault::FlushFails] {
            let machine = Simulated::new(at);
            let mut archive = open(&machine);
            put(&mut archive, round(0));
            archive.sync().unwrap();
            put(&mut archive, round(1));
            machine.inject(machine.calls() + at, fault);
            // Some calls cannot fail so.
            let synced = archive.sync().is_ok();
            if !synced {
                let refused = archive.put(1 << 20, &[0; 8], &b"more"[..]);
                assert!(matches!(refused, Err(Error::Poisoned { .. })), "{at}");
            }
            let left = open(&machine.after_crash(Survival::Nothing, at));
            for index in (0..1 + u64::from(synced)).flat_map(round) {
                assert_eq!(*left.get(index).unwrap().unwrap(), index.to_le_bytes());
            }
        }
    }
}

/// Puts the first items of the first section and syncs: the files of the second are then being made by a thread.
fn with_files_under_way(machine: &Simulated) -> Store {
    let mut archive = open(machine);
    put(&mut archive, 0..7);
    archive.sync().unwrap();
    archive
}

fn files(machine: &Simulated) -> Vec<usize> {
    let count = |partition: &&str| machine.list(partition).unwrap().len();
    ["index", "values"].iter().map(count).collect()
}

#[test]
fn files_that_a_thread_makes_ahead_are_used_or_go() {
    for round in 0..3 {
        let machine = Simulated::new(round);
        let mut archive = with_files_under_way(&machine);
        put(&mut archive, 7..20);
        archive.sync().unwrap();
        assert_eq!(files(&machine), [3, 3]);
        archive.close().unwrap();
        assert_eq!(files(&machine), [3, 3]);

        let machine = Simulated::new(round);
        drop(with_files_under_way(&machine));
        assert_eq!(files(&machine), [1, 1]);

        let machine = Simulated::new(round);
        with_files_under_way(&machine).close().unwrap();
        assert_eq!(files(&machine), [1, 1]);

        let machine = Simulated::new(round);
        let mut archive = with_files_under_way(&machine);
        put(&mut archive, 81..82);
        assert_eq!(archive.prune(80).unwrap(), 1);
        assert_eq!(files(&machine), [1, 1]);

        let machine = Simulated::new(round);
        let mut archive = with_files_under_way(&machine);
        archive.rewind(3).unwrap();
        put(&mut archive, 4..20);
        archive.close().unwrap();
        assert_eq!(files(&machine), [3, 3]);
        assert_eq!(open(&machine).missing_items(0, 20), [0; 0]);

        let machine = Simulated::new(round);
        with_files_under_way(&machine).destroy().unwrap();
        assert_eq!(files(&machine), [0, 0]);
    }
    assert!(MADE_AHEAD.load(Ordering::Relaxed) > 0);
}

/// What failed in the thread is told by a later call, and ends the writing; what was acknowledged stays.
#[test]
fn a_thread_that_makes_files_ahead_and_fails_is_heard() {
    let mut told = 0;
    for at in 0..16 {
        let machine = Simulated::new(at);
        let mut archive = open(&machine);
        put(&mut archive, 0..6);
        archive.sync().unwrap();
        put(&mut archive, 6..7);
        let from = machine.log().len();
        machine.inject(machine.calls() + at, Fault::ErrorBefore);
        let mut durable = 6;
        let mut failed = false;
        for index in 7..20 {
            let put = archive.put_sync(index, &index.to_be_bytes(), &index.to_le_bytes()[..]);
            match put {
                Ok(_) if !failed => durable = index + 1,
                put => {
                    assert!(
                        !failed || matches!(put, Err(Error::Poisoned { .. })),
                        "{at} {put:?}"
                    );
                    failed = true;
                }
            }
        }
        told += u32::from(failed);
        assert!(machine.log().len() > from);
        drop(archive);
        let left = open(&machine.after_crash(Survival::Nothing, at));
        for index in 0..durable {
            assert_eq!(left.status(index).unwrap(), Status::Present, "{at} {index}");
        }
    }
    assert!(told > 8, "{told}");
}
