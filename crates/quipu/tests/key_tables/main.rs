//! Key tables: keys are found whether tables have them or not, whatever became of the tables, and sections
//! rest until they are asked for.

#[allow(dead_code, unreachable_pub)]
#[path = "../common/bad_sectors.rs"]
mod bad_sectors;
#[path = "../common/mod.rs"]
mod common;
mod gate;
mod healed;
#[allow(dead_code, unreachable_pub)]
#[path = "../common/hooked.rs"]
mod hooked;
mod kept;
mod killed;
mod resting;
#[cfg(feature = "simulated")]
mod rewritten;
mod unreadable;

use common::{Bench, key, value};
use quipu::{Archive, KeyMemory, Options, ReadOnly, Status, VerifyEvent};

type Store = Archive<[u8; 8]>;

/// Bytes of a header of a section file, and of a page of these archives on disk.
const HEADER: usize = 4096;
const PAGE: usize = 100 + 12;
const LEN: usize = 20;

fn options() -> Options {
    let options = Options::new().items_per_section(10).page_size(100);
    options.keys_per_table(8)
}

fn each(check: impl Fn(&Bench)) {
    Bench::memory(options(), &check);
    Bench::memory(options().key_memory(KeyMemory::All), &check);
    Bench::memory(options().key_memory(KeyMemory::AtMost(0)), &check);
    Bench::disk(options(), &check);
}

fn put(archive: &mut Store, indices: impl IntoIterator<Item = u64>, life: u64) {
    for index in indices {
        let number = index ^ (life << 32);
        let _ = archive
            .put(index, &key(number), &value(number, LEN))
            .unwrap();
    }
}

/// That each index of this life is found by index and by key.
fn assert_holds(
    archive: &quipu::Reader<[u8; 8]>,
    indices: impl IntoIterator<Item = u64>,
    life: u64,
) {
    for index in indices {
        let number = index ^ (life << 32);
        let expected = Some(value(number, LEN).into());
        assert_eq!(archive.get(&key(number)).unwrap(), expected, "{index}");
        assert!(archive.has_at(index, &key(number)).unwrap(), "{index}");
        assert_eq!(archive.get(index).unwrap(), expected, "{index}");
    }
}

fn tables(bench: &Bench) -> Vec<String> {
    let names = bench.storage().list("quipu").unwrap();
    let is_table = |name: &String| name.starts_with("keys-");
    names.into_iter().filter(is_table).collect()
}

#[test]
fn a_closed_archive_rests_until_it_is_asked() {
    each(|bench| {
        bench.fill(95);
        let archive: Store = bench.open();
        assert!(archive.recovery().is_clean());
        let stats = archive.stats();
        // No section file was opened, no key is in memory.
        assert_eq!((stats.open_files, stats.page_cache_misses), (0, 0));
        assert_eq!((stats.keys, stats.keys_in_tables), (95, 95));
        assert_eq!((stats.sections, stats.items_tracked), (10, 95));
        assert!(stats.disk_index > 0 && stats.disk_values > 0 && stats.disk_tables > 0);
        let told = archive.sections();
        assert_eq!(told.iter().map(|of| of.entries).sum::<u64>(), 95);
        assert_eq!(archive.next_gap(0), (Some(94), None));
        for index in [94, 0, 17] {
            let found = archive.get_item(&key(index)).unwrap().unwrap();
            assert_eq!((found.index, found.value), (index, value(index, 30).into()));
        }
        assert!(archive.stats().open_files <= 6);
        assert_eq!(archive.get(&key(1_000)).unwrap(), None);
        let all: Vec<u64> = archive.range(..).map(|item| item.unwrap().index).collect();
        assert!(all.into_iter().eq(0..95));
        assert!(archive.verify(&mut |_| {}).unwrap().is_clean());
    });
}

#[test]
fn what_is_put_after_a_rest_is_found_with_the_rest() {
    each(|bench| {
        let mut archive = bench.open();
        for life in 0..4 {
            put(&mut archive, 20 * life..20 * life + 17, 0);
            archive.close().unwrap();
            archive = bench.open();
        }
        // Gaps in sections that rest, and behind them.
        for life in 0..4 {
            put(&mut archive, 20 * life + 17..20 * life + 20, 0);
        }
        for _ in 0..3 {
            assert_holds(&archive, 0..80, 0);
            archive.close().unwrap();
            archive = bench.open();
        }
        assert_eq!(archive.next_gap(0), (Some(79), None));
    });
}

