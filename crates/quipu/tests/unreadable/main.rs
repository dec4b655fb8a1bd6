//! Sectors that the disk cannot read: what is in them is damaged as long as it cannot, and nothing else is.

#[allow(dead_code, unreachable_pub)]
#[path = "../common/bad_sectors.rs"]
mod bad_sectors;
#[path = "../common/mod.rs"]
mod common;
mod log;
mod marks;
mod passing;
mod sections;

use std::collections::BTreeSet;
use std::io::IoSlice;
use std::sync::Arc;

use bad_sectors::{BadSectors, EIO, EMFILE, ENOMEM, SECTOR};
use common::{copy_of, key, value};
use quipu::storage::{Memory, OpenMode, Storage};
use quipu::{Archive, Error, Options, Put, ReadOnly, Reader, Status, VerifyEvent};

type Store = Archive<[u8; 8]>;

const ITEMS: u64 = 120;
/// Where the data of a file begins.
const HEADER: u64 = 4096;
/// The name of the commit log.
const LOG: &str = "commit-log";
/// The name of the second section's files.
const SECOND: &str = "0000000000000032";

fn options() -> Options {
    Options::new()
        .items_per_section(50)
        .page_size(100)
        .keys_per_table(1)
}

fn open(store: &BadSectors) -> quipu::Result<Store> {
    options().open_on(Arc::new(store.clone()))
}

fn beside(store: &BadSectors) -> quipu::Result<ReadOnly<[u8; 8]>> {
    options().open_read_only_on(Arc::new(store.clone()))
}

fn put(archive: &mut Store, from: u64, to: u64) {
    for index in from..to {
        let _ = archive.put(index, &key(index), &value(index, 30)).unwrap();
    }
}

/// Three sections, closed.
fn filled() -> BadSectors {
    let store = BadSectors::default();
    let mut archive = open(&store).unwrap();
    put(&mut archive, 0, ITEMS);
    archive.close().unwrap();
    store
}

/// The same, of a process that was killed: the marks do not tell of the last items of each section, where `is_marked`
/// says so.
fn killed(is_marked: bool) -> BadSectors {
    let store = BadSectors::default();
    let mut archive = options()
        .commit_log_bytes(0)
        .open_on::<[u8; 8], quipu::Bytes>(Arc::new(store.clone()))
        .unwrap();
    put(&mut archive, 0, 40);
    put(&mut archive, 50, 90);
    put(&mut archive, 100, 110);
    archive.sync().unwrap();
    let marks = copy_of(&store.inner);
    put(&mut archive, 40, 50);
    put(&mut archive, 90, 100);
    put(&mut archive, 110, ITEMS);
    archive.sync().unwrap();
    let left = copy_of(&store.inner);
    if !is_marked {
        copy_blob(&marks, &left, "quipu", "marks");
    }
    drop(archive);
    BadSectors::of(left)
}

fn copy_blob(from: &Memory, to: &Memory, partition: &str, name: &str) {
    let blob = from.open(partition, name, OpenMode::Read).unwrap();
    let mut bytes = vec![0; blob.len().unwrap() as usize];
    blob.read_at(&mut bytes, 0).unwrap();
    let blob = to.open(partition, name, OpenMode::Create).unwrap();
    blob.resize(0).unwrap();
    blob.write_at(&[IoSlice::new(&bytes)], 0).unwrap();
}

fn again(store: &BadSectors) -> BadSectors {
    BadSectors::of(copy_of(&store.inner))
}

fn len(store: &BadSectors, partition: &str, name: &str) -> u64 {
    let blob = store.inner.open(partition, name, OpenMode::Read).unwrap();
    blob.len().unwrap()
}

/// Reads everything, and says which indices are lost; all others are whole, by index and by key. Of those that no mark
/// tells of nobody knows where their entry cannot be read.
fn lost(reader: &Reader<[u8; 8]>, context: &str) -> BTreeSet<u64> {
    let mut lost = BTreeSet::new();
    for index in 0..ITEMS {
        match reader.get(index) {
            Ok(None) if !is_marked(index) => drop(lost.insert(index)),
            Ok(found) => {
                let expected = value(index, 30);
                assert_eq!(found.as_deref(), Some(&expected[..]), "{context}, {index}");
                let by_key = reader.get(&key::<8>(index)).unwrap();
                assert_eq!(by_key.as_deref(), Some(&expected[..]), "{context}, {index}");
            }
            Err(error) => {
                assert!(error.is_corruption(), "{context}, {index}: {error}");
                let status = reader.status(index).unwrap();
                assert_eq!(status, Status::Damaged, "{context}, {index}");
                lost.insert(index);
            }
        }
    }
    assert_eq!(reader.get(&key::<8>(ITEMS)).unwrap(), None, "{context}");
    let missing = reader.missing_items(0, ITEMS as usize);
    let missing: BTreeSet<u64> = missing.into_iter().collect();
    let unknown = &lost - &missing;
    assert!(missing.is_subset(&lost), "{context}");
    assert!(!unknown.iter().any(|&index| is_marked(index)), "{context}");
    let read = reader.range(..).filter(|item| item.is_ok()).count() as u64;
    assert_eq!(read, ITEMS - lost.len() as u64, "{context}");
    lost
}

/// How many of the indices that cannot be read are known to have been stored.
fn told(reader: &Reader<[u8; 8]>, seen: &BTreeSet<u64>) -> u128 {
    let is_told = |&&index: &&u64| reader.status(index).unwrap() == Status::Damaged;
    seen.iter().filter(is_told).count() as u128
}

fn all_there(reader: &Reader<[u8; 8]>, context: &str) {
    assert!(lost(reader, context).is_empty(), "{context}");
}

/// Whether all marks of [`killed`] tell of an index.
fn is_marked(index: u64) -> bool {
    index % 50 < 40 && index < 110
}

fn with_log(store: &BadSectors) -> quipu::Result<Store> {
    let options = options().commit_log_bytes(64 << 10).commit_log_after(0);
    options.open_on(Arc::new(store.clone()))
}

/// What a loss of power leaves: section files, and their marks, as they were before syncs that the log alone has. Its
/// generation is the second of its life, where `is_second` says so.
fn powerless(is_second: bool) -> BadSectors {
    let store = BadSectors::default();
    let mut archive = with_log(&store).unwrap();
    // The files of all sections have their names from here on.
    put(&mut archive, 0, 55);
    put(&mut archive, 100, 101);
    archive.sync().unwrap();
    archive.close().unwrap();
    let mut archive = with_log(&store).unwrap();
    put(&mut archive, 55, 56);
    archive.sync().unwrap();
    if is_second {
        // Which begins the log anew.
        archive.repair().unwrap();
    }
    let before = copy_of(&store.inner);
    for index in (56..100).chain(101..ITEMS) {
        put(&mut archive, index, index + 1);
        archive.sync().unwrap();
    }
    copy_blob(&store.inner, &before, "quipu", LOG);
    BadSectors::of(before)
}
