//! Repair: sections without their damage, the old bytes kept, what was lost told until it is back.

mod common;

use std::collections::BTreeMap;

use common::{Bench, key, value, values_at};
use quipu::{Archive, Compression, Options, ReadOnly, RepairReport, Status, VerifyReport};

const ITEMS: u64 = 40;
/// Bytes of a header in the layout of new files.
const HEADER: usize = 4096;
/// Bytes of a page of 60 on disk, of a value with its checksum.
const PAGE: usize = 72;
const VALUE: usize = 34;

type Store = Archive<[u8; 8]>;

fn options() -> Options {
    // Entries of 28 bytes straddle pages of 60.
    Options::new().items_per_section(8).page_size(60)
}

fn verify(archive: &Store) -> VerifyReport {
    archive.verify(&mut |_| {}).unwrap()
}

/// Every index of a report, ascending.
fn lost_of(report: &RepairReport) -> Vec<u64> {
    let runs = report.sections.iter().flat_map(|of| of.lost.clone());
    runs.flatten().collect()
}

/// What is lost is damaged and missing, everything else is as it was put.
fn check(archive: &Store, lost: &[u64]) {
    assert_eq!(archive.missing_items(0, 1000), lost);
    for index in 0..ITEMS {
        let is_lost = lost.contains(&index);
        let status = archive.status(index).unwrap();
        assert_eq!(status == Status::Damaged, is_lost, "{index}: {status:?}");
        if !is_lost {
            assert_eq!(archive.get(index).unwrap().unwrap(), value(index, 30));
            let by_key = archive.get_item(&key::<8>(index)).unwrap().unwrap();
            assert_eq!((by_key.index, &*by_key.value), (index, &*value(index, 30)));
        }
    }
}

/// Fills an archive, has it damaged, repairs it, and looks at everything before and after puts and
/// restarts.
fn repaired(options: Options, damage: impl Fn(&Bench), lost: &[u64]) {
    Bench::each(options, |bench| {
        bench.fill(ITEMS);
        damage(bench);
        let mut archive: Store = bench.open();
        let planned = archive.plan_repair().unwrap();
        let report = archive.repair().unwrap();
        assert_eq!(format!("{planned:?}"), format!("{report:?}"));
        assert_eq!(lost_of(&report), lost);
        assert_eq!(report.lost_indices(), lost.len() as u128);
        let again = archive.repair().unwrap();
        assert!(again.is_empty(), "{again:?}");
        for _ in 0..2 {
            check(&archive, lost);
            let verified = verify(&archive);
            assert!(!verified.needs_repair(), "{verified:?}");
            assert_eq!(verified.lost_indices, lost.len() as u128);
            assert_eq!(verified.is_clean(), lost.is_empty());
            archive.close().unwrap();
            archive = bench.open();
            assert!(archive.recovery().sections.is_empty());
        }
        put_again(bench, archive, lost);
    });
}

/// What was lost is put again, and nothing is damaged then.
fn put_again(bench: &Bench, mut archive: Store, lost: &[u64]) {
    for &index in lost {
        let _ = archive.put(index, &key(index), &value(index, 30)).unwrap();
    }
    archive.close().unwrap();
    let archive: Store = bench.open();
    check(&archive, &[]);
    assert!(verify(&archive).is_clean());
}

#[test]
fn a_flipped_byte_of_a_value() {
    let damage = |bench: &Bench| bench.flip("values", "0000000000000008", HEADER + 40);
    repaired(options(), damage, &[9]);
}

#[test]
fn a_flipped_byte_of_a_page_takes_the_entries_that_overlap_it() {
    let damage = |bench: &Bench| bench.flip("index", "0000000000000008", HEADER + PAGE + 3);
    repaired(options(), damage, &[10, 11, 12]);
}

#[test]
fn a_flipped_byte_of_the_last_page() {
    let damage = |bench: &Bench| bench.flip("index", "0000000000000010", HEADER + 3 * PAGE + 3);
    repaired(options(), damage, &[22, 23]);
}

