//! Sections that are flushed, and items that are read, by several threads at a time.

use std::path::PathBuf;
use std::sync::Arc;

use quipu::storage::simulated::{Fault, Simulated, Survival};
use quipu::storage::{Blob, Lock, OpenMode, Storage};
use quipu::{Archive, Error, Options, Result, Status};

type Store = Archive<[u8; 8]>;

const SECTIONS: u64 = 12;
const ITEMS: u64 = SECTIONS * 8;

/// A simulated machine that says it serves several threads.
#[derive(Clone, Debug)]
struct Wide(Simulated);

impl Storage for Wide {
    fn serves_side_by_side(&self) -> bool {
        true
    }
    fn open(&self, partition: &str, name: &str, mode: OpenMode) -> Result<Arc<dyn Blob>> {
        self.0.open(partition, name, mode)
    }
    fn remove(&self, partition: &str, name: &str) -> Result<()> {
        self.0.remove(partition, name)
    }
    fn rename(&self, partition: &str, from: &str, to: &str) -> Result<()> {
        self.0.rename(partition, from, to)
    }
    fn list(&self, partition: &str) -> Result<Vec<String>> {
        self.0.list(partition)
    }
    fn sync_partition(&self, partition: &str) -> Result<()> {
        self.0.sync_partition(partition)
    }
    fn remove_partition(&self, partition: &str) -> Result<()> {
        self.0.remove_partition(partition)
    }
    fn lock(&self, partition: &str, name: &str, holder: &str) -> Result<Box<dyn Lock>> {
        self.0.lock(partition, name, holder)
    }
    fn path(&self, partition: &str, name: &str) -> PathBuf {
        self.0.path(partition, name)
    }
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
