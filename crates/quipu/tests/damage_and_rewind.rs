//! Damage of a section that is then written anew, by a rewind or because it was lost: it stays known where
//! it was, and nowhere else.

mod common;

#[allow(dead_code, unreachable_pub)]
#[path = "common/faulty.rs"]
mod faulty;

use std::sync::Arc;

use common::{Bench, copy_of, key};
use faulty::{Fault, Faulty};
use quipu::storage::{Memory, Storage};
use quipu::{Archive, Error, Options, ReadOnly, Status};

/// Items in this order, of which one's value is then damaged and, if wanted, noticed.
fn hurt(bench: &Bench, order: &[u64], damaged: u64) -> Archive<[u8; 8]> {
    let mut archive = bench.open::<8>();
    for &index in order {
        let _ = archive
            .put(index, &key(index), &format!("value {index}"))
            .unwrap();
    }
    archive.close().unwrap();
    let name = "0000000000000000";
    let text = format!("value {damaged}").into_bytes();
    let bytes = bench.read("values", name);
    let at = bytes.windows(text.len()).position(|part| part == text);
    bench.flip("values", name, at.unwrap());
    let archive = bench.open::<8>();
    assert!(archive.get(damaged).is_err());
    archive
}

fn assert_statuses(archive: &Archive<[u8; 8]>, present: &[u64], damaged: &[u64]) {
    for &index in present {
        assert_eq!(archive.status(index).unwrap(), Status::Present, "{index}");
        let expected = format!("value {index}");
        assert_eq!(archive.get(index).unwrap().unwrap(), expected);
        assert_eq!(archive.get(&key::<8>(index)).unwrap().unwrap(), expected);
        assert!(archive.has(index).unwrap());
    }
    for &index in damaged {
        assert_eq!(archive.status(index).unwrap(), Status::Damaged, "{index}");
        assert!(!archive.has(index).unwrap());
    }
    let read = archive.range(..);
    let read: Vec<bool> = read.map(|item| item.is_ok()).collect();
    assert_eq!(read.iter().filter(|ok| **ok).count(), present.len());
    assert_eq!(
        read.len(),
        present.len() + damaged.len(),
        "damage is yielded"
    );
}

/// The same before and after a restart.
fn assert_stays(bench: &Bench, archive: Archive<[u8; 8]>, present: &[u64], damaged: &[u64]) {
    assert_statuses(&archive, present, damaged);
    archive.close().unwrap();
    assert_statuses(&bench.open(), present, damaged);
}

#[test]
fn damage_above_goes_with_its_item() {
    Bench::each(Options::new(), |bench| {
        let mut archive = hurt(bench, &[0, 1, 2, 3, 4, 5, 6], 5);
        archive.rewind(3).unwrap();
        assert_eq!(archive.status(5).unwrap(), Status::Missing);
        for index in [4, 6, 7, 8] {
            let _ = archive
                .put(index, &key(index), &format!("value {index}"))
                .unwrap();
        }
        assert_stays(bench, archive, &[0, 1, 2, 3, 4, 6, 7, 8], &[]);
    });
}

#[test]
fn damage_below_stays_with_its_item() {
    Bench::each(Options::new(), |bench| {
        let mut archive = hurt(bench, &[0, 9, 1, 2, 3, 4, 5], 3);
        archive.rewind(5).unwrap();
        assert_stays(bench, archive, &[0, 1, 2, 4, 5], &[3]);
    });
}

#[test]
fn damage_below_stays_when_others_take_the_places_above() {
    Bench::each(Options::new(), |bench| {
        let mut archive = hurt(bench, &[0, 9, 1, 2, 3, 4, 5], 3);
        archive.rewind(3).unwrap();
        for index in [4, 5, 6, 7] {
            let _ = archive
                .put(index, &key(index), &format!("value {index}"))
                .unwrap();
        }
        assert_stays(bench, archive, &[0, 1, 2, 4, 5, 6, 7], &[3]);
    });
}

