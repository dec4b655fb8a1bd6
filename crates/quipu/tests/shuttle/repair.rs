//! Readers beside a repair, and beside the puts of what it lost.

use std::sync::Arc;

use quipu::storage::Memory;
use quipu::{Archive, Error, Reader, RepairReport, Status};
use shuttle::thread;

use super::setup::{
    HEADER, Key, Told, assert_found, explore, flip, generation_of, hurt, key, open, options, put,
    value, with_items,
};

const ITEMS: u64 = 6;
/// A page of 70 bytes on disk.
const PAGE: usize = 82;

/// An archive of one section, damaged after it was closed.
fn hurt_archive(damage: fn(&Memory)) -> (Memory, Archive<Key>) {
    let options = options().items_per_section(8);
    let (storage, archive) = with_items(options.clone(), 0..ITEMS);
    archive.close().unwrap();
    damage(&storage);
    let archive = open(&storage, options);
    (storage, archive)
}

fn lost_of(report: &RepairReport) -> Vec<u64> {
    let runs = report.sections.iter().flat_map(|of| of.lost.clone());
    runs.flatten().collect()
}

/// What is whole is found all the time; of what is lost that is told, until it is put again.
fn look(reader: &Reader<Key>, index: u64, lost: &[u64], filled: &Told) {
    if !lost.contains(&index) {
        return assert_found(reader, index, 0);
    }
    let was_filled = filled.get() > index;
    match reader.get_item(index) {
        Ok(item) => {
            let item = item.unwrap_or_else(|| panic!("{index} is neither there nor lost"));
            assert_eq!(generation_of(&item), 1);
        }
        Err(error) => assert!(!was_filled && error.is_corruption(), "{error}"),
    }
    match reader.get_all(index) {
        Ok(all) => assert_eq!(all, [value(index, 1)]),
        Err(error) => assert!(!was_filled && error.is_corruption(), "{error}"),
    }
    match reader.status(index).unwrap() {
        Status::Present => {}
        other => assert!(!was_filled && other == Status::Damaged, "{other:?}"),
    }
    match reader.get(&key(index, 0)) {
        Ok(found) => assert_eq!(found, None),
        Err(error) => assert!(error.is_corruption(), "{error}"),
    }
    match reader.get(&key(index, 1)) {
        Ok(found) => assert!(found.map_or(!was_filled, |found| found == value(index, 1))),
        // Entries of the same short form may be damaged.
        Err(error) => assert!(!was_filled && error.is_corruption(), "{error}"),
    }
}

/// A range yields the items that are whole, and one error for each index that is lost.
fn look_at_all(reader: &Reader<Key>, lost: &[u64]) {
    let (mut found, mut errors) = (Vec::new(), 0);
    for item in reader.range(..) {
        match item {
            Ok(item) => {
                assert_eq!(generation_of(&item), u64::from(lost.contains(&item.index)));
                found.push(item.index);
            }
            Err(error) => {
                assert!(error.is_corruption(), "{error}");
                errors += 1;
            }
        }
    }
    assert!(found.is_sorted_by(|a, b| a < b), "{found:?}");
    assert_eq!(found.len() as u64 + errors, ITEMS, "{found:?}");
}

fn reads_beside_repair(damage: fn(&Memory), lost: &'static [u64]) {
    let (_, mut archive) = hurt_archive(damage);
    let filled = Arc::new(Told::default());
    let readers: Vec<_> = (0..2)
        .map(|number| {
            let (reader, filled) = (archive.reader(), Arc::clone(&filled));
            thread::spawn(move || {
                for step in 0..ITEMS {
                    look(&reader, (step + number * 3) % ITEMS, lost, &filled);
                }
                look_at_all(&reader, lost);
            })
        })
        .collect();
    let report = archive.repair().unwrap();
    assert_eq!(lost_of(&report), lost);
    for &index in lost {
        put(&mut archive, index, 1);
        filled.tell(index + 1);
    }
    readers
        .into_iter()
        .for_each(|reader| reader.join().unwrap());
    (0..ITEMS).for_each(|index| assert_found(&archive, index, u64::from(lost.contains(&index))));
    assert_eq!(archive.ranges(), [0..=ITEMS - 1]);
    let stats = archive.stats();
    assert_eq!((stats.keys, stats.damaged), (ITEMS, 0));
    archive.sync().unwrap();
    assert!(archive.verify(&mut |_| {}).unwrap().is_clean());
}

#[test]
fn a_repair_moves_entries_beside_readers() {
    explore(|| reads_beside_repair(|storage| hurt(storage, 0, 3), &[3]));
}

/// Entries of 36 bytes in pages of 70: the second page has a part of each of these.
#[test]
fn a_repair_of_a_page_takes_out_its_entries_alone() {
    explore(|| {
        let damage = |storage: &Memory| flip(storage, "index", 0, |_| HEADER + PAGE + 10);
        reads_beside_repair(damage, &[1, 2, 3]);
    });
}

#[test]
fn a_repair_of_headers_takes_out_nothing() {
    explore(|| {
        let damage = |storage: &Memory| {
            flip(storage, "index", 0, |_| 1);
            flip(storage, "values", 0, |_| 1);
        };
        reads_beside_repair(damage, &[]);
    });
}

/// An archive that is open for reading only, in another process, beside the repair.
fn repair_of_another_process() {
    let (storage, mut archive) = hurt_archive(|storage| hurt(storage, 0, 3));
    let mut beside = options()
        .items_per_section(8)
        .open_read_only_on::<Key, quipu::Bytes>(Arc::new(storage))
        .unwrap();
    let reader = thread::spawn(move || {
        for index in [5, 0, 4, 5] {
            match beside.get_item(index) {
                Ok(item) => assert_eq!(generation_of(&item.unwrap()), 0),
                Err(error) => assert!(matches!(error, Error::Stale { .. }), "{error}"),
            }
        }
        while let Err(error) = beside.refresh() {
            assert!(matches!(error, Error::Stale { .. }), "{error}");
            thread::yield_now();
        }
        for index in [0, 1, 2, 4, 5] {
            assert_found(&beside, index, 0);
        }
        beside
    });
    assert_eq!(lost_of(&archive.repair().unwrap()), [3]);
    put(&mut archive, 3, 1);
    archive.sync().unwrap();
    let mut beside = reader.join().unwrap();
    beside.refresh().unwrap();
    assert_found(&beside, 3, 1);
    assert_eq!((beside.ranges(), beside.stats().damaged), (vec![0..=5], 0));
}

#[test]
fn a_repair_makes_a_reader_of_another_process_stale_and_never_wrong() {
    explore(repair_of_another_process);
}
