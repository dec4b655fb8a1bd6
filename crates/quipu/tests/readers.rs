//! Readers beside the writer: threads of one process, and a read-only open as another would do.

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use common::{Bench, key, value};
use quipu::storage::OpenMode;
use quipu::{Archive, Error, Options, ReadOnly, Status};

/// Thousands of runs, which a reader takes several looks for: what the writer leaves alone is told as what it is.
#[test]
fn runs_and_gaps_beside_a_writer_are_what_stays() {
    let options = Options::new().items_per_section(1_000);
    Bench::memory(options, |bench| {
        let mut archive = bench.open::<16>();
        let put = |archive: &mut Archive<[u8; 16]>, index| {
            let _ = archive.put(index, &key(index), b"value").unwrap();
        };
        (0..12_000).for_each(|nth| put(&mut archive, 2 * nth));
        let check = |reader: &quipu::Reader<[u8; 16]>| {
            let floor = reader.floor();
            let ranges = reader.ranges();
            assert!(
                ranges
                    .windows(2)
                    .all(|two| two[0].end() + 1 < *two[1].start())
            );
            let stored: Vec<u64> = ranges.into_iter().flatten().collect();
            let items = reader.missing_items(0, usize::MAX);
            let ranges = reader.missing_ranges(0, usize::MAX);
            assert!([&stored, &items].iter().all(|told| told[0] >= floor));
            let ranges: Vec<u64> = ranges.into_iter().flatten().collect();
            for missing in [items, ranges] {
                for index in (4_000..20_000).filter(|index| index % 4 != 3) {
                    let told = [&stored, &missing].map(|told| told.binary_search(&index).is_ok());
                    assert_eq!(told, [index % 2 == 0, index % 2 == 1], "{index}");
                }
            }
        };
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                let (reader, done) = (archive.reader(), &done);
                scope.spawn(move || {
                    while !done.load(Ordering::Acquire) {
                        check(&reader);
                    }
                });
            }
            for nth in 0..5_000 {
                put(&mut archive, 4_003 + 4 * (nth * 7_919 % 4_000));
                match nth {
                    1_000 | 2_000 | 3_000 | 4_000 => archive.prune(nth).map(drop).unwrap(),
                    _ if nth % 500 == 499 => archive.rewind(23_998 - nth / 2).unwrap(),
                    _ => {}
                }
            }
            done.store(true, Ordering::Release);
        });
        check(&archive);
    });
}

#[test]
fn readers_see_every_put_that_returned() {
    let options = Options::new()
        .items_per_section(64)
        .page_size(100)
        .write_buffer(1000);
    Bench::each(options, |bench| {
        let mut archive = bench.open::<16>();
        let (stored, floor, done) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let reader = archive.reader();
                let (stored, floor, done) = (&stored, &floor, &done);
                scope.spawn(move || {
                    let mut step = thread;
                    while !done.load(Ordering::Acquire) {
                        let end = stored.load(Ordering::Acquire);
                        if end == 0 {
                            continue;
                        }
                        step = common::mix(step);
                        let index = step % end;
                        let by_index = reader.get(index).unwrap();
                        let by_key = reader.get(&key::<16>(index)).unwrap();
                        // What is not there now must have been pruned before it was asked for.
                        for found in [by_index, by_key] {
                            match found {
                                Some(found) => assert_eq!(found, value(index, 50)),
                                None => assert!(index < floor.load(Ordering::Acquire), "{index}"),
                            }
                        }
                    }
                });
            }
            for index in 0..6000u64 {
                let _ = archive.put(index, &key(index), &value(index, 50)).unwrap();
                stored.store(index + 1, Ordering::Release);
                if index % 100 == 0 {
                    archive.sync().unwrap();
                }
                if index % 1000 == 999 {
                    floor.store(index - 500, Ordering::Release);
                    archive.prune(index - 500).unwrap();
                }
            }
            done.store(true, Ordering::Release);
        });
    });
}

