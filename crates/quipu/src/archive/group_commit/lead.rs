//! Puts what waits, flushes once, and tells everybody.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::task::Waker;
use std::time::{Duration, Instant};

use super::queue::{Queue, Request};
use crate::archive::handle::Archive;
use crate::archive::writer::Put;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::value::Value;

/// A leader waits for puts that are to be expected for this part of the time that the last batch took,
const WAIT_PART: u32 = 4;
/// and no longer than this.
const MAX_WAIT: Duration = Duration::from_millis(10);

/// What a panic was given.
pub(super) type Panic = Box<dyn Any + Send>;

#[derive(Debug)]
pub(super) struct Shared<K, V> {
    pub(super) archive: Mutex<Archive<K, V>>,
    pub(super) queue: Mutex<Queue<K>>,
    /// Told when as many requests are there as a leader expects.
    pub(super) complete: Condvar,
    /// Told when the thread that leads for tasks is wanted.
    pub(super) work: Condvar,
}

impl<K: Key, V: Value> Shared<K, V> {
    pub(super) fn new(archive: Archive<K, V>) -> Self {
        Self {
            archive: Mutex::new(archive),
            queue: Mutex::new(Queue::new()),
            complete: Condvar::default(),
            work: Condvar::default(),
        }
    }

    /// Waits in this thread, or leads.
    pub(super) fn put(&self, request: Request<K>) -> Result<Put> {
        let mut queue = self.queue.lock();
        if queue.is_broken {
            return Err(broken());
        }
        let ticket = queue.push(request);
        queue.threads += 1;
        if queue.requests.len() == queue.expected {
            self.complete.notify_one();
        }
        loop {
            if let Some(result) = ticket.result() {
                return result;
            }
            if queue.has_leader {
                queue = ticket.batch().changed.wait(queue);
            } else {
                if let Some(panic) = self.lead(queue) {
                    resume_unwind(panic);
                }
                queue = self.queue.lock();
            }
        }
    }

    /// Puts what waits, and syncs once; the panic that ended it, if one did, once everybody is told.
    pub(super) fn lead(&self, mut queue: MutexGuard<'_, Queue<K>>) -> Option<Panic> {
        queue.has_leader = true;
        let mut queue = self.wait_for_expected(queue);
        let (requests, batch) = queue.take();
        drop(queue);
        let count = requests.len();
        let done = catch_unwind(AssertUnwindSafe(|| self.put_all(requests)));
        let mut queue = self.queue.lock();
        let (mut wakers, panic) = match done {
            Ok((results, took)) => {
                queue.took = took;
                (batch.tell(results), None)
            }
            Err(panic) => (batch.tell((0..count).map(|_| Err(broken()))), Some(panic)),
        };
        batch.changed.notify_all();
        queue.expected = count + queue.requests.len();
        queue.has_leader = false;
        let behind = panic.is_some().then(|| queue.break_off(&mut wakers));
        self.call_next(&queue);
        drop(queue);
        wake(wakers);
        drop(behind);
        panic
    }

    /// Those whose puts the last batch made durable are about to put again, many of them. Without them every second
    /// flush would be of one half, and the next of the other. Who does not come again is waited for once.
    fn wait_for_expected<'a>(
        &self,
        mut queue: MutexGuard<'a, Queue<K>>,
    ) -> MutexGuard<'a, Queue<K>> {
        let until = Instant::now() + MAX_WAIT.min(queue.took / WAIT_PART);
        while queue.requests.len() < queue.expected && !queue.is_closing {
            let timed_out;
            (queue, timed_out) = self.complete.wait_until(queue, until);
            if timed_out {
                break;
            }
        }
        queue
    }

    /// What became of each, and how long that took once the archive was free.
    fn put_all(&self, requests: Vec<Request<K>>) -> (Vec<Result<Put>>, Duration) {
        let mut archive = self.archive.lock();
        let started = Instant::now();
        let mut results: Vec<Result<Put>> = requests
            .iter()
            .map(|of| archive.put_bytes(of.index, &of.key, &of.value, of.multi))
            .collect();
        if let Err(error) = archive.sync() {
            let others = || match &error {
                Error::StorageFull { action, path } => Error::StorageFull {
                    action,
                    path: path.clone(),
                },
                error => Error::Poisoned {
                    cause: error.to_string(),
                },
            };
            // A put that was refused has its own.
            let mut stored = results.iter_mut().filter(|result| result.is_ok()).rev();
            let first = stored.next_back();
            stored.for_each(|result| *result = Err(others()));
            if let Some(first) = first {
                *first = Err(error);
            }
        }
        (results, started.elapsed())
    }

    /// Somebody is to lead those who came meanwhile: one of the threads that wait, or the one that does it for tasks.
    fn call_next(&self, queue: &Queue<K>) {
        if queue.threads > 0 {
            queue.batch.changed.notify_one();
        } else if !queue.requests.is_empty() {
            self.work.notify_one();
        }
    }
}

impl<K> Queue<K> {
    /// Nobody leads any more: those who wait are told; what they asked for.
    fn break_off(&mut self, wakers: &mut Vec<Waker>) -> Vec<Request<K>> {
        self.is_broken = true;
        let (requests, batch) = self.take();
        wakers.extend(batch.tell(requests.iter().map(|_| Err(broken()))));
        batch.changed.notify_all();
        requests
    }
}

pub(super) fn broken() -> Error {
    Error::Poisoned {
        cause: "a thread that put for others panicked".to_owned(),
    }
}

/// Wakes tasks. One that panics in it is no reason to leave the others asleep.
fn wake(wakers: Vec<Waker>) {
    for waker in wakers {
        let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
    }
}
