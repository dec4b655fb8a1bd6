//! What an open makes of damage that comes on top of a loss of power, when marks lag; what a reader makes
//! of a refresh that failed; what was never flushed before it was adopted.
#![cfg(feature = "simulated")]

mod common;

use std::sync::Arc;

use common::{key, value};
use quipu::storage::simulated::{Fault, Simulated, Survival};
use quipu::storage::{OpenMode, Storage};
use quipu::{Archive, Options, ReadOnly, Status};

type Store = Archive<[u8; 8]>;

const NAME: &str = "0000000000000000";
const HEADER: u64 = 4096;

fn options(page_size: u16) -> Options {
    // How the marks lag behind the section files is looked at here.
    Options::new()
        .page_size(page_size)
        .items_per_section(1000)
        .commit_log_bytes(0)
}

fn open(machine: &Simulated, page_size: u16) -> Store {
    options(page_size)
        .open_on(Arc::new(machine.clone()))
        .unwrap()
}

fn put_syncs(archive: &mut Store, indices: std::ops::Range<u64>) {
    for index in indices {
        let _ = archive
            .put_sync(index, &key(index), &value(index, 9))
            .unwrap();
    }
}

fn present(archive: &Store, end: u64) -> Vec<u64> {
    let is_present = |index: &u64| archive.status(*index).unwrap() == Status::Present;
    (0..end).filter(is_present).collect()
}

/// A page that was written again shows that what stands before it was durable, whatever the marks lag.
#[test]
fn a_damaged_page_before_one_that_was_written_again_is_not_a_torn_end() {
    let machine = Simulated::new(1);
    let mut archive = open(&machine, 100);
    put_syncs(&mut archive, 0..15);
    let after = machine.after_crash(Survival::Nothing, 1);
    drop(archive);
    // Three and a half entries a page: the second one holds all of 4 to 6, and parts of 3 and 7.
    after
        .flip_bit("index", NAME, (HEADER + 112 + 40) * 8)
        .unwrap();
    let archive = open(&after, 100);
    let kept: Vec<u64> = (0..3).chain(8..15).collect();
    assert_eq!(present(&archive, 15), kept);
    assert_eq!(archive.missing_items(0, 100), [3, 4, 5, 6, 7]);
    assert!(archive.verify(&mut |_| {}).unwrap().needs_repair());
}

/// Behind damage a section goes on only as long as its mark says so. What an open marks of it is not appended,
/// where damage of the marks would be taken for what a crash tore: all of them were durable at once.
#[test]
fn the_mark_of_a_damaged_section_is_no_torn_end_of_the_marks() {
    let machine = Simulated::new(1);
    let mut archive = open(&machine, 100);
    // The marks of sixteen are durable.
    put_syncs(&mut archive, 0..20);
    let after = machine.after_crash(Survival::Nothing, 1);
    drop(archive);
    after
        .flip_bit("index", NAME, (HEADER + 112 + 40) * 8)
        .unwrap();
    drop(open(&after, 100));
    assert_durable_marks(&after);
}

/// Nor is that of a section whose old mark would take for foreign what is put from here on.
#[test]
fn the_new_mark_of_a_doubtful_section_is_no_torn_end_of_the_marks() {
    let machine = Simulated::new(1);
    let mut archive = open(&machine, 100);
    put_syncs(&mut archive, 0..20);
    archive.close().unwrap();
    // The checksum of a value that the mark has a sample of.
    machine.flip_bit("values", NAME, (HEADER + 9) * 8).unwrap();
    let archive = open(&machine, 100);
    assert_eq!(archive.recovery().damaged, 0);
    drop(archive);
    assert_durable_marks(&machine);
}

/// That damage of the marks, wherever it is, cannot be what a crash tore.
#[track_caller]
fn assert_durable_marks(machine: &Simulated) {
    let blob = machine.open("quipu", "marks", OpenMode::Read).unwrap();
    let mut durable = Vec::new();
    blob.read_into(&mut durable, 28, 8).unwrap();
    assert_eq!(durable, blob.len().unwrap().to_be_bytes());
}

/// Each process appends a few marks and flushes none: the next one makes them durable.
#[test]
fn marks_of_earlier_processes_are_flushed_by_the_next_open() {
    let mut machine = Simulated::new(1);
    for life in 0..10 {
        let mut archive = open(&machine, 28);
        put_syncs(&mut archive, 5 * life..5 * life + 5);
        let next = machine.after_crash(Survival::Memory, 1);
        drop(archive);
        machine = next;
    }
    let archive = open(&machine, 28);
    let after = machine.after_crash(Survival::Nothing, 1);
    drop(archive);
    after
        .flip_bit("index", NAME, (HEADER + 20 * 40 + 3) * 8)
        .unwrap();
    let archive = open(&after, 28);
    assert_eq!(archive.status(20).unwrap(), Status::Damaged);
    assert_eq!(present(&archive, 50).len(), 49);
}

