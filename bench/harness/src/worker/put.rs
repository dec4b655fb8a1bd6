//! Puts of all items, a flush a batch: in order, in random order, with a kill at the end.

use std::time::Instant;

use anyhow::Result;

use super::Worker;
use super::puts::Puts;
use crate::engine::Engine;
use crate::items::{KEY_SIZE, mix};
use crate::measures::{Report, anonymous_memory, bytes_written, disk_bytes};

/// Memory is looked at once in so many batches.
const LOOK: u64 = 20;

impl Worker {
    pub(super) fn put<E: Engine>(&mut self) -> Result<()> {
        self.put_and_close::<E>("", |n| n)
    }

    pub(super) fn backfill<E: Engine>(&mut self) -> Result<()> {
        let order = shuffled(self.workload.items);
        self.put_and_close::<E>("backfill ", |n| u64::from(order[n as usize]))
    }

    /// Does not return: the report is out before the signal. It has no figures, which are those of the
    /// puts that end well.
    pub(super) fn put_killed<E: Engine>(&mut self) -> Result<()> {
        let engine = self.open::<E>()?;
        let mut puts = Puts::new()?;
        self.put_all(&engine, "", &mut puts, |n| n)?;
        self.report = Report::default();
        self.print()?;
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)?;
        engine.close()
    }

    fn put_and_close<E: Engine>(&mut self, prefix: &str, order: impl Fn(u64) -> u64) -> Result<()> {
        let written = bytes_written()?;
        let engine = self.open::<E>()?;
        let mut puts = Puts::new()?;
        self.put_all(&engine, prefix, &mut puts, order)?;
        let started = Instant::now();
        engine.close()?;
        let took = started.elapsed().as_secs_f64() * 1e3;
        let report = &mut self.report;
        report.lower(format!("{prefix}close ms"), took);
        report.lower(
            format!("{prefix}put and close CPU ns"),
            puts.cpu_nanos_per_item(),
        );
        // After the close: what an engine writes behind the back of its caller counts as well.
        self.report_disk(prefix, written)
    }

    fn report_disk(&mut self, prefix: &str, written_before: u64) -> Result<()> {
        let items = self.workload.items as f64;
        let payload = items * (self.workload.value_size + KEY_SIZE) as f64;
        let written = (bytes_written()? - written_before) as f64 / payload;
        let disk = disk_bytes(&self.dir)? as f64 / items;
        self.report
            .lower(format!("{prefix}written per byte put"), written);
        self.report.lower(format!("{prefix}disk B/item"), disk);
        Ok(())
    }

    fn put_all<E: Engine>(
        &mut self,
        engine: &E,
        prefix: &str,
        puts: &mut Puts,
        order: impl Fn(u64) -> u64,
    ) -> Result<()> {
        let (items, batch) = (self.workload.items, self.workload.batch);
        let before = anonymous_memory()?;
        let mut most = before;
        for first in (0..items).step_by(batch as usize) {
            let end = items.min(first + batch);
            puts.put(engine, self, (first..end).map(&order))?;
            if first / batch % LOOK == 0 {
                most = most.max(anonymous_memory()?);
            }
        }
        let report = &mut self.report;
        report.higher(format!("{prefix}put/s"), puts.rate());
        report.lower(format!("{prefix}put CPU ns"), puts.cpu_nanos_per_item());
        if let Some(instructions) = puts.instructions_per_item() {
            report.lower(format!("{prefix}put instructions"), instructions);
        }
        report.quantiles(&format!("{prefix}batch"), &puts.latencies);
        let grown = most.saturating_sub(before) as f64;
        report.lower(
            format!("{prefix}memory while put, most MiB"),
            grown / f64::from(1 << 20),
        );
        report.lower(
            format!("{prefix}memory while put, most B/item"),
            grown / items as f64,
        );
        Ok(())
    }
}

/// The numbers below `count` in an order of chance, the same in every run.
fn shuffled(count: u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..count as u32).collect();
    for at in (1..order.len()).rev() {
        order.swap(at, (mix(at as u64) % (at as u64 + 1)) as usize);
    }
    order
}
