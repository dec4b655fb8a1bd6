//! What damage, and other files, do to what the log has.

use std::sync::Arc;

use quipu::Status;
use quipu::storage::simulated::{Simulated, Survival, When};
use quipu::storage::{OpenMode, Storage};

use super::common::{key, value};
use super::{
    LOG, NAME, Store, assert_holds, bytes, copy, open, options, put_syncs, read_only, whole, write,
};

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

/// Whatever becomes of one block of the two: the records tell the generation, also where the archive was closed before.
#[test]
fn damage_of_a_generation_hides_no_sync() {
    for is_closed in [false, true] {
        let machine = Simulated::new(0);
        let mut archive = open(&machine, options());
        put_syncs(&mut archive, 0..5);
        match is_closed {
            true => archive.close().unwrap(),
            false => drop(archive),
        }
        let before = bytes(&machine, "quipu", LOG);
        let mut archive = open(&machine, options());
        put_syncs(&mut archive, 5..30);
        let after = machine.after_crash(Survival::Nothing, 0);
        let now = bytes(&after, "quipu", LOG);
        let generation = |at: usize| u64::from_be_bytes(now[at..at + 8].try_into().unwrap());
        for block in [4096, 8192] {
            let is_last = generation(block) == generation(4096).max(generation(8192));
            let mut damaged = vec![now.clone(); 3];
            damaged[0][block + 7] ^= 1;
            damaged[1][block..block + 4096].fill(0);
            // As if the disk had lost the write of an open.
            damaged[2][block..block + 4096].copy_from_slice(&before[block..block + 4096]);
            for log in damaged {
                write(&after, "quipu", LOG, &log);
                let machine = after.after_crash(Survival::All, 0);
                assert_eq!(whole(&read_only(&machine, options()), 0..30), 30);
                let archive = open(&machine, options());
                assert_holds(&archive, 0..30);
                assert_eq!(archive.recovery().commit_log_incomplete, is_last);
            }
        }
    }
}

/// Values that look like heads of records, of this generation and of ones to come, hide none that follows damage.
#[test]
fn values_that_look_like_records_hide_no_loss() {
    let machine = Simulated::new(0);
    let mut archive = open(&machine, options());
    put_syncs(&mut archive, 0..2);
    let log = bytes(&machine, "quipu", LOG);
    let generation = (&log[4096..4104]).max(&log[8192..8200]);
    let value = generation.repeat(300);
    let _ = archive.put_sync(2, &key(2), &value[..]).unwrap();
    put_syncs(&mut archive, 3..30);
    let after = machine.after_crash(Survival::Nothing, 0);
    let log = bytes(&after, "quipu", LOG);
    let at = log.windows(2400).position(|found| found == value).unwrap();
    // A byte of the value, and one of the length that the record says.
    let head = log[..at]
        .windows(8)
        .rposition(|found| *found == *generation)
        .unwrap()
        - 8;
    for damaged in [at + 100, head + 6] {
        let mut log = log.clone();
        log[damaged] ^= 1;
        let machine = after.after_crash(Survival::All, 0);
        write(&machine, "quipu", LOG, &log);
        let archive = open(&machine, options());
        assert_eq!(whole(&archive, 0..30), 2);
        assert!(archive.recovery().commit_log_incomplete, "{damaged}");
    }
}

/// A file that lost its end below the mark goes on behind that, and so does what the log has of it.
#[test]
fn a_file_that_is_shorter_than_its_mark_gets_what_the_log_has() {
    let cases = [
        ("values", 4084, 1),
        ("values", 4084, 5),
        ("index", 100, 1),
        ("index", 28, 6),
        ("index", 28, 150),
    ];
    for (partition, page, cut) in cases {
        let options = || options().page_size(page);
        let machine = Simulated::new(0);
        let mut archive = open(&machine, options());
        put_syncs(&mut archive, 0..20);
        archive.close().unwrap();
        let mut short = bytes(&machine, partition, NAME);
        short.truncate(short.len() - cut);
        write(&machine, partition, NAME, &short);
        let mut archive = open(&machine, options());
        put_syncs(&mut archive, 20..50);
        let after = machine.after_crash(Survival::Nothing, 0);
        assert_eq!(
            whole(&read_only(&after, options()), 20..50),
            30,
            "{partition} {cut}"
        );
        let archive = open(&after, options());
        assert_eq!(whole(&archive, 20..50), 30, "{partition} {cut}");
        assert!(!archive.recovery().commit_log_incomplete);
    }
}

/// The index of an entry is known where its bytes begin in the page that is damaged, wherever they end.
#[test]
fn what_a_damaged_page_does_not_get_is_told_by_index() {
    for page in [84, 86, 88, 90, 91, 100] {
        let options = || options().page_size(page);
        let machine = Simulated::new(0);
        let mut archive = open(&machine, options());
        put_syncs(&mut archive, 0..9);
        let after = machine.after_crash(Survival::Nothing, 0);
        after.flip_bit("index", NAME, (4096 + 3) * 8).unwrap();
        let archive = open(&after, options());
        let lost = u64::from(page).div_ceil(28);
        for index in 0..9 {
            let expected = if index < lost {
                Status::Damaged
            } else {
                Status::Present
            };
            assert_eq!(archive.status(index).unwrap(), expected, "{page} {index}");
        }
    }
}
