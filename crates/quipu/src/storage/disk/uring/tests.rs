use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::AsFd;
use std::sync::Arc;

use super::ring::DEPTH;
use super::*;
use crate::storage::{Blob, Disk, OpenMode, Storage};

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 251) as u8).collect()
}

fn file(len: usize) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes(len)).unwrap();
    file
}

/// A ring, unless this system has none; says so then.
fn ring() -> Option<Ring> {
    let ring = Ring::new();
    if let Err(error) = &ring {
        println!("no io_uring here: {error}");
    }
    ring.ok()
}

fn of(file: &File, offset: u64, len: usize) -> Option<Request<'_>> {
    let file = file.as_fd();
    Some(Request { file, offset, len })
}

#[test]
fn many_more_reads_than_are_under_way_at_a_time() {
    let Some(ring) = ring() else { return };
    let file = file(100_000);
    let places: Vec<_> = (0..20 * DEPTH)
        .map(|nth| (nth * 7919 % 99_000, 1 + nth % 900))
        .collect();
    let requests: Vec<_> = places
        .iter()
        .map(|&(offset, len)| of(&file, offset as u64, len))
        .collect();
    let mut ring = Some(ring);
    for _ in 0..3 {
        let (read, back) = ring.take().unwrap().read(&requests);
        for (&(offset, len), read) in places.iter().zip(read) {
            assert!(read.unwrap() == bytes(100_000)[offset..offset + len]);
        }
        ring = back;
    }
}

#[test]
fn a_read_that_was_cut_short_goes_on_where_it_stopped() {
    for most in [1, 7, 100, 999, 1000, 1001] {
        let Some(ring) = ring() else { return };
        let file = file(5000);
        let ring = Ring { most, ..ring };
        let requests: Vec<_> = (0..100).map(|nth| of(&file, nth * 40, 1000)).collect();
        let (read, ring) = ring.read(&requests);
        assert!(ring.is_some());
        for (nth, read) in read.into_iter().enumerate() {
            assert!(read.unwrap() == bytes(5000)[nth * 40..][..1000], "{most}");
        }
    }
}

/// The end of the file, what cannot be read at all, and what is not asked of the ring: none of them stops the others.
#[test]
fn what_cannot_be_read_is_left_to_a_call() {
    let Some(ring) = ring() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("for writing");
    let unreadable = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .unwrap();
    let a_folder = File::open(folder.path()).unwrap();
    let file = file(100);
    let each = [
        of(&file, 0, 100),
        of(&file, 50, 51),
        of(&unreadable, 0, 10),
        None,
        of(&a_folder, 0, 10),
        of(&file, 100, 1),
        of(&file, i64::MAX as u64 - 10, 5),
        of(&file, 99, 1),
    ];
    let requests: Vec<_> = each.iter().cycle().take(40 * each.len()).copied().collect();
    let (read, ring) = ring.read(&requests);
    assert!(ring.is_some());
    for read in read.chunks(each.len()) {
        let whole: Vec<bool> = read.iter().map(Option::is_some).collect();
        assert_eq!(
            whole,
            [true, false, false, false, false, false, false, true]
        );
        assert!(read[0].as_ref().unwrap() == &bytes(100));
    }
}

/// The system refuses to go on, now or later: what is under way is waited for, and counts; the rest is left to
/// calls, and the ring is not used again.
#[test]
fn a_ring_that_gives_up() {
    let file = file(50_000);
    let requests: Vec<_> = (0..500).map(|nth| of(&file, nth * 90, 100)).collect();
    for waits in [0, 1, 2, 5] {
        let Some(ring) = ring() else { return };
        let (read, ring) = Ring { waits, ..ring }.read(&requests);
        assert!(ring.is_none());
        let done = read.iter().flatten().count();
        assert!(
            if waits == 0 {
                done == 0
            } else {
                (1..500).contains(&done)
            },
            "{done}"
        );
        for (nth, read) in read.into_iter().enumerate() {
            assert!(read.is_none_or(|read| read == bytes(50_000)[nth * 90..][..100]));
        }
    }
}

/// A flight that ends early, as by a panic, leaves nothing to the system that it may write to.
#[test]
fn a_flight_that_is_dropped_is_waited_for() {
    let file = file(500_000);
    let requests: Vec<_> = (0..DEPTH as u64)
        .map(|nth| of(&file, nth, 400_000))
        .collect();
    for waits in [1, 2] {
        let Some(ring) = ring() else { return };
        let mut ring = Ring { waits, ..ring };
        let mut flight = flight::Flight::new(&mut ring, &requests);
        let _ = flight.run();
        drop(flight);
        assert!(ring.ring.completion().is_empty());
    }
}

fn blob(disk: &Disk) -> Arc<dyn Blob> {
    let blob = disk.open("p", "blob", OpenMode::Create).unwrap();
    blob.write_at(&[std::io::IoSlice::new(&bytes(10_000))], 0)
        .unwrap();
    blob
}

fn read_some(disk: &Disk, blob: &dyn Blob) {
    let read = |nth: usize| Read {
        blob,
        offset: nth as u64,
        len: 100,
    };
    let reads: Vec<_> = (0..300).map(read).collect();
    for (nth, read) in disk.read_many(&reads).into_iter().enumerate() {
        assert!(read.unwrap() == bytes(10_000)[nth..nth + 100]);
    }
}

#[test]
fn rings_are_made_for_as_many_threads_as_read_and_stay() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::create(folder.path()).unwrap();
    if ring().is_none() {
        return assert!(!disk.reads_at_once());
    }
    assert!(disk.reads_at_once());
    let blob = blob(&disk);
    std::thread::scope(|scope| {
        for _ in 0..3 * MAX_RINGS {
            scope.spawn(|| read_some(&disk, &*blob));
        }
    });
    let pool = disk.rings.pool.lock();
    assert_eq!(pool.taken, 0);
    assert!((1..=MAX_RINGS).contains(&pool.idle.len()), "{pool:?}");
}

/// Behind a fork a ring is the other process's; this one makes its own.
#[test]
fn a_ring_of_another_process_is_not_used() {
    let Some(ring) = ring() else { return };
    let rings = Rings::new(true);
    let other = Ring {
        process: u32::MAX,
        ..ring
    };
    rings.pool.lock().idle.push(other);
    assert!(rings.work.set(true).is_ok());
    assert!(rings.take().unwrap().is_of_this_process());
    assert!(rings.pool.lock().idle.is_empty());
}

#[test]
fn without_rings_every_read_is_a_call() {
    let folder = tempfile::tempdir().unwrap();
    let forbidden = || Disk::create(folder.path()).unwrap().with_io_uring(false);
    // As where the system has none.
    let missing = Disk::create(folder.path()).unwrap();
    assert!(missing.rings.work.set(false).is_ok());
    for disk in [forbidden(), missing] {
        assert!(!disk.reads_at_once());
        let blob = blob(&disk);
        read_some(&disk, &*blob);
        assert_eq!(disk.rings.pool.lock().idle.len(), 0);
    }
}
