//! The thread that leads where tasks wait, which must not.

use std::sync::Arc;

use super::batch::Ticket;
use super::lead::{Shared, broken};
use super::queue::Request;
use crate::archive::reader::Reader;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::sync::thread::{self, JoinHandle};
use crate::value::Value;

impl<K: Key, V: Value> Shared<K, V> {
    /// Has something put without waiting for it.
    pub(super) fn ask(
        self: &Arc<Self>,
        request: Request<K>,
        reader: &Reader<K, V>,
    ) -> Result<Ticket> {
        let mut queue = self.queue.lock();
        if queue.is_broken {
            return Err(broken());
        }
        if queue.committer.is_none() {
            let started = self.start();
            let failed = |error| Error::io("start a thread for", reader.shared.path(), error);
            queue.committer = Some(started.map_err(failed)?);
        }
        let ticket = queue.push(request);
        let has_leader = queue.has_leader;
        let is_complete = queue.requests.len() == queue.expected;
        drop(queue);
        match has_leader {
            true if is_complete => self.complete.notify_one(),
            true => {}
            false => self.work.notify_one(),
        }
        Ok(ticket)
    }

    fn start(self: &Arc<Self>) -> std::io::Result<JoinHandle<()>> {
        let shared = Arc::clone(self);
        let thread = thread::Builder::new().name("quipu-commit".to_owned());
        thread.spawn(move || shared.run())
    }

    /// Leads whenever somebody waits and nobody else does; ends when nobody can come any more.
    fn run(&self) {
        let mut queue = self.queue.lock();
        loop {
            if queue.requests.is_empty() && queue.is_closing {
                return;
            }
            if queue.requests.is_empty() || queue.has_leader {
                queue = self.work.wait(queue);
            } else {
                // Everybody is told of a panic, and the next ones will be.
                drop(self.lead(queue));
                queue = self.queue.lock();
            }
        }
    }
}

impl<K, V> Shared<K, V> {
    /// Nobody comes any more: what waits is put and flushed before this returns.
    pub(super) fn close(&self) {
        let mut queue = self.queue.lock();
        queue.is_closing = true;
        let committer = queue.committer.take();
        drop(queue);
        self.complete.notify_one();
        self.work.notify_one();
        // A waker may be the last to hold what is dropped here: its thread ends by itself, soon.
        if let Some(committer) = committer
            && committer.thread().id() != thread::current().id()
        {
            let _ = committer.join();
        }
    }
}
