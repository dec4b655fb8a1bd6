//! Tables that are written, read, merged and damaged.

use std::io::IoSlice;
use std::sync::Arc;

use super::file::Header;
use super::page::{self, PAGE_SIZE};
use super::*;
use crate::index::{Candidates, mix};
use crate::storage::{Memory, OpenMode, Storage};

const ARCHIVE: u64 = 0xA1;

/// Room for three pages, and one in the cache.
fn memory() -> Arc<PageMemory> {
    Arc::new(PageMemory::new(Some(4 * PAGE_SIZE as u64 + 400)))
}

/// Room for none: what a look-up reads is a block, but for the first.
fn no_memory() -> Arc<PageMemory> {
    Arc::new(PageMemory::new(Some(0)))
}

fn storage() -> Arc<dyn Storage> {
    Arc::new(Memory::new())
}

/// The key of an entry: each has its own, but for every 10th, which all have one.
fn key(section: u64, position: u64) -> u64 {
    match position % 10 {
        9 => mix(9, 3),
        _ => mix(section << 32 | position, 3),
    }
}

fn claim(section: u64, from: u64, to: u64) -> Claim {
    Claim {
        section,
        epoch: section + 1,
        from,
        to,
    }
}

/// Slots that are handed to a table at a time: no multiple of those of a page.
const AT_ONCE: usize = 100;

fn write_table(storage: &Arc<dyn Storage>, number: u64, claims: &[Claim]) -> Arc<KeyTable> {
    let slots = claims.iter().map(Claim::len).sum();
    let bits = ordinal_bits(slots);
    let places = claims
        .iter()
        .flat_map(|claim| (claim.from..claim.to).map(|position| key(claim.section, position)));
    let mut slots: Vec<u64> = (0..)
        .zip(places)
        .map(|(ordinal, key)| key >> bits << bits | ordinal)
        .collect();
    slots.sort_unstable();
    let mut slots = slots.into_iter();
    let contents = Contents {
        archive: ARCHIVE,
        table: number + 77,
        claims: claims.to_vec(),
        bits,
    };
    Arc::new(
        write(storage, number, contents, &memory(), &mut |some| {
            some.extend(slots.by_ref().take(AT_ONCE));
            Ok(())
        })
        .unwrap(),
    )
}

fn found(table: &KeyTable, mix: u64) -> Vec<(u64, u64)> {
    let mut out = Candidates::new();
    table.look_up(mix, &mut out).unwrap();
    out.iter()
        .filter_map(|&ordinal| table.place(ordinal))
        .inspect(|place| assert_eq!(place.epoch, place.section + 1))
        .map(|place| (place.section, place.position))
        .collect()
}

/// That the table finds all entries of its claims, and nothing else.
fn assert_holds(table: &KeyTable, claims: &[Claim]) {
    assert!(table.claims().eq(claims));
    let mut shared = Vec::new();
    for claim in claims {
        for position in claim.from..claim.to {
            if position % 10 == 9 {
                shared.push((claim.section, position));
            } else {
                let at = found(table, key(claim.section, position));
                assert_eq!(at, [(claim.section, position)]);
            }
        }
    }
    let mut of_shared = found(table, key(0, 9));
    of_shared.sort_unstable();
    shared.sort_unstable();
    assert_eq!(of_shared, shared);
    let absent = (0..2_000).map(|n| mix(n << 50 | 1 << 49, 3));
    assert!(absent.into_iter().all(|mix| found(table, mix).is_empty()));
    table.verify().unwrap();
}

#[test]
fn every_entry_is_found_at_its_place() {
    for sizes in [
        &[1][..],
        &[2],
        &[63],
        &[504],
        &[505, 1],
        &[3, 5_000, 40, 30_000],
    ] {
        let storage = storage();
        let claims: Vec<_> = (0..)
            .zip(sizes)
            .map(|(section, &len)| claim(section * 100, section, section + len))
            .collect();
        assert_holds(&write_table(&storage, 1, &claims), &claims);
        let again = KeyTable::open(&*storage, 1, ARCHIVE, memory())
            .unwrap()
            .unwrap();
        assert_holds(&again, &claims);
        assert!(
            KeyTable::open(&*storage, 1, ARCHIVE + 1, memory())
                .unwrap()
                .is_none()
        );
        assert_eq!(storage.list(PARTITION).unwrap(), [name(1)]);
    }
}

