//! Durable puts of many threads and tasks that share their flushes.
//!
//! ```text
//! thread 1  put ────────> queue ─┐ leads: takes the queue, puts all, one sync ──> results of the batch
//! thread 2  put ────────> queue ─┤ waits ────────────────────────────────────────> its own
//! task 3    put_async ──> queue ─┘ has its waker with the batch ──────────────────> is woken
//! thread 4  put ───────────────────────> queue of the next batch, which the next leader takes
//! ```
//!
//! Group commit, as databases do it for their logs (DeWitt et al., Implementation techniques for main memory
//! database systems, 1984): whoever finds nobody at work does it for all who have come by then.
//!
//! A task must not block, so it never leads. A thread of its own, `quipu-commit`, leads where only tasks wait; the
//! first of them starts it.
//!
//! - `queue`: what waits for the next leader. `batch`: what becomes of those that were taken, and who is to be told.
//! - `lead`: putting, flushing, telling. `committer`: the thread. `durable_put`: what a task awaits.
//!
//! Locks, in their order: the queue, then a batch. The archive is put to without either, and wakers, which are a
//! stranger's code, are called and dropped without any.
//!
//! Cost: a put of a task copies its value, and takes a place in what its batch has in two vectors. It takes two
//! locks when it comes and one for each poll.

mod batch;
mod committer;
mod durable_put;
mod lead;
mod queue;

use std::sync::Arc;

use bytes::Bytes;

pub use self::durable_put::DurablePut;
use self::lead::Shared;
use self::queue::Request;
use super::handle::Archive;
use super::reader::Reader;
use super::writer::Put;
use crate::error::Result;
use crate::key::Key;
use crate::sync::thread;
use crate::value::{EncodeAs, Value};

/// An archive that many threads and async tasks put to, each waiting until its item is durable; puts that come
/// while a flush is under way share the next one.
///
/// Threads call [`put`](Self::put), tasks await [`put_async`](Self::put_async), in any mixture. Tasks may be of any
/// runtime, and need none: what they await is woken by a thread that the first of them starts.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// use quipu::{Archive, GroupCommit};
///
/// let archive: Archive<[u8; 8]> = Archive::open(folder.path())?;
/// let shared = GroupCommit::new(archive);
/// std::thread::scope(|scope| {
///     for thread in 0..8_u64 {
///         let shared = &shared;
///         scope.spawn(move || shared.put(thread, &thread.to_be_bytes(), &b"value"[..]));
///     }
/// });
/// assert_eq!(shared.reader().ranges(), [0..=7]);
/// shared.into_inner().close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Tasks that outlive the function that starts them share it in an [`Arc`]:
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let runtime = futures_executor::ThreadPool::new()?;
/// # let (done, all_done) = std::sync::mpsc::channel::<()>();
/// use std::sync::Arc;
///
/// use quipu::{Archive, GroupCommit};
///
/// let archive: Archive<[u8; 8]> = Archive::open(folder.path())?;
/// let shared = Arc::new(GroupCommit::new(archive));
/// for task in 0..8_u64 {
///     let shared = Arc::clone(&shared);
///     # let done = done.clone();
///     runtime.spawn_ok(async move {
///         let put = shared.put_async(task, &task.to_be_bytes(), &b"value"[..]);
///         // Now it is durable, or it is told why not.
///         println!("{task}: {:?}", put.await);
///         # drop((shared, done));
///     });
/// }
/// # drop(done);
/// # let _ = all_done.recv();
/// # assert_eq!(shared.reader().ranges(), [0..=7]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Its end
///
/// [`into_inner`](Self::into_inner) and dropping it put and flush what tasks still wait for, wake them, and return
/// once that is done; what tasks await can be awaited for longer than this lives. Either blocks for a flush then, so
/// that a runtime with other things to do leaves it to a thread for blocking calls. The same goes for
/// [`with`](Self::with).
#[derive(Debug)]
pub struct GroupCommit<K, V = Bytes> {
    shared: Arc<Shared<K, V>>,
    reader: Reader<K, V>,
}

impl<K: Key, V: Value> GroupCommit<K, V> {
    /// Shares an archive.
    pub fn new(archive: Archive<K, V>) -> Self {
        Self {
            reader: archive.reader(),
            shared: Arc::new(Shared::new(archive)),
        }
    }

    /// Stores an item where the index is free; durable when it returns, as by [`Archive::put_sync`].
    ///
    /// # Errors
    /// As [`Archive::put_sync`]. Where the flush of a batch fails, one of its puts has the error itself, and the others
    /// [`Error::Poisoned`](crate::Error::Poisoned) with its text. Whether their items are durable is not known then.
    pub fn put(&self, index: u64, key: &K, value: &(impl EncodeAs<V> + ?Sized)) -> Result<Put> {
        self.shared.put(Request::new(index, key, value, false)?)
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
        self.shared.put(Request::new(index, key, value, true)?)
    }

    /// Stores an item where the index is free; durable once what this returns has been awaited.
    ///
    /// The put is asked for by this call, not when it is first awaited: puts are done in the order of their calls,
    /// and many can be asked for before the first is awaited. The value is copied, so nothing is borrowed. What is
    /// dropped instead of being awaited is put all the same. How much waits at a time is up to the callers.
    ///
    /// # Errors
    /// Once awaited, those of [`Self::put`], and [`Error::Io`](crate::Error::Io) where the thread that serves tasks
    /// cannot be started.
    pub fn put_async(
        &self,
        index: u64,
        key: &K,
        value: &(impl EncodeAs<V> + ?Sized),
    ) -> DurablePut {
        self.ask(Request::new(index, key, value, false))
    }

    /// Stores an item also where the index is taken; as [`Self::put_async`] in everything else.
    pub fn put_multi_async(
        &self,
        index: u64,
        key: &K,
        value: &(impl EncodeAs<V> + ?Sized),
    ) -> DurablePut {
        self.ask(Request::new(index, key, value, true))
    }

    fn ask(&self, request: Result<Request<K>>) -> DurablePut {
        match request.and_then(|request| self.shared.ask(request, &self.reader)) {
            Ok(ticket) => DurablePut::waiting(ticket),
            Err(error) => DurablePut::failed(error),
        }
    }

    /// A reader of the archive.
    pub fn reader(&self) -> Reader<K, V> {
        self.reader.clone()
    }

    /// Does something else with the archive, a prune say, while no batch is being put.
    pub fn with<T>(&self, work: impl FnOnce(&mut Archive<K, V>) -> T) -> T {
        work(&mut self.shared.archive.lock())
    }

    /// The archive, for one alone again, once all is put and flushed that tasks wait for.
    pub fn into_inner(self) -> Archive<K, V> {
        let mut shared = Arc::clone(&self.shared);
        drop(self);
        loop {
            // The thread has ended, and nobody else had it.
            match Arc::try_unwrap(shared) {
                Ok(alone) => return alone.archive.into_inner(),
                Err(again) => shared = again,
            }
            thread::yield_now();
        }
    }
}

impl<K, V> Drop for GroupCommit<K, V> {
    fn drop(&mut self) {
        self.shared.close();
    }
}
