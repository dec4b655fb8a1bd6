//! Key tables that are made, merged, lost and found beside readers; sections that wake.

use std::io::IoSlice;
use std::sync::Arc;

use quipu::storage::{Memory, OpenMode, Storage};
use quipu::{KeyMemory, Options, Reader};
use shuttle::thread;

use super::setup::{Key, Told, assert_found, explore, key, open, options, put, with_items};

/// A table for every few keys, and room for them to be open.
fn with_tables() -> Options {
    let options = options().max_open_files(32).keys_per_table(2);
    options.key_memory(KeyMemory::AtMost(0))
}

fn tables_are_made_beside_readers() {
    let (_, mut archive) = with_items(with_tables(), 0..2);
    let put_up_to = Arc::new(Told::default());
    put_up_to.tell(2);
    let reader = archive.reader();
    let readers = {
        let put_up_to = Arc::clone(&put_up_to);
        thread::spawn(move || {
            for _ in 0..4 {
                let end = put_up_to.get();
                (0..end).for_each(|index| assert_found(&reader, index, 0));
                assert!(reader.get(&key(99, 0)).unwrap().is_none());
            }
        })
    };
    for index in 2..12 {
        put(&mut archive, index, 0);
        put_up_to.tell(index + 1);
        if index % 2 == 1 {
            archive.sync().unwrap();
        }
    }
    readers.join().unwrap();
    archive.close().unwrap();
}

/// A key that leaves the memory for a table, and tables that are merged, are found at any time.
#[test]
fn no_key_is_missed_while_tables_are_made_and_merged() {
    explore(tables_are_made_beside_readers);
}

/// Turns a bit in the first page of slots of every table.
fn damage_tables(storage: &Memory) {
    for name in storage.list("quipu").unwrap() {
        if name.starts_with("keys-") {
            let blob = storage.open("quipu", &name, OpenMode::Write).unwrap();
            let mut byte = [0];
            blob.read_at(&mut byte, 4096 + 20).unwrap();
            let flipped = [byte[0] ^ 1];
            blob.write_at(&[IoSlice::new(&flipped)], 4096 + 20).unwrap();
        }
    }
}

fn look_for_all(reader: &Reader<Key>, end: u64) {
    for index in 0..end {
        assert!(reader.has_at(index, &key(index, 0)).unwrap(), "{index}");
    }
}

fn readers_find_a_table_damaged() {
    let (storage, archive) = with_items(with_tables(), 0..8);
    archive.close().unwrap();
    damage_tables(&storage);
    let archive = open(&storage, with_tables());
    let readers = [(); 2].map(|()| {
        let reader = archive.reader();
        thread::spawn(move || look_for_all(&reader, 8))
    });
    look_for_all(&archive, 8);
    readers.map(|reader| reader.join().unwrap());
    assert!(archive.stats().tables_lost > 0);
}

/// Its keys are back in memory before it is taken out, for those too who looked there before.
#[test]
fn no_key_is_missed_while_a_damaged_table_goes() {
    explore(readers_find_a_table_damaged);
}

fn sections_wake() {
    let (storage, archive) = with_items(with_tables(), (0..4).rev().chain(4..12));
    archive.close().unwrap();
    let mut archive = open(&storage, with_tables());
    let readers = [(); 2].map(|()| {
        let reader = archive.reader();
        thread::spawn(move || {
            (4..12).for_each(|index| assert_found(&reader, index, 0));
            for index in 0..4 {
                // Pruned meanwhile, or the item.
                let found = reader.get_item(index).unwrap();
                assert!(found.is_none_or(|item| item.index == index && item.key == key(index, 0)));
            }
        })
    });
    put(&mut archive, 12, 0);
    archive.prune(4).unwrap();
    archive.sync().unwrap();
    readers.map(|reader| reader.join().unwrap());
    assert!(archive.get(&key(2, 0)).unwrap().is_none());
    assert_eq!(archive.stats().damaged, 0);
}

#[test]
fn sections_wake_beside_a_writer() {
    explore(sections_wake);
}
