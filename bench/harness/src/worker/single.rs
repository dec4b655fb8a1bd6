//! One put and one flush, in turns with a bare append and flush of 4 KiB.

use std::fs::File;
use std::io::Write;
use std::time::Instant;

use anyhow::Result;
use hdrhistogram::Histogram;

use super::{Puts, Worker};
use crate::engine::Engine;

impl Worker {
    pub(super) fn single<E: Engine>(&mut self) -> Result<()> {
        let engine = self.open::<E>()?;
        let path = self.dir.with_extension("bare");
        let mut bare = File::create_new(&path)?;
        let mut puts = Puts::new()?;
        let mut bares = Histogram::<u64>::new(3)?;
        for index in 0..self.workload.items {
            let started = Instant::now();
            bare.write_all(&[0x5a; 4096])?;
            bare.sync_data()?;
            bares.record(started.elapsed().as_nanos() as u64)?;
            puts.put(&engine, self, std::iter::once(index))?;
        }
        std::fs::remove_file(path)?;
        let ratio =
            puts.latencies.value_at_quantile(0.5) as f64 / bares.value_at_quantile(0.5) as f64;
        self.report.lower("one put, x bare append", ratio);
        self.report.quantiles("one put", &puts.latencies);
        engine.close()
    }
}
