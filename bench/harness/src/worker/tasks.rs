//! One task that waits for each of its puts to be durable, and 64 of them at a time.
//!
//! A task is a thread that waits: what an engine does to share a flush among them is its own affair.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::Result;
use hdrhistogram::Histogram;

use super::Worker;
use crate::engine::Engine;

const TASKS: u64 = 64;

impl Worker {
    /// A tenth of the items by one task, the rest by all.
    pub(super) fn tasks<E: Engine>(&mut self) -> Result<()> {
        let engine = self.open::<E>()?;
        let alone = self.workload.items / 10;
        let (one, latencies) = self.durable_puts(&engine, 1, 0..alone)?;
        self.report.higher("one task put/s", one);
        self.report.quantiles("one task put", &latencies);
        let (all, latencies) = self.durable_puts(&engine, TASKS, alone..self.workload.items)?;
        self.report.higher("64 tasks put/s", all);
        self.report.quantiles("64 tasks put", &latencies);
        self.report.higher("64 tasks, x one", all / one);
        for index in 0..self.workload.items {
            self.get_one_by_key(&engine, index)?;
        }
        engine.close()
    }

    /// Each takes the next index when its last put is durable; the rate of all, and how long puts took.
    fn durable_puts<E: Engine>(
        &self,
        engine: &E,
        tasks: u64,
        range: std::ops::Range<u64>,
    ) -> Result<(f64, Histogram<u64>)> {
        let next = AtomicU64::new(range.start);
        let task = || {
            let mut latencies = Histogram::<u64>::new(3)?;
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= range.end {
                    return anyhow::Ok(latencies);
                }
                let item = self.item(index);
                let started = Instant::now();
                engine.put_durable(&item)?;
                latencies.record(started.elapsed().as_nanos() as u64)?;
            }
        };
        let started = Instant::now();
        let latencies = std::thread::scope(|scope| {
            let tasks: Vec<_> = (0..tasks).map(|_| scope.spawn(task)).collect();
            let mut all = Histogram::<u64>::new(3)?;
            for task in tasks {
                all.add(super::joined(task)??)?;
            }
            anyhow::Ok(all)
        })?;
        let puts = (range.end - range.start) as f64;
        Ok((puts / started.elapsed().as_secs_f64(), latencies))
    }
}
