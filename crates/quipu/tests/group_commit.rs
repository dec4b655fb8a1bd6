//! Threads that put durably and share their flushes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use quipu::storage::simulated::{Fault, Simulated, Survival};
use quipu::{Archive, Error, GroupCommit, Key, Options, Put};

const THREADS: u64 = 16;
const EACH: u64 = 40;

fn open(machine: &Simulated) -> Archive<[u8; 8]> {
    let options = Options::new().items_per_section(100);
    options.open_on(Arc::new(machine.clone())).unwrap()
}

fn put(shared: &GroupCommit<[u8; 8]>, index: u64) -> quipu::Result<Put> {
    shared.put(index, &index.to_be_bytes(), &index.to_le_bytes()[..])
}

/// Whatever has returned is there when the power goes.
#[test]
fn a_put_that_returned_is_durable() {
    let machine = Simulated::new(1);
    let shared = GroupCommit::new(open(&machine));
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (shared, machine) = (&shared, &machine);
            scope.spawn(move || {
                for nth in 0..EACH {
                    let index = nth * THREADS + thread;
                    assert_eq!(put(shared, index).unwrap(), Put::Stored);
                    if index.is_multiple_of(37) {
                        let left = open(&machine.after_crash(Survival::Nothing, index));
                        let value = left.get(index).unwrap().unwrap();
                        assert_eq!(*value, index.to_le_bytes());
                    }
                }
            });
        }
    });
    let archive = shared.into_inner();
    assert_eq!(archive.ranges(), [0..=THREADS * EACH - 1]);
}

/// While somebody else has the archive, all of them come.
#[test]
fn puts_that_come_meanwhile_share_a_flush() {
    let shared = GroupCommit::new(open(&Simulated::new(1)));
    let syncs = || shared.with(|archive| archive.stats()).syncs;
    let round = |round: u64| {
        let before = syncs();
        thread::scope(|scope| {
            shared.with(|_| {
                for thread in 0..THREADS {
                    let shared = &shared;
                    scope.spawn(move || put(shared, round * THREADS + thread).unwrap());
                }
                thread::sleep(Duration::from_millis(20));
            });
        });
        syncs() - before
    };
    // A busy machine may not have begun some of them by then.
    assert!((0..50).any(|nth| round(nth) < THREADS / 2));
}

#[test]
fn each_put_has_an_answer_of_its_own() {
    let shared = GroupCommit::new(open(&Simulated::new(1)));
    assert_eq!(put(&shared, 250).unwrap(), Put::Stored);
    shared.with(|archive| archive.prune(200)).unwrap();
    let stored = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for index in [199, 250, 251] {
                    match (index, put(&shared, index)) {
                        (199, Err(Error::BelowFloor { index: 199, .. })) => {}
                        (251, Ok(Put::Stored)) => drop(stored.fetch_add(1, Ordering::Relaxed)),
                        (250 | 251, Ok(Put::Exists)) => {}
                        (index, put) => panic!("{index}: {put:?}"),
                    }
                }
                let again = shared.put_multi(252, &[1; 8], &b"again"[..]);
                assert_eq!(again.unwrap(), Put::Stored);
            });
        }
    });
    assert_eq!(stored.load(Ordering::Relaxed), 1);
    let reader = shared.reader();
    assert_eq!(reader.get_all(252).unwrap().len() as u64, THREADS);
}

/// The flush fails for all that shared it: nobody waits for ever, and nobody is told that it is durable.
#[test]
fn a_flush_that_fails_is_told_to_everybody() {
    let machine = Simulated::new(1);
    let shared = GroupCommit::new(open(&machine));
    assert_eq!(put(&shared, 0).unwrap(), Put::Stored);
    machine.inject(machine.calls() + 1, Fault::FlushFails);
    let (causes, stored) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for thread in 1..=THREADS {
            let (shared, causes, stored) = (&shared, &causes, &stored);
            scope.spawn(move || match put(shared, thread) {
                Err(Error::Poisoned { .. }) => {}
                Err(_) => drop(causes.fetch_add(1, Ordering::Relaxed)),
                Ok(_) => drop(stored.fetch_add(1, Ordering::Relaxed)),
            });
        }
    });
    assert_eq!(causes.load(Ordering::Relaxed), 1);
    assert_eq!(stored.load(Ordering::Relaxed), 0);
    assert!(matches!(put(&shared, 99), Err(Error::Poisoned { .. })));
}

/// A key of which one cannot be read.
#[derive(Clone, Debug)]
struct Bomb([u8; 8]);

impl Key for Bomb {
    const SIZE: Option<usize> = Some(8);

    fn as_bytes(&self) -> &[u8] {
        assert!(self.0 != [9; 8], "the bomb");
        &self.0
    }

    fn from_bytes(bytes: &[u8]) -> quipu::Result<Self> {
        <[u8; 8]>::from_bytes(bytes).map(Self)
    }
}

/// Whoever waits for a thread that panics, or comes later, is told.
#[test]
fn a_panic_of_one_thread_leaves_no_other_waiting() {
    let archive = Options::new().open_on::<Bomb, quipu::Bytes>(Arc::new(Simulated::new(1)));
    let shared = GroupCommit::new(archive.unwrap());
    let put = |index: u64, key: u8| shared.put(index, &Bomb([key; 8]), &b"value"[..]);
    assert_eq!(put(0, 0).unwrap(), Put::Stored);
    let panics = AtomicUsize::new(0);
    thread::scope(|scope| {
        let threads: Vec<_> = (1..=8)
            .map(|nth| scope.spawn(move || put(nth.into(), nth + 1)))
            .collect();
        for thread in threads {
            match thread.join() {
                Ok(Ok(_) | Err(Error::Poisoned { .. })) => {}
                Ok(Err(error)) => panic!("{error}"),
                Err(_) => drop(panics.fetch_add(1, Ordering::Relaxed)),
            }
        }
    });
    assert_eq!(panics.load(Ordering::Relaxed), 1);
    assert!(matches!(put(20, 20), Err(Error::Poisoned { .. })));
    assert_eq!(shared.reader().get(0).unwrap().unwrap(), "value");
}
