//! What tasks have put durably, one item after the other each.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::Result;
use hdrhistogram::Histogram;

use crate::engine::Item;
use crate::items::item;

/// The items of all tasks, and how long each put took.
pub struct DurablePuts {
    next: AtomicU64,
    end: u64,
    value_size: usize,
    latencies: Mutex<Histogram<u64>>,
}

impl DurablePuts {
    pub(crate) fn new(range: Range<u64>, value_size: usize) -> Result<Self> {
        Ok(Self {
            next: AtomicU64::new(range.start),
            end: range.end,
            value_size,
            latencies: Mutex::new(Histogram::new(3)?),
        })
    }

    /// A task that is a thread: `put` returns when the item is durable.
    pub fn by_thread(&self, put: impl Fn(&Item) -> Result<()>) -> Result<()> {
        let mut latencies = Histogram::new(3)?;
        while let Some(item) = self.next() {
            let started = Instant::now();
            put(&item)?;
            latencies.record(started.elapsed().as_nanos() as u64)?;
        }
        self.add(&latencies)
    }

    /// A task of a runtime: what `put` gives is done when the item is durable.
    pub async fn by_task<P>(&self, put: impl Fn(Item) -> P) -> Result<()>
    where
        P: Future<Output = Result<()>>,
    {
        let mut latencies = Histogram::new(3)?;
        while let Some(item) = self.next() {
            let started = Instant::now();
            put(item).await?;
            latencies.record(started.elapsed().as_nanos() as u64)?;
        }
        self.add(&latencies)
    }

    /// As many threads, each a task.
    pub(crate) fn by_threads(
        &self,
        threads: u64,
        put: impl Fn(&Item) -> Result<()> + Sync,
    ) -> Result<()> {
        std::thread::scope(|scope| {
            let task = || self.by_thread(&put);
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(task)).collect();
            for thread in threads {
                crate::worker::joined(thread)??;
            }
            Ok(())
        })
    }

    pub(crate) fn latencies(&self) -> Histogram<u64> {
        let latencies = self.latencies.lock();
        latencies.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn next(&self) -> Option<Item> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        (index < self.end).then(|| item(index, self.value_size))
    }

    fn add(&self, latencies: &Histogram<u64>) -> Result<()> {
        let all = self.latencies.lock();
        all.unwrap_or_else(PoisonError::into_inner).add(latencies)?;
        Ok(())
    }
}
