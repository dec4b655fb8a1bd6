//! One task that waits for each of its puts to be durable, and 64 of them at a time.
//!
//! A task is a thread that waits, or one of a runtime where the engine has a put that can be awaited. What the
//! engine does to share a flush among them is its own affair.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;

use super::Worker;
use crate::durable_puts::DurablePuts;
use crate::engine::Engine;

const TASKS: u64 = 64;

impl Worker {
    /// A tenth of the items by one task, the rest by all. Where tasks are those of a runtime, as many items again by
    /// threads.
    pub(super) fn tasks<E: Engine>(&mut self) -> Result<()> {
        let engine = self.open::<E>()?;
        let items = self.workload.items;
        self.one_and_many("task", 0..items, |tasks, puts| engine.tasks(tasks, puts))?;
        let mut end = items;
        if E::HAS_ASYNC_TASKS {
            end = 2 * items;
            self.one_and_many("thread", items..end, |threads, puts| {
                puts.by_threads(threads, |item| engine.put_durable(item))
            })?;
        }
        for index in 0..end {
            self.get_one_by_key(&engine, index)?;
        }
        engine.close()
    }

    fn one_and_many(
        &mut self,
        what: &str,
        items: Range<u64>,
        put: impl Fn(u64, &Arc<DurablePuts>) -> Result<()>,
    ) -> Result<()> {
        let alone = items.start + (items.end - items.start) / 10;
        let one = self.durable_puts(&format!("one {what}"), items.start..alone, |puts| {
            put(1, puts)
        })?;
        let many = format!("{TASKS} {what}s");
        let all = self.durable_puts(&many, alone..items.end, |puts| put(TASKS, puts))?;
        self.report.higher(format!("{many}, x one"), all / one);
        Ok(())
    }

    /// Each takes the next item when its last put is durable; the rate of all, and how long puts took.
    fn durable_puts(
        &mut self,
        what: &str,
        range: Range<u64>,
        put: impl FnOnce(&Arc<DurablePuts>) -> Result<()>,
    ) -> Result<f64> {
        let count = (range.end - range.start) as f64;
        let puts = Arc::new(DurablePuts::new(range, self.workload.value_size)?);
        let started = Instant::now();
        put(&puts)?;
        let rate = count / started.elapsed().as_secs_f64();
        let what = format!("{what} put");
        self.report.higher(format!("{what}/s"), rate);
        self.report.quantiles(&what, &puts.latencies());
        Ok(rate)
    }
}
