//! Puts of all items, a flush a batch: in order, in random order, with a kill at the end.

use anyhow::Result;

use super::{Puts, Worker};
use crate::engine::Engine;
use crate::items::{KEY_SIZE, mix};
use crate::measures::{anonymous_memory, bytes_written, disk_bytes};

impl Worker {
    pub(super) fn put<E: Engine>(&mut self) -> Result<()> {
        let engine = self.put_all::<E>("", |n| n)?;
        engine.close()?;
        self.report_disk("")
    }

    pub(super) fn backfill<E: Engine>(&mut self) -> Result<()> {
        let order = shuffled(self.workload.items);
        let engine = self.put_all::<E>("backfill ", |n| u64::from(order[n as usize]))?;
        engine.close()?;
        self.report_disk("backfill ")
    }

    /// Does not return: the report is out before the signal.
    pub(super) fn put_killed<E: Engine>(&mut self) -> Result<()> {
        let engine = self.open::<E>()?;
        let mut puts = Puts::new()?;
        self.put_in_order(&engine, &mut puts, |n| n)?;
        self.print()?;
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)?;
        engine.close()
    }

    fn put_all<E: Engine>(&mut self, prefix: &str, order: impl Fn(u64) -> u64) -> Result<E> {
        let written = bytes_written()?;
        let engine = self.open::<E>()?;
        let mut puts = Puts::new()?;
        self.put_in_order(&engine, &mut puts, order)?;
        let payload = puts.items * (self.workload.value_size + KEY_SIZE) as u64;
        let report = &mut self.report;
        report.higher(format!("{prefix}put/s"), puts.rate());
        report.lower(format!("{prefix}put CPU ns"), puts.cpu_nanos_per_item());
        report.quantiles(&format!("{prefix}batch"), &puts.latencies);
        report.lower(
            format!("{prefix}written per byte put"),
            (bytes_written()? - written) as f64 / payload as f64,
        );
        let memory = anonymous_memory()? as f64 / f64::from(1 << 20);
        report.lower(format!("{prefix}memory after puts MiB"), memory);
        Ok(engine)
    }

    fn put_in_order<E: Engine>(
        &self,
        engine: &E,
        puts: &mut Puts,
        order: impl Fn(u64) -> u64,
    ) -> Result<()> {
        let items = self.workload.items;
        for first in (0..items).step_by(self.workload.batch as usize) {
            let end = items.min(first + self.workload.batch);
            puts.put(engine, self, (first..end).map(&order))?;
        }
        Ok(())
    }

    fn report_disk(&mut self, prefix: &str) -> Result<()> {
        let bytes = disk_bytes(&self.dir)? as f64 / self.workload.items as f64;
        self.report.lower(format!("{prefix}disk B/item"), bytes);
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