#[test]
fn names_are_numbers() {
    assert_eq!(number(&name(0x1F)), Some(0x1F));
    for other in [
        "manifest",
        "keys-1f",
        "keys-000000000000001F",
        "keys-+00000000000001f",
    ] {
        assert_eq!(number(other), None, "{other}");
    }
}

/// A stranger's file of the greatest number must not leave the archive without a next one.
#[test]
fn behind_each_number_there_is_another() {
    assert_eq!(number(&name(MAX_NUMBER)), Some(MAX_NUMBER));
    assert_eq!(number(&name(MAX_NUMBER + 1)), None);
    assert_eq!(number(&name(u64::MAX)), None);
}

/// Slots with right checksums, whose ordinals no claim has: behind the last, and where positions end.
#[test]
fn ordinals_that_no_claim_has_are_at_no_place() {
    let storage = storage();
    let claims = [claim(1, 0, 2), claim(2, u64::MAX - 2, u64::MAX)];
    let mut slots = [1, 2, 3, MAX_SLOTS - 1].into_iter();
    let contents = Contents {
        archive: ARCHIVE,
        table: 7,
        claims: claims.to_vec(),
        bits: MAX_ORDINAL_BITS,
    };
    let table = write(&storage, 1, contents, &memory(), &mut |some| {
        some.extend(slots.by_ref().take(AT_ONCE));
        Ok(())
    })
    .unwrap();
    let place = |ordinal| table.place(ordinal).map(|at| (at.section, at.position));
    assert_eq!(place(1), Some((1, 1)));
    assert_eq!(place(3), Some((2, u64::MAX - 1)));
    assert_eq!((place(4), place(MAX_SLOTS - 1)), (None, None));
}

#[test]
fn merged_tables_hold_what_their_sources_did() {
    let storage = storage();
    let sets = [
        vec![claim(0, 0, 700), claim(3, 10, 20)],
        vec![claim(0, 700, 1_500), claim(1, 0, 3)],
        vec![claim(2, 5, 2_000)],
        vec![claim(1, 4, 5)],
    ];
    let tables: Vec<_> = (0..)
        .zip(&sets)
        .map(|(number, claims)| write_table(&storage, number, claims))
        .collect();
    let all = [
        claim(0, 0, 1_500),
        claim(1, 0, 3),
        claim(1, 4, 5),
        claim(2, 5, 2_000),
        claim(3, 10, 20),
    ];
    assert_holds(&merge_into(&storage, 9, &tables, &|_| true), &all);
    // Of the claims that do not hold any more nothing is left.
    let holds = |claim: &Claim| claim.section != 2 && claim.from != 700;
    let kept = [
        claim(0, 0, 700),
        claim(1, 0, 3),
        claim(1, 4, 5),
        claim(3, 10, 20),
    ];
    let merged = merge_into(&storage, 10, &tables, &holds);
    assert_holds(&merged, &kept);
    // Its ordinals are few, but the words of its slots are of tables with more.
    let few = [claim(1, 0, 3)];
    let merged = merge_into(&storage, 13, &tables, &|claim| *claim == few[0]);
    assert_holds(&merged, &few);
    let one = [claim(1, 4, 5)];
    let merged = merge_into(&storage, 11, &tables, &|claim| *claim == one[0]);
    assert_holds(&merged, &one);
    let again = merge_into(&storage, 12, &[merged, Arc::clone(&tables[2])], &|_| true);
    assert_holds(&again, &[claim(1, 4, 5), claim(2, 5, 2_000)]);
}

