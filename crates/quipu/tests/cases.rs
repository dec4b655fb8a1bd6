//! The archive's cases by name, run over memory and disk.

mod common;

use common::{Bench, key, values_at};
use quipu::index::{FourCap, OneCap, TwoCap};
use quipu::{Archive, Bytes, Compression, Error, Options, Put, Status};

#[test]
fn a_taken_index_keeps_its_item() {
    Bench::each(Options::new(), |bench| {
        let mut archive = bench.open::<4>();
        assert_eq!(archive.put(1, b"key1", "a").unwrap(), Put::Stored);
        assert_eq!(archive.put(1, b"key1", "b").unwrap(), Put::Exists);
        assert_eq!(archive.get(1).unwrap().unwrap(), "a");
        assert_eq!(archive.get(b"key1").unwrap().unwrap(), "a");
    });
}

#[test]
fn a_pruned_entry_never_hides_a_live_one() {
    Bench::each(Options::new().items_per_section(10), |bench| {
        let mut archive = bench.open::<4>();
        let _ = archive.put(1, b"same", "old").unwrap();
        let _ = archive.put(20, b"same", "new").unwrap();
        assert_eq!(archive.prune(10).unwrap(), 1);
        assert_eq!(archive.get(b"same").unwrap().unwrap(), "new");
        assert_eq!(archive.get(1).unwrap(), None);
    });
}

#[test]
fn two_keys_in_conflict_cost_one_unnecessary_read() {
    for indices in [(1, 2), (1, 2_000_000)] {
        Bench::each(Options::new().translator(FourCap), |bench| {
            let mut archive = bench.open::<5>();
            let _ = archive.put(indices.0, b"keys1", "one").unwrap();
            let _ = archive.put(indices.1, b"keys2", "two").unwrap();
            assert_eq!(archive.get(b"keys1").unwrap().unwrap(), "one");
            assert_eq!(archive.get(b"keys2").unwrap().unwrap(), "two");
            assert_eq!(archive.stats().unnecessary_reads, 1);
            assert_eq!(archive.stats().key_conflicts, 1);
        });
    }
}

#[test]
fn one_item_a_section_pruned() {
    Bench::each(
        Options::new().items_per_section(1).translator(OneCap),
        |bench| {
            let mut archive = bench.open::<4>();
            for index in 1..=5u64 {
                let _ = archive.put(index, &key(index), &index.to_string()).unwrap();
            }
            assert_eq!(archive.prune(3).unwrap(), 2);
            let check = |archive: &Archive<[u8; 4]>| {
                for index in 1..=5 {
                    assert_eq!(archive.has(index).unwrap(), index >= 3);
                    assert_eq!(archive.get(&key::<4>(index)).unwrap().is_some(), index >= 3);
                }
                assert_eq!(archive.stats().items_tracked, 3);
                assert_eq!(archive.floor(), 3);
                assert_eq!(archive.status(1).unwrap(), Status::Pruned);
            };
            check(&archive);
            assert_eq!(archive.stats().indices_pruned, 2);
            assert_eq!(archive.prune(2).unwrap() + archive.prune(3).unwrap(), 0);
            assert!(matches!(
                archive.put(1, b"late", "x"),
                Err(Error::BelowFloor { index: 1, floor: 3 })
            ));
            let _ = archive.put_sync(6, b"next", "6").unwrap();
            drop(archive);
            let mut archive = bench.open::<4>();
            assert!(matches!(
                archive.put(1, b"late", "x"),
                Err(Error::BelowFloor { index: 1, floor: 3 })
            ));
            assert!(archive.has(6).unwrap());
        },
    );
}

#[test]
fn a_put_in_conflict_with_pruned_keys_removes_them() {
    Bench::each(
        Options::new().items_per_section(1).translator(OneCap),
        |bench| {
            let mut archive = bench.open::<4>();
            for index in 1..=3u64 {
                let _ = archive.put(index, &[b'k', 0, 0, index as u8], "v").unwrap();
            }
            archive.prune(3).unwrap();
            let _ = archive.put(4, b"k..4", "v").unwrap();
            assert_eq!(archive.stats().pruned, 2);
            assert_eq!(archive.stats().keys, 2);
        },
    );
}

