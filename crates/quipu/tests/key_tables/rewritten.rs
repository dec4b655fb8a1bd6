//! Sections whose keys tables have, read beside another process, and written anew.

use std::sync::Arc;

use quipu::storage::simulated::Simulated;
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
    let _ = archive
        .put_sync(index, &index.to_be_bytes(), &b"value"[..])
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
