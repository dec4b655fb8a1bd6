//! Many threads that read what is cut, grows, or goes meanwhile.

use std::fs::{self, OpenOptions};
use std::io::IoSlice;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{scope, sleep};
use std::time::Duration;

use quipu::storage::{Disk, OpenMode, Storage};
use quipu::{Archive, Bytes, Error, Options, PageCache, ReadOnly, Reader};

use super::{ITEMS, make, open, value};

/// Ends the threads of a scope, also where the test fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Reads item after item until the end; how many were found, and how many were not whole.
fn read_on(reader: &Reader<[u8; 8], Bytes>, first: u64, end: &AtomicBool) -> (u64, u64) {
    let (mut found, mut lost) = (0, 0);
    for index in (first..).map(|nth| nth * 7 % ITEMS) {
        if end.load(Ordering::Acquire) {
            break;
        }
        match reader.get(index) {
            Ok(item) => {
                assert_eq!(item.unwrap(), value(index));
                found += 1;
            }
            Err(error) => {
                assert!(error.is_corruption(), "{error}");
                lost += 1;
            }
        }
    }
    (found, lost)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let partitions = ["index", "values"].map(|name| folder.join(name));
    let files = partitions.iter().flat_map(|of| fs::read_dir(of).unwrap());
    files.map(|file| file.unwrap().path()).collect()
}

/// Somebody cuts the files to any length and puts back what they had, while eight threads read. What was found damaged
/// stays so: each round has files of its own.
#[test]
fn files_that_are_cut_and_grow_again_beside_eight_readers() {
    let (mut found, mut lost) = (0, 0);
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path());
        let archive = open(folder.path(), true);
        assert_eq!((super::read(&archive), super::read(&archive)), (0, 0));
        let end = AtomicBool::new(false);
        scope(|threads| {
            let ends = Ends(&end);
            let readers: Vec<_> = (0..8)
                .map(|first| {
                    let (reader, end) = (archive.reader(), &end);
                    threads.spawn(move || read_on(&reader, first * 31, end))
                })
                .collect();
            for step in (0..12).rev() {
                sleep(Duration::from_millis(10));
                for path in files(folder.path()) {
                    let bytes = fs::read(&path).unwrap();
                    let file = OpenOptions::new().write(true).open(path).unwrap();
                    file.set_len(bytes.len() as u64 * step / 12).unwrap();
                    sleep(Duration::from_millis(1));
                    file.write_all_at(&bytes, 0).unwrap();
                }
            }
            drop(ends);
            for reader in readers {
                let (whole, damaged) = reader.join().unwrap();
                (found, lost) = (found + whole, lost + damaged);
            }
        });
    }
    assert!(found > 0 && lost > 0, "{found} found, {lost} lost");
}

/// The same, of one file: what is read is what a call would read.
#[test]
fn a_blob_that_is_cut_and_grows_again_beside_eight_readers() {
    const LEN: usize = 1 << 20;
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::create(folder.path()).unwrap();
    let bytes: Vec<u8> = (0..LEN).map(|at| 1 + (at / 4096 % 255) as u8).collect();
    let blob = disk.open("a", "b", OpenMode::Create).unwrap();
    blob.write_at(&[IoSlice::new(&bytes)], 0).unwrap();
    let other = OpenOptions::new()
        .write(true)
        .open(folder.path().join("a/b"))
        .unwrap();
    let (end, calls) = (AtomicBool::new(false), AtomicU64::new(0));
    // Each read is all of the file's, or zeros where it was cut, page by page; none where it ends before.
    let read = |disk: &Disk, first: usize| {
        let blob = disk.open("a", "b", OpenMode::Read).unwrap();
        for step in (first..first + 400).map(|nth| nth * 7919) {
            let (at, mut found) = (step % (LEN - 3000), Vec::new());
            match blob.read_into(&mut found, at as u64, 3000) {
                Ok(()) => {
                    let expected = bytes.get(at..at + 3000).unwrap();
                    let all = found.iter().zip(expected);
                    assert!(all.clone().all(|(&is, &was)| is == was || is == 0));
                }
                Err(error) => assert!(matches!(error, Error::OutOfBounds { .. }), "{error}"),
            }
            calls.fetch_add(1, Ordering::Relaxed);
        }
    };
    scope(|threads| {
        let ends = Ends(&end);
        for thread in 0..8 {
            let (disk, read, end) = (&disk, &read, &end);
            threads.spawn(move || {
                while !end.load(Ordering::Acquire) {
                    read(disk, thread * 1000);
                }
            });
        }
        for step in 0..200_usize {
            other.set_len((step * 5003 * 4096 % LEN) as u64).unwrap();
            sleep(Duration::from_millis(1));
            other.write_all_at(&bytes, 0).unwrap();
            sleep(Duration::from_millis(1));
        }
        drop(ends);
    });
    assert!(calls.load(Ordering::Relaxed) > 0);
    let mut found = Vec::new();
    for _ in 0..40 {
        found.clear();
        blob.read_into(&mut found, 500_000, 3000).unwrap();
        assert_eq!(found, bytes[500_000..503_000]);
    }
}

/// What is put grows its files, beyond the first map, while it is read.
#[test]
fn a_section_that_grows_beside_its_readers() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::new()
        .page_cache(PageCache::new(0))
        .write_buffer(20_000);
    let mut archive: Archive<[u8; 8], Bytes> = options.open(folder.path()).unwrap();
    let (stored, end) = (AtomicU64::new(0), AtomicBool::new(false));
    scope(|threads| {
        let _ends = Ends(&end);
        for first in 0..4 {
            let (reader, stored, end) = (archive.reader(), &stored, &end);
            threads.spawn(move || {
                for step in first.. {
                    if end.load(Ordering::Acquire) {
                        break;
                    }
                    let all = stored.load(Ordering::Acquire);
                    // The last ones, and any.
                    let last = all.saturating_sub(1 + step % 16);
                    for index in [last, step * 7919 % all.max(1)] {
                        if index < all {
                            assert_eq!(reader.get(index).unwrap().unwrap(), value(index));
                        }
                    }
                }
            });
        }
        for index in 0..10 * ITEMS {
            let _ = archive
                .put(index, &index.to_be_bytes(), &value(index)[..])
                .unwrap();
            stored.store(index + 1, Ordering::Release);
            if index % 64 == 63 {
                archive.sync().unwrap();
            }
        }
    });
}

/// Maps of one archive go while the same files are read through those of another.
#[test]
fn an_archive_that_is_dropped_while_another_one_reads() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path());
    let open = || -> ReadOnly<[u8; 8], Bytes> {
        let options = Options::new().page_cache(PageCache::new(0));
        options.open_read_only(folder.path()).unwrap()
    };
    let (stays, end) = (open(), AtomicBool::new(false));
    scope(|threads| {
        let ends = Ends(&end);
        let (reader, ended) = (stays.reader(), &end);
        let reading = threads.spawn(move || read_on(&reader, 0, ended));
        for round in 0..20 {
            let goes = open();
            let reader = goes.reader();
            let reads = move |reader: Reader<[u8; 8], Bytes>| {
                for index in (0..ITEMS)
                    .cycle()
                    .skip(round as usize)
                    .take(2 * ITEMS as usize)
                {
                    assert_eq!(reader.get(index).unwrap().unwrap(), value(index));
                }
            };
            let beside = threads.spawn(move || reads(reader));
            drop(goes);
            beside.join().unwrap();
        }
        drop(ends);
        assert_eq!(reading.join().unwrap().1, 0);
    });
}
