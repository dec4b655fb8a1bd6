//! A read-only archive beside the writer, as another process would have it.

use std::sync::Arc;

use quipu::storage::Memory;
use quipu::{Error, ReadOnly, Reader};
use shuttle::thread;

use super::setup::{
    Key, Told, assert_found, explore, generation_of, key, options, put, value, with_items,
};

fn read_only(storage: &Memory) -> ReadOnly<Key> {
    let storage = Arc::new(storage.clone());
    options().open_read_only_on(storage).unwrap()
}

fn refreshes_beside_the_writer() {
    let (storage, mut archive) = with_items(options(), 0..3);
    let mut beside = read_only(&storage);
    let synced = Arc::new(Told::default());
    synced.tell(3);
    let reader = {
        let synced = Arc::clone(&synced);
        thread::spawn(move || {
            for _ in 0..3 {
                let end = synced.get();
                beside.refresh().unwrap();
                (0..end).for_each(|index| assert_found(&beside, index, 0));
                assert_eq!(beside.stats().damaged, 0);
            }
        })
    };
    for index in 3..7 {
        put(&mut archive, index, 0);
        if index % 2 == 0 {
            archive.sync().unwrap();
            synced.tell(index + 1);
        }
    }
    reader.join().unwrap();
}

#[test]
fn a_refresh_sees_what_was_synced_before_it() {
    explore(refreshes_beside_the_writer);
}

/// Reads with a clone until it has seen each index twice.
fn read_beside(reader: &Reader<Key>, asked: &Told) {
    for index in (0..16).chain(0..16) {
        for found in [reader.get(index), reader.get(&key(index, 0))] {
            match found.unwrap() {
                Some(found) => assert_eq!(found, value(index, 0)),
                None => assert!(index < asked.get() || index >= 8, "{index} is not found"),
            }
        }
    }
}

/// The writer prunes and goes on while a clone learns of it by files that are gone, and the
/// archive itself by a refresh.
fn refreshes_beside_a_prune() {
    let (storage, mut archive) = with_items(options(), 0..8);
    let mut beside = read_only(&storage);
    let asked = Arc::new(Told::default());
    let reader = {
        let (reader, asked) = (beside.reader(), Arc::clone(&asked));
        thread::spawn(move || read_beside(&reader, &asked))
    };
    let refreshing = thread::spawn(move || {
        for _ in 0..2 {
            beside.refresh().unwrap();
        }
        beside
    });
    for index in 8..14 {
        put(&mut archive, index, 0);
    }
    archive.sync().unwrap();
    asked.tell(12);
    archive.prune(12).unwrap();
    put(&mut archive, 14, 0);
    archive.sync().unwrap();
    reader.join().unwrap();
    let mut beside = refreshing.join().unwrap();
    beside.refresh().unwrap();
    assert_eq!((beside.floor(), beside.ranges()), (12, vec![12..=14]));
    let stats = beside.stats();
    assert_eq!((stats.sections, stats.keys, stats.damaged), (1, 3, 0));
    assert!(!beside.has(9).unwrap());
}

#[test]
fn a_reader_and_a_refresh_take_in_one_prune() {
    explore(refreshes_beside_a_prune);
}

fn reads_beside_a_rewind() {
    let (storage, mut archive) = with_items(options(), [0, 2, 1, 3, 4]);
    let mut beside = read_only(&storage);
    let reader = thread::spawn(move || {
        for index in [1, 2, 4, 1, 3] {
            match beside.get_item(index) {
                Ok(Some(item)) => assert!(generation_of(&item) <= 1),
                Ok(None) => assert!(index > 1, "{index} is not found"),
                Err(error) => assert!(matches!(error, Error::Stale { .. }), "{error}"),
            }
        }
        // Where the writer is in the middle of it for long.
        while let Err(error) = beside.refresh() {
            assert!(matches!(error, Error::Stale { .. }), "{error}");
            thread::yield_now();
        }
        assert_eq!(beside.stats().damaged, 0);
        assert_found(&beside, 1, 0);
    });
    archive.rewind(1).unwrap();
    put(&mut archive, 3, 1);
    archive.sync().unwrap();
    reader.join().unwrap();
}

#[test]
fn a_rewind_of_the_writer_makes_a_reader_stale_and_never_wrong() {
    explore(reads_beside_a_rewind);
}
