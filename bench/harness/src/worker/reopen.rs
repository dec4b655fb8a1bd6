//! How long an open takes, and whether the newest items are there after it.

use std::time::Instant;

use anyhow::Result;

use super::Worker;
use crate::engine::Engine;
use crate::items::{check_whole, key};
use crate::measures::anonymous_memory;

impl Worker {
    pub(super) fn reopen<E: Engine>(&mut self, measure: &str) -> Result<()> {
        let memory = anonymous_memory()?;
        let started = Instant::now();
        let engine = self.open::<E>()?;
        self.report
            .lower(measure, started.elapsed().as_secs_f64() * 1e3);
        let grown = anonymous_memory()?.saturating_sub(memory) as f64;
        self.report
            .lower("memory B/item", grown / self.workload.items as f64);
        let lost = self.count_lost(&engine)?;
        self.report
            .lower(measure.replace("ms", "lost items"), lost as f64);
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