fn merge_into(
    storage: &Arc<dyn Storage>,
    number: u64,
    tables: &[Arc<KeyTable>],
    holds: &dyn Fn(&Claim) -> bool,
) -> Arc<KeyTable> {
    let mut merged = merge(tables, holds);
    let contents = Contents {
        archive: ARCHIVE,
        table: number,
        claims: merged.claims.clone(),
        bits: merged.bits,
    };
    Arc::new(
        write(storage, number, contents, &memory(), &mut |some| {
            merged.next(some)
        })
        .unwrap(),
    )
}

#[test]
fn without_memory_for_pages_all_is_found() {
    let storage = storage();
    let claims = [claim(3, 0, 5_000), claim(4, 10, 700)];
    write_table(&storage, 1, &claims);
    let memory = no_memory();
    let table = KeyTable::open(&*storage, 1, ARCHIVE, Arc::clone(&memory)).unwrap();
    for _ in 0..2 {
        assert_holds(table.as_ref().unwrap(), &claims);
    }
    assert_eq!(memory.bytes(), 0);
}

/// Each byte of each page: what does not check is an error, or no table, and never another answer.
#[test]
fn no_flipped_byte_is_believed() {
    let storage = storage();
    let claims = [claim(0, 0, 600), claim(7, 3, 9)];
    let table = write_table(&storage, 1, &claims);
    let len = table.disk_len();
    let blob = storage.open(PARTITION, &name(1), OpenMode::Write).unwrap();
    assert_eq!(blob.len().unwrap(), len);
    let keys: Vec<u64> = (0..600).map(|position| key(0, position)).collect();
    for offset in (0..len).step_by(13) {
        let mut byte = [0];
        blob.read_at(&mut byte, offset).unwrap();
        let flipped = [byte[0] ^ 0x10];
        blob.write_at(&[IoSlice::new(&flipped)], offset).unwrap();
        let memory = [memory(), no_memory()][offset as usize % 2].clone();
        if let Some(table) = KeyTable::open(&*storage, 1, ARCHIVE, memory).unwrap() {
            assert!(table.verify().is_err(), "{offset}");
            for (position, &key) in (0..).zip(&keys) {
                let mut out = Candidates::new();
                match table.look_up(key, &mut out) {
                    Ok(()) => assert!(
                        out.iter()
                            .filter_map(|&at| table.place(at))
                            .any(|at| at.position == position)
                    ),
                    Err(error) => assert!(error.is_corruption(), "{error}"),
                }
            }
        } else {
            let page = offset / PAGE_SIZE as u64;
            assert!(page == 0 || page + 1 == len / PAGE_SIZE as u64);
        }
        blob.write_at(&[IoSlice::new(&byte)], offset).unwrap();
    }
    for cut in [0, 1, PAGE_SIZE as u64, len - 1] {
        blob.resize(cut).unwrap();
        assert!(
            KeyTable::open(&*storage, 1, ARCHIVE, memory())
                .unwrap()
                .is_none()
        );
    }
}

/// Whatever was left where it is written first.
#[cfg(feature = "simulated")]
#[test]
fn a_table_that_was_written_is_durable() {
    use crate::storage::simulated::{Simulated, Survival};

    let machine = Simulated::new(0);
    let storage: Arc<dyn Storage> = Arc::new(machine.clone());
    let unfinished = name(1) + crate::format::NEW_SUFFIX;
    let left = storage.open(PARTITION, &unfinished, OpenMode::Create);
    left.unwrap().resize(1 << 20).unwrap();
    let claims = [claim(0, 0, 600), claim(7, 3, 9)];
    write_table(&storage, 1, &claims);
    let after = machine.after_crash(Survival::Nothing, 0);
    let table = KeyTable::open(&after, 1, ARCHIVE, memory()).unwrap();
    assert_holds(&table.unwrap(), &claims);
}