#[test]
fn many_items_survive_a_restart_and_a_prune() {
    let count = if cfg!(debug_assertions) {
        20_000
    } else {
        100_000
    };
    let options = Options::new().items_per_section(256).translator(TwoCap);
    Bench::disk(options, |bench| {
        let mut archive = bench.open::<64>();
        for index in 0..count {
            let _ = archive
                .put(index, &key(index), &common::value(index, 1024))
                .unwrap();
        }
        archive.sync().unwrap();
        let check = |archive: &Archive<[u8; 64]>, from: u64| {
            for index in (0..count).step_by(7) {
                let expected = (index >= from).then(|| common::value(index, 1024));
                assert_eq!(archive.get(index).unwrap().as_deref(), expected.as_deref());
                assert_eq!(
                    archive.get(&key::<64>(index)).unwrap().as_deref(),
                    expected.as_deref()
                );
            }
        };
        check(&archive, 0);
        drop(archive);
        let mut archive = bench.open::<64>();
        check(&archive, 0);
        let middle = count / 2;
        archive.prune(middle).unwrap();
        check(&archive, middle / 256 * 256);
        assert_eq!(archive.next_gap(middle), (Some(count - 1), None));
    });
}

#[test]
fn multi_items_prune_and_stay_in_order() {
    Bench::each(Options::new().items_per_section(1), |bench| {
        let mut archive = bench.open::<4>();
        let _ = archive.put_multi(1, b"keyA", "a").unwrap();
        let _ = archive.put_multi(1, b"keyB", "b").unwrap();
        let _ = archive.put(3, b"keyC", "c").unwrap();
        assert_eq!(archive.stats().items_tracked, 2);
        archive.prune(3).unwrap();
        assert_eq!(values_at(&archive, 1), Vec::<Vec<u8>>::new());
        assert_eq!(values_at(&archive, 3), [b"c"]);
        assert_eq!(
            (
                archive.stats().items_tracked,
                archive.stats().indices_pruned
            ),
            (1, 1)
        );
        assert!(matches!(
            archive.put_multi(2, b"keyD", "d"),
            Err(Error::BelowFloor { .. })
        ));
    });
}

#[test]
fn several_items_at_one_index() {
    Bench::each(Options::new(), |bench| {
        let mut archive = bench.open::<4>();
        for (key, value) in [(b"keyA", "a"), (b"keyB", "b"), (b"keyC", "c")] {
            assert_eq!(archive.put_multi(7, key, value).unwrap(), Put::Stored);
        }
        assert_eq!(archive.put(7, b"keyD", "d").unwrap(), Put::Exists);
        archive.sync().unwrap();
        let check = |archive: &Archive<[u8; 4]>| {
            assert_eq!(archive.get(7).unwrap().unwrap(), "a");
            assert_eq!(values_at(archive, 7), [b"a", b"b", b"c"]);
            for (key, value) in [(b"keyA", "a"), (b"keyB", "b"), (b"keyC", "c")] {
                assert_eq!(archive.get(key).unwrap().unwrap(), value);
            }
            assert_eq!(archive.get(b"keyD").unwrap(), None);
        };
        check(&archive);
        drop(archive);
        check(&bench.open());
    });
}

#[test]
fn one_key_twice_at_one_index() {
    Bench::each(Options::new(), |bench| {
        let mut archive = bench.open::<4>();
        let _ = archive.put_multi(7, b"same", "a").unwrap();
        let _ = archive.put_multi(7, b"same", "b").unwrap();
        assert_eq!(values_at(&archive, 7), [b"a", b"b"]);
        assert!(
            ["a", "b"]
                .map(|v| v.as_bytes().to_vec())
                .contains(&archive.get(b"same").unwrap().unwrap().to_vec())
        );
    });
}

