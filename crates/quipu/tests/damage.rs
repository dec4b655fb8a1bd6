//! Damage of what was durable: told, never hidden, never spread, filled by a put.

mod common;

use std::collections::BTreeSet;

use common::{Bench, key, value};
use quipu::{Archive, Compression, Error, Options, Status, VerifyEvent};

const ITEMS: u64 = 40;
const ITEMS_PER_SECTION: u64 = 8;
/// Bytes of a header in the layout of new files.
const HEADER: usize = 4096;

type Store = Archive<[u8; 8]>;

fn options() -> Options {
    // Entries of 28 bytes straddle pages of 60.
    Options::new()
        .items_per_section(ITEMS_PER_SECTION)
        .page_size(60)
}

/// Fills an archive, has it damaged, and checks that the items in `lost` and no others are lost,
/// before and after a restart, and that puts mend it.
fn damaged(options: &Options, damage: impl Fn(&Bench), lost: impl Fn(u64) -> bool) {
    Bench::memory(options.clone(), |bench| {
        bench.fill(ITEMS);
        damage(bench);
        for _ in 0..2 {
            let archive: Store = bench.open();
            check(&archive, &lost);
            archive.close().unwrap();
        }
        mend(bench, &lost);
    });
}

fn check(archive: &Store, lost: &impl Fn(u64) -> bool) {
    let mut found = BTreeSet::new();
    for index in 0..ITEMS {
        let read = archive.get(index);
        match lost(index) {
            true => assert!(
                read.as_ref().is_err_and(Error::is_corruption),
                "{index}: {read:?}"
            ),
            false => assert_eq!(read.unwrap().unwrap(), value(index, 30), "{index}"),
        }
        match archive.get(&key::<8>(index)) {
            Ok(Some(read)) => assert_eq!(read, value(index, 30)),
            Ok(None) | Err(_) => assert!(lost(index), "{index}"),
        }
        let status = archive.status(index).unwrap();
        assert_eq!(
            status,
            if lost(index) {
                Status::Damaged
            } else {
                Status::Present
            },
            "{index}"
        );
        if status == Status::Damaged {
            found.insert(index);
        }
    }
    assert_eq!(
        archive.missing_items(0, 1000),
        found.iter().copied().collect::<Vec<_>>()
    );
    let whole: Vec<u64> = archive
        .range(..)
        .filter_map(|item| Some(item.ok()?.index))
        .collect();
    assert_eq!(
        whole,
        (0..ITEMS).filter(|&index| !lost(index)).collect::<Vec<_>>()
    );
}

fn mend(bench: &Bench, lost: &impl Fn(u64) -> bool) {
    let mut archive: Store = bench.open();
    for index in (0..ITEMS).filter(|&index| lost(index)) {
        let _ = archive.put(index, &key(index), &value(index, 30)).unwrap();
    }
    check(&archive, &|_| false);
    archive.close().unwrap();
    check(&bench.open(), &|_| false);
}

/// What `verify` tells of, in words.
fn told(bench: &Bench) -> Vec<String> {
    let mut told = Vec::new();
    let report = bench.open::<8>().verify(&mut |event| {
        if let VerifyEvent::Damage(damage) = event {
            told.push(damage.error.to_string());
        }
    });
    assert!(!report.unwrap().is_clean());
    told
}

#[test]
fn every_flipped_byte_of_a_value_loses_that_item_alone() {
    let item = 34;
    for at in 0..3 * item {
        let damage = |bench: &Bench| bench.flip("values", "0000000000000008", HEADER + at);
        damaged(&options(), damage, |index| index == 8 + (at / item) as u64);
    }
}

#[test]
fn every_flipped_byte_of_a_page_loses_the_entries_that_overlap_it() {
    let (page, entry) = (72, 28);
    for at in (page..2 * page).step_by(5) {
        let damage = |bench: &Bench| bench.flip("index", "0000000000000008", HEADER + at);
        let overlaps = |index: u64| {
            let start = (index.wrapping_sub(8)).wrapping_mul(entry);
            (8..16).contains(&index) && start < 120 && start + entry > 60
        };
        // The second slot of a full page is not in use.
        let unused = (page + 66..2 * page).contains(&at);
        damaged(&options(), damage, |index| !unused && overlaps(index));
    }
}

#[test]
fn a_value_file_cut_short_loses_what_was_cut_and_nothing_later() {
    for kept in [0, 1, 33, 34, 35, 100, 271] {
        let damage = |bench: &Bench| {
            let whole = bench.read("values", "0000000000000010");
            bench.write("values", "0000000000000010", &whole[..HEADER + kept]);
        };
        let cut = |index: u64| (16..24).contains(&index) && (index as usize - 15) * 34 > kept;
        damaged(&options(), damage, cut);
    }
}