#[test]
fn sections_that_were_filled_out_of_order() {
    each(|bench| {
        let mut archive = bench.open();
        put(&mut archive, (0..30).map(|n| n * 7 % 30), 0);
        for n in 0..3 {
            let _ = archive
                .put_multi(5, &key(500 + n), &value(500 + n, LEN))
                .unwrap();
        }
        archive.close().unwrap();
        let archive: Store = bench.open();
        assert_holds(&archive, 0..30, 0);
        let archive: Store = {
            drop(archive);
            bench.open()
        };
        let at_five: Vec<_> = archive.get_all(5).unwrap();
        assert_eq!(at_five[1..], [500, 501, 502].map(|n| value(n, LEN)));
        assert!((500..503).all(|n| archive.has_at(5, &key(n)).unwrap()));
    });
}

#[test]
fn keys_of_before_a_rewind_are_gone_and_new_ones_are_found() {
    each(|bench| {
        bench.fill(0);
        let mut archive = bench.open();
        put(&mut archive, 0..40, 0);
        archive.close().unwrap();
        for (life, at) in [(1, 33), (2, 25), (3, 12), (4, 9)] {
            let mut archive: Store = bench.open();
            archive.rewind(at).unwrap();
            put(&mut archive, at + 1..40, life);
            match life % 2 {
                0 => archive.close().unwrap(),
                _ => {
                    archive.sync().unwrap();
                    drop(archive)
                }
            }
            let archive: Store = bench.open();
            assert_holds(&archive, at + 1..40, life);
            assert_holds(&archive, 0..10, 0);
            for old in 0..life {
                let gone = (at + 1..40)
                    .filter(|index| archive.get(&key(index ^ (old << 32))).unwrap().is_some());
                assert_eq!(gone.count(), 0);
            }
        }
    });
}

/// A copy of a table from before a rewind has places of items that are gone.
#[test]
fn an_older_table_is_not_believed() {
    each(|bench| {
        let mut archive = bench.open();
        put(&mut archive, 0..20, 0);
        archive.close().unwrap();
        let old: Vec<_> = tables(bench)
            .into_iter()
            .map(|name| (bench.read("quipu", &name), name))
            .collect();
        let mut archive: Store = bench.open();
        archive.rewind(4).unwrap();
        put(&mut archive, (5..20).rev(), 1);
        archive.close().unwrap();
        for (bytes, name) in &old {
            bench.write("quipu", name, bytes);
        }
        for _ in 0..2 {
            let archive: Store = bench.open();
            assert_holds(&archive, 0..5, 0);
            assert_holds(&archive, 5..20, 1);
        }
    });
}

#[test]
fn tables_are_merged_and_pruned() {
    each(|bench| {
        let mut archive = bench.open();
        let mut most = 0;
        for first in (0..1_000).step_by(10) {
            put(&mut archive, first..first + 10, 0);
            archive.sync().unwrap();
            most = most.max(tables(bench).len());
        }
        // Up to 3 of each size, and those of a merge that is under way.
        assert!(most <= 20, "{most}");
        archive.prune(900).unwrap();
        archive.close().unwrap();
        let archive: Store = bench.open();
        assert_holds(&archive, 900..1_000, 0);
        assert_eq!(archive.get(&key(899)).unwrap(), None);
        // What is left of a merged table is of live keys alone, or gone.
        let mut archive = archive;
        archive.prune(2_000).unwrap();
        assert_eq!(tables(bench), [""; 0]);
        assert_eq!(archive.stats().keys_in_tables, 0);
    });
}

#[test]
fn without_its_tables_an_archive_is_read_anew() {
    each(|bench| {
        bench.fill(55);
        for name in tables(bench) {
            bench.storage().remove("quipu", &name).unwrap();
        }
        for _ in 0..2 {
            let archive: Store = bench.open();
            assert!(archive.recovery().is_clean());
            assert!((0..55).all(|index| archive.has_at(index, &key(index)).unwrap()));
            archive.close().unwrap();
        }
    });
}

