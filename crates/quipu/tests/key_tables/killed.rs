//! What a killed process leaves: tables, and keys that no table has.

use super::*;

/// Nothing was closed: what the tables have is not read again, what they have not is.
#[test]
fn tables_serve_after_a_killed_process() {
    each(|bench| {
        let mut archive = bench.open();
        for first in (0..90).step_by(9) {
            put(&mut archive, first..first + 9, 0);
            archive.sync().unwrap();
        }
        // They are made beside the writer.
        let has_tables = |_| {
            std::thread::sleep(std::time::Duration::from_millis(1));
            archive.stats().keys_in_tables > 0
        };
        assert!((0..10_000).any(has_tables));
        drop(archive);
        for _ in 0..2 {
            let archive: Store = bench.open();
            assert!(archive.stats().keys_in_tables > 0);
            assert_holds(&archive, 0..90, 0);
        }
    });
}

/// What an open had to read because a process was killed before it made a table is in one after a close, also
/// where nothing was put.
#[test]
fn what_a_killed_process_left_to_read_is_read_once() {
    each(|bench| {
        let mut archive = bench.open();
        put(&mut archive, 0..7, 0);
        archive.sync().unwrap();
        drop(archive);
        let archive: Store = bench.open();
        assert_eq!(archive.stats().keys_in_tables, 0);
        archive.close().unwrap();
        let archive: Store = bench.open();
        assert_eq!(archive.stats().keys_in_tables, 7);
        assert_holds(&archive, 0..7, 0);
    });
}

/// Few keys that are in no table have an open read all of their section, so they get one at a close.
#[test]
fn the_last_few_keys_of_a_section_let_it_rest_too() {
    let options = options().items_per_section(10_000).keys_per_table(800);
    Bench::memory(options, |bench| {
        let mut archive: Store = bench.open();
        put(&mut archive, 0..800, 0);
        archive.sync().unwrap();
        put(&mut archive, 800..810, 0);
        archive.close().unwrap();
        let archive: Store = bench.open();
        let stats = archive.stats();
        assert_eq!((stats.keys, stats.keys_in_tables), (810, 810));
        assert_eq!(stats.open_files, 0);
    });
}
