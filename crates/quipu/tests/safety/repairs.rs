//! Repairs that are cut off: notes of damage that were made of the old file.

use quipu::storage::Storage;
use quipu::storage::simulated::{Simulated, Survival, When};
use quipu::{Result, Status};

use super::common::{key, value};
use super::{HEADER, PAGE, Store, bytes_of, filled, open, plant, put, without_power};

const NAME: &str = "0000000000000000";
/// Bytes of a value with its checksum.
const STORED: u64 = 34;

/// An archive of which the values at these positions are damaged, and noted so in its marks.
fn noted(machine: Simulated, positions: &[u64]) -> Simulated {
    for position in positions {
        let at = HEADER + position * STORED;
        machine.flip_bit("values", NAME, at * 8).unwrap();
    }
    let archive = open(&machine).unwrap();
    assert!(archive.range(..).filter(|item| item.is_err()).count() == positions.len());
    archive.close().unwrap();
    machine
}

/// An archive with the items 0 to 4, all at index 3.
fn five_at_index_3() -> Simulated {
    let machine = Simulated::new(0);
    let mut archive = open(&machine).unwrap();
    for number in 0..5 {
        let _ = archive
            .put_multi(3, &key(number), &value(number, 30))
            .unwrap();
    }
    archive.close().unwrap();
    machine
}

/// Cuts a repair off at each of its calls, and checks what the next two opens show.
#[track_caller]
fn at_every_call(machine: &Simulated, check: impl Fn(&Store, &str)) {
    cut_off_at_every_call(machine, |archive| archive.repair().map(drop), check);
}

#[track_caller]
fn cut_off_at_every_call(
    machine: &Simulated,
    work: impl Fn(&mut Store) -> Result<()>,
    check: impl Fn(&Store, &str),
) {
    let begin = |call: u64| -> (Result<()>, Simulated) {
        let machine = machine.after_crash(Survival::Nothing, 0);
        let mut archive = open(&machine).unwrap();
        machine.stop_at(machine.calls() + call, When::After);
        (work(&mut archive), machine)
    };
    let mut call = 0;
    loop {
        let (done, stopped) = begin(call);
        for survival in [Survival::Nothing, Survival::All, Survival::Memory] {
            let left = stopped.after_crash(survival, 0);
            for _ in 0..2 {
                let archive = open(&left).unwrap();
                check(&archive, &format!("call {call}, {survival:?}"));
            }
        }
        if done.is_ok() {
            break;
        }
        call += 1;
    }
    assert!(call > 20, "{call}");
}

/// The entry that moves to a noted position is of another index.
#[test]
fn notes_of_the_old_file_do_not_stick_to_entries_of_another_index() {
    let machine = noted(filled(0..6), &[1, 2]);
    at_every_call(&machine, |archive, context| {
        for index in [0, 3, 4, 5] {
            assert_eq!(archive.status(index).unwrap(), Status::Present, "{context}");
            assert_eq!(
                archive.get(index).unwrap().unwrap(),
                value(index, 30),
                "{context}"
            );
        }
        for index in [1, 2] {
            assert_eq!(archive.status(index).unwrap(), Status::Damaged, "{context}");
        }
    });
}

/// The entry that moves to a noted position is of the same index.
#[test]
fn notes_of_the_old_file_do_not_stick_to_entries_of_the_same_index() {
    let machine = noted(five_at_index_3(), &[1, 2]);
    at_every_call(&machine, |archive, context| {
        let values: Vec<_> = archive.range(..).filter_map(Result::ok).collect();
        let values: Vec<_> = values.iter().map(|item| item.value.to_vec()).collect();
        let whole = [0, 3, 4].map(|number| value(number, 30));
        assert_eq!(values, whole, "{context}");
        for number in [0, 3, 4] {
            let item = archive.get_item(&key::<8>(number)).unwrap().unwrap();
            assert_eq!(item.value, value(number, 30), "{context}");
        }
    });
}

/// A rewind writes the section anew, without its damaged pages: fewer entries than stand before the end
/// of these.
#[test]
fn what_stands_behind_damage_is_not_cut_by_a_rewind_that_is_cut_off() {
    let machine = filled(0..8);
    for page in [1, 2] {
        let at = HEADER + page * (u64::from(PAGE) + 12) + 5;
        machine.flip_bit("index", NAME, at * 8).unwrap();
    }
    cut_off_at_every_call(
        &machine,
        |archive| archive.rewind(6),
        |archive, context| {
            for index in [0, 1, 6] {
                assert_eq!(archive.status(index).unwrap(), Status::Present, "{context}");
            }
            for index in [2, 3, 4, 5] {
                assert_eq!(archive.status(index).unwrap(), Status::Damaged, "{context}");
            }
        },
    );
}

