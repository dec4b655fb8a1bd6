//! What damage, other files and files that are away do to what the log has.

use std::sync::Arc;

use quipu::Status;
use quipu::storage::simulated::{Simulated, Survival, When};
use quipu::storage::{OpenMode, Storage};

use super::common::{key, value};
use super::{LOG, NAME, Store, assert_holds, bytes, copy, open, options, put_syncs};

/// A log that is damaged is told where it may have held something, and never acted on.
#[test]
fn a_damaged_log_is_told() {
    let machine = Simulated::new(0);
    let mut archive = open(&machine, options());
    put_syncs(&mut archive, 0..30);
    let lost = machine.after_crash(Survival::Nothing, 0);
    let killed = machine.after_crash(Survival::Memory, 0);
    drop(archive);
    let places = (0..64 * 1024).step_by(997).chain(4096..4110);
    for at in places.chain(12_288..12_500).chain(0..40) {
        for (machine, is_whole) in [(&lost, false), (&killed, true)] {
            let machine = machine.after_crash(Survival::All, 0);
            machine.flip_bit("quipu", LOG, at * 8 + 3).unwrap();
            let archive = open(&machine, options());
            let stored = archive.range(..).map(|item| item.unwrap().index).max();
            let items = stored.map_or(0, |last| last + 1);
            assert_holds(&archive, 0..items);
            let is_told = archive.recovery().commit_log_incomplete;
            // The last record may be one that a crash tore.
            assert!(items >= 29 || is_told || is_whole, "{at}: {items}");
            assert!(items == 30 || !is_whole, "{at}: {items}");
            drop(archive);
            // Once.
            assert!(!open(&machine, options()).recovery().commit_log_incomplete);
        }
    }
    let cut = lost.open("quipu", LOG, OpenMode::Write).unwrap();
    cut.resize(14_000).unwrap();
    assert!(open(&lost, options()).recovery().commit_log_incomplete);
}

/// What a checkpoint leaves of the log, in a crash, is not taken for damage.
#[test]
fn a_crash_in_a_checkpoint_is_no_damage() {
    let work = |machine: &Simulated| -> quipu::Result<()> {
        let mut archive: Store = options().open_on(Arc::new(machine.clone()))?;
        for index in 0..12 {
            let _ = archive.put_sync(index, &key(index), &value(index, 30)[..])?;
        }
        let _ = archive.put(12, &key(12), &value(12, 8000)[..])?;
        archive.sync()?;
        let _ = archive.put_sync(13, &key(13), &value(13, 30)[..])?;
        archive.close()
    };
    let whole = Simulated::new(0);
    work(&whole).unwrap();
    for call in 0..whole.calls() {
        for survival in [Survival::Bytes, Survival::Sectors, Survival::Prefix] {
            let machine = Simulated::new(0);
            machine.stop_at(call, When::After);
            let _ = work(&machine);
            let after = machine.after_crash(survival, call);
            let archive = open(&after, options());
            assert!(!archive.recovery().commit_log_incomplete, "{call}");
        }
    }
}

/// Where one page is damaged, what the log has for others comes to them.
#[test]
fn a_damaged_page_keeps_nothing_from_the_others() {
    let machine = Simulated::new(0);
    let mut archive = open(&machine, options());
    put_syncs(&mut archive, 0..60);
    let after = machine.after_crash(Survival::Nothing, 0);
    drop(archive);
    // The first entry, which is all that the section's file has durably.
    after.flip_bit("index", NAME, (4096 + 5) * 8).unwrap();
    let archive = open(&after, options());
    assert!(archive.recovery().commit_log_incomplete);
    // Entries of 28 bytes in pages of 100: those of the first page, and a part of one, are lost with it.
    for index in 0..4 {
        assert_eq!(archive.status(index).unwrap(), Status::Damaged);
    }
    assert_eq!(archive.missing_items(0, 9), [0, 1, 2, 3]);
    for index in 4..60 {
        assert_eq!(archive.get(index).unwrap().unwrap(), value(index, 30));
    }
}

/// A section whose files are away is made anew: what the log kept for the old ones does not come to the new ones.
#[test]
fn a_section_that_is_made_anew_gets_nothing_of_the_old_one() {
    let options = || options().items_per_section(10).page_size(28);
    let machine = Simulated::new(0);
    let mut archive = open(&machine, options());
    put_syncs(&mut archive, 0..6);
    let after = machine.after_crash(Survival::Nothing, 0);
    drop(archive);
    for partition in ["index", "values"] {
        after.remove(partition, NAME).unwrap();
    }
    let mut archive = open(&after, options());
    let _ = archive.put_sync(3, &key(77), &value(77, 30)[..]).unwrap();
    archive.close().unwrap();
    let archive = open(&after, options());
    assert_eq!(archive.get_all(3).unwrap(), [value(77, 30)]);
    assert_eq!(archive.last_index(), Some(3));
}

/// Files that are not those that the log was written for stay as they are.
#[test]
fn a_log_of_other_files_is_not_brought_to_them() {
    let machine = Simulated::new(0);
    let mut archive = open(&machine, options());
    put_syncs(&mut archive, 0..2);
    let older = machine.after_crash(Survival::Nothing, 0);
    put_syncs(&mut archive, 2..10);
    let newer = machine.after_crash(Survival::Nothing, 0);
    drop(archive);
    // Other items in place of those that the log goes on from.
    let mut other = open(&older, options());
    other.rewind(0).unwrap();
    let _ = other.put_sync(1, &key(77), &value(77, 30)[..]).unwrap();
    other.close().unwrap();
    for partition in ["index", "values"] {
        copy(&older, &newer, partition, NAME);
    }
    let before = bytes(&newer, "index", NAME);
    let archive = open(&newer, options());
    assert!(archive.recovery().commit_log_incomplete);
    assert!(bytes(&newer, "index", NAME) == before);
}

/// Files that are away when the archive is opened get what the log has when they are back.
#[test]
fn a_log_waits_for_files_that_are_away() {
    let machine = Simulated::new(0);
    let mut archive = open(&machine, options().items_per_section(10));
    put_syncs(&mut archive, 0..2);
    put_syncs(&mut archive, 10..12);
    put_syncs(&mut archive, 2..6);
    let after = machine.after_crash(Survival::Nothing, 0);
    drop(archive);
    let away = after.after_crash(Survival::All, 0);
    for partition in ["index", "values"] {
        after.remove(partition, NAME).unwrap();
    }
    let mut archive = open(&after, options().items_per_section(10));
    put_syncs(&mut archive, 12..15);
    // Nothing that has to do with them.
    archive.rewind(500).unwrap();
    assert!(archive.rewind(3).is_err());
    archive.close().unwrap();
    for partition in ["index", "values"] {
        copy(&away, &after, partition, NAME);
    }
    let archive = open(&after, options().items_per_section(10));
    for index in (0..6).chain(10..15) {
        assert_eq!(archive.get(index).unwrap().unwrap(), value(index, 30));
    }
}
