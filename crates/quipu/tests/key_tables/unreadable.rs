//! Key tables of which the disk does not give some bytes: it says EIO.

use std::sync::Arc;

use quipu::storage::Storage;
use quipu::{ReadOnly, VerifyEvent};

use super::bad_sectors::{BadSectors, EIO, SECTOR};
use super::common::copy_of;
use super::{Store, assert_holds, options, put};

fn open(storage: &BadSectors) -> Store {
    options().open_on(Arc::new(storage.clone())).unwrap()
}

/// A closed archive, and its tables with their lengths.
fn closed() -> (BadSectors, Vec<(String, u64)>) {
    let storage = BadSectors::default();
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

/// Whichever sector it is, or none can be opened, before an open or behind it: each key is found, and later a table has it
/// again.
#[test]
fn a_table_that_the_disk_does_not_give_costs_no_key() {
    let (start, tables) = closed();
    for (name, len) in &tables {
        for at in (0..len + SECTOR).step_by(SECTOR as usize) {
            for is_open in [false, true] {
                let storage = BadSectors::of(copy_of(&start.inner));
                let opened = is_open.then(|| open(&storage));
                match at < *len {
                    true => storage.spoil("quipu", name, at..at + 1),
                    false => storage.spoil_open("quipu", name, EIO),
                }
                let archive = opened.unwrap_or_else(|| open(&storage));
                assert_holds(&archive, 0..400, 0);
                archive.close().unwrap();
                let beside: ReadOnly<[u8; 8]> = options()
                    .open_read_only_on(Arc::new(storage.clone()))
                    .unwrap();
                assert_holds(&beside, 0..400, 0);
                drop(beside);
                storage.heal();
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
    storage.spoil("quipu", name, len - 1..*len);
    let mut told = 0;
    let report = archive.verify(&mut |event| {
        told += u32::from(matches!(event, VerifyEvent::File { section: None, .. }));
    });
    assert_eq!(report.unwrap().entries, 400);
    assert_eq!(told, 1);
    assert_holds(&archive, 0..400, 0);
}
