//! Eight readers beside a writer that puts, syncs, prunes, rewinds and opens the archive again.
//!
//! Bounded by rounds, not by time: `QUIPU_STRESS_ROUNDS` says how many (20 when not given). Every
//! read is checked against what may be there: an item tells by its key which index it has and in
//! which round it was put, and the writer says before each step what it is about to take away.

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use common::{Bench, mix};
use quipu::index::FourCap;
use quipu::{Archive, Bytes, Item, Options, ReadOnly, Reader, Status};

type Key = [u8; 16];

const READERS: u64 = 8;
const SPAN: u64 = 240;
const SECTION: u64 = 16;

/// What may be there, as the writer tells it. Indices in `from..to` are stored for certain.
#[derive(Default)]
struct Told {
    from: AtomicU64,
    to: AtomicU64,
    /// Counts every time that something was about to be taken away: what was asked for before and
    /// answered after may be gone.
    removals: AtomicU64,
    reads: AtomicU64,
    /// Whether readers are to let go of the archive.
    leave: AtomicBool,
    done: AtomicBool,
}

/// The first four bytes are shared by many, so that keys conflict.
fn key(index: u64, round: u64) -> Key {
    let mut key = [0; 16];
    key[..4].copy_from_slice(&(index as u32 % 16).to_be_bytes());
    key[4..8].copy_from_slice(&(index as u32).to_be_bytes());
    key[8..].copy_from_slice(&round.to_be_bytes());
    key
}

fn value(key: &Key) -> Vec<u8> {
    key.repeat(1 + usize::from(key[7] % 5))
}

fn check(item: &Item<Key, Bytes>) {
    let round = u64::from_be_bytes(item.key[8..].try_into().unwrap());
    assert_eq!(item.key, key(item.index, round));
    assert_eq!(item.value, value(&item.key));
}

/// One reader's questions about an index, and what they must answer.
fn ask(reader: &Reader<Key>, told: &Told, step: u64) {
    let removals = told.removals.load(Ordering::SeqCst);
    let (from, to) = (
        told.from.load(Ordering::SeqCst),
        told.to.load(Ordering::SeqCst),
    );
    let index = from + step % (SPAN + 20);
    let item = reader.get_item(index).unwrap();
    let by_key = item.as_ref().map(|item| reader.get(&item.key).unwrap());
    let status = reader.status(index).unwrap();
    let all = reader.get_all(index).unwrap();
    let certain = told.removals.load(Ordering::SeqCst) == removals && (from..to).contains(&index);
    if certain {
        assert!(item.is_some(), "{index} is not found");
        assert!(
            matches!(&by_key, Some(Some(_))),
            "the key of {index} is not found"
        );
        assert_eq!((status, all.len()), (Status::Present, 1), "{index}");
    }
    assert_ne!(status, Status::Damaged);
    item.iter().for_each(check);
    if let (Some(item), Some(Some(found))) = (&item, &by_key) {
        assert_eq!(item.value, found);
    }
}

fn read_on(reader: &Reader<Key>, told: &Told, mut step: u64, until: impl Fn() -> bool) {
    while !until() {
        step = mix(step);
        ask(reader, told, step >> 8);
        told.reads.fetch_add(1, Ordering::Relaxed);
        let index = told.from.load(Ordering::SeqCst) + step % SPAN;
        match step % 16 {
            0 => reader
                .range(index..index + 30)
                .for_each(|item| check(&item.unwrap())),
            1 => reader
                .range(..index)
                .rev()
                .take(30)
                .for_each(|item| check(&item.unwrap())),
            2 => drop((
                reader.missing_items(0, 50),
                reader.ranges(),
                reader.next_gap(index),
            )),
            3 => assert_eq!(reader.stats().damaged, 0),
            4 if step % 64 == 4 => assert!(reader.verify(&mut |_| {}).unwrap().is_clean()),
            _ => {}
        }
    }
}

/// A reader of the writer's own archive. It leaves when the writer wants to go on with another.
fn reader(open: &RwLock<Option<Reader<Key>>>, told: &Told, thread: u64) {
    let mut turn = 0;
    while !told.done.load(Ordering::SeqCst) {
        let open = open.read().unwrap_or_else(PoisonError::into_inner);
        turn += READERS;
        if let Some(reader) = &*open {
            let leave = || told.leave.load(Ordering::SeqCst) || told.done.load(Ordering::SeqCst);
            read_on(reader, told, thread + turn, leave);
        }
        drop(open);
        std::thread::yield_now();
    }
}

