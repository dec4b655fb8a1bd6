//! Readers beside puts and syncs.

use std::sync::Arc;

use quipu::{Reader, Status};
use shuttle::thread;

use super::setup::{
    Told, assert_found, explore, generation_of, key, options, put, value, with_items,
};

const ITEMS: u64 = 11;

/// Reads what was stored before, and what may be there.
fn read(reader: &Reader<super::setup::Key>, stored: &Told, thread: u64) {
    for step in 0..4 {
        let end = stored.get();
        let index = (step * 5 + thread * 3) % ITEMS;
        if index < end {
            assert_found(reader, index, 0);
            assert_eq!(reader.status(index).unwrap(), Status::Present);
        } else {
            let item = reader.get_item(index).unwrap();
            assert!(item.is_none_or(|item| generation_of(&item) == 0));
            let found = reader.get(&key(index, 0)).unwrap();
            assert!(found.is_none_or(|found| found == value(index, 0)));
        }
        assert_eq!(reader.get(&key(index, 7)).unwrap(), None);
        let missing = reader.missing_items(0, 20);
        assert!(missing.iter().all(|&index| index >= end), "{missing:?}");
    }
}

fn gets_beside_puts() {
    let (_, mut archive) = with_items(options(), 0..2);
    let stored = Arc::new(Told::default());
    stored.tell(2);
    let readers: Vec<_> = (0..2)
        .map(|number| {
            let (reader, stored) = (archive.reader(), Arc::clone(&stored));
            thread::spawn(move || read(&reader, &stored, number))
        })
        .collect();
    for index in 2..5 {
        put(&mut archive, index, 0);
        stored.tell(index + 1);
    }
    archive.sync().unwrap();
    let batch = (5..10).map(|index| (index, key(index, 0), value(index, 0)));
    assert_eq!(archive.put_batch(batch).unwrap(), 5);
    stored.tell(10);
    let _ = archive.put_sync(10, &key(10, 0), &value(10, 0)).unwrap();
    stored.tell(11);
    readers
        .into_iter()
        .for_each(|reader| reader.join().unwrap());
    let stats = archive.stats();
    assert_eq!(
        (stats.keys, stats.items_tracked, stats.damaged),
        (11, 11, 0)
    );
    assert_eq!(archive.ranges(), [0..=10]);
}

#[test]
fn an_item_is_found_from_the_return_of_its_put_on() {
    explore(gets_beside_puts);
}

/// Syncs that go through the commit log, until one is too large for it; a reader of another process looks now and then.
fn gets_beside_small_syncs() {
    let small = || {
        options()
            .write_buffer(1000)
            .commit_log_after(0)
            .commit_log_bytes(16_384)
    };
    let (storage, mut archive) = with_items(small(), 0..2);
    archive.sync().unwrap();
    let stored = Arc::new(Told::default());
    stored.tell(2);
    let reader = {
        let (reader, stored) = (archive.reader(), Arc::clone(&stored));
        thread::spawn(move || read(&reader, &stored, 0))
    };
    let beside = {
        let stored = Arc::clone(&stored);
        let mut beside = small()
            .open_read_only_on::<super::setup::Key, quipu::Bytes>(Arc::new(storage))
            .unwrap();
        thread::spawn(move || {
            for _ in 0..3 {
                let end = stored.get();
                beside.refresh().unwrap();
                (0..end).for_each(|index| assert_found(&beside, index, 0));
            }
        })
    };
    for index in 2..7 {
        let _ = archive
            .put_sync(index, &key(index, 0), &value(index, 0))
            .unwrap();
        stored.tell(index + 1);
    }
    let batch = (7..11).map(|index| (index, key(index, 0), value(index, 0)));
    assert_eq!(archive.put_batch(batch).unwrap(), 4);
    archive.sync().unwrap();
    stored.tell(ITEMS);
    reader.join().unwrap();
    beside.join().unwrap();
}

#[test]
fn an_item_is_found_while_small_syncs_go_through_the_log() {
    explore(gets_beside_small_syncs);
}

fn several_items_at_one_index() {
    let (_, mut archive) = with_items(options(), 0..3);
    let more = Arc::new(Told::default());
    let reader = {
        let (reader, more) = (archive.reader(), Arc::clone(&more));
        thread::spawn(move || {
            for _ in 0..4 {
                let at_least = more.get();
                let all = reader.get_all(1).unwrap();
                assert!(all.len() as u64 > at_least);
                let expected = (0..).map(|generation| value(1, generation));
                assert!(all.iter().zip(expected).all(|(found, put)| *found == put));
                assert_found(&reader, 1, 0);
            }
        })
    };
    for generation in 1..4 {
        let put = archive.put_multi(1, &key(1, generation), &value(1, generation));
        assert_eq!(put.unwrap(), quipu::Put::Stored);
        more.tell(generation);
    }
    reader.join().unwrap();
}

#[test]
fn further_items_at_an_index_are_found_in_their_order() {
    explore(several_items_at_one_index);
}

/// Six sections are read and written through four files.
fn few_files() {
    let options = options().items_per_section(1);
    let (_, mut archive) = with_items(options, 0..5);
    let readers: Vec<_> = (0..2)
        .map(|number| {
            let reader = archive.reader();
            thread::spawn(move || {
                for step in 0..5 {
                    assert_found(&reader, (step * 2 + number) % 5, 0);
                }
                assert!(reader.stats().open_files <= 4);
            })
        })
        .collect();
    for index in 5..7 {
        put(&mut archive, index, 0);
    }
    archive.sync().unwrap();
    readers
        .into_iter()
        .for_each(|reader| reader.join().unwrap());
    (0..7).for_each(|index| assert_found(&archive, index, 0));
}

#[test]
fn more_sections_than_files() {
    explore(few_files);
}
