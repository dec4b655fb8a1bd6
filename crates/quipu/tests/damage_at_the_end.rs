//! Files that were cut short: what an open tells, and what it leaves alone.

mod common;

use std::sync::Arc;

use common::{Bench, copy_of, key, value};
use quipu::storage::{Memory, OpenMode, Storage};
use quipu::{Archive, Bytes, Options, ReadOnly, Status};

const NAME: &str = "0000000000000000";
/// Bytes of a header in the layout of new files.
const HEADER: usize = 4096;
const PAGE: usize = 60 + 12;

/// Five entries of 28 bytes, on two full pages of 60 and a part of a third.
const ITEMS: u64 = 5;

fn cut(bench: &Bench, partition: &str, len: usize) {
    let whole = bench.read(partition, NAME);
    bench.write(partition, NAME, &whole[..len]);
}

fn present(status: impl Fn(u64) -> Status) -> Vec<u64> {
    (0..5)
        .filter(|&index| status(index) == Status::Present)
        .collect()
}

/// The slot that is not in use is zeros: what of it is cut off holds nothing.
#[test]
fn a_page_that_lacks_zeros_alone_is_whole() {
    for lacking in 1..=6 {
        Bench::memory(Options::new().page_size(60), |bench| {
            bench.fill(ITEMS);
            cut(bench, "index", HEADER + 3 * PAGE - lacking);
            let beside: ReadOnly<[u8; 8]> =
                bench.options().open_read_only_on(bench.storage()).unwrap();
            assert_eq!(
                present(|index| beside.status(index).unwrap()),
                [0, 1, 2, 3, 4]
            );
            let archive: Archive<[u8; 8]> = bench.open();
            assert_eq!(
                present(|index| archive.status(index).unwrap()),
                [0, 1, 2, 3, 4]
            );
            assert!(archive.verify(&mut |_| {}).unwrap().is_clean());
        });
    }
}

/// What follows the last durable entry in its page was once told as entries that were cut.
#[test]
fn a_damaged_end_is_not_told_as_torn() {
    for kept in [0, 30, PAGE, PAGE + 1, 2 * PAGE] {
        Bench::memory(Options::new().page_size(60), |bench| {
            bench.fill(ITEMS);
            cut(bench, "index", HEADER + kept);
            let before = bench.read("index", NAME);
            let archive: Archive<[u8; 8]> = bench.open();
            assert_eq!(archive.recovery().sections, []);
            assert_eq!(
                archive.recovery().damaged,
                5 - (kept / PAGE * 60 / 28) as u128
            );
            archive.close().unwrap();
            assert_eq!(bench.read("index", NAME), before, "{kept}");
        });
    }
}

/// What is lost behind the last item that is stored is missing too, and counts as little memory.
#[test]
fn as_many_missing_items_as_there_are_take_no_more_memory_than_they() {
    Bench::each(Options::new().page_size(60), |bench| {
        bench.fill(ITEMS);
        cut(bench, "index", HEADER + PAGE);
        let mut archive: Archive<[u8; 8]> = bench.open();
        let missing = |archive: &Archive<[u8; 8]>, start| {
            let missing = archive.missing_items(start, usize::MAX);
            assert_eq!(missing.capacity(), missing.len(), "{start}");
            missing
        };
        assert_eq!(missing(&archive, 0), [2, 3, 4]);
        assert_eq!(missing(&archive, 4), [4]);
        assert_eq!(missing(&archive, 5), []);
        assert_eq!(missing(&archive, u64::MAX), []);
        assert_eq!(archive.missing_ranges(0, usize::MAX), [2..=4]);
        // Gaps between items, then what is lost behind the last one.
        let _ = archive.put(3, &[7; 8], b"value").unwrap();
        assert_eq!(missing(&archive, 0), [2, 4]);
        assert_eq!(archive.missing_ranges(1, usize::MAX), [2..=2, 4..=4]);
    });
}

/// More is gone than is believed to have been there, and pages hold parts of entries.
#[test]
fn what_is_put_behind_a_large_cut_in_tiny_pages_stays() {
    for (page, items) in [(1, 1000), (7, 6000)] {
        let memory = Memory::new();
        let open = |memory: &Memory| {
            let options = Options::new().page_size(page);
            options.open_on::<[u8; 8], Bytes>(Arc::new(memory.clone()))
        };
        let mut archive = open(&memory).unwrap();
        for index in 0..items {
            let _ = archive.put(index, &key(index), &value(index, 4)).unwrap();
        }
        archive.close().unwrap();
        let blob = memory.open("index", NAME, OpenMode::Write).unwrap();
        blob.resize((HEADER + 5 * 28 * 13) as u64).unwrap();
        let mut archive = open(&memory).unwrap();
        for index in items - 20..items {
            assert_eq!(archive.status(index).unwrap(), Status::Damaged);
            let _ = archive.put(index, &key(index), &value(index, 4)).unwrap();
        }
        archive.sync().unwrap();
        // As a process that is killed leaves it.
        let killed = open(&copy_of(&memory)).unwrap();
        for index in items - 20..items {
            assert_eq!(killed.get(index).unwrap().unwrap(), value(index, 4));
        }
    }
}

/// A reader of another process still knows where the lost item stood: there stands no other one.
#[test]
fn what_is_put_behind_a_cut_is_not_read_as_what_was_cut() {
    Bench::each(Options::new().page_size(60), |bench| {
        bench.fill(ITEMS);
        let beside: ReadOnly<[u8; 8]> = bench.options().open_read_only_on(bench.storage()).unwrap();
        cut(bench, "values", HEADER + 4 * 34);
        let mut archive: Archive<[u8; 8]> = bench.open();
        let _ = archive.put(9, &key(9), &value(9, 30)).unwrap();
        archive.sync().unwrap();
        let found = beside.get(4);
        assert!(!matches!(found, Ok(Some(_))), "{found:?}");
    });
}

/// The page in which the mark ends is damaged, so what stands behind it was not torn.
#[test]
fn what_stands_behind_a_damaged_page_with_the_mark_stays() {
    Bench::each(Options::new().page_size(56), |bench| {
        let mut archive: Archive<[u8; 8]> = bench.open();
        let put = |archive: &mut Archive<[u8; 8]>, indices: std::ops::Range<u64>| {
            for index in indices {
                let _ = archive.put(index, &key(index), &value(index, 30)).unwrap();
            }
            archive.sync().unwrap();
        };
        put(&mut archive, 0..3);
        let marks = bench.read("quipu", "marks");
        put(&mut archive, 3..8);
        drop(archive);
        bench.write("quipu", "marks", &marks);
        bench.flip("index", NAME, HEADER + 56 + 12 + 5);
        let archive: Archive<[u8; 8]> = bench.open();
        for index in [0, 1, 4, 5, 6, 7] {
            assert_eq!(archive.get(index).unwrap().unwrap(), value(index, 30));
        }
        assert_eq!(archive.status(2).unwrap(), Status::Damaged);
    });
}