#[test]
fn lost_entries_stay_lost_below_and_are_forgotten_above() {
    let options = Options::new().page_size(56);
    let lost = |bench: &Bench| {
        let archive = bench.open::<8>();
        let lost = (0..60).filter(|&index| archive.status(index).unwrap() == Status::Damaged);
        lost.collect::<Vec<u64>>()
    };
    let fill = |bench: &Bench| {
        let mut archive = bench.open::<8>();
        for index in 0..60u64 {
            let _ = archive.put(index, &key(index), b"a value").unwrap();
        }
        archive.close().unwrap();
    };
    let name = "0000000000000000";
    Bench::each(options.clone(), |bench| {
        fill(bench);
        bench.flip("index", name, 4096 + 68 * 10 + 5);
        let before = lost(bench);
        assert!(!before.is_empty() && before.iter().all(|&index| index < 40));
        bench.open::<8>().rewind(40).unwrap();
        assert_eq!(lost(bench), before);
    });
    Bench::each(options, |bench| {
        fill(bench);
        let header = bench.read("index", name)[..4096].to_vec();
        bench.write("index", name, &header);
        assert_eq!(lost(bench).len(), 60);
        bench.open::<8>().rewind(52).unwrap();
        assert_eq!(lost(bench), (0..=52).collect::<Vec<u64>>());
        assert_eq!(bench.open::<8>().missing_items(51, 20), [51, 52]);
    });
}

#[test]
fn a_rewind_into_a_section_that_cannot_be_read_is_refused_before_it_begins() {
    Bench::each(Options::new().items_per_section(10), |bench| {
        let mut archive = bench.open::<8>();
        for index in 0..50u64 {
            let _ = archive.put(index, &key(index), b"a value").unwrap();
        }
        archive.close().unwrap();
        bench.flip("index", "0000000000000014", 100);
        // Without these its layout is not known.
        bench.storage().remove("quipu", "marks").unwrap();
        let mut archive = bench.open::<8>();
        assert!(matches!(archive.rewind(25), Err(Error::Header { .. })));
        assert!(archive.get(45).unwrap().is_some());
        let _ = archive.put_sync(50, &key(50), b"a value").unwrap();
        // Rewinds and prunes that do without it are none the worse.
        archive.rewind(35).unwrap();
        archive.rewind(15).unwrap();
        assert_eq!(archive.ranges(), [0..=15]);
        drop(archive);
        assert!(bench.open::<8>().verify(&mut |_| {}).unwrap().is_clean());
    });
}

#[test]
fn damage_below_is_known_when_a_rewind_keeps_no_entry() {
    Bench::each(Options::new(), |bench| {
        let mut archive = bench.open::<8>();
        for index in 0..60u64 {
            let _ = archive.put(index, &key(index), b"a value").unwrap();
        }
        archive.close().unwrap();
        let name = "0000000000000000";
        let header = bench.read("index", name)[..4096].to_vec();
        bench.write("index", name, &header);
        let mut archive = bench.open::<8>();
        for index in 60..66u64 {
            let _ = archive.put(index, &key(index), b"a value").unwrap();
        }
        archive.rewind(52).unwrap();
        for _ in 0..2 {
            archive.close().unwrap();
            archive = bench.open::<8>();
            assert_eq!(archive.missing_items(0, 99), (0..=52).collect::<Vec<u64>>());
        }
        let _ = archive.put_sync(7, &key(7), b"again").unwrap();
        assert_eq!(archive.get(7).unwrap().unwrap(), "again");
    });
}

/// What is put again in a section that a rewind dropped stands where a damaged item stood.
#[test]
fn damage_in_a_dropped_section_does_not_stick_to_what_is_put_again() {
    Bench::each(Options::new().items_per_section(4), |bench| {
        let put = |archive: &mut Archive<[u8; 8]>, indices: std::ops::Range<u64>| {
            for index in indices {
                let value = format!("value {index}");
                let _ = archive.put(index, &key(index), &value).unwrap();
            }
        };
        let mut archive = bench.open::<8>();
        put(&mut archive, 0..12);
        archive.close().unwrap();
        bench.flip("values", "0000000000000008", 4096 + 2);
        let mut archive = bench.open::<8>();
        assert!(archive.get(8).is_err());
        archive.sync().unwrap();
        archive.rewind(5).unwrap();
        put(&mut archive, 6..12);
        let all: Vec<u64> = (0..12).collect();
        assert_stays(bench, archive, &all, &[]);
    });
}

/// Of an index that was lost no entry is left for a rewind to drop.
#[test]
fn a_lost_index_above_goes_as_well() {
    Bench::each(Options::new(), |bench| {
        let mut archive = hurt(bench, &[0, 1, 2, 3, 4, 5, 6], 5);
        archive.rewind(5).unwrap();
        archive.repair().unwrap();
        assert_statuses(&archive, &[0, 1, 2, 3, 4], &[5]);
        archive.rewind(4).unwrap();
        assert_stays(bench, archive, &[0, 1, 2, 3, 4], &[]);
        assert_eq!(bench.open::<8>().status(5).unwrap(), Status::Missing);
    });
}