#[test]
fn damage_in_several_sections_and_both_files() {
    let damage = |bench: &Bench| {
        bench.flip("values", "0000000000000000", HEADER + 1);
        bench.flip("values", "0000000000000000", HEADER + 6 * VALUE + 1);
        bench.flip("index", "0000000000000000", HEADER + 3);
        bench.flip("values", "0000000000000020", HEADER + 7 * VALUE + 33);
    };
    repaired(options(), damage, &[0, 1, 2, 6, 39]);
}

#[test]
fn every_entry_of_a_section() {
    let damage = |bench: &Bench| {
        for at in 0..8 {
            bench.flip("values", "0000000000000018", HEADER + at * VALUE);
        }
    };
    repaired(options(), damage, &[24, 25, 26, 27, 28, 29, 30, 31]);
}

#[test]
fn files_that_are_gone() {
    for partition in ["index", "values"] {
        let damage = |bench: &Bench| {
            let storage = bench.storage();
            storage.remove(partition, "0000000000000010").unwrap();
        };
        repaired(options(), damage, &[16, 17, 18, 19, 20, 21, 22, 23]);
    }
}

#[test]
fn both_files_that_are_gone() {
    let damage = |bench: &Bench| {
        for partition in ["index", "values"] {
            let storage = bench.storage();
            storage.remove(partition, "0000000000000010").unwrap();
        }
    };
    repaired(options(), damage, &[16, 17, 18, 19, 20, 21, 22, 23]);
}

#[test]
fn files_that_are_cut_short() {
    for (partition, kept) in [("index", PAGE), ("values", 3 * VALUE + 5)] {
        let damage = |bench: &Bench| {
            let whole = bench.read(partition, "0000000000000010");
            bench.write(partition, "0000000000000010", &whole[..HEADER + kept]);
        };
        let first = if partition == "index" { 18 } else { 19 };
        repaired(options(), damage, &(first..24).collect::<Vec<_>>());
    }
}

#[test]
fn compressed_values() {
    let damage = |bench: &Bench| {
        bench.flip("values", "0000000000000008", HEADER + 40);
    };
    let options = options().compression(Compression::Zstd(3));
    Bench::each(options, |bench| {
        bench.fill(ITEMS);
        damage(bench);
        let mut archive: Store = bench.open();
        let lost = lost_of(&archive.repair().unwrap());
        assert_eq!(lost.len(), 1);
        check(&archive, &lost);
        archive.close().unwrap();
        check(&bench.open(), &lost);
    });
}

/// CRC-32C, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc: u32, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0x82F6_3B78 } else { 0 }
        })
    })
}

#[test]
fn a_value_whose_checksum_is_right_and_that_does_not_decompress() {
    assert_eq!(crc32c(b"123456789"), 0xE306_9283);
    Bench::each(options().compression(Compression::Zstd(3)), |bench| {
        bench.fill(ITEMS);
        let name = "0000000000000008";
        let mut bytes = bench.read("values", name);
        let frames = bytes.windows(4).enumerate();
        let frames = frames.filter(|(_, magic)| *magic == [0x28, 0xb5, 0x2f, 0xfd]);
        let starts: Vec<usize> = frames.map(|(at, _)| at).collect();
        // Neither the first nor the last: these are known by their checksums.
        let (start, end) = (starts[1], starts[2]);
        bytes[start] ^= 1;
        let crc = crc32c(&bytes[start..end - 4]);
        bytes[end - 4..end].copy_from_slice(&crc.to_be_bytes());
        bench.write("values", name, &bytes);
        let mut archive: Store = bench.open();
        let report = archive.repair().unwrap();
        assert_eq!(lost_of(&report), [9]);
        let why = report.sections[0].why[0].to_string();
        assert!(why.contains("decompress"), "{why}");
        check(&archive, &[9]);
    });
}

