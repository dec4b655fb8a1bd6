//! Readers that are opened while a sync is in the log and not yet in the section files.

use std::io::IoSlice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use quipu::storage::{Memory, OpenMode, Storage};
use quipu::{Options, ReadOnly, Reader, Status};

use super::common::delegate::delegate;
use super::common::{key, value};
use super::hooked::Hooked;
use super::{NAME, Store, options, put_syncs};

/// The bytes of both files of the section.
fn read(memory: &Memory) -> Vec<Vec<u8>> {
    let read = |partition: &&str| {
        let blob = memory.open(partition, NAME, OpenMode::Read).unwrap();
        let mut bytes = Vec::new();
        let len = blob.len().unwrap() as usize;
        blob.read_into(&mut bytes, 0, len).unwrap();
        bytes
    };
    ["index", "values"].iter().map(read).collect()
}

fn write(memory: &Memory, files: &[Vec<u8>]) {
    for (partition, bytes) in ["index", "values"].iter().zip(files) {
        let blob = memory.open(partition, NAME, OpenMode::Write).unwrap();
        blob.resize(bytes.len() as u64).unwrap();
        blob.write_at(&[IoSlice::new(bytes)], 0).unwrap();
    }
}

/// Every item up to some one is there, and nothing else or damaged; how many.
fn shown(reader: &Reader<[u8; 8]>) -> u64 {
    let shown = reader.last_index().map_or(0, |last| last + 1);
    for index in 0..shown {
        let found = reader.get(index).unwrap();
        assert_eq!(found, Some(value(index, 30).into()), "{index} of {shown}");
        assert_eq!(reader.status(index).unwrap(), Status::Present);
    }
    let mut told = Vec::new();
    let report = reader.verify(&mut |event| told.push(format!("{event:?}")));
    assert!(report.unwrap().is_clean(), "{shown}: {told:?}");
    shown
}

/// A store whose last sync is in the log and not in the files yet, as long as the log's flush takes; and the files with it.
fn with_a_sync_in_the_log() -> (Memory, Store, Vec<Vec<u8>>) {
    let memory = Memory::new();
    let mut archive: Store = options().open_on(Arc::new(memory.clone())).unwrap();
    put_syncs(&mut archive, 0..5);
    let before = read(&memory);
    put_syncs(&mut archive, 5..6);
    let after = read(&memory);
    write(&memory, &before);
    (memory, archive, after)
}

/// The writer goes on by several pages while the reader opens, from any of the moments at which that opens a file.
#[test]
fn a_writer_that_goes_on_leaves_no_hole() {
    let mut opened_with_log = 0;
    for nth in 0..6 {
        let (memory, archive, after) = with_a_sync_in_the_log();
        let hooked = Hooked::new(memory.clone());
        let archive = Arc::new(Mutex::new(archive));
        let writer = Arc::clone(&archive);
        hooked.nth(nth, "open index/0000000000000000", move || {
            write(&memory, &after);
            put_syncs(&mut writer.lock().unwrap(), 6..20);
        });
        let reader: ReadOnly<[u8; 8]> = options().open_read_only_on(Arc::new(hooked)).unwrap();
        let shown = shown(&reader);
        assert!(shown >= 6, "{nth} {shown}");
        let has_gone_on = archive.lock().unwrap().last_index() == Some(19);
        opened_with_log += u32::from(has_gone_on && shown < 20);
    }
    assert!(opened_with_log > 0, "the log was never laid over the files");
}

/// A storage that serves several threads, as a disk does.
#[derive(Debug)]
struct Wide(Hooked);

impl Storage for Wide {
    fn serves_side_by_side(&self) -> bool {
        true
    }

    delegate!(0: open, remove, rename, list, sync_partition, remove_partition, lock, path_of);
}

/// The reader waits for the files to get what was in the log: its clones follow a refresh.
#[test]
fn clones_of_a_reader_that_was_opened_beside_a_sync_follow() {
    let (memory, mut archive, after) = with_a_sync_in_the_log();
    let hooked = Hooked::new(memory.clone());
    // Its second look finds them there.
    hooked.nth(1, "open index/0000000000000000", move || {
        write(&memory, &after)
    });
    let storage = Arc::new(Wide(hooked));
    let mut reader: ReadOnly<[u8; 8]> = options().open_read_only_on(storage).unwrap();
    let clone = reader.reader();
    assert_eq!(shown(&reader), 6);
    put_syncs(&mut archive, 6..20);
    reader.refresh().unwrap();
    assert_eq!((shown(&reader), shown(&clone)), (20, 20));
}

/// On a disk, with a writer that syncs one item after the other.
#[test]
fn readers_beside_small_syncs_see_what_was_synced() {
    let folder = tempfile::tempdir().unwrap();
    let options = || {
        Options::new()
            .items_per_section(1 << 20)
            .commit_log_after(0)
    };
    let mut archive: Store = options().open(folder.path()).unwrap();
    put_syncs(&mut archive, 0..3);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut next = 3;
            while !is_over.load(Ordering::Relaxed) {
                let _ = archive
                    .put_sync(next, &key(next), &value(next, 30)[..])
                    .unwrap();
                next += 1;
            }
        });
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(1) {
            let mut reader: ReadOnly<[u8; 8]> = options().open_read_only(folder.path()).unwrap();
            let first = shown(&reader);
            reader.refresh().unwrap();
            assert!(shown(&reader) >= first);
        }
        is_over.store(true, Ordering::Relaxed);
    });
}