/// Every page of every table, with a reader beside and with one in another process.
#[test]
fn no_key_is_lost_with_a_damaged_page() {
    Bench::memory(options().keys_per_table(100), |bench| {
        bench.fill(700);
        let name = tables(bench).remove(0);
        let whole = bench.read("quipu", &name);
        for at in (100..whole.len()).step_by(4096) {
            bench.flip("quipu", &name, at);
            let beside: ReadOnly<[u8; 8]> =
                bench.options().open_read_only_on(bench.storage()).unwrap();
            assert!(
                (0..700).all(|index| beside.has_at(index, &key(index)).unwrap()),
                "{at}"
            );
            let archive: Store = bench.open();
            assert!(
                (0..700).all(|index| archive.has_at(index, &key(index)).unwrap()),
                "{at}"
            );
            assert_eq!(archive.get(&key(9_000)).unwrap(), None);
            archive.close().unwrap();
            bench.write("quipu", &name, &whole);
        }
    });
}

#[test]
fn a_damaged_table_is_told_and_a_repair_is_done_with_it() {
    Bench::memory(options().keys_per_table(100), |bench| {
        bench.fill(700);
        for name in tables(bench) {
            bench.flip("quipu", &name, 4096 + 100);
        }
        let beside: ReadOnly<[u8; 8]> = bench.options().open_read_only_on(bench.storage()).unwrap();
        let mut told = Vec::new();
        let report = beside.verify(&mut |event| {
            if let VerifyEvent::File {
                section: None,
                error,
            } = event
            {
                told.push(error.to_string());
            }
        });
        let report = report.unwrap();
        assert!(report.needs_repair() && report.damaged == 0);
        assert!(
            told.len() as u64 == report.damaged_files && told[0].contains("keys-"),
            "{told:?}"
        );
        let mut archive: Store = bench.open();
        archive.repair().unwrap();
        assert!(archive.verify(&mut |_| {}).unwrap().is_clean());
        assert!(archive.stats().tables_lost > 0);
        archive.close().unwrap();
        let archive: Store = bench.open();
        assert!(archive.verify(&mut |_| {}).unwrap().is_clean());
        assert!((0..700).all(|index| archive.has_at(index, &key(index)).unwrap()));
    });
}

/// The tables of another archive say nothing of this one.
#[test]
fn tables_of_another_archive() {
    Bench::memory(options(), |other| {
        other.fill(50);
        each(|bench| {
            bench.fill(30);
            for name in tables(other) {
                bench.write("quipu", &name, &other.read("quipu", &name));
            }
            let archive: Store = bench.open();
            assert!((0..30).all(|index| archive.has_at(index, &key(index)).unwrap()));
            assert_eq!(archive.get(&key(40)).unwrap(), None);
        });
    });
}

/// Damage in a section at rest is found when it is looked for, and then it is known, across restarts.
#[test]
fn damage_in_a_section_at_rest() {
    each(|bench| {
        bench.fill(40);
        // The page of the entries from the fourth to the seventh of the second section.
        bench.flip("index", "000000000000000a", HEADER + PAGE + 20);
        let archive: Store = bench.open();
        assert_eq!(archive.status(15).unwrap(), Status::Damaged);
        let lost = archive.missing_items(0, 100);
        assert!(
            lost.contains(&15) && lost.iter().all(|index| (10..20).contains(index)),
            "{lost:?}"
        );
        assert!(archive.get(15).is_err() && archive.has(&key(12)).unwrap());
        drop(archive);
        for _ in 0..2 {
            let archive: Store = bench.open();
            assert_eq!(archive.missing_items(0, 100), lost);
            assert_eq!(archive.recovery().damaged, lost.len() as u128);
        }
        let mut archive: Store = bench.open();
        put(&mut archive, lost.iter().copied(), 1);
        archive.close().unwrap();
        let archive: Store = bench.open();
        assert_holds(&archive, lost.iter().copied(), 1);
        let others = (0..40).filter(|index| !lost.contains(index));
        assert!(
            others
                .into_iter()
                .all(|index| archive.has_at(index, &key(index)).unwrap())
        );
    });
}

/// Files of sections at rest that are gone, or cut, before the open.
#[test]
fn sections_without_their_files_do_not_rest() {
    for partition in ["index", "values"] {
        each(|bench| {
            bench.fill(40);
            bench
                .storage()
                .remove(partition, "000000000000000a")
                .unwrap();
            let archive: Store = bench.open();
            assert_eq!(archive.status(15).unwrap(), Status::Damaged);
            assert_eq!(archive.missing_items(0, 100), (10..20).collect::<Vec<_>>());
            assert!(archive.get(&key(15)).map_or(true, |found| found.is_none()));
            assert!(archive.has_at(25, &key(25)).unwrap());
        });
    }
}

