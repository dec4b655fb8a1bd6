//! A leader that panics.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use futures_executor::block_on;
use quipu::storage::simulated::Simulated;
use quipu::{Bytes, DurablePut, Error, GroupCommit, Key, Options, Put};

use super::run;

/// A key of which one cannot be read, once the fuse has burnt down.
#[derive(Clone, Debug)]
struct Bomb([u8; 8]);

/// Only one bomb at a time.
static ALONE: Mutex<()> = Mutex::new(());
static IS_LIT: AtomicBool = AtomicBool::new(false);
static IS_DUE: AtomicBool = AtomicBool::new(false);

fn alone() -> MutexGuard<'static, ()> {
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    IS_LIT.store(false, Ordering::SeqCst);
    IS_DUE.store(false, Ordering::SeqCst);
    alone
}

fn wait_for(flag: &AtomicBool) {
    while !flag.load(Ordering::SeqCst) {
        thread::yield_now();
    }
}

impl Key for Bomb {
    const SIZE: Option<usize> = Some(8);

    fn as_bytes(&self) -> &[u8] {
        if self.0 == [9; 8] {
            IS_LIT.store(true, Ordering::SeqCst);
            wait_for(&IS_DUE);
            panic!("the bomb");
        }
        &self.0
    }

    fn from_bytes(bytes: &[u8]) -> quipu::Result<Self> {
        <[u8; 8]>::from_bytes(bytes).map(Self)
    }
}

fn share() -> Arc<GroupCommit<Bomb>> {
    let archive = Options::new().open_on::<Bomb, Bytes>(Arc::new(Simulated::new(1)));
    Arc::new(GroupCommit::new(archive.unwrap()))
}

fn put(shared: &GroupCommit<Bomb>, index: u64, key: u8) -> DurablePut {
    shared.put_async(index, &Bomb([key; 8]), "value")
}

fn is_poisoned(answer: &quipu::Result<Put>) -> bool {
    matches!(answer, Err(Error::Poisoned { .. }))
}

/// Those of its batch are told, those who wait for the next one, and those who come later.
#[test]
fn everybody_is_told_of_a_panic_while_tasks_are_led() {
    let _alone = alone();
    let shared = share();
    assert_eq!(block_on(put(&shared, 0, 0)).unwrap(), Put::Stored);
    let first: Vec<_> = shared.with(|_| {
        (1..=4)
            .map(|nth| put(&shared, nth, 7 + nth as u8))
            .collect()
    });
    wait_for(&IS_LIT);
    let behind: Vec<_> = (11..=14).map(|nth| put(&shared, nth, nth as u8)).collect();
    let threads: Vec<_> = (21..=24)
        .map(|nth| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.put(nth, &Bomb([nth as u8; 8]), "value"))
        })
        .collect();
    thread::sleep(Duration::from_millis(20));
    IS_DUE.store(true, Ordering::SeqCst);
    let first = run(first);
    // The first may have been taken alone.
    assert!(first.iter().filter(|answer| is_poisoned(answer)).count() >= 3);
    assert!(run(behind).iter().all(is_poisoned));
    for thread in threads {
        assert!(is_poisoned(&thread.join().unwrap()));
    }
    assert!(is_poisoned(&block_on(put(&shared, 30, 30))));
    assert!(is_poisoned(&shared.put(31, &Bomb([31; 8]), "value")));
    assert_eq!(shared.reader().get(0).unwrap().unwrap(), "value");
    let archive = Arc::into_inner(shared).unwrap().into_inner();
    assert_eq!(archive.get(0).unwrap().unwrap(), "value");
}

/// Tasks wait for a thread that leads.
#[test]
fn tasks_are_told_of_a_panic_of_a_thread() {
    let _alone = alone();
    let shared = share();
    let leader = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || shared.put(1, &Bomb([9; 8]), "value"))
    };
    wait_for(&IS_LIT);
    let behind: Vec<_> = (11..=14).map(|nth| put(&shared, nth, nth as u8)).collect();
    IS_DUE.store(true, Ordering::SeqCst);
    assert!(run(behind).iter().all(is_poisoned));
    assert!(leader.join().is_err());
    assert!(is_poisoned(&block_on(put(&shared, 30, 30))));
}
