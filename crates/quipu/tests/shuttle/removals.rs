//! Readers beside prunes and rewinds.

use std::sync::Arc;

use quipu::Status;
use shuttle::thread;

use super::setup::{
    Told, assert_found, explore, generation_of, key, options, put, value, with_items,
};

fn gets_beside_prunes() {
    let (_, mut archive) = with_items(options(), 0..12);
    let (asked, done) = (Arc::new(Told::default()), Arc::new(Told::default()));
    let readers: Vec<_> = (0..2)
        .map(|number| {
            let (reader, asked, done) = (archive.reader(), Arc::clone(&asked), Arc::clone(&done));
            thread::spawn(move || {
                for step in 0..5 {
                    let index = (step * 5 + number) % 12;
                    let gone = index < done.get();
                    let by_index = reader.get(index).unwrap();
                    let by_key = reader.get(&key(index, 0)).unwrap();
                    let status = reader.status(index).unwrap();
                    for found in [by_index, by_key] {
                        match found {
                            Some(found) => assert!(!gone && found == value(index, 0)),
                            None => assert!(index < asked.get(), "{index} is not found"),
                        }
                    }
                    match status {
                        Status::Present => assert!(!gone),
                        status => assert!(status == Status::Pruned && index < asked.get()),
                    }
                }
            })
        })
        .collect();
    for floor in [4, 8] {
        asked.tell(floor);
        assert_eq!(archive.prune(floor + 1).unwrap(), 1);
        done.tell(floor);
        put(&mut archive, 10 + floor, 0);
    }
    readers
        .into_iter()
        .for_each(|reader| reader.join().unwrap());
    let stats = archive.stats();
    assert_eq!((stats.sections, stats.keys, stats.items_tracked), (3, 6, 6));
    assert_eq!((stats.indices_pruned, stats.damaged), (8, 0));
}

#[test]
fn a_prune_takes_what_is_below_and_nothing_else() {
    explore(gets_beside_prunes);
}

fn gets_beside_rewinds() {
    // Out of order, so that the index file is written anew with other positions.
    let (_, mut archive) = with_items(options().items_per_section(8), [6, 0, 5, 1, 4, 2, 3, 8]);
    let kept = Arc::new(Told::default());
    kept.tell(9);
    let readers: Vec<_> = (0..2)
        .map(|number| {
            let reader = archive.reader();
            thread::spawn(move || {
                for step in 0..4 {
                    // Every rewind keeps these.
                    assert_found(&reader, (step + number) % 3, 0);
                    let index = 3 + (step * 2 + number) % 6;
                    if let Some(item) = reader.get_item(index).unwrap() {
                        assert!(generation_of(&item) <= 2);
                    }
                    for generation in 0..3 {
                        let found = reader.get(&key(index, generation)).unwrap();
                        assert!(found.is_none_or(|found| found == value(index, generation)));
                    }
                }
                assert_eq!(reader.stats().damaged, 0);
            })
        })
        .collect();
    archive.rewind(4).unwrap();
    put(&mut archive, 8, 1);
    put(&mut archive, 5, 1);
    archive.rewind(2).unwrap();
    put(&mut archive, 4, 2);
    readers
        .into_iter()
        .for_each(|reader| reader.join().unwrap());
    assert_eq!(archive.ranges(), [0..=2, 4..=4]);
    let stats = archive.stats();
    assert_eq!((stats.keys, stats.damaged, stats.sections), (4, 0, 1));
}

#[test]
fn a_rewind_keeps_every_item_up_to_its_index() {
    explore(gets_beside_rewinds);
}

fn ranges_beside_prune_and_puts() {
    let (_, mut archive) = with_items(options(), 0..9);
    let readers: Vec<_> = [false, true]
        .into_iter()
        .map(|backwards| {
            let reader = archive.reader();
            thread::spawn(move || {
                let range = reader.range(..);
                let items: Vec<_> = match backwards {
                    false => range.map(Result::unwrap).collect(),
                    true => range.rev().map(Result::unwrap).collect(),
                };
                assert!(items.iter().all(|item| generation_of(item) == 0));
                let mut indices: Vec<_> = items.iter().map(|item| item.index).collect();
                if backwards {
                    indices.reverse();
                }
                assert!(indices.windows(2).all(|pair| pair[0] < pair[1]));
                // Stored before, and not pruned.
                assert!((4..9).all(|index| indices.contains(&index)), "{indices:?}");
            })
        })
        .collect();
    put(&mut archive, 9, 0);
    archive.prune(4).unwrap();
    put(&mut archive, 10, 0);
    archive.sync().unwrap();
    readers
        .into_iter()
        .for_each(|reader| reader.join().unwrap());
}

#[test]
fn a_range_yields_what_stays() {
    explore(ranges_beside_prune_and_puts);
}
