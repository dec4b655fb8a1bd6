//! Reads of an archive that the system has cached.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;

use super::Worker;
use super::cost::start;
use crate::engine::Engine;
use crate::items::{Key, check_parts, check_whole, key};
use crate::measures::{anonymous_memory, open_files};

/// Calls whose times are told apart, at most.
const TIMED: u64 = 200_000;
/// Reads are repeated until they took so long: what lasts a few milliseconds tells little.
const AT_LEAST: Duration = Duration::from_millis(500);
/// Reads between two looks at the clock.
const LAP: u64 = 1000;
/// Keys of one call.
pub(super) const MANY: u64 = 32;
/// Items of one short range.
const RANGE: u64 = 100;

impl Worker {
    pub(super) fn get<E: Engine>(&mut self) -> Result<()> {
        let (memory, files) = (anonymous_memory()?, open_files()?);
        let started = Instant::now();
        let engine = self.open::<E>()?;
        let opened = started.elapsed().as_secs_f64() * 1e3;
        self.report.lower("reopen ms", opened);
        self.report_memory("memory B/item", memory)?;
        self.scan(&engine, true)?;
        self.check_some(&engine)?;
        self.scans(&engine)?;
        self.warm_up(&engine)?;
        self.get_by_index(&engine)?;
        self.get_by_key(&engine)?;
        self.get_many(&engine)?;
        self.get_absent(&engine)?;
        self.report_memory("memory after reads B/item", memory)?;
        let grown = anonymous_memory()?.saturating_sub(memory) as f64;
        self.report
            .lower("memory after reads MiB", grown / f64::from(1 << 20));
        if let Some(cache) = engine.cache_bytes() {
            let index = (grown - cache as f64).max(0.0) / self.workload.items as f64;
            self.report
                .lower("memory after reads but its cache B/item", index);
        }
        let files = open_files()?.saturating_sub(files) as f64;
        self.report.lower("open files after reads", files);
        engine.close()
    }

    /// What has come since.
    pub(super) fn report_memory(&mut self, what: &str, before: u64) -> Result<()> {
        let grown = anonymous_memory()?.saturating_sub(before) as f64;
        self.report.lower(what, grown / self.workload.items as f64);
        Ok(())
    }

    /// What the system has cached is not what an engine has: the first look at each page costs.
    fn warm_up<E: Engine>(&self, engine: &E) -> Result<()> {
        let mut numbers = (1 << 50..).take(self.workload.gets as usize);
        numbers.try_for_each(|n| self.get_one_by_key(engine, self.random_index(n)))
    }

    fn scans<E: Engine>(&mut self, engine: &E) -> Result<()> {
        let started = start();
        self.scan(engine, false)?;
        self.rate("scan", self.workload.items, &started);
        let items = self.workload.items;
        let ranges = (self.workload.gets / RANGE).max(1);
        let mut read = 0;
        let started = start();
        for n in 0..ranges {
            let first = self.random_index(n).min(items.saturating_sub(RANGE));
            let end = items.min(first + RANGE);
            read += self.scan_range(engine, first..end, false)?;
        }
        self.rate("ranges of 100, item", read, &started);
        Ok(())
    }

    fn scan<E: Engine>(&self, engine: &E, whole: bool) -> Result<()> {
        self.scan_range(engine, 0..self.workload.items, whole)?;
        Ok(())
    }

    /// All items of the range are there, in order; `whole` compares every byte.
    fn scan_range<E: Engine>(
        &self,
        engine: &E,
        indices: std::ops::Range<u64>,
        whole: bool,
    ) -> Result<u64> {
        let (mut index, mut checked) = (indices.start, Ok(()));
        let size = self.workload.value_size;
        let count = indices.end - indices.start;
        let scanned = engine.scan(indices, &mut |value| {
            if checked.is_ok() {
                checked = match whole {
                    true => check_whole(index, size, value),
                    false => check_parts(index, size, value),
                };
            }
            index += 1;
        })?;
        checked?;
        ensure!(scanned == count, "a scan found {scanned} items");
        Ok(scanned)
    }

    fn get_by_index<E: Engine>(&mut self, engine: &E) -> Result<()> {
        let started = start();
        let gets = self.repeat(|n| self.get_one(engine, self.random_index(n)))?;
        self.rate("get by index", gets, &started);
        let mut latencies = Histogram::<u64>::new(3)?;
        for n in 0..self.workload.gets.min(TIMED) {
            let index = self.random_index(n);
            let started = Instant::now();
            self.get_one(engine, index)?;
            latencies.record(started.elapsed().as_nanos() as u64)?;
        }
        self.report.quantiles("get by index", &latencies);
        Ok(())
    }

    fn get_by_key<E: Engine>(&mut self, engine: &E) -> Result<()> {
        let started = start();
        let gets = self.repeat(|n| self.get_one_by_key(engine, self.random_index(!n)))?;
        let alone = self.rate("get by key", gets, &started);
        let latencies = self.latencies_by_key(engine, self.workload.gets.min(TIMED))?;
        self.report.quantiles("get by key", &latencies);
        let started = start();
        let gets = self.get_by_threads(engine, 2)?;
        let beside = self.rate("get by key, 2 threads", gets, &started);
        self.report
            .higher("get by key, 2 threads, x one", beside / alone);
        Ok(())
    }

    fn get_many<E: Engine>(&mut self, engine: &E) -> Result<()> {
        let calls = (self.workload.gets / MANY).max(1);
        let (mut call, started) = (0, start());
        while call < calls || started.elapsed() < AT_LEAST {
            self.get_many_by_key(engine, call << 32)?;
            call += 1;
        }
        self.rate("get by key, 32 a call", call * MANY, &started);
        Ok(())
    }

    /// One call. Checked as the others are: every value in parts, and that none is missing.
    pub(super) fn get_many_by_key<E: Engine>(&self, engine: &E, first: u64) -> Result<()> {
        let size = self.workload.value_size;
        let numbers = first..first + MANY;
        let indices: Vec<u64> = numbers.map(|n| self.random_index(n)).collect();
        let keys: Vec<Key> = indices.iter().map(|index| key(*index)).collect();
        let (mut found, mut checked) = (0, Ok(()));
        engine.get_many(&keys, &mut |at, value| {
            found += 1;
            if checked.is_ok() {
                checked = check_parts(indices[at], size, value);
            }
        })?;
        checked?;
        ensure!(found == MANY, "of {MANY} keys {found} were found");
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
        let gets = self.repeat(|n| {
            ensure!(!engine.get_by_key(&key(!n), &mut |_| ())?);
            Ok(())
        })?;
        self.rate("absent key", gets, &started);
        Ok(())
    }

    /// How many were read.
    fn get_by_threads<E: Engine>(&self, engine: &E, threads: u64) -> Result<u64> {
        std::thread::scope(|scope| {
            let read = |thread: u64| {
                self.repeat(|n| self.get_one_by_key(engine, self.random_index(thread << 40 | n)))
            };
            let handles: Vec<_> = (0..threads)
                .map(|thread| scope.spawn(move || read(thread)))
                .collect();
            let counts = handles.into_iter().map(|handle| super::joined(handle)?);
            counts.sum()
        })
    }

    /// Does something with the numbers from 0 on, as often as the workload says and as long as counts; how often.
    fn repeat(&self, mut each: impl FnMut(u64) -> Result<()>) -> Result<u64> {
        let started = Instant::now();
        let mut done = 0;
        while done < self.workload.gets || started.elapsed() < AT_LEAST {
            (done..done + LAP).try_for_each(&mut each)?;
            done += LAP;
        }
        Ok(done)
    }
}
