//! Files whose every checksum is right, and that are not the section's: of another section, of another
//! archive, from before a rewind. What they hold is never told as an item of the section.

mod common;

use common::{Bench, key, value};
use quipu::{Archive, Options, ReadOnly, Status, VerifyEvent};

const FIRST: &str = "0000000000000000";
const SECOND: &str = "000000000000000a";
/// Bytes of every value: entries of one section point at whole values of another.
const LEN: usize = 24;

fn put(archive: &mut Archive<[u8; 8]>, indices: impl IntoIterator<Item = u64>, life: u64) {
    for index in indices {
        let value = value(index ^ (life << 32), LEN);
        let _ = archive
            .put(index, &key(index ^ (life << 32)), &value)
            .unwrap();
    }
}

/// Which indices have the value of this life, and which are damaged; every other answer is wrong.
fn outcome(
    read: impl Fn(u64) -> quipu::Result<Option<quipu::Bytes>>,
    status: impl Fn(u64) -> Status,
    life: impl Fn(u64) -> u64,
) -> (Vec<u64>, Vec<u64>) {
    let (mut right, mut damaged) = (Vec::new(), Vec::new());
    for index in 0..20 {
        match (status(index), read(index)) {
            (Status::Present, Ok(Some(found))) => {
                assert_eq!(found, value(index ^ (life(index) << 32), LEN), "{index}");
                right.push(index);
            }
            (Status::Damaged, Err(_)) => damaged.push(index),
            (Status::Missing, Ok(None)) => {}
            other => panic!("index {index}: {other:?}"),
        }
    }
    (right, damaged)
}

/// What an open tells, one beside it as well, and the next one too; then what was lost is put again.
fn check(bench: &Bench, right: &[u64], damaged: &[u64], life: impl Fn(u64) -> u64 + Copy) {
    let expected = (right.to_vec(), damaged.to_vec());
    let beside: ReadOnly<[u8; 8]> = bench.options().open_read_only_on(bench.storage()).unwrap();
    let told = |index| beside.status(index).unwrap();
    assert_eq!(outcome(|index| beside.get(index), told, life), expected);
    for _ in 0..2 {
        let archive: Archive<[u8; 8]> = bench.open();
        let told = |index| archive.status(index).unwrap();
        assert_eq!(outcome(|index| archive.get(index), told, life), expected);
        let report = archive.verify(&mut |_| {}).unwrap();
        assert!(report.needs_repair(), "{report:?}");
        assert_eq!(report.lost_indices, damaged.len() as u128);
    }
    let mut archive: Archive<[u8; 8]> = bench.open();
    put(&mut archive, damaged.iter().copied(), 9);
    archive.sync().unwrap();
    drop(archive);
    let life = |index| {
        if damaged.contains(&index) {
            9
        } else {
            life(index)
        }
    };
    let mut all: Vec<u64> = right.iter().chain(damaged).copied().collect();
    all.sort_unstable();
    for _ in 0..2 {
        let mut archive: Archive<[u8; 8]> = bench.open();
        let told = |index| archive.status(index).unwrap();
        assert_eq!(
            outcome(|index| archive.get(index), told, life),
            (all.clone(), vec![])
        );
        archive.repair().unwrap();
        assert!(archive.verify(&mut |_| {}).unwrap().is_clean());
    }
}

fn each(test: impl Fn(&Bench)) {
    Bench::each(Options::new().items_per_section(10), test);
}

#[test]
fn the_value_file_of_another_section() {
    each(|bench| {
        let mut archive = bench.open();
        put(&mut archive, 0..20, 0);
        archive.close().unwrap();
        bench.write("values", FIRST, &bench.read("values", SECOND));
        let second: Vec<u64> = (10..20).collect();
        let first: Vec<u64> = (0..10).collect();
        check(bench, &second, &first, |_| 0);
    });
}

#[test]
fn a_shorter_value_file_of_another_section() {
    each(|bench| {
        let mut archive = bench.open();
        put(&mut archive, 0..15, 0);
        archive.close().unwrap();
        bench.write("values", FIRST, &bench.read("values", SECOND));
        let first: Vec<u64> = (0..10).collect();
        check(bench, &[10, 11, 12, 13, 14], &first, |_| 0);
    });
}

