//! How long an open takes, and whether the newest items are there after it.

use std::time::Instant;

use anyhow::Result;

use super::Worker;
use crate::engine::Engine;
use crate::items::{check_whole, key};
use crate::measures::anonymous_memory;

impl Worker {
    pub(super) fn reopen<E: Engine>(&mut self, what: &str) -> Result<()> {
        let memory = anonymous_memory()?;
        let started = Instant::now();
        let engine = self.open::<E>()?;
        let opened = started.elapsed().as_secs_f64() * 1e3;
        let grown = anonymous_memory()?.saturating_sub(memory) as f64;
        let lost = self.count_lost(&engine)?;
        let per_item = grown / self.workload.items as f64;
        self.report.lower(format!("{what} ms"), opened);
        self.report.lower(format!("{what} memory B/item"), per_item);
        self.report.lower(format!("{what} lost items"), lost as f64);
        engine.close()
    }

    /// Of the newest hundred batches; each was durable when the engine acknowledged it.
    fn count_lost<E: Engine>(&self, engine: &E) -> Result<u64> {
        let items = self.workload.items;
        let mut lost = 0;
        for index in items.saturating_sub(100 * self.workload.batch)..items {
            let mut checked = Ok(());
            let found = engine.get_by_key(&key(index), &mut |value| {
                checked = check_whole(index, self.workload.value_size, value);
            })?;
            checked?;
            lost += u64::from(!found);
        }
        Ok(lost)
    }
}