#[test]
fn missing_items_as_listed() {
    Bench::each(Options::new(), |bench| {
        let mut archive = bench.open::<4>();
        for index in [1, 2, 5, 6, 10u64] {
            let _ = archive.put(index, &key(index), "v").unwrap();
        }
        assert_eq!(archive.missing_items(0, 5), [0, 3, 4, 7, 8]);
        assert_eq!(archive.missing_items(3, 3), [3, 4, 7]);
        assert_eq!(archive.missing_items(7, 10), [7, 8, 9]);
        assert_eq!(archive.missing_items(11, 5), [0u64; 0]);
        assert_eq!(archive.missing_items(0, 0), [0u64; 0]);
        let all = archive.missing_items(0, usize::MAX);
        assert_eq!((all.len(), all.capacity()), (6, 6));
        assert_eq!(archive.missing_items(11, usize::MAX).capacity(), 0);
    });
}

#[test]
fn gaps_as_worked() {
    Bench::each(Options::new(), |bench| {
        let mut archive = bench.open::<4>();
        for index in (1..=10).chain(21..=30u64) {
            let _ = archive.put(index, &key(index), "v").unwrap();
        }
        assert_eq!(archive.next_gap(5), (Some(10), Some(21)));
        assert_eq!(archive.next_gap(11), (None, Some(21)));
        assert_eq!(archive.next_gap(25), (Some(30), None));
        assert_eq!(archive.next_gap(40), (None, None));
        assert_eq!(archive.missing_items(5, 3), [11, 12, 13]);
        assert_eq!(archive.missing_items(25, 9), [0u64; 0]);
        assert_eq!(archive.ranges(), [1..=10, 21..=30]);
        assert_eq!(archive.ranges_from(11), [21..=30]);
        assert_eq!(archive.ranges_from(10), [1..=10, 21..=30]);
        assert_eq!(
            (archive.first_index(), archive.last_index()),
            (Some(1), Some(30))
        );
    });
}

#[test]
fn both_ends_of_the_indices() {
    for items in [1, 10, u64::MAX] {
        Bench::each(Options::new().items_per_section(items), |bench| {
            let mut archive = bench.open::<4>();
            for index in [0, u64::MAX] {
                let _ = archive.put(index, &key(index), &index.to_string()).unwrap();
            }
            archive.sync().unwrap();
            drop(archive);
            let archive = bench.open::<4>();
            assert_eq!(archive.ranges(), [0..=0, u64::MAX..=u64::MAX]);
            assert_eq!(archive.next_gap(u64::MAX), (Some(u64::MAX), None));
            assert_eq!(
                archive.get(u64::MAX).unwrap().unwrap(),
                u64::MAX.to_string()
            );
            assert_eq!(archive.range(..).count(), 2);
            assert_eq!(archive.range(..).rev().count(), 2);
        });
    }
}

#[test]
fn an_empty_archive() {
    Bench::each(Options::new(), |bench| {
        let archive = bench.open::<4>();
        assert_eq!(archive.get(0).unwrap(), None);
        assert_eq!(archive.get(b"none").unwrap(), None);
        assert_eq!(archive.get_all(0).unwrap().len(), 0);
        assert_eq!((archive.first_index(), archive.last_index()), (None, None));
        assert_eq!(archive.ranges(), []);
        assert_eq!(archive.range(..).count(), 0);
        assert_eq!(archive.missing_items(0, 10), [0u64; 0]);
        assert_eq!(archive.next_gap(0), (None, None));
        assert_eq!(archive.status(0).unwrap(), Status::Missing);
    });
}

#[test]
fn a_destroyed_archive_leaves_nothing_but_strangers() {
    Bench::each(Options::new().items_per_section(2), |bench| {
        let mut archive = bench.open::<4>();
        for index in 0..9u64 {
            let _ = archive.put(index, &key(index), "v").unwrap();
        }
        archive.sync().unwrap();
        archive.destroy().unwrap();
        for partition in ["index", "values", "quipu"] {
            assert_eq!(bench.storage().list(partition).unwrap(), [""; 0]);
        }
        let archive = bench.open::<4>();
        assert_eq!(archive.ranges(), []);
        assert_eq!(archive.floor(), 0);
    });
}