/// The older life of a section that a rewind dropped.
#[test]
fn the_value_file_of_a_section_that_was_dropped() {
    each(|bench| {
        let mut archive = bench.open();
        put(&mut archive, 0..20, 0);
        archive.sync().unwrap();
        let old = bench.read("values", SECOND);
        archive.rewind(9).unwrap();
        put(&mut archive, 10..20, 1);
        archive.close().unwrap();
        bench.write("values", SECOND, &old);
        let first: Vec<u64> = (0..10).collect();
        let second: Vec<u64> = (10..20).collect();
        check(bench, &first, &second, |_| 0);
    });
}

/// Its entries name values that are still there.
#[test]
fn an_index_file_from_before_a_rewind() {
    for again in [5..6, 5..8, 5..10] {
        each(|bench| {
            let mut archive = bench.open();
            put(&mut archive, 0..8, 0);
            archive.sync().unwrap();
            let old = bench.read("index", FIRST);
            archive.rewind(4).unwrap();
            put(&mut archive, again.clone(), 1);
            archive.close().unwrap();
            bench.write("index", FIRST, &old);
            let archive: Archive<[u8; 8]> = bench.open();
            for index in 0..10 {
                let read = archive.get(index);
                match index {
                    0..5 => assert_eq!(read.unwrap().unwrap(), value(index, LEN)),
                    _ if again.contains(&index) => assert!(read.is_err(), "{index}"),
                    _ => assert_eq!(read.unwrap(), None, "{index}"),
                }
            }
        });
    }
}

/// What each rewind moved is remembered, also where a later one began further on.
#[test]
fn an_index_file_from_before_two_rewinds() {
    each(|bench| {
        let mut archive = bench.open();
        put(&mut archive, 0..4, 0);
        archive.sync().unwrap();
        let old = bench.read("index", FIRST);
        archive.rewind(1).unwrap();
        put(&mut archive, 2..8, 1);
        archive.rewind(6).unwrap();
        put(&mut archive, 7..10, 2);
        archive.close().unwrap();
        bench.write("index", FIRST, &old);
        let lost: Vec<u64> = (2..10).collect();
        check(bench, &[0, 1], &lost, |_| 0);
    });
}

/// Entries move up in a rewind where items were put out of order.
#[test]
fn an_index_file_from_before_a_rewind_that_moved_entries() {
    each(|bench| {
        let mut archive = bench.open();
        put(&mut archive, [0, 9, 1, 8, 2], 0);
        archive.sync().unwrap();
        let old = bench.read("index", FIRST);
        archive.rewind(5).unwrap();
        put(&mut archive, [3, 9, 4, 8], 1);
        archive.close().unwrap();
        bench.write("index", FIRST, &old);
        let archive: Archive<[u8; 8]> = bench.open();
        for index in 0..10 {
            match archive.get(index) {
                Ok(Some(found)) => {
                    assert!(index < 3);
                    assert_eq!(found, value(index, LEN));
                }
                Ok(None) => assert!((5..8).contains(&index), "{index}"),
                Err(_) => assert_ne!(index, 0),
            }
        }
    });
}

#[test]
fn the_index_file_of_another_archive() {
    each(|other| {
        let mut archive = other.open();
        put(&mut archive, 0..10, 1);
        archive.close().unwrap();
        each(|bench| {
            let mut archive = bench.open();
            put(&mut archive, 0..10, 0);
            archive.close().unwrap();
            bench.write("index", FIRST, &other.read("index", FIRST));
            let all: Vec<u64> = (0..10).collect();
            check(bench, &[], &all, |_| 0);
        });
    });
}

/// A longer file of the section itself is what a crash leaves; a shorter one is cut.
#[test]
fn an_older_copy_that_only_lacks_the_end_keeps_its_items() {
    for partition in ["index", "values"] {
        each(|bench| {
            let mut archive = bench.open();
            put(&mut archive, 0..4, 0);
            archive.sync().unwrap();
            let old = bench.read(partition, FIRST);
            put(&mut archive, 4..10, 0);
            archive.close().unwrap();
            bench.write(partition, FIRST, &old);
            let archive: Archive<[u8; 8]> = bench.open();
            let told = |index| archive.status(index).unwrap();
            let lost = (4..10).collect();
            let expected = (vec![0, 1, 2, 3], lost);
            assert_eq!(outcome(|index| archive.get(index), told, |_| 0), expected);
        });
    }
}