/// A refresh that fails at any call leaves nothing out of the next one.
#[test]
fn what_a_failed_refresh_did_not_take_in_the_next_one_does() {
    for fault in [Fault::FlushFails, Fault::ErrorBefore, Fault::ReadError] {
        for at in 0..40 {
            let machine = Simulated::new(1);
            let mut archive = open(&machine, 28);
            put_syncs(&mut archive, 0..2);
            let storage: Arc<dyn Storage> = Arc::new(machine.clone());
            let mut beside: ReadOnly<[u8; 8]> = options(28).open_read_only_on(storage).unwrap();
            put_syncs(&mut archive, 2..4);
            // Another section as well.
            put_syncs(&mut archive, 1000..1002);
            machine.inject(machine.calls() + at, fault);
            let _ = beside.refresh();
            machine.inject(u64::MAX, fault);
            while beside.refresh().is_err() {}
            for index in [0, 1, 2, 3, 1000, 1001] {
                assert_eq!(
                    beside.status(index).unwrap(),
                    Status::Present,
                    "{fault:?} {at}: {index}"
                );
                assert_eq!(
                    beside.get_all(index).unwrap().len(),
                    1,
                    "{fault:?} {at}: {index}"
                );
                assert!(beside.has(&key(index)).unwrap());
            }
        }
    }
}

/// A store may be in the system's memory alone when it is adopted: its program was killed.
#[test]
fn an_adopted_store_is_durable() {
    let machine = Simulated::new(1);
    let mut archive = open(&machine, 100);
    put_syncs(&mut archive, 0..20);
    archive.close().unwrap();
    let killed = Simulated::new(2);
    for partition in ["index", "values"] {
        for name in machine.list(partition).unwrap() {
            let from = machine.open(partition, &name, OpenMode::Read).unwrap();
            let mut bytes = Vec::new();
            from.read_into(&mut bytes, 0, from.len().unwrap() as usize)
                .unwrap();
            let to = killed.open(partition, &name, OpenMode::Create).unwrap();
            to.write_at(&[std::io::IoSlice::new(&bytes)], 0).unwrap();
        }
    }
    options(100)
        .key_size(8)
        .adopt_on(Arc::new(killed.clone()))
        .unwrap();
    let after = killed.after_crash(Survival::Nothing, 1);
    assert_eq!(present(&open(&after, 100), 20).len(), 20);
}

/// Both files of a section with key tables are lost, and other items come in their place: wherever a first
/// sync of these is cut off, the tables say nothing of them.
#[test]
fn tables_of_a_lost_section_do_not_speak_for_what_fills_it() {
    let options = || options(100).keys_per_table(1);
    let open =
        |machine: &Simulated| -> Store { options().open_on(Arc::new(machine.clone())).unwrap() };
    for at in 0..60 {
        let machine = Simulated::new(at);
        let mut archive = open(&machine);
        put_syncs(&mut archive, 0..6);
        archive.close().unwrap();
        for partition in ["index", "values"] {
            machine.remove(partition, NAME).unwrap();
        }
        let mut archive = open(&machine);
        for index in (0..8).rev() {
            let number = 50 + index;
            let _ = archive.put(index, &key(number), &value(number, 9)).unwrap();
        }
        machine.inject(machine.calls() + at, Fault::ErrorBefore);
        let _ = archive.sync();
        for survival in [Survival::All, Survival::Nothing, Survival::Bytes] {
            let left = machine.after_crash(survival, at);
            let archive = open(&left);
            for index in present(&archive, 8) {
                let number = 50 + index;
                assert_eq!(archive.get(index).unwrap().unwrap(), value(number, 9));
                let found = archive.has_at(index, &key(number)).unwrap();
                assert!(found, "{at} {survival:?}: {index}");
            }
        }
        drop(archive);
    }
}

/// The value file that an open made anew has no durable name until a sync; a rewind in between keeps entries
/// whose values are lost, and its section still knows.
#[test]
fn what_is_put_after_a_rewind_of_a_section_with_a_new_file_is_durable() {
    for partition in ["values", "index"] {
        let machine = Simulated::new(1);
        let mut archive = open(&machine, 100);
        put_syncs(&mut archive, 0..4);
        archive.close().unwrap();
        machine.remove(partition, "0000000000000000").unwrap();
        machine.sync_partition(partition).unwrap();
        let mut archive = open(&machine, 100);
        archive.rewind(2).unwrap();
        put_syncs(&mut archive, 5..7);
        let archive = open(&machine.after_crash(Survival::Nothing, 1), 100);
        for index in 5..7 {
            assert_eq!(
                archive.status(index).unwrap(),
                Status::Present,
                "{partition}"
            );
        }
    }
}

/// An open cannot read the end of what a killed process left, beyond the mark, and the section goes on behind that. The
/// power then takes no mark that tells of it, or what stands there would be behind a torn end.
#[test]
fn what_is_synced_behind_an_end_that_cannot_be_read_stays() {
    let killed = Simulated::new(1);
    let mut archive = open(&killed, 100);
    put_syncs(&mut archive, 0..10);
    drop(archive);
    let calls = {
        let machine = killed.after_crash(Survival::Memory, 1);
        drop(open(&machine, 100));
        machine.calls()
    };
    let mut behind = 0;
    for call in 0..calls {
        let machine = killed.after_crash(Survival::Memory, 1);
        machine.inject(call, Fault::Unreadable);
        let opened = options(100).open_on::<[u8; 8], quipu::Bytes>(Arc::new(machine.clone()));
        let Ok(mut archive) = opened else { continue };
        if archive.put_sync(50, &key(50), &value(50, 9)).is_err() {
            continue;
        }
        behind += u64::from(present(&archive, 10).len() < 10);
        let after = machine.after_crash(Survival::Nothing, 1);
        let found = open(&after, 100).get(50).unwrap();
        assert_eq!(found.as_deref(), Some(&value(50, 9)[..]), "{call}");
    }
    assert!(behind > 0);
}
