//! What an engine does to be measured.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};

use crate::durable_puts::DurablePuts;
use crate::items::Key;
use crate::workload::Workload;

/// An item to be put.
#[derive(Clone, Debug)]
pub struct Item {
    pub index: u64,
    pub key: Key,
    pub value: Vec<u8>,
}

/// What is done with a value while the engine lends it: engines that can lend need not copy.
pub type OnValue<'a> = &'a mut dyn FnMut(&[u8]);

/// The same for one of many keys, with the key's place among them.
pub type OnEach<'a> = &'a mut dyn FnMut(usize, &[u8]);

/// One engine. Threads share it: one puts and prunes, any number read.
pub trait Engine: Send + Sync + Sized {
    /// What `--variant` may be; without it the engine is as its docs recommend.
    const VARIANTS: &'static [&'static str] = &[];

    /// Whether [`tasks`](Self::tasks) are those of a runtime, so that threads are measured besides.
    const HAS_ASYNC_TASKS: bool = false;

    /// Does the work with what the engine needs around it.
    fn run<T>(_dir: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
        work()
    }

    /// Opens what is in the folder, or creates it there.
    fn open(dir: &Path, workload: &Workload) -> Result<Self>;

    /// Puts items; they are durable when it returns.
    fn put_batch(&self, batch: &[Item]) -> Result<()>;

    /// Puts an item that the next [`flush`](Self::flush) makes durable, for engines that part the two.
    fn put(&self, _item: &Item) -> Result<()> {
        bail!("it has no put that is not durable")
    }

    /// Returns when all is durable that was put before. Another thread than the one that puts calls it;
    /// an engine that cannot do both at a time has one wait for the other.
    fn flush(&self) -> Result<()> {
        bail!("it has no flush")
    }

    /// Puts one item; it is durable when it returns. Many threads call it at a time, for engines that
    /// let them share a flush.
    fn put_durable(&self, item: &Item) -> Result<()> {
        self.put_batch(std::slice::from_ref(item))
    }

    /// Has as many tasks put all of `puts`; returns when they have ended. They are threads, unless the engine has
    /// a durable put that can be awaited.
    fn tasks(&self, tasks: u64, puts: &Arc<DurablePuts>) -> Result<()> {
        puts.by_threads(tasks, |item| self.put_durable(item))
    }

    /// Reads the value of an index; whether there is one.
    fn get(&self, index: u64, on: OnValue<'_>) -> Result<bool>;

    fn get_by_key(&self, key: &Key, on: OnValue<'_>) -> Result<bool>;

    /// Reads the values of many keys in the way the engine does best, in any order.
    fn get_many(&self, keys: &[Key], on: OnEach<'_>) -> Result<()> {
        for (at, key) in keys.iter().enumerate() {
            self.get_by_key(key, &mut |value| on(at, value))?;
        }
        Ok(())
    }

    /// Reads the items of a range of indices in ascending order; how many there were. An engine that has
    /// no such call reads one by one.
    fn scan(&self, indices: Range<u64>, on: OnValue<'_>) -> Result<u64> {
        let mut count = 0;
        for index in indices {
            count += u64::from(self.get(index, on)?);
        }
        Ok(count)
    }

    /// The bytes of memory that its cache of what is on disk takes, where it tells: they are bounded by an option, and
    /// the same for any number of items.
    fn cache_bytes(&self) -> Option<u64> {
        None
    }

    /// Drops what lies below `min`, as far as the engine's granularity allows.
    fn prune(&self, min: u64) -> Result<()>;

    /// Ends well: what comes next is a clean open.
    fn close(self) -> Result<()>;
}
