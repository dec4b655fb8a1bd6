//! The steady state of a node: puts and prunes in step, a window of items stays. A prune comes once
//! a section, since engines without sections would fare badly with more.

use std::time::Instant;

use anyhow::Result;
use hdrhistogram::Histogram;

use super::Worker;
use super::puts::Puts;
use crate::engine::Engine;
use crate::measures::{Series, anonymous_memory, disk_bytes, open_files};
use crate::workload::Workload;

/// How often one looks at disk, memory and files.
const SAMPLES: u64 = 60;

/// What is sampled.
const MEASURES: [&str; 6] = [
    "disk MiB",
    "memory MiB",
    "open files",
    "batch p50 us",
    "batch p99 us",
    "prune worst us",
];

impl Worker {
    pub(super) fn ring<E: Engine>(&mut self) -> Result<()> {
        let engine = self.open::<E>()?;
        let Workload {
            items,
            window,
            batch,
            ..
        } = self.workload;
        let section = self.workload.items_per_section;
        let mut puts = Puts::new()?;
        let mut prunes = Histogram::<u64>::new(3)?;
        let mut samples = Samples::new()?;
        for first in (0..items).step_by(batch as usize) {
            let end = items.min(first + batch);
            let took = puts.put(&engine, self, first..end)?;
            samples.batches.record(took.as_nanos() as u64)?;
            if end / section > first / section {
                let started = Instant::now();
                engine.prune(end.saturating_sub(window))?;
                puts.elapsed += started.elapsed();
                let took = started.elapsed().as_nanos() as u64;
                prunes.record(took)?;
                samples.prunes.record(took)?;
            }
            if end * SAMPLES / items > first * SAMPLES / items {
                samples.take(end, self)?;
            }
        }
        self.report.higher("ring put/s", puts.rate());
        self.report
            .lower("ring put CPU ns", puts.cpu_nanos_per_item());
        self.report.quantiles("ring batch", &puts.latencies);
        self.report.quantiles("ring prune", &prunes);
        samples.report(self);
        engine.close()
    }
}

struct Samples {
    batches: Histogram<u64>,
    prunes: Histogram<u64>,
    series: [Vec<(f64, f64)>; MEASURES.len()],
}

impl Samples {
    fn new() -> Result<Self> {
        Ok(Self {
            batches: Histogram::new(3)?,
            prunes: Histogram::new(3)?,
            series: Default::default(),
        })
    }

    fn take(&mut self, items: u64, worker: &Worker) -> Result<()> {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let values = [
            mib(disk_bytes(&worker.dir)?),
            mib(anonymous_memory()?),
            open_files()? as f64,
            self.batches.value_at_quantile(0.5) as f64 / 1e3,
            self.batches.value_at_quantile(0.99) as f64 / 1e3,
            self.prunes.max() as f64 / 1e3,
        ];
        for (points, value) in self.series.iter_mut().zip(values) {
            points.push((items as f64, value));
        }
        self.batches.reset();
        self.prunes.reset();
        Ok(())
    }

    /// Growth is the mean of the last quarter to that of the second.
    fn report(self, worker: &mut Worker) {
        for (measure, points) in MEASURES.into_iter().zip(self.series) {
            let mean = |points: &[(f64, f64)]| {
                points.iter().map(|point| point.1).sum::<f64>() / points.len() as f64
            };
            let quarter = points.len() / 4;
            if quarter > 0 {
                let last = mean(&points[points.len() - quarter..]);
                let growth = last / mean(&points[quarter..2 * quarter]);
                let report = &mut worker.report;
                report.lower(format!("ring {measure}, at the end"), last);
                report.lower(format!("ring {measure}, growth"), growth);
            }
            worker.report.series.push(Series {
                measure: format!("ring {measure}"),
                points,
            });
        }
    }
}