/// Both files of the section are gone; what is put again stands where a damaged item stood.
#[test]
fn damage_of_a_lost_section_does_not_stick_to_what_fills_it() {
    Bench::each(Options::new(), |bench| {
        let all = [0, 1, 2, 3];
        hurt(bench, &all, 0).close().unwrap();
        for partition in ["index", "values"] {
            bench
                .storage()
                .remove(partition, "0000000000000000")
                .unwrap();
        }
        let mut archive = bench.open::<8>();
        assert_statuses(&archive, &[], &all);
        for index in all {
            let _ = archive
                .put(index, &key(index), &format!("value {index}"))
                .unwrap();
        }
        assert_stays(bench, archive, &all, &[]);
    });
}

/// An archive of items 1 to 9, in sections of 4, whose rewind to nothing was cut off before the removal of this
/// index file.
fn rewind_cut_off_before(file: &str) -> Bench {
    let memory = Memory::new();
    let options = || Options::new().items_per_section(4);
    let mut archive: Archive<[u8; 8]> = options().open_on(Arc::new(memory.clone())).unwrap();
    for index in 1..10 {
        let _ = archive.put_sync(index, &key(index), b"before").unwrap();
    }
    drop(archive);
    let is_it = |log: &[String]| {
        let last = log.last().map_or("", |last| last);
        last.starts_with("remove") && last.contains("index") && last.contains(file)
    };
    let stopped = (0..300).find_map(|at| {
        let copy = copy_of(&memory);
        let faulty = Arc::new(Faulty::new(copy.clone(), at, Fault::CrashBefore));
        let mut archive: Archive<[u8; 8]> = options().open_on(faulty.clone()).ok()?;
        let rewound = archive.rewind(0);
        (rewound.is_err() && is_it(&faulty.log())).then_some(copy)
    });
    let stopped = stopped.expect("a stop at the removal");
    // Without marks nobody knows the header that it had.
    stopped.remove("quipu", "marks").unwrap();
    let bench = Bench::on(Arc::new(stopped), options());
    bench.flip("index", FIRST, 1);
    bench
}

const FIRST: &str = "0000000000000000";
const SECOND: &str = "0000000000000004";

/// Items from 20 on are put, and everything below is gone.
fn assert_ended(bench: &Bench, mut archive: Archive<[u8; 8]>) {
    for index in 20..23 {
        let _ = archive.put_sync(index, &key(index), b"stays").unwrap();
    }
    archive.rewind(21).unwrap();
    drop(archive.repair().unwrap());
    assert_eq!(archive.ranges(), [20..=21]);
    archive.close().unwrap();
    let archive = bench.open::<8>();
    assert_eq!(archive.ranges(), [20..=21]);
    assert!(archive.recovery().is_clean());
}

/// What was put behind a rewind that could not be ended would go with it.
#[test]
fn nothing_is_put_before_a_rewind_that_waits_has_ended() {
    for stop in [FIRST, SECOND] {
        for mends in ["a repair", "the file is back", "a prune"] {
            let bench = rewind_cut_off_before(stop);
            let mut archive = bench.open::<8>();
            assert_eq!(archive.recovery().unreadable, [0]);
            for index in [5, 9, 20] {
                let put = archive.put_sync(index, &key(index), b"not yet");
                let expected = matches!(put, Err(Error::RewindPending { index: 0, .. }));
                assert!(expected, "{stop} {mends}: {put:?}");
            }
            // Not one of somewhere else either.
            let rewound = archive.rewind(7);
            assert!(matches!(rewound, Err(Error::Header { .. })), "{rewound:?}");
            match mends {
                "a repair" => drop(archive.repair().unwrap()),
                "a prune" => assert_eq!(archive.prune(4).unwrap(), 0),
                _ => {
                    archive.close().unwrap();
                    bench.flip("index", FIRST, 1);
                    archive = bench.open();
                }
            }
            assert_eq!(archive.ranges(), [], "{stop} {mends}");
            assert_ended(&bench, archive);
        }
    }
}

#[test]
fn a_reader_beside_opens_while_a_rewind_waits() {
    let bench = rewind_cut_off_before(SECOND);
    let read = |bench: &Bench| -> ReadOnly<[u8; 8]> {
        bench.options().open_read_only_on(bench.storage()).unwrap()
    };
    let mut beside = read(&bench);
    let mut archive = bench.open::<8>();
    for reader in [&*beside, &*read(&bench), &archive.reader()] {
        for index in 4..10 {
            assert_eq!(reader.get(index).unwrap().unwrap(), &b"before"[..]);
        }
        assert!(reader.get(2).is_err());
    }
    drop(archive.repair().unwrap());
    beside.refresh().unwrap();
    assert_eq!(beside.ranges(), []);
}