#[test]
fn compression_changes_from_the_next_new_section_on() {
    let setting = |compression| Options::new().items_per_section(4).compression(compression);
    let put = |archive: &mut Archive<[u8; 4]>, indices: std::ops::Range<u64>| {
        for index in indices {
            let _ = archive.put(index, &key(index), &vec![7u8; 500]).unwrap();
        }
        archive.sync().unwrap();
    };
    Bench::each(setting(Compression::Zstd(3)), |bench| {
        put(&mut bench.open(), 0..6);
        let off = || {
            setting(Compression::Off)
                .open_on::<[u8; 4], Bytes>(bench.storage())
                .unwrap()
        };
        // The second section was begun with compression, and goes on with it.
        put(&mut off(), 6..10);
        let mut archive = off();
        archive.rewind(1).unwrap();
        put(&mut archive, 2..10);
        let compressed: Vec<bool> = archive
            .sections()
            .iter()
            .map(|section| section.compressed)
            .collect();
        assert_eq!(compressed, [true, false, false]);
        for index in 0..10 {
            assert_eq!(archive.get(index).unwrap().unwrap(), [7; 500][..]);
        }
        assert!(archive.verify(&mut |_| {}).unwrap().is_clean());
    });
}

#[test]
fn an_archive_that_never_held_an_item_is_destroyed_too() {
    Bench::each(Options::new(), |bench| {
        bench.open::<4>().destroy().unwrap();
        let mut archive = bench.open::<4>();
        let _ = archive.put_sync(1, &key(1), b"value").unwrap();
        archive.destroy().unwrap();
        assert!(bench.open::<4>().get(1).unwrap().is_none());
    });
}

#[test]
fn a_destruction_that_is_refused_changes_nothing() {
    Bench::each(Options::new(), |bench| {
        let mut archive = bench.open::<4>();
        let _ = archive.put_sync(1, &key(1), b"value").unwrap();
        bench.write("index", "README", b"not mine");
        assert!(matches!(archive.destroy(), Err(Error::NotABlob { .. })));
        bench.storage().remove("index", "README").unwrap();
        assert_eq!(bench.open::<4>().get(1).unwrap().unwrap(), "value");
    });
}

#[test]
fn missing_ranges_are_the_missing_items() {
    Bench::each(Options::new().items_per_section(10), |bench| {
        let mut archive = bench.open::<4>();
        for index in [12, 13, 17, 30, 31, 45, u64::MAX] {
            let _ = archive.put(index, &key(index), b"value").unwrap();
        }
        for floor in [0, 20] {
            archive.prune(floor).unwrap();
            for start in 0..50 {
                let runs = archive.missing_ranges(start, 4);
                let flat = runs.iter().cloned().flatten().take(20);
                assert_eq!(
                    flat.collect::<Vec<u64>>(),
                    archive.missing_items(start, 20),
                    "{start}"
                );
            }
        }
        assert_eq!(archive.missing_ranges(40, 9), [40..=44, 46..=u64::MAX - 1]);
        assert_eq!(archive.missing_ranges(40, 1), [40..=44]);
    });
}

#[test]
fn a_refused_open_makes_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new");
    assert!(
        Options::new()
            .key_size(5)
            .open::<[u8; 8], Bytes>(&path)
            .is_err()
    );
    assert!(Archive::<quipu::KeyBytes>::open(&path).is_err());
    assert!(!path.exists());
}

#[test]
fn a_sync_into_a_folder_that_vanished_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archive");
    let mut archive: Archive<[u8; 4]> = Archive::open(&path).unwrap();
    let _ = archive.put_sync(1, b"key1", b"value").unwrap();
    let _ = archive.put(2, b"key2", b"value").unwrap();
    std::fs::remove_dir_all(&path).unwrap();
    let error = archive.sync().unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}