#[test]
fn of_several_items_at_an_index_the_whole_ones_stay() {
    Bench::each(options(), |bench| {
        let mut archive: Store = bench.open();
        for n in 0..3u64 {
            let _ = archive.put_multi(5, &key(n), &value(n, 30)).unwrap();
        }
        let _ = archive.put(6, &key(6), &value(6, 30)).unwrap();
        archive.close().unwrap();
        bench.flip("values", "0000000000000000", HEADER + VALUE);
        let mut archive: Store = bench.open();
        let report = archive.repair().unwrap();
        assert_eq!((report.entries_lost(), report.lost_indices()), (1, 0));
        for _ in 0..2 {
            assert_eq!(values_at(&archive, 5), [value(0, 30), value(2, 30)]);
            assert!(archive.has_at(5, &key(2)).unwrap());
            assert!(!archive.has_at(5, &key(1)).unwrap());
            assert!(verify(&archive).is_clean());
            archive.close().unwrap();
            archive = bench.open();
        }
    });
}

/// The place that an entry moves to was the old place of another with the same key.
#[test]
fn items_under_one_key_are_found_after_they_moved() {
    Bench::each(options(), |bench| {
        let mut archive: Store = bench.open();
        for index in 0..6u64 {
            let _ = archive.put(index, &key(7), &value(index, 30)).unwrap();
        }
        archive.close().unwrap();
        bench.flip("values", "0000000000000000", HEADER + VALUE);
        // Noted before the restart, so that its key is not in memory after it.
        assert!(bench.open::<8>().get(1).is_err());
        let mut archive: Store = bench.open();
        assert_eq!(lost_of(&archive.repair().unwrap()), [1]);
        for index in [0, 2, 3, 4, 5] {
            assert!(archive.has_at(index, &key(7)).unwrap(), "{index}");
        }
    });
}

#[test]
fn a_section_that_was_rewound_and_put_again() {
    Bench::each(options(), |bench| {
        bench.fill(ITEMS);
        let mut archive: Store = bench.open();
        archive.rewind(35).unwrap();
        for index in 36..ITEMS {
            let _ = archive.put(index, &key(index), &value(index, 30)).unwrap();
        }
        archive.close().unwrap();
        // Behind the dead values of the items that were dropped.
        bench.flip("values", "0000000000000020", HEADER + 9 * VALUE);
        let mut archive: Store = bench.open();
        assert_eq!(lost_of(&archive.repair().unwrap()), [37]);
        archive.rewind(36).unwrap();
        assert_eq!(archive.missing_items(0, 9), []);
        assert_eq!(archive.status(37).unwrap(), Status::Missing);
        archive.close().unwrap();
        let archive: Store = bench.open();
        assert_eq!(archive.get(36).unwrap().unwrap(), value(36, 30));
        assert!(verify(&archive).is_clean());
    });
}

#[test]
fn a_header_that_is_damaged_while_its_file_is_open() {
    for partition in ["index", "values"] {
        Bench::each(options(), |bench| {
            bench.fill(ITEMS);
            let mut archive: Store = bench.open();
            check(&archive, &[]);
            bench.flip(partition, "0000000000000008", 2);
            let hurt = bench.read(partition, "0000000000000008");
            assert_eq!(verify(&archive).damaged_files, 1);
            let planned = format!("{:?}", archive.plan_repair().unwrap());
            let report = archive.repair().unwrap();
            assert_eq!(planned, format!("{report:?}"));
            assert_eq!((report.entries_lost(), report.lost_indices()), (0, 0));
            let kept = report.sections[0].quarantine.last().unwrap();
            let name = kept.path.file_name().unwrap().to_str().unwrap();
            assert_eq!(bench.read("quarantine", name), hurt);
            for _ in 0..2 {
                check(&archive, &[]);
                assert!(verify(&archive).is_clean());
                archive.close().unwrap();
                archive = bench.open();
            }
        });
    }
}