#[test]
fn an_index_file_cut_short_loses_the_entries_that_were_cut() {
    for kept in [0, 1, 71, 72, 100, 144, 215] {
        let damage = |bench: &Bench| {
            let whole = bench.read("index", "0000000000000010");
            bench.write("index", "0000000000000010", &whole[..HEADER + kept]);
        };
        // The last six bytes are a slot that is not in use: zeros, whether they are there or not.
        let pages = (kept + 6) / 72;
        let cut = |index: u64| (16..24).contains(&index) && (index as usize - 15) * 28 > pages * 60;
        damaged(&options(), damage, cut);
    }
}

#[test]
fn a_removed_file_loses_its_section_and_no_other() {
    for partition in ["index", "values"] {
        for section in [0u64, 16, 32] {
            let name = format!("{section:016x}");
            let damage = |bench: &Bench| bench.storage().remove(partition, &name).unwrap();
            damaged(&options(), damage, |index| {
                (section..section + 8).contains(&index)
            });
        }
    }
}

#[test]
fn both_files_of_a_section_removed() {
    let damage = |bench: &Bench| {
        for partition in ["index", "values"] {
            bench
                .storage()
                .remove(partition, "0000000000000010")
                .unwrap();
        }
    };
    damaged(&options(), damage, |index| (16..24).contains(&index));
}

#[test]
fn a_compressed_value_that_is_damaged() {
    let options = options().compression(Compression::Zstd(3));
    let damage = |bench: &Bench| bench.flip("values", "0000000000000000", HEADER + 20);
    damaged(&options, damage, |index| index == 0);
}

#[test]
fn zeroed_blocks_lose_what_they_held() {
    let damage = |bench: &Bench| {
        let mut bytes = bench.read("values", "0000000000000018");
        bytes[HEADER + 40..HEADER + 90].fill(0);
        bench.write("values", "0000000000000018", &bytes);
    };
    damaged(&options(), damage, |index| [25, 26].contains(&index));
}

#[test]
fn verify_names_file_offset_expected_and_found() {
    Bench::memory(options(), |bench| {
        bench.fill(ITEMS);
        bench.flip("values", "0000000000000008", HEADER + 40);
        bench.flip("index", "0000000000000010", HEADER + 80);
        let told = told(bench);
        let all = told.join("\n");
        assert!(
            all.contains("values/0000000000000008 at offset 34: checksum mismatch, expected "),
            "{all}"
        );
        assert!(
            all.contains("index/0000000000000010 at offset 72: checksum mismatch, expected "),
            "{all}"
        );
        assert!(all.contains(", found "), "{all}");
    });
}