/// Damage of a sampled value is damage of one item.
#[test]
fn a_damaged_sample_costs_its_item_alone() {
    for (sample, at) in [(0, LEN), (0, 0), (9, LEN + 3), (9, 1)] {
        each(|bench| {
            let mut archive = bench.open();
            put(&mut archive, 0..10, 0);
            archive.close().unwrap();
            let len = bench.read("values", FIRST).len();
            let start = len - (10 - sample) * (LEN + 4);
            bench.flip("values", FIRST, start + at);
            let mut right: Vec<u64> = (0..10).collect();
            right.remove(sample);
            check(bench, &right, &[sample as u64], |_| 0);
        });
    }
}

/// What is put in a section that was lost is not compared with what was in it.
#[test]
fn a_section_that_was_lost_and_is_filled_again() {
    for ends in [false, true] {
        each(|bench| {
            let mut archive = bench.open();
            put(&mut archive, 0..10, 0);
            archive.close().unwrap();
            for partition in ["index", "values"] {
                bench.storage().remove(partition, FIRST).unwrap();
            }
            let mut archive = bench.open();
            put(&mut archive, 0..10, 1);
            archive.sync().unwrap();
            match ends {
                true => archive.close().unwrap(),
                false => drop(archive),
            }
            for _ in 0..2 {
                let archive: Archive<[u8; 8]> = bench.open();
                let told = |index| archive.status(index).unwrap();
                let all = (0..10).collect();
                assert_eq!(
                    outcome(|index| archive.get(index), told, |_| 1),
                    (all, vec![])
                );
                assert!(archive.verify(&mut |_| {}).unwrap().is_clean());
            }
        });
    }
}

/// Nor is that of all of them anything else.
#[test]
fn damage_of_every_sample_costs_these_alone() {
    each(|bench| {
        let mut archive = bench.open();
        put(&mut archive, 0..10, 0);
        archive.close().unwrap();
        let len = bench.read("values", FIRST).len();
        for sample in [0, 9] {
            bench.flip("values", FIRST, len - (9 - sample) * (LEN + 4) - 1);
        }
        let right: Vec<u64> = (1..9).collect();
        check(bench, &right, &[0, 9], |_| 0);
    });
}

/// Of values of other sizes some happen to stand where others do in another file.
#[test]
fn a_value_file_with_values_of_other_sizes() {
    each(|bench| {
        let mut archive: Archive<[u8; 8]> = bench.open();
        let lens = [[9, 30, 20, 20, 20, 20, 9, 7], [30, 9, 20, 20, 9, 20, 20, 8]];
        for (section, lens) in lens.iter().enumerate() {
            for (nth, &len) in lens.iter().enumerate() {
                let index = (section * 10 + nth) as u64;
                let _ = archive.put(index, &key(index), &value(index, len)).unwrap();
            }
        }
        archive.close().unwrap();
        let [first, second] = [FIRST, SECOND].map(|name| bench.read("values", name));
        bench.write("values", FIRST, &second);
        bench.write("values", SECOND, &first);
        let archive: Archive<[u8; 8]> = bench.open();
        for index in 0..20 {
            assert!(!matches!(archive.get(index), Ok(Some(_))), "{index}");
        }
    });
}

/// Marks lag: what came after the one item that was sampled has to be looked at itself.
#[test]
fn the_only_sample_may_be_damaged() {
    each(|bench| {
        let mut archive = bench.open();
        put(&mut archive, 0..1, 0);
        archive.close().unwrap();
        let mut archive = bench.open();
        put(&mut archive, 1..10, 0);
        archive.sync().unwrap();
        drop(archive);
        let len = bench.read("values", FIRST).len();
        bench.flip("values", FIRST, len - 9 * (LEN + 4) - 1);
        let all: Vec<u64> = (1..10).collect();
        check(bench, &all, &[0], |_| 0);
    });
}

