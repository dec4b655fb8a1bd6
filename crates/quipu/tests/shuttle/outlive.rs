//! Readers that are used for longer than the archive they came from.

use std::sync::Arc;

use quipu::storage::Memory;
use quipu::{Archive, Error, Item, Reader};
use shuttle::thread;

use super::setup::{Key, Told, explore, generation_of, key, open, options, put, with_items};

/// What a reader of the first writer is told: an item of that one, or that it is closed.
fn look(reader: &Reader<Key>, index: u64, other_puts: &Told) {
    let must_be_closed = other_puts.get() > 0;
    let check = |found: Result<Option<Item<Key>>, Error>| match found {
        Ok(item) => {
            assert!(!must_be_closed, "{index} is still answered");
            let item = item.unwrap_or_else(|| panic!("{index} is not found"));
            assert_eq!(generation_of(&item), 0);
        }
        Err(error) => assert!(matches!(error, Error::Closed { .. }), "{error}"),
    };
    check(reader.get_item(index));
    check(reader.get_item(&key(index, 0)));
}

/// Two items of the first writer are written, but not synced; the next one puts others there.
fn another_writer(storage: &Memory, archive: Archive<Key>, other_puts: &Told) -> Archive<Key> {
    drop(archive);
    let mut next = open(storage, options());
    put(&mut next, 2, 1);
    other_puts.tell(1);
    put(&mut next, 3, 1);
    next.sync().unwrap();
    next
}

fn reads_beside_another_writer() {
    let (storage, mut archive) = with_items(options(), 0..2);
    put(&mut archive, 2, 0);
    put(&mut archive, 3, 0);
    let other_puts = Arc::new(Told::default());
    let readers: Vec<_> = (0..2)
        .map(|number| {
            let (reader, other_puts) = (archive.reader(), Arc::clone(&other_puts));
            thread::spawn(move || {
                for step in 0..4 {
                    look(&reader, (step * 3 + number) % 4, &other_puts);
                }
                let items: Vec<_> = reader.range(..).collect();
                match items.last() {
                    Some(Err(error)) => assert!(matches!(error, Error::Closed { .. }), "{error}"),
                    _ => assert_eq!(items.len(), 4),
                }
                let of_items = items.iter().flatten().map(generation_of);
                of_items.for_each(|generation| assert_eq!(generation, 0));
            })
        })
        .collect();
    let next = another_writer(&storage, archive, &other_puts);
    readers
        .into_iter()
        .for_each(|reader| reader.join().unwrap());
    assert_eq!(next.ranges(), [0..=3]);
    assert_eq!(generation_of(&next.get_item(2).unwrap().unwrap()), 1);
}

#[test]
fn a_reader_never_answers_with_what_another_writer_put() {
    explore(reads_beside_another_writer);
}
