//! Sections whose keys tables have, read beside another process, and written anew.

use std::io::IoSlice;
use std::sync::Arc;

use quipu::storage::simulated::{Call, Simulated, Survival, When};
use quipu::storage::{OpenMode, Storage};
use quipu::{Archive, Options, ReadOnly, Status};

type Store = Archive<[u8; 8]>;

/// Numbers that random ones are drawn from: key tables are made by the thread that writes.
const SEED: u64 = 1;

fn options(keys_per_table: u64) -> Options {
    Options::new()
        .items_per_section(100)
        .keys_per_table(keys_per_table)
}

fn open(machine: &Simulated, keys_per_table: u64) -> Store {
    options(keys_per_table)
        .open_on(Arc::new(machine.clone()))
        .unwrap()
}

fn put(archive: &mut Store, index: u64) {
    put_value(archive, index, b"value");
}

fn put_value(archive: &mut Store, index: u64, value: &[u8]) {
    let value = quipu::Bytes::copy_from_slice(value);
    let _ = archive
        .put_sync(index, &index.to_be_bytes(), &value)
        .unwrap();
}

/// A closed archive of a section of three items, whose keys are in a table each.
fn written() -> Simulated {
    let machine = Simulated::new(SEED);
    quipu::seed_random_numbers(Some(SEED));
    let mut archive = open(&machine, 1);
    (0..3).for_each(|index| put(&mut archive, index));
    archive.close().unwrap();
    machine
}

/// A reader takes a section that was filled in order for what it is. What it follows the writer to comes
/// behind that, whether it has read the positions before or does so after.
#[test]
fn a_reader_that_follows_a_section_finds_nothing_damaged() {
    for settles_first in [false, true] {
        let machine = written();
        let mut writer = open(&machine, 1);
        let storage = Arc::new(machine.clone());
        let mut beside: ReadOnly<[u8; 8]> = options(1).open_read_only_on(storage).unwrap();
        assert!(beside.get(0).unwrap().is_some());
        if settles_first {
            assert_eq!(beside.get(50).unwrap(), None);
        }
        for index in 3..6 {
            put(&mut writer, index);
            beside.refresh().unwrap();
            assert_eq!(beside.get(50).unwrap(), None);
            for index in 0..=index {
                assert_eq!(beside.status(index).unwrap(), Status::Present, "{index}");
                assert!(beside.get(&index.to_be_bytes()).unwrap().is_some());
                assert_eq!(beside.get_all(index).unwrap().len(), 1);
            }
            assert_eq!(beside.ranges(), [0..=index]);
        }
    }
}

fn damage_first_table(machine: &Simulated) {
    // Behind its header page: the page of its slots.
    machine
        .flip_bit("quipu", "keys-0000000000000001", 8 * 4100)
        .unwrap();
}

/// That a damaged table is done without says nothing of the others: what they have is in them alone until
/// the section is written anew.
#[test]
fn a_rewind_behind_a_damaged_table_loses_no_key() {
    let machine = written();
    damage_first_table(&machine);
    let mut archive = open(&machine, 1);
    for index in 0..3_u64 {
        assert!(archive.get(&index.to_be_bytes()).unwrap().is_some());
    }
    archive.rewind(1).unwrap();
    for index in 0..2_u64 {
        assert!(archive.get(index).unwrap().is_some(), "{index}");
        assert!(archive.get(&index.to_be_bytes()).unwrap().is_some());
    }
    assert_eq!(archive.get(&2_u64.to_be_bytes()).unwrap(), None);
}

#[test]
fn a_repair_behind_a_damaged_table_loses_no_key() {
    let machine = written();
    damage_first_table(&machine);
    let third_value = 4096 + 2 * (5 + 4) + 2;
    machine
        .flip_bit("values", "0000000000000000", 8 * third_value)
        .unwrap();
    let mut archive = open(&machine, 1000);
    assert_eq!(archive.repair().unwrap().entries_lost(), 1);
    for index in 0..2_u64 {
        assert!(archive.get(index).unwrap().is_some(), "{index}");
        assert!(archive.get(&index.to_be_bytes()).unwrap().is_some());
    }
}

/// Ten items in tables, the third of index 50. The mark has no sample of the last one: when it was taken, the value
/// was not at hand, and is too large to be read for it.
fn without_a_last_sample() -> Simulated {
    let machine = Simulated::new(SEED);
    quipu::seed_random_numbers(Some(SEED));
    let mut archive = open(&machine, 1_000);
    (0..2)
        .chain([50])
        .for_each(|index| put(&mut archive, index));
    (2..8).for_each(|index| put(&mut archive, index));
    let marks = || machine.open("quipu", "marks", OpenMode::Write).unwrap();
    let mut before = vec![0; marks().len().unwrap() as usize];
    marks().read_at(&mut before, 0).unwrap();
    put_value(&mut archive, 8, &vec![8; (1 << 20) + 1]);
    drop(archive);
    marks().resize(0).unwrap();
    marks().write_at(&[IoSlice::new(&before)], 0).unwrap();
    open(&machine, 1).close().unwrap();
    machine
}

/// A rewind was cut off when the new index file stood in its place: nothing but the manifest says that entries are
/// not where the tables have them.
#[test]
fn a_reader_behind_a_rewind_that_was_cut_off_finds_every_key() {
    let rewind = |stop: Option<usize>| {
        let machine = without_a_last_sample();
        let mut archive = open(&machine, 1);
        assert_eq!(archive.stats().keys_in_tables, 10);
        if let Some(call) = stop {
            machine.stop_at(call as u64, When::After);
        }
        let before = machine.calls();
        assert_eq!(archive.rewind(8).is_err(), stop.is_some());
        let renames = |call: &Call| call.target.is_some() && &*call.partition == "index";
        let at = machine.log().iter().skip(before as usize).position(renames);
        (machine, at.map(|at| before as usize + at))
    };
    let renamed = rewind(None).1.unwrap();
    let machine = rewind(Some(renamed)).0.after_crash(Survival::All, SEED);
    let storage = Arc::new(machine);
    let beside: ReadOnly<[u8; 8]> = options(1).open_read_only_on(storage).unwrap();
    for index in 0..9_u64 {
        assert!(beside.has(&index.to_be_bytes()).unwrap(), "{index}");
    }
}

/// A section of which a table was lost between two others is read entry by entry: they do not stand for it.
#[test]
fn whichever_table_of_a_section_is_lost_no_key_is() {
    for lost in 0..3 {
        let machine = Simulated::new(1);
        let mut archive = open(&machine, 4);
        for index in 0..12_u64 {
            let _ = archive
                .put(index, &index.to_be_bytes(), &b"value"[..])
                .unwrap();
            if index % 4 == 3 {
                archive.sync().unwrap();
            }
        }
        archive.close().unwrap();
        let names = machine.list("quipu").unwrap();
        let mut tables = names.iter().filter(|name| name.starts_with("keys-"));
        if let Some(table) = tables.nth(lost) {
            machine.remove("quipu", table).unwrap();
        }
        let archive = open(&machine, 4);
        for index in 0..12_u64 {
            let found = archive.get(&index.to_be_bytes()).unwrap();
            assert_eq!(found.as_deref(), Some(&b"value"[..]), "{lost} {index}");
        }
    }
}
