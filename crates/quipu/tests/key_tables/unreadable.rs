//! Key tables of which the disk does not give some bytes: it says EIO.

use super::common::delegate::delegate;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex};

use quipu::storage::{Blob, Memory, OpenMode, Storage};
use quipu::{Error, ReadOnly, Result, VerifyEvent};

use super::{Store, assert_holds, options, put};

/// What systems say of a sector that cannot be read.
const EIO: i32 = 5;

/// Which file cannot be read, and from where to where.
type Bad = Arc<Mutex<Option<(String, u64, u64)>>>;

/// Memory with a bad sector.
#[derive(Clone, Debug)]
struct BadSector {
    inner: Memory,
    bad: Bad,
}

#[derive(Debug)]
struct BadBlob {
    inner: Arc<dyn Blob>,
    name: String,
    bad: Bad,
}

impl Storage for BadSector {
    fn open(&self, partition: &str, name: &str, mode: OpenMode) -> Result<Arc<dyn Blob>> {
        Ok(Arc::new(BadBlob {
            inner: self.inner.open(partition, name, mode)?,
            name: name.to_owned(),
            bad: Arc::clone(&self.bad),
        }))
    }

    delegate!(inner: remove, rename, list, sync_partition, remove_partition, lock, path_of);
}

impl Blob for BadBlob {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        if let Some((name, from, to)) = &*self.bad.lock().unwrap()
            && *name == self.name
            && offset < *to
            && *from < offset + buf.len() as u64
        {
            let source = io::Error::from_raw_os_error(EIO);
            return Err(Error::io("read", self.path(), source));
        }
        self.inner.read_at(buf, offset)
    }

    delegate!(inner: write_at, resize, sync, len, path);
}

fn open(storage: &BadSector) -> Store {
    options().open_on(Arc::new(storage.clone())).unwrap()
}

/// A closed archive, and its tables with their lengths.
fn closed() -> (BadSector, Vec<(String, u64)>) {
    let storage = BadSector {
        inner: Memory::new(),
        bad: Bad::default(),
    };
    let mut archive = open(&storage);
    for begin in (0..400).step_by(50) {
        put(&mut archive, begin..begin + 50, 0);
        archive.sync().unwrap();
    }
    archive.close().unwrap();
    let mut tables = storage.inner.lengths("quipu").unwrap();
    tables.retain(|(name, _)| name.starts_with("keys-"));
    assert!(!tables.is_empty());
    (storage, tables)
}

/// Whichever sector it is, before an open or behind it: each key is found, and later a table has it again.
#[test]
fn a_table_that_the_disk_does_not_give_costs_no_key() {
    let (start, tables) = closed();
    for (name, len) in &tables {
        for at in (0..*len).step_by(512) {
            for is_open in [false, true] {
                let storage = BadSector {
                    inner: copy(&start.inner),
                    bad: Bad::default(),
                };
                let opened = is_open.then(|| open(&storage));
                *storage.bad.lock().unwrap() = Some((name.clone(), at, at + 512));
                let archive = opened.unwrap_or_else(|| open(&storage));
                assert_holds(&archive, 0..400, 0);
                archive.close().unwrap();
                let beside: ReadOnly<[u8; 8]> = options()
                    .open_read_only_on(Arc::new(storage.clone()))
                    .unwrap();
                assert_holds(&beside, 0..400, 0);
                drop(beside);
                *storage.bad.lock().unwrap() = None;
                let archive = open(&storage);
                assert_holds(&archive, 0..400, 0);
                assert_eq!(archive.stats().tables_lost, 0);
            }
        }
    }
}

/// Verification tells of it and goes on.
#[test]
fn verification_tells_of_a_table_that_cannot_be_read() {
    let (storage, tables) = closed();
    let archive = open(&storage);
    let (name, len) = &tables[0];
    *storage.bad.lock().unwrap() = Some((name.clone(), len - 512, *len));
    let mut told = 0;
    let report = archive.verify(&mut |event| {
        told += u32::from(matches!(event, VerifyEvent::File { section: None, .. }));
    });
    assert_eq!(report.unwrap().entries, 400);
    assert_eq!(told, 1);
    assert_holds(&archive, 0..400, 0);
}

/// The same blobs in another memory.
fn copy(from: &Memory) -> Memory {
    let to = Memory::new();
    for partition in ["index", "values", "quipu"] {
        for (name, len) in from.lengths(partition).unwrap() {
            let mut bytes = Vec::new();
            let blob = from.open(partition, &name, OpenMode::Read).unwrap();
            blob.read_into(&mut bytes, 0, len as usize).unwrap();
            let blob = to.open(partition, &name, OpenMode::Create).unwrap();
            blob.write_at(&[IoSlice::new(&bytes)], 0).unwrap();
        }
    }
    to
}
