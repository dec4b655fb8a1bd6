//! How long an open takes, and whether the newest items are there after it.

use std::time::Instant;

use anyhow::Result;

use super::Worker;
use crate::engine::Engine;
use crate::items::{check_whole, key};
use crate::measures::{anonymous_memory, open_files};

/// Reads after which one counts open files.
const READS: u64 = 1_000;

impl Worker {
    pub(super) fn reopen<E: Engine>(&mut self, what: &str) -> Result<()> {
        let (memory, files) = (anonymous_memory()?, open_files()?);
        let started = Instant::now();
        let engine = self.open::<E>()?;
        let opened = started.elapsed().as_secs_f64() * 1e3;
        self.report.lower(format!("{what} ms"), opened);
        self.report_memory(&format!("{what} memory B/item"), memory)?;
        let opened = open_files()?.saturating_sub(files);
        let lost = self.count_lost(&engine)?;
        for n in 0..READS.min(self.workload.items) {
            self.get_if_there(&engine, self.random_index(n))?;
        }
        let read = open_files()?.saturating_sub(files);
        self.report
            .lower(format!("{what} open files"), opened as f64);
        self.report
            .lower(format!("{what} open files after reads"), read as f64);
        self.report.lower(format!("{what} lost items"), lost as f64);
        engine.close()
    }

    /// Of the newest hundred batches; each was durable when the engine acknowledged it.
    fn count_lost<E: Engine>(&self, engine: &E) -> Result<u64> {
        let items = self.workload.items;
        let mut lost = 0;
        for index in items.saturating_sub(100 * self.workload.batch)..items {
            lost += u64::from(!self.get_if_there(engine, index)?);
        }
        Ok(lost)
    }

    /// A read by key of which every byte is compared.
    fn get_if_there<E: Engine>(&self, engine: &E, index: u64) -> Result<bool> {
        let mut checked = Ok(());
        let found = engine.get_by_key(&key(index), &mut |value| {
            checked = check_whole(index, self.workload.value_size, value);
        })?;
        checked?;
        Ok(found)
    }
}
