//! Reads by key of what the system no longer has in its cache.

use std::time::Instant;

use anyhow::Result;

use super::Worker;
use super::cost::start;
use super::get::MANY;
use crate::engine::Engine;

/// A disk gives some thousands a second.
const READS: u64 = 20_000;

impl Worker {
    pub(super) fn cold<E: Engine>(&mut self) -> Result<()> {
        let started = Instant::now();
        let engine = self.open::<E>()?;
        let opened = started.elapsed().as_secs_f64() * 1e3;
        self.report.lower("cold open ms", opened);
        let reads = READS.min(self.workload.items / 10);
        let started = start();
        let latencies = self.latencies_by_key(&engine, reads)?;
        self.rate("cold get by key", reads, &started);
        self.report.quantiles("cold get by key", &latencies);
        let started = start();
        let calls = reads / MANY;
        // Others than those before.
        (1..=calls).try_for_each(|call| self.get_many_by_key(&engine, call << 40))?;
        self.rate("cold get by key, 32 a call", calls * MANY, &started);
        engine.close()
    }
}