#[test]
fn readers_of_another_process_follow() {
    each(|bench| {
        bench.fill(30);
        let mut beside: ReadOnly<[u8; 8]> =
            bench.options().open_read_only_on(bench.storage()).unwrap();
        let mut archive: Store = bench.open();
        for round in 1..5 {
            put(&mut archive, 30 * round..30 * round + 30, 0);
            archive.sync().unwrap();
            beside.refresh().unwrap();
            assert_holds(&beside, 30..30 * round + 30, 0);
        }
        archive.prune(60).unwrap();
        beside.refresh().unwrap();
        assert_eq!(beside.get(&key(35)).unwrap(), None);
        assert_holds(&beside, 60..150, 0);
        archive.rewind(100).unwrap();
        put(&mut archive, 101..140, 2);
        archive.close().unwrap();
        beside.refresh().unwrap();
        assert_holds(&beside, 60..101, 0);
        assert_holds(&beside, 101..140, 2);
    });
}

#[test]
fn a_destroyed_archive_leaves_no_table() {
    each(|bench| {
        bench.fill(30);
        let archive: Store = bench.open();
        archive.destroy().unwrap();
        assert!(bench.storage().list("quipu").unwrap().is_empty());
    });
}

/// Too few files for tables: the keys are in memory, and the tables stay for who can open them.
#[test]
fn without_files_for_tables_the_keys_are_in_memory() {
    Bench::memory(options(), |bench| {
        bench.fill(30);
        let before = tables(bench);
        let small = bench.options().max_open_files(8);
        let mut archive: Store = small.open_on(bench.storage()).unwrap();
        assert_eq!(
            (archive.stats().keys, archive.stats().keys_in_tables),
            (30, 0)
        );
        put(&mut archive, 30..60, 0);
        archive.close().unwrap();
        assert_eq!(tables(bench), before);
        let archive: Store = bench.open();
        assert_holds(&archive, 30..60, 0);
        assert!((0..30).all(|index| archive.has_at(index, &key(index)).unwrap()));
    });
}

#[test]
fn a_table_is_of_one_key_at_least() {
    let none = Options::new().keys_per_table(0);
    let refused =
        none.open_on::<[u8; 8], quipu::Bytes>(std::sync::Arc::new(quipu::storage::Memory::new()));
    assert!(refused.unwrap_err().to_string().contains("keys_per_table"));
}

/// Keys that a table has leave the memory.
#[test]
fn a_key_is_in_memory_or_in_a_table() {
    each(|bench| {
        let mut archive: Store = bench.open();
        put(&mut archive, 0..90, 0);
        archive.sync().unwrap();
        // They leave it beside the writer, soon after the table is there.
        let is_moved = |_: &u32| {
            std::thread::sleep(std::time::Duration::from_millis(1));
            let stats = archive.stats();
            (stats.keys, stats.keys_in_tables) == (90, 90)
        };
        assert!((0..10_000).any(|n| is_moved(&n)), "{:?}", archive.stats());
        assert_holds(&archive, 0..90, 0);
    });
}

/// One item an index, but in another order than that of the indices: what is done first finds out.
#[test]
fn an_order_that_was_presumed_wrongly_is_found_out_by_whatever_comes_first() {
    each(|bench| {
        let mut archive: Store = bench.open();
        put(&mut archive, (0..10).rev(), 0);
        archive.close().unwrap();
        let all: Vec<_> = (0..10).map(|index| value(index, LEN)).collect();
        let values = |archive: &Store| -> Vec<Vec<u8>> {
            let items = archive.range(..10).map(|item| item.unwrap().value.to_vec());
            items.collect()
        };
        assert_eq!(values(&bench.open()), all);
        assert_eq!(bench.open::<8>().get_all(3).unwrap(), [value(3, LEN)]);
        assert_eq!(bench.open::<8>().key_of(3).unwrap(), Some(key(3)));
        assert!(bench.open::<8>().verify(&mut |_| {}).unwrap().is_clean());
        assert_holds(&bench.open::<8>(), 0..10, 0);
        let mut archive: Store = bench.open();
        let _ = archive.put_multi(3, &key(900), &value(900, LEN)).unwrap();
        assert_eq!(
            archive.get_all(3).unwrap(),
            [value(3, LEN), value(900, LEN)]
        );
        assert_holds(&archive, 0..10, 0);
        archive.close().unwrap();
        let archive: Store = bench.open();
        assert!(archive.has_at(3, &key(900)).unwrap());
        assert_holds(&archive, 0..10, 0);
    });
}