/// Also what is no section's, what is gone, and what a file was cut to.
#[test]
fn verify_names_what_is_wrong_with_every_file() {
    let cut = |bench: &Bench| {
        let name = "0000000000000010";
        let index = bench.read("index", name);
        bench.write("index", name, &index[..HEADER + 10]);
    };
    let remove_both = |bench: &Bench| {
        for partition in ["index", "values"] {
            let name = "0000000000000010";
            bench.storage().remove(partition, name).unwrap();
        }
    };
    let remove_marks = |bench: &Bench| bench.storage().remove("quipu", "marks").unwrap();
    type Damage<'a> = &'a dyn Fn(&Bench);
    let cases: [(Damage<'_>, &str); 6] = [
        (
            &|bench| bench.flip("quipu", "marks", 60),
            "quipu/marks at offset 48: checksum mismatch",
        ),
        (
            &|bench| bench.flip("quipu", "marks", 9),
            "quipu/marks at offset 0: its header",
        ),
        (&remove_marks, "quipu/marks at offset 0: the file is gone"),
        (
            &remove_both,
            "index/0000000000000010 at offset 0: the file is gone",
        ),
        (
            &cut,
            "index/0000000000000010 at offset 0: the page is not there: expected at least ",
        ),
        (
            &|bench| bench.flip("quipu", "manifest", 30),
            "quipu/manifest",
        ),
    ];
    for (damage, expected) in cases {
        Bench::memory(options(), |bench| {
            bench.fill(ITEMS);
            damage(bench);
            let beside = bench.options().open_read_only_on(bench.storage());
            let beside: quipu::ReadOnly<[u8; 8]> = beside.unwrap();
            let mut told = Vec::new();
            let report = beside.verify(&mut |event| match event {
                VerifyEvent::Damage(damage) => told.push(damage.error.to_string()),
                VerifyEvent::File { error, .. } | VerifyEvent::Unreadable { error, .. } => {
                    told.push(error.to_string());
                }
                _ => {}
            });
            assert!(!report.unwrap().is_clean(), "{expected}");
            assert!(
                told.iter().any(|told| told.contains(expected)),
                "{expected}: {told:#?}"
            );
        });
    }
}

/// Without marks a reader beside reads the same files as a writer does.
#[test]
fn without_marks_a_dry_run_says_what_a_repair_does() {
    Bench::each(options(), |bench| {
        bench.fill(ITEMS);
        bench.storage().remove("quipu", "marks").unwrap();
        bench.flip("index", "0000000000000008", HEADER + 80);
        let beside = bench.options().open_read_only_on(bench.storage());
        let mut beside: quipu::ReadOnly<[u8; 8]> = beside.unwrap();
        let (ranges, plan) = (beside.ranges(), beside.plan_repair().unwrap());
        assert!(
            plan.entries_lost() > 0 && plan.entries_kept() > 0,
            "{plan:?}"
        );
        beside.refresh().unwrap();
        assert_eq!(beside.ranges(), ranges);
        let mut archive: Store = bench.open();
        assert_eq!(archive.ranges(), ranges);
        assert_eq!(
            format!("{:?}", archive.repair().unwrap()),
            format!("{plan:?}")
        );
    });
}

#[test]
fn damage_changes_no_file() {
    Bench::memory(options(), |bench| {
        bench.fill(ITEMS);
        bench.flip("index", "0000000000000010", HEADER + 80);
        bench.flip("index", "0000000000000020", HEADER + 160);
        bench.flip("values", "0000000000000008", HEADER + 40);
        let files = ["0000000000000008", "0000000000000010", "0000000000000020"];
        let read = || files.map(|name| (bench.read("index", name), bench.read("values", name)));
        let before = read();
        let archive: Store = bench.open();
        let _ = archive.verify(&mut |_| {}).unwrap();
        archive.close().unwrap();
        assert_eq!(read(), before);
    });
}

#[test]
fn of_several_items_at_one_index_the_others_stay() {
    Bench::memory(options(), |bench| {
        let mut archive: Store = bench.open();
        for n in 0..3u64 {
            let _ = archive.put_multi(5, &key(n), &value(n, 30)).unwrap();
        }
        archive.close().unwrap();
        bench.flip("values", "0000000000000000", HEADER);
        let archive: Store = bench.open();
        assert_eq!(archive.get(5).unwrap().unwrap(), value(1, 30));
        assert!(archive.get(&key::<8>(0)).is_err());
        assert_eq!(archive.get(&key::<8>(2)).unwrap().unwrap(), value(2, 30));
        assert_eq!(archive.status(5).unwrap(), Status::Present);
        assert_eq!(archive.missing_items(0, 10), [0, 1, 2, 3, 4]);
    });
}

#[test]
fn marks_that_are_lost_lose_no_item() {
    Bench::memory(options(), |bench| {
        bench.fill(ITEMS);
        let whole = bench.read("quipu", "marks");
        for at in 0..whole.len() {
            bench.flip("quipu", "marks", at);
            let archive: Store = bench.open();
            assert!(archive.recovery().marks_incomplete);
            check(&archive, &|_| false);
            drop(archive);
            bench.write("quipu", "marks", &whole);
        }
        bench.storage().remove("quipu", "marks").unwrap();
        check(&bench.open(), &|_| false);
    });
}

#[test]
fn a_limit_of_one_open_damages_nothing() {
    for compression in [Compression::Off, Compression::Zstd(3)] {
        Bench::each(Options::new().compression(compression), |bench| {
            let mut archive: Store = bench.open();
            let _ = archive.put(1, &key(1), &vec![7u8; 1000]).unwrap();
            archive.close().unwrap();
            let options = bench.options().max_value_size(100);
            let limited: Store = options.open_on(bench.storage()).unwrap();
            let refused = limited.get(1);
            assert!(
                matches!(refused, Err(Error::ValueTooLarge { .. })),
                "{refused:?}"
            );
            limited.close().unwrap();
            let archive: Store = bench.open();
            assert_eq!(archive.status(1).unwrap(), Status::Present);
            assert_eq!(archive.get(&key::<8>(1)).unwrap().unwrap(), vec![7u8; 1000]);
        });
    }
}

#[test]
fn lost_entries_are_known_however_many_runs_there_are() {
    // No key table, so that the section is read at the next open.
    Bench::memory(Options::new().keys_per_table(1 << 20), |bench| {
        let mut archive: Store = bench.open();
        for index in 0..10_000u64 {
            let _ = archive.put(2 * index, &key(index), b"value").unwrap();
            if index % 100 == 0 {
                archive.sync().unwrap();
            }
        }
        archive.close().unwrap();
        bench.flip("index", "0000000000000000", HEADER + 3 * 4096 + 100);
        let archive: Store = bench.open();
        let lost = archive.recovery().damaged;
        assert!((100..200).contains(&lost), "{lost}");
        let gone =
            (0..10_000).filter(|&index| archive.status(2 * index).unwrap() != Status::Present);
        let gone: Vec<u64> = gone.collect();
        assert_eq!(gone.len() as u128, lost);
        for index in gone {
            assert_eq!(archive.status(2 * index).unwrap(), Status::Damaged);
        }
    });
}

#[test]
fn a_reader_beside_sees_that_files_are_lost() {
    for partition in ["index", "values"] {
        Bench::each(options(), |bench| {
            bench.fill(ITEMS);
            bench
                .storage()
                .remove(partition, "0000000000000008")
                .unwrap();
            let beside = bench.options().open_read_only_on(bench.storage());
            let beside: quipu::ReadOnly<[u8; 8]> = beside.unwrap();
            assert_eq!(beside.status(9).unwrap(), Status::Damaged);
            let report = beside.verify(&mut |_| {}).unwrap();
            assert_eq!(
                (report.unreadable_sections, report.lost_indices),
                (1, ITEMS_PER_SECTION.into())
            );
        });
    }
}

#[test]
fn values_that_are_gone_are_missing_before_anybody_reads_them() {
    Bench::each(options(), |bench| {
        bench.fill(ITEMS);
        bench
            .storage()
            .remove("values", "0000000000000008")
            .unwrap();
        for _ in 0..2 {
            let archive: Store = bench.open();
            assert_eq!(archive.missing_items(0, 100), (8..16).collect::<Vec<u64>>());
            assert_eq!(archive.recovery().damaged, 8);
        }
        let mut archive: Store = bench.open();
        for index in 8..16 {
            let _ = archive.put(index, &key(index), &value(index, 30)).unwrap();
        }
        archive.close().unwrap();
        let archive: Store = bench.open();
        assert_eq!(archive.missing_items(0, 100), []);
        assert_eq!(archive.get(12).unwrap().unwrap(), value(12, 30));
    });
}

/// The locks of the stored runs and of the damage were once taken in either order.
#[test]
fn finding_damage_beside_other_questions_does_not_hang() {
    Bench::memory(Options::new(), |bench| {
        let mut archive: Store = bench.open();
        for index in 0..4000u64 {
            let _ = archive.put(index, &key(index), b"value").unwrap();
        }
        archive.close().unwrap();
        let name = "0000000000000000";
        let mut bytes = bench.read("values", name);
        for at in (HEADER..bytes.len()).step_by(9) {
            bytes[at] ^= 1;
        }
        bench.write("values", name, &bytes);
        let mut archive: Store = bench.open();
        let (reader, beside) = (archive.reader(), archive.reader());
        std::thread::scope(|scope| {
            let finding =
                scope.spawn(move || (0..4000).filter(|&i| reader.get(i).is_err()).count());
            while !finding.is_finished() {
                let _ = (beside.missing_items(0, 1), beside.stats());
                archive.sync().unwrap();
            }
            assert_eq!(finding.join().unwrap(), 4000);
        });
        assert_eq!(archive.stats().damaged, 4000);
    });
}

#[test]
fn without_marks_a_damaged_page_is_not_taken_for_a_torn_end() {
    Bench::memory(options(), |bench| {
        bench.fill(ITEMS);
        let name = "0000000000000008";
        bench.flip("index", name, HEADER + 3);
        bench.flip("quipu", "marks", 40);
        let beside = bench.options().open_read_only_on(bench.storage());
        let beside: quipu::ReadOnly<[u8; 8]> = beside.unwrap();
        assert!(beside.verify(&mut |_| {}).unwrap().marks_incomplete);
        let before = bench.read("index", name);
        let archive: Store = bench.open();
        assert!(archive.recovery().marks_incomplete);
        assert_eq!(archive.get(15).unwrap().unwrap(), value(15, 30));
        drop(archive);
        assert_eq!(bench.read("index", name), before);
    });
}
