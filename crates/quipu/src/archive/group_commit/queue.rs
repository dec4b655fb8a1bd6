//! What waits for the next leader.

use std::sync::Arc;
use std::time::Duration;

use super::batch::{Batch, Ticket};
use crate::error::Result;
use crate::key::Key;
use crate::sync::thread::JoinHandle;
use crate::value::{EncodeAs, Value};

/// A put that somebody waits for.
#[derive(Debug)]
pub(super) struct Request<K> {
    pub(super) index: u64,
    pub(super) key: K,
    pub(super) value: Vec<u8>,
    pub(super) multi: bool,
}

#[derive(Debug)]
pub(super) struct Queue<K> {
    /// What the next leader takes,
    pub(super) requests: Vec<Request<K>>,
    /// and what becomes of it.
    pub(super) batch: Arc<Batch>,
    /// How many of them are threads'.
    pub(super) threads: usize,
    pub(super) has_leader: bool,
    /// As many requests as there may be at a time, by what the last batch and the queue behind it had,
    pub(super) expected: usize,
    /// and how long that batch took.
    pub(super) took: Duration,
    /// A leader panicked: how far it came is not known.
    pub(super) is_broken: bool,
    /// The thread that leads for tasks, once there was one.
    pub(super) committer: Option<JoinHandle<()>>,
    /// Nobody comes any more.
    pub(super) is_closing: bool,
}

impl<K: Key> Request<K> {
    pub(super) fn new<V: Value>(
        index: u64,
        key: &K,
        value: &(impl EncodeAs<V> + ?Sized),
        multi: bool,
    ) -> Result<Self> {
        let mut bytes = Vec::new();
        match value.as_bytes() {
            Some(value) => bytes.extend_from_slice(value),
            None => value.encode(&mut bytes)?,
        }
        Ok(Self {
            index,
            key: key.clone(),
            value: bytes,
            multi,
        })
    }
}

impl<K> Queue<K> {
    pub(super) fn new() -> Self {
        Self {
            requests: Vec::new(),
            batch: Arc::default(),
            threads: 0,
            has_leader: false,
            expected: 0,
            took: Duration::ZERO,
            is_broken: false,
            committer: None,
            is_closing: false,
        }
    }

    pub(super) fn push(&mut self, request: Request<K>) -> Ticket {
        self.requests.push(request);
        Batch::join(&self.batch)
    }

    /// All that waits; those who come next are of the next batch, about as many.
    pub(super) fn take(&mut self) -> (Vec<Request<K>>, Arc<Batch>) {
        let capacity = self.requests.len();
        self.threads = 0;
        (
            std::mem::replace(&mut self.requests, Vec::with_capacity(capacity)),
            std::mem::replace(&mut self.batch, Arc::new(Batch::with_capacity(capacity))),
        )
    }
}
