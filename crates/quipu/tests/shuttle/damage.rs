//! Readers that find damage beside a writer that puts, rewinds and prunes.

use std::sync::Arc;

use quipu::{Archive, PageCache, Put, Reader, Status};
use shuttle::thread;

use super::setup::{
    HEADER, Key, Told, assert_found, explore, flip, generation_of, hurt, key, open, options, put,
    value, with_items,
};

/// An archive in which the value of an item is damaged, which nobody has noticed.
fn hurt_archive(items: impl IntoIterator<Item = u64>, damaged: u64) -> Archive<Key> {
    let options = options().items_per_section(8);
    let (storage, archive) = with_items(options.clone(), items);
    archive.close().unwrap();
    hurt(&storage, damaged - damaged % 8, damaged);
    open(&storage, options)
}

/// Finds the damage, or what was put there since `filled` was told.
fn look(reader: &Reader<Key>, damaged: u64, filled: &Told) {
    let was_filled = filled.get() > 0;
    match reader.get_item(damaged) {
        Ok(item) => assert_eq!(generation_of(&item.unwrap()), 1),
        Err(error) => assert!(!was_filled && error.is_corruption(), "{error}"),
    }
    // A key that is known to be of a damaged item is forgotten when its section is written anew.
    match reader.get(&key(damaged, 0)) {
        Ok(found) => assert_eq!(found, None),
        Err(error) => assert!(error.is_corruption(), "{error}"),
    }
}

fn readers(
    archive: &Archive<Key>,
    damaged: u64,
    filled: &Arc<Told>,
) -> Vec<thread::JoinHandle<()>> {
    let readers = (0..2).map(|_| {
        let (reader, filled) = (archive.reader(), Arc::clone(filled));
        thread::spawn(move || {
            look(&reader, damaged, &filled);
            assert_found(&reader, 0, 0);
            look(&reader, damaged, &filled);
        })
    });
    readers.collect()
}

/// What is stored at the index is found in every way, and nothing is known damaged there.
fn assert_filled(archive: &Archive<Key>, index: u64) {
    assert_found(archive, index, 1);
    assert_eq!(archive.status(index).unwrap(), Status::Present);
    assert_eq!(archive.stats().damaged, 0);
    assert_eq!(archive.missing_items(0, 9), []);
    let items: Vec<_> = archive.range(index..=index).flatten().collect();
    assert_eq!(items.last().map(generation_of), Some(1));
}

fn puts_beside_damage() {
    let mut archive = hurt_archive(0..5, 3);
    let filled = Arc::new(Told::default());
    let readers = readers(&archive, 3, &filled);
    // Whether somebody has noticed by now, is a matter of the order.
    for _ in 0..3 {
        if archive.put(3, &key(3, 1), &value(3, 1)).unwrap() == Put::Stored {
            assert_eq!(filled.get(), 0, "an item that was put is gone");
            filled.tell(1);
        }
        archive.sync().unwrap();
    }
    readers
        .into_iter()
        .for_each(|reader| reader.join().unwrap());
    if filled.get() == 0 {
        assert_eq!(archive.status(3).unwrap(), Status::Damaged);
        assert_eq!(archive.missing_items(0, 9), [3]);
        assert_eq!(archive.stats().damaged, 1);
        put(&mut archive, 3, 1);
    }
    assert_filled(&archive, 3);
}

#[test]
fn a_put_fills_damage_that_is_noticed_at_the_same_time() {
    explore(puts_beside_damage);
}

fn multi_puts_beside_damage() {
    let mut archive = hurt_archive(0..5, 3);
    let filled = Arc::new(Told::default());
    let readers = readers(&archive, 3, &filled);
    let _ = archive.put_multi(3, &key(3, 1), &value(3, 1)).unwrap();
    filled.tell(1);
    readers
        .into_iter()
        .for_each(|reader| reader.join().unwrap());
    assert_eq!(archive.put(3, &key(3, 2), b"").unwrap(), Put::Exists);
    assert_filled(&archive, 3);
}

#[test]
fn another_item_at_the_index_stays_when_the_first_is_found_damaged() {
    explore(multi_puts_beside_damage);
}

fn rewind_beside_damage() {
    let mut archive = hurt_archive([0, 6, 3, 1, 5, 2, 4], 3);
    let filled = Arc::new(Told::default());
    let readers = readers(&archive, 3, &filled);
    archive.rewind(4).unwrap();
    put(&mut archive, 5, 1);
    readers
        .into_iter()
        .for_each(|reader| reader.join().unwrap());
    assert!(archive.get(3).is_err());
    assert_eq!(archive.status(3).unwrap(), Status::Damaged);
    assert_eq!(archive.stats().damaged, 1);
    put(&mut archive, 3, 1);
    assert_filled(&archive, 3);
}

#[test]
fn a_rewind_keeps_damage_that_is_noticed_at_the_same_time() {
    explore(rewind_beside_damage);
}

fn removal_beside_damage(remove: fn(&mut Archive<Key>)) {
    let mut archive = hurt_archive(0..12, 3);
    let reader = archive.reader();
    let reader = thread::spawn(move || match reader.get(3) {
        Ok(found) => assert_eq!(found, None),
        Err(error) => assert!(error.is_corruption(), "{error}"),
    });
    remove(&mut archive);
    reader.join().unwrap();
    let stats = archive.stats();
    assert_eq!(
        (stats.damaged, stats.items_tracked),
        (0, archive.range(..).count() as u128)
    );
    assert_ne!(archive.status(3).unwrap(), Status::Damaged);
}

#[test]
fn damage_that_is_noticed_during_a_prune_goes_with_its_item() {
    explore(|| removal_beside_damage(|archive| assert_eq!(archive.prune(8).unwrap(), 1)));
}

#[test]
fn damage_that_is_noticed_during_a_rewind_goes_with_its_item() {
    explore(|| removal_beside_damage(|archive| archive.rewind(2).unwrap()));
}

/// Of two items with one short form, one moves, and the other is damaged with its page.
fn rewind_beside_a_damaged_page() {
    // Without a cache, so that the page is read from its file.
    let options = options().items_per_section(8).page_cache(PageCache::new(0));
    let (storage, mut archive) = with_items(options, [1, 0, 2, 15, 9]);
    flip(&storage, "index", 0, |_| HEADER + 10);
    let reader = archive.reader();
    let reader = thread::spawn(move || {
        for _ in 0..8 {
            let found = reader.get(&key(9, 0)).unwrap();
            assert_eq!(found.unwrap(), value(9, 0));
        }
    });
    archive.rewind(9).unwrap();
    reader.join().unwrap();
    assert!(archive.get(&key(1, 0)).unwrap_err().is_corruption());
}

#[test]
fn an_item_that_moves_is_found_beside_a_damaged_one_of_its_short_form() {
    explore(rewind_beside_a_damaged_page);
}