/// Whether a file with right checksums, of this header and of these claims, is taken for a table.
fn is_table(header: Header, claims: &[Claim], extra: u64) -> bool {
    let storage = storage();
    let contents = Contents {
        archive: ARCHIVE,
        table: header.table,
        claims: claims.to_vec(),
        bits: 2,
    };
    let mut slots = 0..;
    // The file is there, also where it is refused already.
    let _ = write(&storage, 1, contents, &memory(), &mut |some| {
        some.extend(slots.by_ref().take(AT_ONCE));
        Ok(())
    });
    let blob = storage.open(PARTITION, &name(1), OpenMode::Write).unwrap();
    let mut first = page::Writer::new(&*blob, header.table);
    let mut words = header.words().into_iter();
    words.try_for_each(|word| first.word(word)).unwrap();
    first.end().unwrap();
    blob.resize(blob.len().unwrap() + extra).unwrap();
    let opened = KeyTable::open(&*storage, 1, ARCHIVE, memory());
    opened.unwrap().is_some()
}

#[test]
fn what_a_stranger_made_up_is_no_table() {
    let header = |slots, bits, claims| Header {
        archive: ARCHIVE,
        table: 7,
        slots,
        bits,
        claims,
    };
    let sound = [claim(1, 0, 2), claim(1, 2, 3), claim(2, 0, 1)];
    for bits in [2, MAX_ORDINAL_BITS] {
        assert!(is_table(header(4, bits, 3), &sound, 0));
    }
    // Ordinals of fewer bits than there are slots, and of more than a word is good for.
    for bits in [0, 1, MAX_ORDINAL_BITS + 1, 64] {
        assert!(!is_table(header(4, bits, 3), &sound, 0), "{bits}");
    }
    // Claims of other entries than there are slots, or not of all of them.
    for (slots, claims) in [(3, 3), (5, 3), (4, 2), (4, 0)] {
        assert!(!is_table(header(slots, 3, claims), &sound, 0));
    }
    // A file of another length.
    assert!(!is_table(header(4, 2, u64::MAX), &sound, 0));
    assert!(!is_table(header(4, 2, 3), &sound, PAGE_SIZE as u64));
    // Out of order, and of nothing.
    for claims in [
        [claim(2, 0, 2), claim(1, 0, 2)],
        [claim(1, 2, 4), claim(1, 0, 2)],
        [claim(1, 0, 4), claim(2, 3, 3)],
        [claim(1, 0, 4), claim(2, 3, 2)],
    ] {
        assert!(!is_table(header(4, 2, 2), &claims, 0), "{claims:?}");
    }
}

/// A table that cannot be written whole leaves nothing.
#[test]
fn slots_that_end_too_early_leave_no_file() {
    let storage = storage();
    let contents = Contents {
        archive: ARCHIVE,
        table: 1,
        claims: vec![claim(0, 0, 5)],
        bits: 3,
    };
    assert!(write(&storage, 1, contents, &memory(), &mut |_| Ok(())).is_err());
    assert!(storage.list(PARTITION).unwrap().is_empty());
}

#[test]
fn pages_in_memory_stay_within_their_bytes() {
    let storage = storage();
    let claims = [claim(0, 0, 20_000)];
    write_table(&storage, 1, &claims);
    for bytes in [Some(0), Some(20_000), Some(100_000), None] {
        let memory = Arc::new(PageMemory::new(bytes));
        let table = KeyTable::open(&*storage, 1, ARCHIVE, Arc::clone(&memory));
        let table = table.unwrap().unwrap();
        for _ in 0..2 {
            assert_holds(&table, &claims);
            let most = bytes.unwrap_or(20_000 / 504 * 4096 + 4096);
            assert!(
                memory.bytes() as u64 <= most,
                "{} of {bytes:?}",
                memory.bytes()
            );
            assert!(
                memory.bytes() as u64 >= most / 2,
                "{} of {bytes:?}",
                memory.bytes()
            );
        }
        drop(table);
        // What is left is the cache's.
        assert!(memory.bytes() as u64 <= bytes.unwrap_or(0) / 4);
    }
}
