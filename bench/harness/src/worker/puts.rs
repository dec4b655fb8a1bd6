//! Batches as they are put: making the items counts as nobody's time.

use std::time::{Duration, Instant};

use anyhow::Result;
use cpu_time::ThreadTime;
use hdrhistogram::Histogram;

use super::Worker;
use super::cost::{Started, start};
use crate::engine::{Engine, Item};

pub(super) struct Puts {
    pub(super) latencies: Histogram<u64>,
    pub(super) elapsed: Duration,
    pub(super) items: u64,
    started: Started,
    making: Duration,
}

impl Puts {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            latencies: Histogram::new(3)?,
            elapsed: Duration::ZERO,
            items: 0,
            started: start(),
            making: Duration::ZERO,
        })
    }

    /// Puts one batch of the indices given; how long it took.
    pub(super) fn put<E: Engine>(
        &mut self,
        engine: &E,
        worker: &Worker,
        indices: impl Iterator<Item = u64>,
    ) -> Result<Duration> {
        let batch = self.make(worker, indices);
        self.put_made(engine, &batch)
    }

    pub(super) fn make(
        &mut self,
        worker: &Worker,
        indices: impl Iterator<Item = u64>,
    ) -> Vec<Item> {
        let making = ThreadTime::now();
        let batch = indices.map(|index| worker.item(index)).collect();
        self.making += making.elapsed();
        batch
    }

    pub(super) fn put_made<E: Engine>(&mut self, engine: &E, batch: &[Item]) -> Result<Duration> {
        let started = Instant::now();
        engine.put_batch(batch)?;
        let took = started.elapsed();
        self.elapsed += took;
        self.items += batch.len() as u64;
        self.latencies.record(took.as_nanos() as u64)?;
        Ok(took)
    }

    pub(super) fn rate(&self) -> f64 {
        self.items as f64 / self.elapsed.as_secs_f64()
    }

    /// Of all threads of the process, those behind the scenes too.
    pub(super) fn cpu(&self) -> Duration {
        self.started.cpu().saturating_sub(self.making)
    }

    pub(super) fn cpu_nanos_per_item(&self) -> f64 {
        self.cpu().as_nanos() as f64 / self.items as f64
    }

    /// What making the items took is in it.
    pub(super) fn instructions_per_item(&self) -> Option<f64> {
        Some(self.started.instructions()? as f64 / self.items as f64)
    }
}
