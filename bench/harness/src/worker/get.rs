//! Reads of an archive that the system has cached.

use std::time::Instant;

use anyhow::{Result, ensure};
use cpu_time::ProcessTime;
use hdrhistogram::Histogram;

use super::Worker;
use crate::engine::Engine;
use crate::items::{check_parts, check_whole, key};
use crate::measures::anonymous_memory;

/// When something began, by the clock and by the CPU time of all threads.
pub(super) type Started = (Instant, ProcessTime);

pub(super) fn start() -> Started {
    (Instant::now(), ProcessTime::now())
}

impl Worker {
    pub(super) fn get<E: Engine>(&mut self) -> Result<()> {
        let memory = anonymous_memory()?;
        let started = Instant::now();
        let engine = self.open::<E>()?;
        let opened = started.elapsed().as_secs_f64() * 1e3;
        self.report.lower("reopen ms", opened);
        let grown = anonymous_memory()?.saturating_sub(memory) as f64;
        let per_item = grown / self.workload.items as f64;
        self.report.lower("memory B/item", per_item);
        self.scan(&engine, true)?;
        self.check_some(&engine)?;
        let started = start();
        self.scan(&engine, false)?;
        self.rate("scan", self.workload.items, started);
        self.get_by_index(&engine)?;
        self.get_by_key(&engine)?;
        self.get_absent(&engine)?;
        self.get_by_threads(&engine, 2)?;
        let grown = anonymous_memory()?.saturating_sub(memory) as f64;
        self.report
            .lower("memory after reads MiB", grown / f64::from(1 << 20));
        engine.close()
    }

    pub(super) fn rate(&mut self, what: &str, count: u64, (started, cpu): Started) {
        let rate = count as f64 / started.elapsed().as_secs_f64();
        let cpu = cpu.elapsed().as_nanos() as f64 / count as f64;
        self.report.higher(format!("{what}/s"), rate);
        self.report.lower(format!("{what} CPU ns"), cpu);
    }

    /// All items in order; `whole` compares every byte.
    fn scan<E: Engine>(&self, engine: &E, whole: bool) -> Result<()> {
        let (mut index, mut checked) = (0, Ok(()));
        let size = self.workload.value_size;
        let scanned = engine.scan(self.workload.items, &mut |value| {
            if checked.is_ok() {
                checked = match whole {
                    true => check_whole(index, size, value),
                    false => check_parts(index, size, value),
                };
            }
            index += 1;
        })?;
        checked?;
        ensure!(
            scanned == self.workload.items,
            "a scan found {scanned} items"
        );
        ensure!(scanned == index, "a scan gave {index} values");
        Ok(())
    }

    fn get_by_index<E: Engine>(&mut self, engine: &E) -> Result<()> {
        let started = start();
        for n in 0..self.workload.gets {
            self.get_one(engine, self.random_index(n))?;
        }
        self.rate("get by index", self.workload.gets, started);
        Ok(())
    }

    fn get_by_key<E: Engine>(&mut self, engine: &E) -> Result<()> {
        let started = start();
        for n in 0..self.workload.gets {
            self.get_one_by_key(engine, self.random_index(!n))?;
        }
        self.rate("get by key", self.workload.gets, started);
        let latencies = self.latencies_by_key(engine, self.workload.gets.min(200_000))?;
        self.report.quantiles("get by key", &latencies);
        Ok(())
    }

    pub(super) fn latencies_by_key<E: Engine>(
        &self,
        engine: &E,
        gets: u64,
    ) -> Result<Histogram<u64>> {
        let mut latencies = Histogram::<u64>::new(3)?;
        for n in 0..gets {
            let index = self.random_index(n);
            let started = Instant::now();
            self.get_one_by_key(engine, index)?;
            latencies.record(started.elapsed().as_nanos() as u64)?;
        }
        Ok(latencies)
    }

    fn get_absent<E: Engine>(&mut self, engine: &E) -> Result<()> {
        let started = start();
        for n in 0..self.workload.gets {
            ensure!(!engine.get_by_key(&key(!n), &mut |_| ())?);
        }
        self.rate("absent key", self.workload.gets, started);
        Ok(())
    }

    fn get_by_threads<E: Engine>(&mut self, engine: &E, threads: u64) -> Result<()> {
        let gets = self.workload.gets;
        let started = start();
        std::thread::scope(|scope| {
            let read = |thread: u64| {
                let mut numbers = (thread << 40..).take(gets as usize);
                numbers.try_for_each(|n| self.get_one_by_key(engine, self.random_index(n)))
            };
            let handles: Vec<_> = (0..threads)
                .map(|thread| scope.spawn(move || read(thread)))
                .collect();
            handles
                .into_iter()
                .try_for_each(|handle| super::joined(handle)?)
        })?;
        self.rate(
            &format!("get by key, {threads} threads"),
            gets * threads,
            started,
        );
        Ok(())
    }
}
