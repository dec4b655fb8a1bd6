//! Tasks that put durably and share their flushes, alone and beside threads.

mod end;
mod panics;
mod wakers;

use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use futures_executor::{ThreadPool, block_on};
use quipu::storage::simulated::{Fault, Simulated, Survival};
use quipu::{Archive, Bytes, DurablePut, EncodeAs, Error, GroupCommit, Options, Put};

const TASKS: u64 = 16;
const EACH: u64 = 40;

type Shared = GroupCommit<[u8; 8]>;

fn open(machine: &Simulated) -> Archive<[u8; 8]> {
    let options = Options::new().items_per_section(100);
    options.open_on(Arc::new(machine.clone())).unwrap()
}

fn share(machine: &Simulated) -> Arc<Shared> {
    Arc::new(GroupCommit::new(open(machine)))
}

fn put(shared: &Shared, index: u64) -> DurablePut {
    shared.put_async(index, &index.to_be_bytes(), &index.to_le_bytes()[..])
}

/// What the tasks gave, in the order in which they ended; they run side by side.
fn run<T: Send + 'static>(
    tasks: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let runtime = ThreadPool::builder().pool_size(2).create().unwrap();
    let (ended, results) = mpsc::channel();
    let mut count = 0;
    for task in tasks {
        let ended = ended.clone();
        runtime.spawn_ok(async move { ended.send(task.await).unwrap() });
        count += 1;
    }
    drop(ended);
    let results: Vec<T> = results.iter().collect();
    assert_eq!(results.len(), count, "a task panicked");
    results
}

/// What survives when the power goes now has the item.
fn assert_durable(machine: &Simulated, index: u64) {
    let left = open(&machine.after_crash(Survival::Nothing, index));
    let value = left.get(index).unwrap();
    assert_eq!(value.as_deref(), Some(&index.to_le_bytes()[..]), "{index}");
}

/// What a runtime asks of a task that may move between its threads.
#[test]
fn a_put_can_be_awaited_anywhere() {
    fn check<T: Future + Send + Sync + Unpin + 'static>() {}
    check::<DurablePut>();
}

#[test]
fn what_was_awaited_is_durable() {
    let machine = Simulated::new(1);
    let shared = share(&machine);
    run((0..TASKS).map(|task| {
        let (shared, machine) = (Arc::clone(&shared), machine.clone());
        async move {
            for nth in 0..EACH {
                let index = nth * TASKS + task;
                assert_eq!(put(&shared, index).await.unwrap(), Put::Stored);
                if index.is_multiple_of(37) {
                    assert_durable(&machine, index);
                }
            }
        }
    }));
    assert_eq!(shared.reader().ranges(), [0..=TASKS * EACH - 1]);
}

/// Threads and tasks at once, each of which waits for its own.
#[test]
fn threads_and_tasks_put_side_by_side() {
    let machine = Simulated::new(1);
    let shared = share(&machine);
    let begin = Arc::new(Barrier::new(1 + TASKS as usize));
    let threads: Vec<_> = (0..TASKS)
        .map(|thread| {
            let (shared, machine, begin) =
                (Arc::clone(&shared), machine.clone(), Arc::clone(&begin));
            thread::spawn(move || {
                begin.wait();
                for nth in 0..EACH {
                    let index = (2 * nth + 1) * TASKS + thread;
                    let stored = shared.put(index, &index.to_be_bytes(), &index.to_le_bytes()[..]);
                    assert_eq!(stored.unwrap(), Put::Stored);
                    if index.is_multiple_of(37) {
                        assert_durable(&machine, index);
                    }
                }
            })
        })
        .collect();
    begin.wait();
    run((0..TASKS).map(|task| {
        let (shared, machine) = (Arc::clone(&shared), machine.clone());
        async move {
            for nth in 0..EACH {
                let index = 2 * nth * TASKS + task;
                assert_eq!(put(&shared, index).await.unwrap(), Put::Stored);
                if index.is_multiple_of(37) {
                    assert_durable(&machine, index);
                }
            }
        }
    }));
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(shared.reader().ranges(), [0..=2 * TASKS * EACH - 1]);
}

