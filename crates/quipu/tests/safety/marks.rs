//! The marks and the manifest: what they must not say after a crash, and of whom.

use std::io::IoSlice;
use std::sync::Arc;

use quipu::storage::simulated::{CallKind, Simulated, Survival, When};
use quipu::storage::{OpenMode, Storage};
use quipu::{Bytes, ScrubOptions, Status};

use super::common::{key, value};
use super::work::work;
use super::{HEADER, bytes_of, filled, open, options, plant, put, without_power};

const NAME: &str = "0000000000000000";

/// An item was read and found damaged before it was durable; a crash took it, and another item of
/// the same index gets its position.
#[test]
fn damage_of_a_position_that_was_lost_does_not_stick_to_the_next_item_there() {
    let machine = filled(0..1);
    let mut archive = open(&machine).unwrap();
    // Too large for the write buffer, so that it goes to the file at once.
    let _ = archive.put(1, &key(1), &value(1, 300)).unwrap();
    let blob = machine.open("values", NAME, OpenMode::Write).unwrap();
    blob.write_at(&[IoSlice::new(b"?")], HEADER + 34 + 100)
        .unwrap();
    assert!(archive.get(1).is_err());
    drop(archive);
    let mut archive = open(&machine).unwrap();
    assert_eq!(archive.status(1).unwrap(), Status::Missing);
    let _ = archive.put(1, &key(1), &value(1, 300)).unwrap();
    archive.close().unwrap();
    let archive = open(&machine).unwrap();
    assert_eq!(archive.status(1).unwrap(), Status::Present);
    assert_eq!(archive.get(1).unwrap().unwrap(), value(1, 300));
    assert_eq!(archive.recovery().damaged, 0);
}

/// A blob that is to take another's place is longer than what is now written there.
#[test]
fn what_an_interrupted_replacement_left_is_not_behind_the_next_one() {
    let machine = filled(0..3);
    for name in [
        "manifest.new",
        "manifest-copy.new",
        "marks.new",
        "scrub.new",
    ] {
        plant(&machine, "quipu", name, &[0x51; 100_000]);
    }
    let mut archive = open(&machine).unwrap();
    put(&mut archive, 3..6).unwrap();
    let mut scrub = archive.scrub(ScrubOptions::new()).unwrap();
    while !scrub.step(1 << 20).unwrap().pass_ended {}
    drop(scrub);
    archive.close().unwrap();
    let archive = open(&without_power(&machine)).unwrap();
    assert!(archive.recovery().is_clean(), "{:?}", archive.recovery());
    assert_eq!(archive.range(..).count(), 6);
    assert_eq!(archive.stats().scrub_passes, 0, "not before one is begun");
    let scrub = archive.scrub(ScrubOptions::new()).unwrap();
    assert_eq!(scrub.progress().passes, 1);
}

/// A manifest that was durable under its unfinished name must not be what a block goes back to when
/// the disk loses the write of the next one.
#[test]
fn a_disk_that_loses_a_write_has_no_older_manifest_in_its_place() {
    let machine = filled(0..3);
    for name in ["manifest", "manifest-copy"] {
        let older = bytes_of(&machine, "quipu", name);
        plant(&machine, "quipu", &format!("{name}.new"), &older);
    }
    let mut archive = open(&machine).unwrap();
    archive.prune(8).unwrap();
    drop(archive);
    for name in ["manifest", "manifest-copy"] {
        assert!(!machine.stale_block("quipu", name, 0).unwrap(), "{name}");
    }
}

/// What a crash tore off the marks is told once, by the open that finds it: readers that come after it
/// have nothing to tell of.
#[test]
fn torn_marks_are_whole_again_once_the_archive_was_opened() {
    let machine = filled(0..3);
    let marks = bytes_of(&machine, "quipu", "marks");
    plant(&machine, "quipu", "marks", &[&marks[..], &[7; 20]].concat());
    let read_only = || {
        let storage = Arc::new(machine.clone());
        let options = options().open_read_only_on::<[u8; 8], Bytes>(storage);
        options.unwrap().verify(&mut |_| {}).unwrap()
    };
    assert!(read_only().marks_incomplete);
    let archive = open(&machine).unwrap();
    assert!(archive.recovery().marks_incomplete);
    drop(archive);
    assert!(read_only().is_clean());
    assert!(open(&machine).unwrap().recovery().is_clean());
}

/// What was synced is marked before the sync returns, so that damage of it is not taken for what a crash
/// tore: however short the time until the process is killed, and but for the last few syncs where the
/// power goes.
#[test]
fn damage_of_what_was_just_synced_is_no_torn_end() {
    let machine = Simulated::new(0);
    let mut archive = open(&machine).unwrap();
    for index in 0..40 {
        put(&mut archive, index..index + 1).unwrap();
        archive.sync().unwrap();
    }
    let (killed, off) = (super::next_process(&machine), without_power(&machine));
    drop(archive);
    for (machine, marked) in [(killed, 40), (off, 32)] {
        let name = format!("{:016x}", marked - 8);
        machine.flip_bit("index", &name, (HEADER + 5) * 8).unwrap();
        let archive = open(&machine).unwrap();
        for index in 0..marked {
            let expected = match index {
                of if of == marked - 8 || of == marked - 7 => Status::Damaged,
                _ => Status::Present,
            };
            assert_eq!(
                archive.status(index).unwrap(),
                expected,
                "{index} of {marked}"
            );
        }
    }
}

