//! A damaged table, whose keys come back into memory, beside look-ups that are under way.

use std::sync::{Arc, Mutex};

use quipu::index::{OneCap, TranslatorSpec};
use quipu::storage::Memory;
use quipu::{Archive, KeyMemory, Options, PageCache};

use super::common::Bench;
use super::hooked::Hooked;
use super::{Store, tables};

/// All of one short form.
fn key(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

fn options() -> Options {
    Options::new()
        .items_per_section(4)
        .page_size(28)
        .page_cache(PageCache::new(0))
        .key_memory(KeyMemory::AtMost(0))
        .translator(TranslatorSpec::from(OneCap))
        // Two sections' files, so that those of any other are opened for a read.
        .max_open_files(32)
}

/// Who has asked the key index in vain, and then finds that the table is gone, asks again.
#[test]
fn a_key_is_found_whose_table_is_healed_behind_the_look_into_memory() {
    let storage = Hooked::new(Memory::new());
    let open = |keys_per_table| -> Store {
        let options = options().keys_per_table(keys_per_table);
        options.open_on(Arc::new(storage.clone())).unwrap()
    };
    let put = |archive: &mut Store, index| {
        let _ = archive.put_sync(index, &key(index), b"value").unwrap();
    };
    let mut archive = open(8);
    (0..8).for_each(|index| put(&mut archive, index));
    archive.close().unwrap();
    // One that the key index has, of which each look-up reads the entry first.
    let mut archive: Archive<[u8; 8]> = open(1000);
    put(&mut archive, 8);
    let bench = Bench::on(Arc::new(storage.inner.clone()), options());
    let table = tables(&bench).remove(0);
    bench.flip("quipu", &table, 4096 + 10);

    let reader = archive.reader();
    // Their files come in the place of the other's.
    for index in [0, 4] {
        assert!(reader.get(index).unwrap().is_some());
    }
    let healed = Arc::new(Mutex::new(false));
    let (other, done) = (archive.reader(), Arc::clone(&healed));
    storage.once("open index/0000000000000008", move || {
        assert!(other.get(&key(6)).unwrap().is_some());
        *done.lock().unwrap() = true;
    });
    assert!(reader.get(&key(5)).unwrap().is_some());
    assert!(*healed.lock().unwrap());
    assert_eq!(archive.stats().tables_lost, 1);
}
