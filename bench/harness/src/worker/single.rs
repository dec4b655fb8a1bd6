//! One put and one flush, in turns with a bare append and flush of 4 KiB.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use hdrhistogram::Histogram;

use super::Worker;
use super::puts::Puts;
use crate::engine::Engine;

const BYTES: [u8; 4096] = [0x5a; 4096];

/// A file beside the engine's folder; it goes when it is dropped.
pub(super) struct Bare {
    file: File,
    path: PathBuf,
    pub(super) latencies: Histogram<u64>,
}

impl Bare {
    pub(super) fn new(worker: &Worker) -> Result<Self> {
        let path = worker.dir.with_extension("bare");
        Ok(Self {
            file: File::create_new(&path)?,
            path,
            latencies: Histogram::new(3)?,
        })
    }

    pub(super) fn append(&mut self) -> Result<()> {
        let started = Instant::now();
        self.file.write_all(&BYTES)?;
        self.file.sync_data()?;
        self.latencies.record(started.elapsed().as_nanos() as u64)?;
        Ok(())
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Worker {
    pub(super) fn single<E: Engine>(&mut self) -> Result<()> {
        let engine = self.open::<E>()?;
        let mut bare = Bare::new(self)?;
        let mut puts = Puts::new()?;
        for index in 0..self.workload.items {
            bare.append()?;
            puts.put(&engine, self, std::iter::once(index))?;
        }
        let median = |latencies: &Histogram<u64>| latencies.value_at_quantile(0.5) as f64;
        let ratio = median(&puts.latencies) / median(&bare.latencies);
        let mean = puts.latencies.mean() / bare.latencies.mean();
        let report = &mut self.report;
        report.lower("one put, x bare append", ratio);
        report.lower("one put, x bare append, means", mean);
        report.quantiles("one put", &puts.latencies);
        report.quantile("bare append", "p50", 0.5, &bare.latencies);
        engine.close()
    }
}