/// A reader as another process has it. It is behind the writer, so nothing is certain to be there.
fn beside(bench: &Bench, told: &Told) {
    let open = || bench.options().open_read_only_on(bench.storage());
    let mut beside: Option<ReadOnly<Key>> = None;
    let mut step = 1;
    while !told.done.load(Ordering::SeqCst) {
        step = mix(step);
        let index = told.from.load(Ordering::SeqCst) + step % SPAN;
        let Some(archive) = &mut beside else {
            beside = open().ok();
            continue;
        };
        match archive.get_item(index) {
            Ok(item) => item.iter().for_each(check),
            Err(error) => assert!(matches!(error, quipu::Error::Stale { .. }), "{error}"),
        }
        if step % 32 == 0 && archive.refresh().is_err() {
            beside = None;
        }
    }
}

/// Puts up to `end`, a few out of order, some in a batch, with a sync now and then.
fn fill(archive: &mut Archive<Key>, told: &Told, end: u64, round: u64) {
    let start = told.to.load(Ordering::SeqCst);
    for first in (start..end).step_by(5) {
        let swapped = [first, first + 2, first + 1];
        for index in swapped {
            let key = key(index, round);
            assert_eq!(
                archive.put(index, &key, &value(&key)).unwrap(),
                quipu::Put::Stored
            );
        }
        let batch = [first + 3, first + 4].map(|index| {
            let key = key(index, round);
            (index, key, value(&key))
        });
        assert_eq!(archive.put_batch(batch).unwrap(), 2);
        told.to.store(first + 5, Ordering::SeqCst);
        if first % 40 == 0 {
            archive.sync().unwrap();
        }
    }
}

/// What the writer does in one round.
fn write(archive: &mut Archive<Key>, told: &Told, round: u64) {
    let from = told.from.load(Ordering::SeqCst);
    fill(archive, told, from + SPAN, round);
    let keep = from + SPAN / 2 + mix(round) % (SPAN / 2);
    told.to.store(keep - keep % 5, Ordering::SeqCst);
    told.removals.fetch_add(1, Ordering::SeqCst);
    archive.rewind(told.to.load(Ordering::SeqCst) - 1).unwrap();
    fill(archive, told, from + SPAN, round + 1_000_000);
    let floor = from + SECTION * (1 + round % 3);
    told.from.store(floor, Ordering::SeqCst);
    told.removals.fetch_add(1, Ordering::SeqCst);
    archive.prune(floor).unwrap();
}

fn assert_whole(archive: &Archive<Key>, told: &Told) {
    let (from, to) = (
        told.from.load(Ordering::SeqCst),
        told.to.load(Ordering::SeqCst),
    );
    assert_eq!(archive.ranges(), [from..=to - 1]);
    let stats = archive.stats();
    assert_eq!((stats.keys, stats.damaged), (to - from, 0));
    assert!(archive.verify(&mut |_| {}).unwrap().is_clean());
}

fn stress(bench: &Bench) {
    let rounds = std::env::var("QUIPU_STRESS_ROUNDS").map_or(20, |text| text.parse().unwrap());
    let (told, open) = (Told::default(), RwLock::default());
    std::thread::scope(|scope| {
        for thread in 0..READERS - 1 {
            let (told, open) = (&told, &open);
            scope.spawn(move || reader(open, told, thread));
        }
        scope.spawn(|| beside(bench, &told));
        let _done = SetAtEnd(&told.done);
        let hand_out = |reader| {
            told.leave.store(true, Ordering::SeqCst);
            *open.write().unwrap_or_else(PoisonError::into_inner) = reader;
            told.leave.store(false, Ordering::SeqCst);
        };
        let mut archive: Archive<Key> = bench.open();
        for round in 0..rounds {
            hand_out(Some(archive.reader()));
            write(&mut archive, &told, round);
            if round % 4 == 3 {
                hand_out(None);
                assert_whole(&archive, &told);
                archive.close().unwrap();
                archive = bench.open();
                assert_whole(&archive, &told);
            }
        }
    });
    println!(
        "{rounds} rounds, {} reads",
        told.reads.load(Ordering::Relaxed)
    );
}

/// Lets the readers end, also when the writer panics.
struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn options() -> Options {
    Options::new()
        .items_per_section(SECTION)
        .page_size(100)
        .write_buffer(300)
        .max_open_files(12)
        .translator(FourCap)
}

#[test]
fn eight_readers_beside_everything_in_memory() {
    Bench::memory(options(), stress);
}

#[test]
fn eight_readers_beside_everything_on_a_disk() {
    Bench::disk(options(), stress);
}