#[test]
fn verification_names_the_file_and_what_it_expected() {
    each(|bench| {
        let mut archive = bench.open();
        put(&mut archive, 0..20, 0);
        archive.close().unwrap();
        bench.write("values", FIRST, &bench.read("values", SECOND));
        let beside: ReadOnly<[u8; 8]> = bench.options().open_read_only_on(bench.storage()).unwrap();
        let mut told = Vec::new();
        let report = beside
            .verify(&mut |event| {
                if let VerifyEvent::File { section, error } = event {
                    told.push((section, error.to_string()));
                }
            })
            .unwrap();
        assert_eq!(report.damaged_files, 1);
        let [(section, error)] = &told[..] else {
            panic!("{told:?}")
        };
        assert_eq!(*section, Some(0));
        let stored = |index| {
            let crc = quipu::format::crc32c(&value(index, LEN));
            format!("{crc:08x}")
        };
        for part in [FIRST, "values", &stored(0), &stored(10)] {
            assert!(error.contains(part), "{error}: {part}");
        }
    });
}

/// No answer but these after a rewind, in this process and the next: the values of this life, damaged, or
/// missing; nor by the keys of items that were dropped.
fn after_a_rewind(bench: &Bench, to: u64, right: &[u64], damaged: &[u64]) {
    let mut archive: Archive<[u8; 8]> = bench.open();
    archive.rewind(to).unwrap();
    for _ in 0..2 {
        let told = |index| archive.status(index).unwrap();
        let expected = (right.to_vec(), damaged.to_vec());
        assert_eq!(outcome(|index| archive.get(index), told, |_| 0), expected);
        for index in (0..20).filter(|index| !right.contains(index)) {
            let found = archive.get(&key::<8>(index));
            assert!(!matches!(found, Ok(Some(_))), "{index}: {found:?}");
        }
        archive.close().unwrap();
        archive = bench.open();
    }
}

#[test]
fn a_rewind_brings_no_foreign_entry_back() {
    each(|bench| {
        let mut archive = bench.open();
        put(&mut archive, 0..10, 0);
        archive.close().unwrap();
        let before = bench.read("index", FIRST);
        let mut archive = bench.open();
        archive.rewind(4).unwrap();
        put(&mut archive, 5..10, 1);
        archive.close().unwrap();
        bench.write("index", FIRST, &before);
        after_a_rewind(bench, 7, &[0, 1, 2, 3, 4], &[5, 6, 7]);
    });
}

#[test]
fn a_rewind_believes_no_foreign_value() {
    each(|bench| {
        let mut archive = bench.open();
        put(&mut archive, 0..20, 0);
        archive.close().unwrap();
        let (first, second) = (bench.read("values", FIRST), bench.read("values", SECOND));
        bench.write("values", FIRST, &second);
        bench.write("values", SECOND, &first);
        after_a_rewind(bench, 5, &[], &[0, 1, 2, 3, 4, 5]);
    });
}

/// What is put behind foreign entries is the section's, also where the power goes before the marks that
/// say so would have been flushed in passing.
#[cfg(feature = "simulated")]
#[test]
fn what_is_put_behind_foreign_entries_stays() {
    use std::sync::Arc;

    use quipu::storage::simulated::{Simulated, Survival};
    use quipu::storage::{OpenMode, Storage};

    let filled = |life| {
        let machine = Simulated::new(life);
        let mut archive = open(&machine);
        put(&mut archive, 0..10, life);
        archive.close().unwrap();
        machine
    };
    fn open(machine: &Simulated) -> Archive<[u8; 8]> {
        let options = Options::new().items_per_section(10);
        options.open_on(Arc::new(machine.clone())).unwrap()
    }
    let (machine, other) = (filled(0), filled(1));
    let file = |machine: &Simulated| machine.open("index", FIRST, OpenMode::Write).unwrap();
    let (to, from) = (file(&machine), file(&other));
    let mut bytes = Vec::new();
    from.read_into(&mut bytes, 0, from.len().unwrap() as usize)
        .unwrap();
    to.write_at(&[std::io::IoSlice::new(&bytes)], 0).unwrap();
    to.sync().unwrap();
    let mut archive = open(&machine);
    put(&mut archive, 0..10, 2);
    archive.sync().unwrap();
    let archive = open(&machine.after_crash(Survival::Nothing, 0));
    for index in 0..10 {
        let found = archive.get(index).unwrap().unwrap();
        assert_eq!(found, value(index ^ (2 << 32), LEN));
    }
}
