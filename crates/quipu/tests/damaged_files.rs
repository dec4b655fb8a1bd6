//! Damage outside of entries and values: headers, the manifest, the marks. Nothing is lost by it.

mod common;

use std::io::IoSlice;

use common::{Bench, key, value};
use quipu::storage::OpenMode;
use quipu::{Archive, Layout, Options, ReadOnly, Status, VerifyEvent};

type Store = Archive<[u8; 8]>;

const ITEMS: u64 = 20;

fn options(layout: Layout) -> Options {
    Options::new()
        .items_per_section(8)
        .page_size(50)
        .layout(layout)
}

fn check(archive: &Store, items: u64, context: &str) {
    for index in 0..items {
        let found = archive.get(index).unwrap();
        assert_eq!(found.as_deref(), Some(&value(index, 30)[..]), "{context}");
        assert!(
            archive.get(&key::<8>(index)).unwrap().is_some(),
            "{context}"
        );
    }
    assert_eq!(archive.range(..).count() as u64, items, "{context}");
    assert!(archive.missing_items(0, 10).is_empty(), "{context}");
}

/// What verify says of files: (section, text).
fn findings(archive: &Store) -> Vec<(Option<u64>, String)> {
    let mut found = Vec::new();
    let report = archive
        .verify(&mut |event| {
            if let VerifyEvent::File { section, error } = event {
                found.push((section, error.to_string()));
            }
        })
        .unwrap();
    assert_eq!(report.damaged_files as usize, found.len());
    assert_eq!((report.damaged, report.lost_indices), (0, 0));
    assert_eq!(report.is_clean(), found.is_empty());
    found
}

#[test]
fn a_damaged_header_loses_nothing_and_is_told() {
    let name = "0000000000000008";
    for (layout, header) in [(Layout::V0, 8), (Layout::V1, 4096)] {
        for partition in ["index", "values"] {
            for at in (0..header).step_by(1 + header / 40) {
                let context = format!("{layout:?} {partition} {at}");
                Bench::memory(options(layout), |bench| {
                    bench.fill(ITEMS);
                    bench.flip(partition, name, at);
                    let mut archive: Store = bench.open();
                    check(&archive, ITEMS, &context);
                    let [(Some(8), text)] = &findings(&archive)[..] else {
                        panic!("{context}");
                    };
                    let offset = format!("offset {at}: expected");
                    assert!(text.contains(name) && text.contains(&offset), "{text}");
                    let put = archive.put_multi(9, &key(99), &value(9, 30));
                    assert_eq!(put.unwrap(), quipu::Put::Stored);
                    archive.close().unwrap();
                    let archive: Store = bench.open();
                    assert_eq!(archive.get_all(9).unwrap().len(), 2, "{context}");
                });
            }
        }
    }
}

#[test]
fn a_zeroed_header_loses_nothing() {
    for layout in [Layout::V0, Layout::V1] {
        Bench::each(options(layout), |bench| {
            bench.fill(ITEMS);
            for partition in ["index", "values"] {
                let mut bytes = bench.read(partition, "0000000000000000");
                let header = layout.header_size() as usize;
                bytes[..header].fill(0);
                bench.write(partition, "0000000000000000", &bytes);
            }
            let mut archive: Store = bench.open();
            check(&archive, ITEMS, "zeroed");
            assert_eq!(findings(&archive).len(), 2);
            // The index file is written anew by it, the value file stays as it is.
            archive.rewind(4).unwrap();
            check(&archive, 5, "rewound");
            assert_eq!(findings(&archive).len(), 1);
        });
    }
}

#[test]
fn a_damaged_copy_of_the_manifest_is_told_and_written_again() {
    Bench::each(options(Layout::V1), |bench| {
        bench.fill(ITEMS);
        for name in ["manifest", "manifest-copy"] {
            bench.flip("quipu", name, 30);
            let reader = bench
                .options()
                .open_read_only_on::<[u8; 8], quipu::Bytes>(bench.storage())
                .unwrap();
            assert_eq!(reader.verify(&mut |_| {}).unwrap().damaged_files, 1);
            let archive: Store = bench.open();
            assert!(archive.recovery().manifest_restored);
            check(&archive, ITEMS, name);
            assert!(findings(&archive).is_empty());
        }
    });
}

#[test]
fn an_older_copy_of_the_marks_does_not_tell_of_rewound_items() {
    Bench::each(options(Layout::V1), |bench| {
        bench.fill(ITEMS);
        let before = bench.read("quipu", "marks");
        let mut archive: Store = bench.open();
        archive.rewind(9).unwrap();
        archive.close().unwrap();
        bench.write("quipu", "marks", &before);
        let archive: Store = bench.open();
        assert!(archive.recovery().marks_incomplete);
        assert_eq!(archive.recovery().damaged, 0);
        check(&archive, 10, "older marks");
    });
}

/// A section at rest whose damage shows when it wakes begins a new life, of which no table speaks: a look-up by a
/// key that wakes it finds the key all the same, if its item is whole.
#[test]
fn a_key_that_wakes_a_damaged_section_is_found() {
    let options = Options::new().items_per_section(10).page_size(100);
    Bench::each(options.keys_per_table(8), |bench| {
        bench.fill(20);
        // The last entry, which the mark has a sample of.
        let name = "000000000000000a";
        let index = bench.read("index", name);
        bench.flip("index", name, index.len() - 112 + 60);
        let beside: ReadOnly<[u8; 8]> = bench.options().open_read_only_on(bench.storage()).unwrap();
        assert!(beside.has_at(10, &key(10)).unwrap());
        let archive = bench.open::<8>();
        assert_eq!(archive.get(&key(10)).unwrap().unwrap(), value(10, 30));
        assert_eq!(archive.status(19).unwrap(), Status::Damaged);
    });
}

/// What a crash left of a table that was being written, and what is no table of this archive, would stay for good.
#[test]
fn unfinished_and_strange_tables_go_with_the_next_open() {
    let options = Options::new().items_per_section(10);
    Bench::memory(options.keys_per_table(8), |bench| {
        bench.fill(20);
        let before = bench.storage().list("quipu").unwrap();
        for name in ["keys-00000000000000fe", "keys-00000000000000ff.new"] {
            bench.write("quipu", name, b"no table");
        }
        let beside: ReadOnly<[u8; 8]> = bench.options().open_read_only_on(bench.storage()).unwrap();
        assert!(beside.has(&key(3)).unwrap());
        assert_eq!(
            bench.storage().list("quipu").unwrap().len(),
            before.len() + 2
        );
        bench.open::<8>().close().unwrap();
        assert_eq!(bench.storage().list("quipu").unwrap(), before);
    });
}

/// Nor what somebody has put among it.
#[test]
fn a_repair_writes_over_nothing_that_is_in_quarantine() {
    for number in [1, 2, u64::MAX] {
        Bench::each(options(Layout::V1), |bench| {
            bench.fill(ITEMS);
            bench.flip("index", "0000000000000008", 4096 + 3);
            let there = format!("0000000000000008-{number}.index");
            let blob = bench.storage().open("quarantine", &there, OpenMode::Create);
            blob.unwrap().write_at(&[IoSlice::new(b"kept")], 0).unwrap();
            let report = bench.open::<8>().repair().unwrap();
            assert_eq!(report.sections.len(), 1);
            assert_eq!(bench.read("quarantine", &there), b"kept");
            assert!(bench.storage().list("quarantine").unwrap().len() > 1);
        });
    }
}
