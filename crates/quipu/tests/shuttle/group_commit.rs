//! Threads and tasks that share flushes: nobody sleeps for ever, and what is told is true.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use quipu::{DurablePut, GroupCommit, Put};
use shuttle::future::block_on;
use shuttle::thread;

use super::setup::{Key, assert_found, explore, key, open, options, value, with_items};

type Shared = GroupCommit<Key>;

fn ask(shared: &Shared, index: u64) -> DurablePut {
    shared.put_async(index, &key(index, 0), &value(index, 0))
}

/// One that asks twice, each time when the last is done.
fn task(shared: &Arc<Shared>, from: u64) -> thread::JoinHandle<()> {
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        for index in from..from + 2 {
            assert_eq!(block_on(ask(&shared, index)).unwrap(), Put::Stored);
            assert_found(&shared.reader(), index, 0);
        }
    })
}

fn tasks_beside_a_thread() {
    let (storage, archive) = with_items(options(), 0..1);
    let shared = Arc::new(GroupCommit::new(archive));
    let tasks = [task(&shared, 1), task(&shared, 3)];
    for index in 5..7 {
        let put = shared.put(index, &key(index, 0), &value(index, 0));
        assert_eq!(put.unwrap(), Put::Stored);
        assert_found(&shared.reader(), index, 0);
    }
    tasks.into_iter().for_each(|task| task.join().unwrap());
    // Neither is one alone left asleep.
    assert_eq!(block_on(ask(&shared, 7)).unwrap(), Put::Stored);
    drop(Arc::into_inner(shared).unwrap().into_inner());
    assert_eq!(open(&storage, options()).ranges(), [0..=7]);
}

#[test]
fn nobody_is_left_asleep() {
    explore(tasks_beside_a_thread);
}

fn an_end_while_puts_wait() {
    let (storage, archive) = with_items(options(), 0..1);
    let shared = GroupCommit::new(archive);
    let polled = ask(&shared, 1);
    let awaited = ask(&shared, 2);
    let waits = thread::spawn(move || assert_eq!(block_on(awaited).unwrap(), Put::Stored));
    // Dropped while it may be told.
    let _ = pin!(polled).poll(&mut Context::from_waker(Waker::noop()));
    drop(ask(&shared, 3));
    drop(shared);
    assert_eq!(open(&storage, options()).ranges(), [0..=3]);
    waits.join().unwrap();
}

#[test]
fn an_end_leaves_nothing_undone() {
    explore(an_end_while_puts_wait);
}
