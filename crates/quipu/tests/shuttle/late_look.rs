//! The look at section files that an open after a clean end has left for later.

use std::io::IoSlice;

use quipu::storage::{Memory, OpenMode, Storage};
use shuttle::thread;

use super::setup::{explore, key, open, options, put, with_items};

/// Three sections after a clean end, of which the second has a bad end: bytes of nobody, or it lacks one.
fn closed(grows: bool) -> Memory {
    let with_tables = options().max_open_files(32).keys_per_table(1);
    let (storage, archive) = with_items(with_tables, (0..6).chain(8..12));
    archive.close().unwrap();
    let partition = if grows { "index" } else { "values" };
    let name = "0000000000000004";
    let blob = storage.open(partition, name, OpenMode::Write).unwrap();
    let len = blob.len().unwrap();
    match grows {
        true => blob.write_at(&[IoSlice::new(&[7; 90])], len).unwrap(),
        false => blob.resize(len - 1).unwrap(),
    }
    storage
}

fn answers_beside_the_look(grows: bool) {
    let storage = closed(grows);
    let with_tables = options().max_open_files(32).keys_per_table(1);
    let mut archive = open(&storage, with_tables);
    let there = move |index: u64| index < 5 || (8..12).contains(&index) || (index == 5 && grows);
    let threads: Vec<_> = (0..3)
        .map(|number| {
            let reader = archive.reader();
            thread::spawn(move || {
                for index in [5, 4, 9] {
                    let is_there = match number {
                        0 => reader.has(index).unwrap(),
                        1 => matches!(reader.get(index), Ok(Some(_))),
                        _ => matches!(reader.get(&key(index, 0)), Ok(Some(_))),
                    };
                    assert_eq!(is_there, there(index), "{index}");
                }
            })
        })
        .collect();
    put(&mut archive, 6, 0);
    archive.sync().unwrap();
    let reader = archive.reader();
    drop(archive);
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    assert!(reader.has(6).unwrap() && reader.has(5).unwrap() == grows);
    let archive = open(&storage, options());
    let missing: &[u64] = if grows { &[7] } else { &[5, 7] };
    assert_eq!(archive.missing_items(0, 9), missing);
}

#[test]
fn what_was_added_is_cut_beside_readers_and_a_put() {
    explore(|| answers_beside_the_look(true));
}

#[test]
fn what_was_cut_is_told_beside_readers_and_a_put() {
    explore(|| answers_beside_the_look(false));
}