/// Nor do notes of damage in the old file stick to what a rewind moves to their positions.
#[test]
fn notes_of_the_old_file_do_not_stick_to_entries_that_a_rewind_moves() {
    let machine = five_at_index_3();
    let mut archive = open(&machine).unwrap();
    put(&mut archive, 5..6).unwrap();
    archive.close().unwrap();
    let machine = noted(machine, &[2]);
    machine.flip_bit("index", NAME, (HEADER + 5) * 8).unwrap();
    cut_off_at_every_call(
        &machine,
        |archive| archive.rewind(4),
        |archive, context| {
            for number in [3, 4] {
                let item = archive.get_item(&key::<8>(number)).unwrap().unwrap();
                assert_eq!(item.value, value(number, 30), "{context}");
            }
            let whole = archive.range(..=3).filter_map(Result::ok).count();
            assert_eq!(whole, 2, "{context}");
        },
    );
}

/// A section whose index file is gone is emptied: only its mark still knows what it held.
#[test]
fn the_items_of_a_section_that_is_emptied_stay_told() {
    let machine = filled(0..20);
    machine.remove("index", NAME).unwrap();
    machine.sync_partition("index").unwrap();
    at_every_call(&machine, |archive, context| {
        for index in 0..20 {
            let expected = match index {
                0..8 => Status::Damaged,
                _ => Status::Present,
            };
            assert_eq!(archive.status(index).unwrap(), expected, "{context}");
        }
    });
}

/// What waits to be written would be lost with the old file.
#[test]
fn items_that_wait_are_not_lost_with_the_old_file() {
    let machine = noted(filled(0..5), &[1]);
    let mut archive = open(&machine).unwrap();
    put(&mut archive, 5..8).unwrap();
    archive.repair().unwrap();
    for archive in [&archive, &open(&without_power(&machine)).unwrap()] {
        for index in [0, 2, 3, 4, 5, 6, 7] {
            assert_eq!(archive.get(index).unwrap().unwrap(), value(index, 30));
        }
    }
}

/// A repair that was cut off has left more bytes under an unfinished name than the next one writes.
#[test]
fn a_copy_is_what_was_there_and_nothing_else() {
    let machine = noted(filled(0..5), &[1]);
    let old = bytes_of(&machine, "index", NAME);
    for kind in ["index", "value-34"] {
        let name = format!("{NAME}-1.{kind}.new");
        plant(&machine, "quarantine", &name, &[7; 20_000]);
    }
    open(&machine).unwrap().repair().unwrap();
    assert_eq!(
        bytes_of(&machine, "quarantine", &format!("{NAME}-1.index")),
        old
    );
    let value = bytes_of(&machine, "quarantine", &format!("{NAME}-1.value-34"));
    assert_eq!(value.len() as u64, STORED);
}

/// The same for what takes a section file's place.
#[test]
fn a_new_section_file_is_what_was_kept_and_nothing_else() {
    let machine = noted(filled(0..20), &[1, 2]);
    machine.flip_bit("values", "0000000000000008", 9).unwrap();
    let mut archive = open(&machine).unwrap();
    // An open removes such leftovers; whoever made these came after it.
    for partition in ["index", "values"] {
        for section in [0, 8, 24] {
            let name = format!("{section:016x}.new");
            plant(&machine, partition, &name, &[7; 20_000]);
        }
    }
    // Pages that check, more of them than the new file has.
    let old = bytes_of(&machine, "index", NAME);
    plant(&machine, "index", &format!("{NAME}.new"), &old);
    archive.repair().unwrap();
    put(&mut archive, 24..26).unwrap();
    archive.close().unwrap();
    let archive = open(&machine).unwrap();
    assert!(
        archive.recovery().sections.is_empty(),
        "{:?}",
        archive.recovery()
    );
    assert!(!archive.verify(&mut |_| {}).unwrap().needs_repair());
    let there = archive.range(..).filter_map(Result::ok);
    let there = there.map(|item| item.index);
    let all = (0..20)
        .chain(24..26)
        .filter(|index| ![1, 2].contains(index));
    assert_eq!(there.collect::<Vec<_>>(), all.collect::<Vec<_>>());
}
