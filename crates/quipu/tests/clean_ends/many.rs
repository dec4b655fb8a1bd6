//! So many sections that a thread lists one of the folders while an open waits for the disk.

use super::*;
use quipu::Error;

/// 300 sections of one item each, after a clean end.
fn each_of_many(check: impl Fn(&Bench)) {
    let check = |bench: &Bench| {
        bench.fill(300);
        check(bench);
    };
    let options = options().items_per_section(1);
    Bench::memory(options.clone(), check);
    Bench::disk(options, check);
}

#[test]
fn many_sections_are_all_there() {
    each_of_many(|bench| {
        let archive: Store = bench.open();
        assert_eq!(archive.get(7).unwrap().unwrap(), value(7, 30));
        assert_eq!(archive.ranges(), [0..=299]);
        assert_eq!(archive.sections().len(), 300);
        assert!(archive.recovery().is_clean());
    });
}

#[test]
fn a_file_of_many_that_is_gone_is_told() {
    for partition in ["index", "values"] {
        each_of_many(|bench| {
            let name = "0000000000000107";
            bench.storage().remove(partition, name).unwrap();
            let archive: Store = bench.open();
            assert_eq!(archive.recovery().damaged, 1);
            assert_eq!(archive.missing_items(0, 9), [0x107]);
        });
    }
}

#[test]
fn what_does_not_belong_to_many_is_refused_or_removed() {
    for partition in ["index", "values"] {
        each_of_many(|bench| {
            bench.write(partition, "0000000000000107.new", &[]);
            let archive: Store = bench.open();
            assert_eq!(archive.recovery().removed.len(), 1, "{partition}");
            drop(archive);
            bench.write(partition, "notes", b"of somebody");
            let opened: Result<Store, Error> = bench.options().open_on(bench.storage());
            assert!(matches!(opened, Err(Error::NotABlob { .. })));
        });
    }
}