#[test]
fn a_range_goes_on_while_the_writer_does() {
    Bench::each(Options::new().items_per_section(8), |bench| {
        let mut archive = bench.open::<8>();
        for index in 0..5u64 {
            let _ = archive.put(index, &key(index), &value(index, 10)).unwrap();
        }
        let mut range = archive.reader().range(..);
        assert_eq!(range.next().unwrap().unwrap().index, 0);
        for index in 5..2000u64 {
            let _ = archive.put(index, &key(index), &value(index, 10)).unwrap();
        }
        archive.sync().unwrap();
        let rest: Vec<u64> = range.by_ref().map(|item| item.unwrap().index).collect();
        assert!(rest.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(rest.starts_with(&[1, 2, 3, 4]));
    });
}

#[test]
fn a_range_finds_what_is_put_behind_its_first_look() {
    Bench::each(Options::new(), |bench| {
        let mut archive = bench.open::<16>();
        let mut put = |indices: std::ops::Range<u64>| {
            for index in indices {
                let _ = archive.put(index, &key(index), &value(index, 5)).unwrap();
            }
            archive.reader()
        };
        let mut range = put(0..100).range(..10_000);
        assert!(range.next().is_some());
        put(100..5000);
        assert_eq!(range.filter(Result::is_ok).count(), 4999);
    });
}

#[test]
fn a_range_skips_what_is_pruned_meanwhile() {
    Bench::each(Options::new().items_per_section(8), |bench| {
        let mut archive = bench.open::<8>();
        for index in 0..5000u64 {
            let _ = archive.put(index, &key(index), &value(index, 10)).unwrap();
        }
        let mut range = archive.reader().range(..);
        assert_eq!(range.next().unwrap().unwrap().index, 0);
        archive.prune(4800).unwrap();
        let rest: Vec<u64> = range.map(|item| item.unwrap().index).collect();
        assert!(rest.ends_with(&(4800..5000).collect::<Vec<_>>()));
    });
}

#[test]
fn a_second_writer_is_refused_and_told_who_holds_it() {
    Bench::each(Options::new(), |bench| {
        let archive = bench.open::<8>();
        let error = bench
            .options()
            .open_on::<[u8; 8], quipu::Bytes>(bench.storage())
            .unwrap_err();
        assert!(matches!(error, Error::Locked { .. }), "{error}");
        assert!(
            error.to_string().contains(&std::process::id().to_string()),
            "{error}"
        );
        drop(archive);
        drop(bench.open::<8>());
    });
}

fn beside(bench: &Bench) -> ReadOnly<[u8; 8]> {
    bench.options().open_read_only_on(bench.storage()).unwrap()
}

#[test]
fn a_read_only_open_follows_the_writer() {
    Bench::each(Options::new().items_per_section(4).page_size(50), |bench| {
        let mut archive: Archive<[u8; 8]> = bench.open();
        let mut beside = beside(bench);
        assert_eq!(beside.ranges(), []);
        for index in 0..30u64 {
            let _ = archive
                .put_sync(index, &key(index), &value(index, 20))
                .unwrap();
            beside.refresh().unwrap();
            for seen in 0..=index {
                assert_eq!(beside.get(seen).unwrap().unwrap(), value(seen, 20));
                assert_eq!(
                    beside.get(&key::<8>(seen)).unwrap().unwrap(),
                    value(seen, 20)
                );
            }
            assert_eq!(beside.last_index(), Some(index));
        }
    });
}

#[test]
fn a_read_only_open_survives_a_prune_and_a_rewind() {
    Bench::each(Options::new().items_per_section(4), |bench| {
        let mut archive: Archive<[u8; 8]> = bench.open();
        for index in 0..30u64 {
            let _ = archive.put(index, &key(index), &value(index, 20)).unwrap();
        }
        archive.sync().unwrap();
        let mut beside = beside(bench);
        archive.prune(10).unwrap();
        beside.refresh().unwrap();
        assert_eq!((beside.floor(), beside.get(7).unwrap()), (8, None));
        archive.rewind(17).unwrap();
        let _ = archive.put_sync(18, &key(180), "other").unwrap();
        beside.refresh().unwrap();
        assert_eq!(beside.ranges(), [8..=18]);
        assert_eq!(beside.get(18).unwrap().unwrap(), "other");
        assert_eq!(beside.get(&key::<8>(20)).unwrap(), None);
    });
}

#[test]
fn a_read_only_open_changes_no_file() {
    Bench::disk(Options::new().items_per_section(4), |bench| {
        let mut archive: Archive<[u8; 8]> = bench.open();
        for index in 0..10u64 {
            let _ = archive.put(index, &key(index), &value(index, 20)).unwrap();
        }
        archive.close().unwrap();
        let name = "0000000000000008";
        let whole = bench.read("index", name);
        let torn = [&whole[..], b"torn"].concat();
        bench.write("index", name, &torn);
        let beside = beside(bench);
        assert_eq!(beside.ranges(), [0..=9]);
        assert_eq!(bench.read("index", name), torn);
        assert!(!bench.open::<8>().recovery().is_clean());
        assert_eq!(bench.read("index", name), whole);
    });
}

#[test]
fn a_refresh_sees_what_was_damaged_and_put_again() {
    Bench::each(Options::new(), |bench| {
        let mut archive: Archive<[u8; 8]> = bench.open();
        for index in 0..4u64 {
            let _ = archive.put(index, &key(index), &value(index, 9)).unwrap();
        }
        archive.sync().unwrap();
        let stored = bench.read("values", "0000000000000000");
        let at = stored.windows(9).position(|part| part == value(1, 9));
        bench.flip("values", "0000000000000000", at.unwrap());
        let mut beside = beside(bench);
        assert!(beside.get(1).is_err());
        assert_eq!(beside.status(1).unwrap(), quipu::Status::Damaged);
        assert!(archive.get(1).is_err());
        let _ = archive.put_sync(1, &key(9), &value(9, 9)).unwrap();
        beside.refresh().unwrap();
        assert_eq!(beside.status(1).unwrap(), quipu::Status::Present);
        assert_eq!(beside.range(..).filter(Result::is_ok).count(), 4);
        assert_eq!(beside.stats().damaged, 0);
    });
}

/// A mended header is a new file: a reader of another process that has the old one open goes on with the new.
#[test]
fn a_reader_beside_sees_what_is_put_behind_a_mended_header() {
    for partition in ["index", "values"] {
        let options = Options::new().items_per_section(8).page_size(60);
        Bench::each(options, |bench| {
            bench.fill(3);
            bench.flip(partition, "0000000000000000", 2000);
            let mut archive = bench.open::<8>();
            let mut beside: ReadOnly<[u8; 8]> =
                bench.options().open_read_only_on(bench.storage()).unwrap();
            assert_eq!(beside.get(2).unwrap().unwrap(), value(2, 30));
            let report = archive.repair().unwrap();
            assert_eq!((report.sections.len(), report.entries_lost()), (1, 0));
            let _ = archive.put_sync(3, &key(3), &value(3, 30)).unwrap();
            beside.refresh().unwrap();
            for index in 0..4 {
                assert_eq!(beside.status(index).unwrap(), Status::Present, "{index}");
                assert_eq!(beside.get(index).unwrap().unwrap(), value(index, 30));
            }
        });
    }
}

/// Enough for several threads, out of order, twice, by index and by key, present and not.
#[test]
fn many_at_once_come_in_the_order_they_were_asked_for() {
    const ITEMS: u64 = 700;
    let options = Options::new().items_per_section(64).write_buffer(1000);
    Bench::each(options, |bench| {
        let mut archive = bench.open::<8>();
        for index in 0..ITEMS {
            let _ = archive.put(index, &key(index), &value(index, 30)).unwrap();
        }
        archive.sync().unwrap();
        let asked: Vec<u64> = (0..1500)
            .map(|nth| common::mix(nth) % (ITEMS + 50))
            .collect();
        let expected = |index: u64| (index < ITEMS).then(|| value(index, 30));
        let by_index = archive.get_many(asked.iter().copied()).unwrap();
        let keys: Vec<[u8; 8]> = asked.iter().map(|&index| key(index)).collect();
        let by_key = archive.get_many(&keys).unwrap();
        assert_eq!((by_index.len(), by_key.len()), (asked.len(), asked.len()));
        for ((index, by_index), by_key) in asked.into_iter().zip(by_index).zip(by_key) {
            assert_eq!(by_index.as_deref(), expected(index).as_deref(), "{index}");
            assert_eq!(by_key.as_deref(), expected(index).as_deref(), "{index}");
        }
        assert_eq!(archive.get_many([0_u64; 0]).unwrap().len(), 0);
    });
}

/// The writer creates a file anew that was cut below its header; a reader that had it open goes on with the new one.
#[test]
fn a_reader_goes_on_with_a_file_that_was_cut_to_nothing_and_made_anew() {
    for partition in ["index", "values"] {
        Bench::each(Options::new().items_per_section(8), |bench| {
            let mut archive = bench.open::<8>();
            for index in 0..4 {
                let _ = archive.put(index, &key(index), &value(index, 20)).unwrap();
            }
            archive.close().unwrap();
            let name = "0000000000000000";
            let blob = bench
                .storage()
                .open(partition, name, OpenMode::Write)
                .unwrap();
            blob.resize(3).unwrap();
            let mut beside: ReadOnly<[u8; 8]> =
                bench.options().open_read_only_on(bench.storage()).unwrap();
            assert!(beside.get(2).is_err());
            let mut archive = bench.open::<8>();
            for index in 0..6 {
                let _ = archive.put(index, &key(index), &value(index, 21)).unwrap();
            }
            archive.sync().unwrap();
            beside.refresh().unwrap();
            for index in 0..6 {
                assert_eq!(
                    archive.get(index).unwrap().unwrap(),
                    value(index, 21),
                    "{partition} {index}"
                );
                assert_eq!(
                    beside.get(index).unwrap().unwrap(),
                    value(index, 21),
                    "{partition} {index}"
                );
            }
        });
    }
}