/// While somebody else has the archive, at most the first is taken alone.
#[test]
fn puts_that_are_asked_for_meanwhile_share_a_flush() {
    let shared = share(&Simulated::new(1));
    let syncs = || shared.with(|archive| archive.stats()).syncs;
    let before = syncs();
    let puts: Vec<_> = shared.with(|_| (0..TASKS).map(|index| put(&shared, index)).collect());
    for put in puts {
        assert_eq!(block_on(put).unwrap(), Put::Stored);
    }
    assert!((1..=2).contains(&(syncs() - before)));
}

/// A thread leads, and does not come again: who leads for tasks is told that they wait.
#[test]
fn tasks_that_come_behind_a_thread_are_not_forgotten() {
    let shared = share(&Simulated::new(1));
    assert_eq!(block_on(put(&shared, 0)).unwrap(), Put::Stored);
    let (thread, behind) = shared.with(|_| {
        let leads = Arc::clone(&shared);
        let thread = thread::spawn(move || leads.put(1, &[1; 8], "thread"));
        // On a busy machine it may come later, and nothing is tried.
        thread::sleep(Duration::from_millis(20));
        (thread, put(&shared, 2))
    });
    assert_eq!(thread.join().unwrap().unwrap(), Put::Stored);
    assert_eq!(block_on(behind).unwrap(), Put::Stored);
}

/// Nothing waits for it, and all are put in the order in which they were asked for.
#[test]
fn a_put_is_asked_for_by_the_call() {
    let shared = share(&Simulated::new(1));
    let multi = |value: &str| shared.put_multi_async(7, &[7; 8], value);
    drop(multi("first"));
    let second = multi("second");
    drop(multi("third"));
    assert_eq!(block_on(multi("fourth")).unwrap(), Put::Stored);
    assert_eq!(block_on(second).unwrap(), Put::Stored);
    let all = shared.reader().get_all(7).unwrap();
    assert_eq!(all, ["first", "second", "third", "fourth"]);
}

/// A value that has no bytes.
struct Unwritable;

impl EncodeAs<Bytes> for Unwritable {
    fn encode(&self, _: &mut Vec<u8>) -> quipu::Result<()> {
        Err(Error::Codec("no bytes".to_owned()))
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        None
    }
}

#[test]
fn each_put_has_an_answer_of_its_own() {
    let shared = share(&Simulated::new(1));
    assert_eq!(block_on(put(&shared, 250)).unwrap(), Put::Stored);
    shared.with(|archive| archive.prune(200)).unwrap();
    let answers = run((0..TASKS).map(|_| {
        let shared = Arc::clone(&shared);
        async move {
            let below = put(&shared, 199).await;
            assert!(matches!(below, Err(Error::BelowFloor { index: 199, .. })));
            assert_eq!(put(&shared, 250).await.unwrap(), Put::Exists);
            let unwritable = shared.put_async(253, &[3; 8], &Unwritable);
            assert!(matches!(unwritable.await, Err(Error::Codec(_))));
            let again = shared.put_multi_async(252, &[1; 8], "again");
            assert_eq!(again.await.unwrap(), Put::Stored);
            put(&shared, 251).await.unwrap()
        }
    }));
    let stored = answers.iter().filter(|put| **put == Put::Stored);
    assert_eq!(stored.count(), 1);
    let all = shared.reader().get_all(252).unwrap();
    assert_eq!(all.len() as u64, TASKS);
}

#[test]
fn a_flush_that_fails_is_told_to_every_task() {
    let machine = Simulated::new(1);
    let shared = share(&machine);
    assert_eq!(block_on(put(&shared, 0)).unwrap(), Put::Stored);
    machine.inject(machine.calls() + 1, Fault::FlushFails);
    let answers = run((1..=TASKS).map(|index| put(&shared, index)));
    let poisoned = answers
        .iter()
        .filter(|answer| matches!(answer, Err(Error::Poisoned { .. })));
    assert_eq!(poisoned.count() as u64, TASKS - 1);
    assert!(answers.iter().all(Result::is_err));
    let late = block_on(put(&shared, 99));
    assert!(matches!(late, Err(Error::Poisoned { .. })));
}