/// So many entries waited that the writer has synced their section on its own, before it was asked to.
#[test]
fn what_the_writer_has_synced_itself_is_marked_by_the_next_sync() {
    const WAITING: u64 = (4 << 20) / 28 + 1;
    let options = || super::options().items_per_section(1 << 20).page_size(4_084);
    let open = |machine: &Simulated| {
        let storage = Arc::new(machine.clone());
        options().open_on::<[u8; 8], Bytes>(storage).unwrap()
    };
    let machine = Simulated::new(0);
    let mut archive = open(&machine);
    for index in 0..WAITING {
        let _ = archive.put(index, &key(index), &[]).unwrap();
    }
    archive.sync().unwrap();
    let machine = super::next_process(&machine);
    machine.flip_bit("index", NAME, (HEADER + 5) * 8).unwrap();
    let archive = open(&machine);
    assert_eq!(archive.status(0).unwrap(), Status::Damaged);
    assert_eq!(archive.status(WAITING - 1).unwrap(), Status::Present);
}

#[test]
fn marks_of_another_archive_are_not_believed() {
    let (machine, other) = (filled(0..3), filled(0..6));
    plant(
        &machine,
        "quipu",
        "marks",
        &bytes_of(&other, "quipu", "marks"),
    );
    let archive = open(&machine).unwrap();
    assert!(archive.recovery().marks_incomplete);
    assert_eq!(archive.recovery().damaged, 0);
    assert_eq!(archive.missing_items(0, 9), []);
}

#[test]
fn marks_from_before_a_rewind_are_not_believed() {
    let machine = filled(0..20);
    let before = bytes_of(&machine, "quipu", "marks");
    let mut archive = open(&machine).unwrap();
    archive.rewind(11).unwrap();
    archive.close().unwrap();
    plant(&machine, "quipu", "marks", &before);
    let archive = open(&machine).unwrap();
    assert!(archive.recovery().marks_incomplete);
    assert_eq!(archive.status(15).unwrap(), Status::Missing);
    assert_eq!(archive.ranges(), [0..=11]);
}

/// A rewind, a repair, a destruction that is cut off leaves marks that belong to the manifest, before
/// the next open finishes it and after.
#[test]
fn marks_are_believed_wherever_the_work_was_cut_off() {
    let whole = Simulated::new(0);
    work(&whole, &options(), &mut |_| {}).unwrap();
    let changes = |kind| {
        use CallKind::{Create, Lock, Remove, Rename, Resize, Sync, SyncPartition, Write};
        let all = [
            Create,
            Lock,
            Remove,
            Rename,
            Resize,
            Sync,
            SyncPartition,
            Write,
        ];
        all.contains(&kind)
    };
    for (call, of) in (0..).zip(whole.log()).filter(|(_, of)| changes(of.kind)) {
        let machine = Simulated::new(0);
        machine.stop_at(call, When::After);
        let _ = work(&machine, &options(), &mut |_| {});
        for survival in [Survival::Nothing, Survival::All] {
            let left = machine.after_crash(survival, 0);
            for open_number in 0..2 {
                let archive = open(&left).unwrap();
                let incomplete = archive.recovery().marks_incomplete;
                assert!(!incomplete, "{survival:?} after {of}, open {open_number}");
            }
        }
    }
}

/// Without marks, only what is torn at the very end is cut: a page that does not check and has whole
/// ones behind it may have been durable.
#[test]
fn without_marks_a_damaged_page_cuts_nothing() {
    let machine = filled(0..8);
    machine.flip_bit("index", NAME, HEADER * 8).unwrap();
    machine.remove("quipu", "marks").unwrap();
    let len = bytes_of(&machine, "index", NAME).len();
    let archive = open(&machine).unwrap();
    assert!(archive.recovery().marks_incomplete);
    for index in 2..8 {
        assert_eq!(archive.get(index).unwrap().unwrap(), value(index, 30));
    }
    assert_eq!(bytes_of(&machine, "index", NAME).len(), len);
}

/// The marks are relieved of sections that are gone, and do not grow with what was ever put.
#[test]
fn a_prune_takes_its_sections_out_of_the_marks() {
    let machine = filled(0..80);
    let before = bytes_of(&machine, "quipu", "marks").len();
    let mut archive = open(&machine).unwrap();
    archive.prune(72).unwrap();
    let after = bytes_of(&machine, "quipu", "marks").len();
    assert!(after < before / 4, "{after} of {before}");
}

/// Of damage that was found, and marked, a crash takes the mark of its section that was to follow. The section
/// does not rest then: what was found damaged is not read again, as whole as it may look.
#[test]
fn marked_damage_is_known_in_a_section_whose_mark_is_of_before() {
    let machine = Simulated::new(0);
    let open = |machine: &Simulated| -> super::Store {
        let options = options().keys_per_table(16);
        options.open_on(Arc::new(machine.clone())).unwrap()
    };
    let mut archive = open(&machine);
    put(&mut archive, 0..6).unwrap();
    archive.close().unwrap();
    let of_third = (HEADER + 3 * 34 + 5) * 8;
    machine.flip_bit("values", NAME, of_third).unwrap();
    let mut archive = open(&machine);
    assert!(archive.get(3).is_err());
    archive.sync().unwrap();
    let machine = super::next_process(&machine);
    drop(archive);
    machine.flip_bit("values", NAME, of_third).unwrap();
    let archive = open(&machine);
    assert_eq!(archive.recovery().damaged, 1);
    assert_eq!(archive.status(3).unwrap(), Status::Damaged);
    assert_eq!(archive.missing_items(0, 9), [3]);
}
