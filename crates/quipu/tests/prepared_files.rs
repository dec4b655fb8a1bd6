//! Files of the next section are made ahead, by a sync.

use std::sync::Arc;

use quipu::storage::simulated::{CallKind, Fault, Simulated, Survival};
use quipu::storage::{OpenMode, Storage};
use quipu::{Archive, Compression, Error, Options, ReadOnly};

type Store = Archive<[u8; 8]>;

fn options() -> Options {
    Options::new().items_per_section(8)
}

fn open(machine: &Simulated, options: Options) -> Store {
    options.open_on(Arc::new(machine.clone())).unwrap()
}

fn put_sync(archive: &mut Store, index: u64) {
    let _ = archive
        .put_sync(index, &index.to_be_bytes(), &b"value"[..])
        .unwrap();
}

/// So many that the next sync makes the next section's files.
fn put_first_six(archive: &mut Store) {
    for index in 0..6 {
        let key = u64::to_be_bytes(index);
        let _ = archive.put(index, &key, &b"value"[..]).unwrap();
    }
}

/// Names of a partition that are of no section of these indices.
fn prepared(machine: &Simulated, partition: &str, used: &[u64]) -> Vec<String> {
    let used: Vec<_> = used
        .iter()
        .map(|index| format!("{:016x}", index - index % 8))
        .collect();
    let mut names = machine.list(partition).unwrap();
    names.retain(|name| !used.contains(name));
    names
}

/// Both files of the next section are made by the sync that finds the last one nearly full, so that the put
/// that begins it makes no file and waits for no flush.
#[test]
fn the_put_that_begins_a_section_waits_for_no_flush() {
    let machine = Simulated::new(0);
    let mut archive: Archive<[u8; 8]> = Options::new()
        .items_per_section(8)
        .open_on(Arc::new(machine.clone()))
        .unwrap();
    let mut put = |index: u64| {
        let from = machine.log().len();
        let _ = archive
            .put(index, &index.to_be_bytes(), &b"value"[..])
            .unwrap();
        let calls = machine.log().split_off(from);
        archive.sync().unwrap();
        calls
    };
    for index in 0..40 {
        let calls = put(index);
        let flushes = calls
            .iter()
            .filter(|call| matches!(call.kind, CallKind::Sync | CallKind::Create));
        // The first put of all makes its own.
        assert!(index == 0 || flushes.count() == 0, "{index}: {calls:?}");
    }
    archive.close().unwrap();
    let names = machine.list("index").unwrap();
    assert_eq!(names.len(), 5, "{names:?}");
    assert_eq!(machine.list("values").unwrap(), names);
}

/// What was prepared is not needed where puts go elsewhere, and somebody may remove it.
#[test]
fn what_was_prepared_may_not_be_needed_or_be_gone() {
    let machine = Simulated::new(0);
    let mut archive = open(&machine, options());
    let used = [6, 30, 47, 46, 48, 62];
    for index in used {
        put_sync(&mut archive, index);
        for partition in ["index", "values"] {
            let prepared = prepared(&machine, partition, &used);
            assert!(prepared.len() <= 1, "{prepared:?}");
            if let (62, Some(name)) = (index, prepared.first()) {
                machine.remove(partition, name).unwrap();
            }
        }
    }
    put_sync(&mut archive, 64);
    archive.close().unwrap();
    let used = [6, 30, 47, 48, 62, 64];
    for partition in ["index", "values"] {
        assert_eq!(prepared(&machine, partition, &used), [""; 0]);
    }
    let archive = open(&machine, options());
    assert_eq!(archive.get(64).unwrap().unwrap(), "value");
    assert_eq!(
        archive.get(&64_u64.to_be_bytes()).unwrap().unwrap(),
        "value"
    );
}

/// What a killed process leaves of them is an empty section, as the reference program knows it, and the next
/// open goes on with it; so does a reader that was there before and after they were removed and made again.
#[test]
fn a_killed_process_leaves_an_empty_section() {
    let machine = Simulated::new(0);
    let mut archive = open(&machine, options());
    put_sync(&mut archive, 6);
    let killed = machine.after_crash(Survival::All, 1);
    for partition in ["index", "values"] {
        let names = killed.list(partition).unwrap();
        assert_eq!(names, ["0000000000000000", "0000000000000008"]);
    }
    let storage = Arc::new(killed.clone());
    let mut beside: ReadOnly<[u8; 8]> = options().open_read_only_on(storage).unwrap();
    let mut archive = open(&killed, options());
    put_sync(&mut archive, 8);
    beside.refresh().unwrap();
    assert_eq!(beside.get(8).unwrap().unwrap(), "value");
    put_sync(&mut archive, 14);
    beside.refresh().unwrap();
    archive.close().unwrap();
    beside.refresh().unwrap();
    put_sync(&mut open(&killed, options()), 16);
    beside.refresh().unwrap();
    assert_eq!(beside.get(16).unwrap().unwrap(), "value");
}