/// Whether its layout can be told or not: nothing is made up, and the section can be used again.
#[test]
fn a_header_that_is_damaged_while_nobody_has_it_open() {
    for partition in ["index", "values"] {
        Bench::each(options(), |bench| {
            bench.fill(ITEMS);
            bench.flip(partition, "0000000000000008", 2);
            let hurt = bench.read(partition, "0000000000000008");
            let mut archive: Store = bench.open();
            let planned = format!("{:?}", archive.plan_repair().unwrap());
            let report = archive.repair().unwrap();
            assert_eq!(planned, format!("{report:?}"));
            let lost = lost_of(&report);
            let kept = bench.storage().list("quarantine").unwrap();
            let is_kept = |name: &String| bench.read("quarantine", name) == hurt;
            assert!(kept.iter().any(is_kept), "{kept:?}");
            check(&archive, &lost);
            assert!(!verify(&archive).needs_repair());
            put_again(bench, archive, &lost);
        });
    }
}

#[test]
fn quarantine_holds_the_old_bytes_and_is_never_written_twice() {
    Bench::each(options(), |bench| {
        bench.fill(ITEMS);
        let name = "0000000000000008";
        bench.flip("values", name, HEADER + VALUE + 3);
        bench.flip("values", name, HEADER + 2 * VALUE + 3);
        bench.flip("values", name, HEADER + 5 * VALUE);
        let (index, values) = (bench.read("index", name), bench.read("values", name));
        let mut archive: Store = bench.open();
        let report = archive.repair().unwrap();
        let first = bench.blobs();
        let kept = |name: &str| first[&("quarantine".to_owned(), name.to_owned())].clone();
        assert_eq!(kept("0000000000000008-1.index"), index);
        let at = |from: usize, to: usize| &values[HEADER + from * VALUE..HEADER + to * VALUE];
        assert_eq!(kept("0000000000000008-1.value-34"), at(1, 3));
        assert_eq!(kept("0000000000000008-1.value-170"), at(5, 6));
        let sizes = report.sections[0].quarantine.iter().map(|of| of.bytes);
        assert_eq!(
            sizes.collect::<Vec<_>>(),
            [index.len() as u64, 2 * VALUE as u64, VALUE as u64]
        );
        assert_eq!(bench.read("values", name), values);
        drop(archive);
        bench.flip("values", name, HEADER);
        archive = bench.open();
        assert_eq!(lost_of(&archive.repair().unwrap()), [8, 9, 10, 13]);
        let second = bench.blobs();
        for (name, bytes) in first.iter().filter(|((of, _), _)| of == "quarantine") {
            assert_eq!(&second[name], bytes);
        }
        assert!(second.contains_key(&(
            "quarantine".to_owned(),
            "0000000000000008-2.index".to_owned()
        )));
        let in_quarantine = second.iter().filter(|((of, _), _)| of == "quarantine");
        let in_quarantine: usize = in_quarantine.map(|(_, bytes)| bytes.len()).sum();
        let other = second.iter().filter(|((of, name), _)| {
            of == "quipu" && ["manifest", "marks"].contains(&name.as_str())
        });
        let other: usize = other.map(|(_, bytes)| bytes.len()).sum();
        assert!(archive.stats().disk_other >= (in_quarantine + other) as u64);
        archive.destroy().unwrap();
        assert_eq!(bench.blobs(), BTreeMap::new());
    });
}

#[test]
fn destroying_leaves_a_strangers_file_in_quarantine() {
    Bench::each(options(), |bench| {
        bench.fill(ITEMS);
        bench.flip("values", "0000000000000008", HEADER);
        let mut archive: Store = bench.open();
        archive.repair().unwrap();
        bench.write("quarantine", "notes", b"mine");
        archive.destroy().unwrap();
        assert_eq!(bench.storage().list("quarantine").unwrap(), ["notes"]);
    });
}

