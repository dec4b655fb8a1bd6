//! Readers while the setting of compression changes, or what is known of it: no frame is ever taken for a value.

mod common;
#[allow(dead_code, unreachable_pub)]
#[path = "common/hooked.rs"]
mod hooked;

use std::sync::{Arc, Mutex};

use common::key;
use hooked::Hooked;
use quipu::storage::Memory;
use quipu::{Archive, Compression, Options, ReadOnly};

type Writer = Archive<[u8; 8]>;

const BOTH: [(Compression, Compression); 2] = [
    (Compression::Off, Compression::Zstd(3)),
    (Compression::Zstd(3), Compression::Off),
];

fn options(compression: Compression) -> Options {
    Options::new()
        .items_per_section(4)
        .keys_per_table(1)
        .compression(compression)
}

fn value(index: u64) -> String {
    format!("value value value {index}")
}

fn put(archive: &mut Writer, indices: std::ops::Range<u64>) {
    for index in indices {
        let _ = archive
            .put_sync(index, &key(index), value(index).as_bytes())
            .unwrap();
    }
}

fn assert_reads(reader: &quipu::Reader<[u8; 8]>, indices: std::ops::Range<u64>) {
    for index in indices.clone() {
        assert_eq!(reader.get(index).unwrap().unwrap(), value(index));
    }
    let count = indices.end - indices.start;
    let read = reader.range(indices);
    let read: Vec<_> = read.map(|item| item.unwrap()).collect();
    assert_eq!(read.len() as u64, count);
    for item in read {
        assert_eq!(item.value, value(item.index));
    }
}

/// Three sections at rest, of one setting, and a writer of another.
fn written(before: Compression, after: Compression) -> (Hooked, Writer) {
    let storage = Hooked::new(Memory::new());
    let open = |compression| -> Writer {
        let storage = Arc::new(storage.clone());
        options(compression).open_on(storage).unwrap()
    };
    let mut writer = open(before);
    put(&mut writer, 0..12);
    writer.close().unwrap();
    let writer = open(after);
    (storage, writer)
}

/// Another writer comes, with another setting, behind the reader's look into the manifest.
fn changed_meanwhile(before: Compression, after: Compression, refresh: bool, closes: bool) {
    let storage = Hooked::new(Memory::new());
    let open = |compression| -> Writer {
        options(compression)
            .open_on(Arc::new(storage.inner.clone()))
            .unwrap()
    };
    let mut writer = open(before);
    put(&mut writer, 0..2);
    let open_reader = || -> ReadOnly<[u8; 8]> {
        let storage = Arc::new(storage.clone());
        Options::new().open_read_only_on(storage).unwrap()
    };
    let old = refresh.then(open_reader);
    let clone = old.as_ref().map(|old| old.reader());
    let memory = storage.inner.clone();
    storage.once("open quipu/marks", move || {
        writer.close().unwrap();
        let mut writer: Writer = options(after).open_on(Arc::new(memory)).unwrap();
        put(&mut writer, 4..6);
        if closes {
            // Then the section is at rest.
            writer.close().unwrap();
        }
    });
    let mut reader = match old {
        Some(mut old) => {
            old.refresh().unwrap();
            old
        }
        None => open_reader(),
    };
    assert_reads(&reader, 0..2);
    assert_reads(&reader, 4..6);
    reader.refresh().unwrap();
    assert_reads(&reader, 4..6);
    if let Some(clone) = clone {
        // It may be one of before, which knows nothing of them.
        for index in 4..6 {
            if let Ok(Some(found)) = clone.get(index) {
                assert_eq!(found, value(index));
            }
        }
    }
}

#[test]
fn a_reader_knows_the_compression_of_sections_that_another_writer_made_since() {
    for (before, after) in BOTH {
        for (refresh, closes) in [(false, false), (false, true), (true, false), (true, true)] {
            changed_meanwhile(before, after, refresh, closes);
        }
    }
}

#[test]
fn a_section_that_wakes_while_it_is_pruned_is_read_as_it_was_written() {
    for (before, after) in BOTH {
        for beside in [false, true] {
            let (storage, mut writer) = written(before, after);
            let reader = match beside {
                false => writer.reader(),
                true => {
                    let storage = Arc::new(storage.inner.clone());
                    let beside = Options::new().open_read_only_on(storage).unwrap();
                    beside.reader()
                }
            };
            let was_read = Arc::new(Mutex::new(false));
            let done = Arc::clone(&was_read);
            storage.once("rename quipu/manifest", move || {
                assert_reads(&reader, 0..3);
                *done.lock().unwrap() = true;
            });
            assert_eq!(writer.prune(8).unwrap(), 2);
            assert!(*was_read.lock().unwrap());
        }
    }
}

/// The manifest says that a section is pruned, and no more how it was written, but its files are still there.
#[test]
fn a_section_whose_files_are_about_to_go_is_read_as_it_was_written_or_not_at_all() {
    for (before, after) in BOTH {
        let (storage, mut writer) = written(before, after);
        let inner = Arc::new(storage.inner.clone());
        let beside: ReadOnly<[u8; 8]> = Options::new().open_read_only_on(inner).unwrap();
        let was_read = Arc::new(Mutex::new(false));
        let done = Arc::clone(&was_read);
        storage.once("remove index/0000000000000000", move || {
            for index in 0..4 {
                let found = beside.get(index).unwrap();
                assert!(found.is_none_or(|found| found == value(index)));
            }
            *done.lock().unwrap() = true;
        });
        assert_eq!(writer.prune(8).unwrap(), 2);
        assert!(*was_read.lock().unwrap());
    }
}
