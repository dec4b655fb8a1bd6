//! Durable puts of many threads that share their flushes.
//!
//! ```text
//! thread 1  put ──> queue ─┐ leads: takes the queue, puts all, one sync ──> results of the batch
//! thread 2  put ──> queue ─┤ waits ────────────────────────────────────────> its own
//! thread 3  put ─────────────────> queue of the next batch, which the next leader takes
//! ```
//!
//! Group commit, as databases do it for their logs (DeWitt et al., Implementation techniques for main memory
//! database systems, 1984): whoever finds nobody at work does it for all who have come by then.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::handle::Archive;
use super::reader::Reader;
use super::writer::Put;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::value::{EncodeAs, Value};

/// A leader waits for puts that are to be expected for this part of the time that the last batch took,
const WAIT_PART: u32 = 4;
/// and no longer than this.
const MAX_WAIT: Duration = Duration::from_millis(10);

/// An archive that many threads put to, each waiting until its item is durable; puts that come while a
/// flush is under way share the next one.
///
/// In an asynchronous program a put belongs in a thread for blocking calls, as any durable write does.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// use quipu::{Archive, GroupCommit};
///
/// let archive: Archive<[u8; 8]> = Archive::open(folder.path())?;
/// let shared = GroupCommit::new(archive);
/// std::thread::scope(|scope| {
///     for task in 0..8_u64 {
///         let shared = &shared;
///         scope.spawn(move || shared.put(task, &task.to_be_bytes(), &b"value"[..]));
///     }
/// });
/// assert_eq!(shared.reader().ranges(), [0..=7]);
/// shared.into_inner().close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct GroupCommit<K, V = Bytes> {
    archive: Mutex<Archive<K, V>>,
    reader: Reader<K, V>,
    queue: Mutex<Queue<K>>,
    /// Told when as many requests are there as a leader expects.
    complete: Condvar,
}

#[derive(Debug)]
struct Queue<K> {
    /// What the next leader takes,
    requests: Vec<Request<K>>,
    /// and what becomes of it.
    batch: Arc<Batch>,
    has_leader: bool,
    /// As many requests as there may be at a time, by what the last batch and the queue behind it had,
    expected: usize,
    /// and how long that batch took.
    took: Duration,
    /// A leader panicked: how far it came is not known.
    is_broken: bool,
}

#[derive(Debug)]
struct Request<K> {
    index: u64,
    key: K,
    value: Vec<u8>,
    multi: bool,
}

#[derive(Debug, Default)]
struct Batch {
    results: Mutex<Vec<Option<Result<Put>>>>,
    /// Told when the results are there, or that a leader is wanted.
    changed: Condvar,
}

impl<K: Key, V: Value> GroupCommit<K, V> {
    /// Shares an archive.
    pub fn new(archive: Archive<K, V>) -> Self {
        Self {
            reader: archive.reader(),
            archive: Mutex::new(archive),
            queue: Mutex::new(Queue {
                requests: Vec::new(),
                batch: Arc::default(),
                has_leader: false,
                expected: 0,
                took: Duration::ZERO,
                is_broken: false,
            }),
            complete: Condvar::new(),
        }
    }

    /// Stores an item where the index is free; durable when it returns, as by [`Archive::put_sync`].
    ///
    /// # Errors
    /// As [`Archive::put_sync`]. Where the flush of a batch fails, one of its puts has the error itself, and the others
    /// [`Error::Poisoned`] with its text. Whether their items are durable is not known then.
    pub fn put(&self, index: u64, key: &K, value: &(impl EncodeAs<V> + ?Sized)) -> Result<Put> {
        self.commit(index, key, value, false)
    }

    /// Stores an item also where the index is taken; durable when it returns.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub fn put_multi(
        &self,
        index: u64,
        key: &K,
        value: &(impl EncodeAs<V> + ?Sized),
    ) -> Result<Put> {
        self.commit(index, key, value, true)
    }

    /// A reader of the archive.
    pub fn reader(&self) -> Reader<K, V> {
        self.reader.clone()
    }

    /// Does something else with the archive, a prune say, while no batch is being put.
    pub fn with<T>(&self, work: impl FnOnce(&mut Archive<K, V>) -> T) -> T {
        work(&mut self.archive.lock())
    }

    /// The archive, for one alone again.
    pub fn into_inner(self) -> Archive<K, V> {
        self.archive.into_inner()
    }

    fn commit(
        &self,
        index: u64,
        key: &K,
        value: &(impl EncodeAs<V> + ?Sized),
        multi: bool,
    ) -> Result<Put> {
        let mut bytes = Vec::new();
        match value.as_bytes() {
            Some(value) => bytes.extend_from_slice(value),
            None => value.encode(&mut bytes)?,
        }
        let request = Request {
            index,
            key: key.clone(),
            value: bytes,
            multi,
        };
        let mut queue = self.queue.lock();
        let nth = queue.requests.len();
        queue.requests.push(request);
        if queue.requests.len() == queue.expected {
            self.complete.notify_one();
        }
        let batch = Arc::clone(&queue.batch);
        loop {
            if let Some(result) = batch.result(nth) {
                return result;
            }
            if queue.is_broken {
                return Err(broken());
            }
            if queue.has_leader {
                batch.changed.wait(&mut queue);
            } else {
                queue = self.lead(queue);
            }
        }
    }

    /// Puts what waits, and syncs once.
    fn lead<'a>(&'a self, mut queue: MutexGuard<'a, Queue<K>>) -> MutexGuard<'a, Queue<K>> {
        queue.has_leader = true;
        self.wait_for_expected(&mut queue);
        let requests = std::mem::take(&mut queue.requests);
        let batch = std::mem::take(&mut queue.batch);
        let put_all = AssertUnwindSafe(|| self.put_all(&requests));
        let done = MutexGuard::unlocked(&mut queue, || catch_unwind(put_all));
        let (results, panic) = match done {
            Ok((results, took)) => {
                queue.took = took;
                (results, None)
            }
            Err(panic) => (
                requests.iter().map(|_| Some(Err(broken()))).collect(),
                Some(panic),
            ),
        };
        *batch.results.lock() = results;
        batch.changed.notify_all();
        queue.expected = requests.len() + queue.requests.len();
        queue.has_leader = false;
        queue.is_broken |= panic.is_some();
        match queue.is_broken {
            true => queue.batch.changed.notify_all(),
            false => usize::from(queue.batch.changed.notify_one()),
        };
        match panic {
            None => queue,
            Some(panic) => {
                drop(queue);
                resume_unwind(panic)
            }
        }
    }

    /// Those whose puts the last batch made durable are about to put again, many of them. Without them every second
    /// flush would be of one half, and the next of the other. Who does not come again is waited for once.
    fn wait_for_expected(&self, queue: &mut MutexGuard<'_, Queue<K>>) {
        let until = Instant::now() + MAX_WAIT.min(queue.took / WAIT_PART);
        while queue.requests.len() < queue.expected {
            if self.complete.wait_until(queue, until).timed_out() {
                break;
            }
        }
    }

    /// What became of each, and how long that took once the archive was free.
    fn put_all(&self, requests: &[Request<K>]) -> (Vec<Option<Result<Put>>>, Duration) {
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
        (results.into_iter().map(Some).collect(), started.elapsed())
    }
}

fn broken() -> Error {
    Error::Poisoned {
        cause: "a thread that put for others panicked".to_owned(),
    }
}

impl Batch {
    /// What became of a request, once.
    fn result(&self, nth: usize) -> Option<Result<Put>> {
        self.results.lock().get_mut(nth)?.take()
    }
}