#[test]
fn a_dry_run_beside_a_writer_changes_no_byte_and_says_what_the_repair_does() {
    Bench::each(options(), |bench| {
        bench.fill(ITEMS);
        bench.flip("values", "0000000000000008", HEADER + 40);
        bench.flip("index", "0000000000000018", HEADER + PAGE);
        let mut archive: Store = bench.open();
        let beside: ReadOnly<[u8; 8]> = bench.options().open_read_only_on(bench.storage()).unwrap();
        let before = bench.blobs();
        let planned = beside.plan_repair().unwrap();
        assert_eq!(bench.blobs(), before);
        assert_eq!(lost_of(&planned), [9, 26, 27, 28]);
        assert_eq!(planned.entries_lost(), 4);
        let report = archive.repair().unwrap();
        assert_eq!(format!("{planned:?}"), format!("{report:?}"));
    });
}

#[test]
fn a_dry_run_knows_of_files_that_are_gone() {
    for partition in ["index", "values"] {
        Bench::each(options(), |bench| {
            bench.fill(ITEMS);
            let storage = bench.storage();
            storage.remove(partition, "0000000000000010").unwrap();
            let beside: ReadOnly<[u8; 8]> =
                bench.options().open_read_only_on(bench.storage()).unwrap();
            let planned = beside.plan_repair().unwrap();
            let report = bench.open::<8>().repair().unwrap();
            for report in [&planned, &report] {
                assert_eq!(lost_of(report), (16..24).collect::<Vec<_>>());
                assert_eq!(report.entries_lost(), 8);
            }
            assert_eq!(
                planned.sections[0].quarantine,
                report.sections[0].quarantine
            );
        });
    }
}

#[test]
fn readers_beside_a_repair_find_what_is_whole() {
    Bench::each(options(), |bench| {
        bench.fill(ITEMS);
        bench.flip("values", "0000000000000008", HEADER + 40);
        let mut archive: Store = bench.open();
        let reader = archive.reader();
        // It keeps neither the old file nor its pages: it opens the new one, with old positions.
        let options = bench.options().max_open_files(8);
        let options = options.page_cache(quipu::PageCache::new(0));
        let mut beside: ReadOnly<[u8; 8]> = options.open_read_only_on(bench.storage()).unwrap();
        let whole = (0..ITEMS).filter(|&index| index != 9);
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    for index in whole.clone() {
                        let read = reader.get(index).unwrap();
                        assert_eq!(read.unwrap(), value(index, 30));
                        assert!(reader.has(&key::<8>(index)).unwrap());
                    }
                }
            });
            assert_eq!(lost_of(&archive.repair().unwrap()), [9]);
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        for index in whole.clone() {
            match beside.get(index) {
                Ok(read) => assert_eq!(read.unwrap(), value(index, 30)),
                Err(error) => assert!(matches!(error, quipu::Error::Stale { .. }), "{error}"),
            }
        }
        beside.refresh().unwrap();
        for index in whole {
            assert_eq!(beside.get(index).unwrap().unwrap(), value(index, 30));
        }
        assert_eq!(beside.status(9).unwrap(), Status::Damaged);
        assert_eq!(beside.missing_items(0, 99), [9]);
    });
}

#[test]
fn a_partition_of_the_quarantines_name_is_refused() {
    let options = Options::new().partitions("index", "quarantine");
    let opened = options
        .open_on::<[u8; 8], quipu::Bytes>(std::sync::Arc::new(quipu::storage::Memory::new()));
    let error = opened.unwrap_err().to_string();
    assert!(error.contains("quarantine"), "{error}");
}

/// A blob that is not ours and looks unfinished.
#[test]
fn a_strangers_file_in_quarantine_stays() {
    Bench::each(options(), |bench| {
        bench.fill(ITEMS);
        bench.write("quarantine", "my-notes.new", b"mine");
        bench.flip("values", "0000000000000000", HEADER + VALUE);
        let mut archive: Store = bench.open();
        assert_eq!(archive.repair().unwrap().entries_lost(), 1);
        assert_eq!(bench.read("quarantine", "my-notes.new"), b"mine");
    });
}