/// A reader beside takes no section in that holds nothing: its files may go, and come again with another compression.
#[test]
fn a_reader_beside_waits_until_a_section_holds_something() {
    let machine = Simulated::new(0);
    let with = |compression| options().compression(compression);
    let mut archive = open(&machine, with(Compression::Off));
    put_sync(&mut archive, 6);
    let storage = Arc::new(machine.clone());
    let mut beside: ReadOnly<[u8; 8]> = options().open_read_only_on(storage).unwrap();
    assert_eq!(beside.stats().sections, 1);
    archive.close().unwrap();
    let is_clean = |beside: &ReadOnly<[u8; 8]>| {
        let verified = beside.verify(&mut |_| {}).unwrap();
        verified.is_clean() && beside.plan_repair().unwrap().is_empty()
    };
    assert!(is_clean(&beside));
    beside.refresh().unwrap();
    assert!(is_clean(&beside));
    let mut archive = open(&machine, with(Compression::Zstd(3)));
    for index in 7..12 {
        put_sync(&mut archive, index);
    }
    beside.refresh().unwrap();
    for index in 7..12 {
        assert_eq!(beside.get(index).unwrap().unwrap(), "value", "{index}");
    }
    assert!(is_clean(&beside));
}

#[test]
fn a_writer_that_is_dropped_leaves_no_file_that_is_not_needed() {
    let machine = Simulated::new(0);
    let mut archive = open(&machine, options());
    put_sync(&mut archive, 6);
    drop(archive);
    for partition in ["index", "values"] {
        assert_eq!(machine.list(partition).unwrap(), ["0000000000000000"]);
    }
}

/// A file of the next section that is there already is left as it is.
#[test]
fn a_file_that_is_there_is_not_replaced() {
    let machine = Simulated::new(0);
    let mut archive = open(&machine, options());
    for index in [0, 8] {
        put_sync(&mut archive, index);
    }
    archive.close().unwrap();
    // Nothing of the section can be read, nor may be lost.
    for at in [0, 8 * 4] {
        machine.flip_bit("index", "0000000000000008", at).unwrap();
    }
    let len = || {
        let blob = machine.open("index", "0000000000000008", OpenMode::Read);
        blob.unwrap().len().unwrap()
    };
    let before = len();
    machine.remove("quipu", "marks").unwrap();
    let mut archive = open(&machine, options());
    put_sync(&mut archive, 7);
    assert_eq!(len(), before);
}

/// A write or a flush that failed is told and ends the writing, also where all that was put is durable by then.
#[test]
fn a_preparation_that_failed_stops_the_writer() {
    let is_sync = |kind| kind == CallKind::Sync || kind == CallKind::Write;
    let mut failed = 0;
    for nth in 0..40 {
        let machine = Simulated::new(0);
        let mut archive = open(&machine, options());
        put_first_six(&mut archive);
        let from = machine.log().len();
        machine.inject(machine.calls() + nth, Fault::ErrorBefore);
        let synced = archive.sync();
        let calls = machine.log().split_off(from);
        let Some(call) = calls.get(nth as usize) else {
            break;
        };
        if is_sync(call.kind) {
            failed += 1;
            assert!(synced.is_err(), "{nth} {call:?}");
            let put = archive.put(6, &[6; 8], &b"value"[..]);
            assert!(
                matches!(put, Err(Error::Poisoned { .. })),
                "{nth} {call:?}: {put:?} behind {synced:?}"
            );
        }
    }
    assert!(failed > 5, "{failed}");
}

/// The reserve is for syncs and prunes that are asked for.
#[test]
fn nothing_is_made_ahead_out_of_the_disk_reserve() {
    let machine = Simulated::new(0);
    let mut archive = open(&machine, options().disk_reserve(32 << 10));
    put_sync(&mut archive, 6);
    assert_eq!(machine.list("index").unwrap(), ["0000000000000000"]);
}

/// Where there is no room for files that are made ahead, the sync is as good as ever and nothing of them stays.
#[test]
fn a_full_disk_leaves_nothing_that_was_made_ahead() {
    let mut full = 0;
    for more in 0..100 {
        let machine = Simulated::new(0);
        let mut archive = open(&machine, options());
        put_first_six(&mut archive);
        machine.set_capacity(Some(20_000 + 200 * more));
        let synced = archive.sync();
        let names: Vec<_> = ["index", "values"]
            .iter()
            .flat_map(|partition| machine.list(partition).unwrap())
            .collect();
        assert!(
            names.iter().all(|name| !name.ends_with(".new")),
            "{more} {names:?}"
        );
        if synced.is_ok() && names.len() == 2 {
            full += 1;
            let _ = archive.put(6, &[6; 8], &b"value"[..]).unwrap();
        }
    }
    assert!(full > 0);
}

/// What was made ahead and passed over goes with the sections around it.
#[test]
fn a_prune_removes_what_was_made_ahead_below_the_floor() {
    let machine = Simulated::new(0);
    let mut archive = open(&machine, options());
    put_first_six(&mut archive);
    archive.sync().unwrap();
    assert_eq!(prepared(&machine, "index", &[0]).len(), 1);
    put_sync(&mut archive, 81);
    assert_eq!(archive.prune(80).unwrap(), 1);
    for partition in ["index", "values"] {
        assert_eq!(machine.list(partition).unwrap().len(), 1, "{partition}");
    }
    let after = machine.after_crash(Survival::Nothing, 0);
    assert!(open(&after, options()).recovery().is_clean());
}

/// What a crash in the first creation of all left stands for nothing.
#[test]
fn an_archive_is_created_beside_an_unfinished_file() {
    let machine = Simulated::new(0);
    let name = "0000000000000000.new";
    drop(machine.open("index", name, OpenMode::Create).unwrap());
    let mut archive = open(&machine, options());
    assert_eq!(archive.recovery().removed, [machine.path("index", name)]);
    put_sync(&mut archive, 0);
    assert_eq!(machine.list("index").unwrap(), ["0000000000000000"]);
}
