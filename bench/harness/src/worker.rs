//! The process of one engine: runs one phase and prints its figures as JSON.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use cpu_time::ProcessTime;
use hdrhistogram::Histogram;

use crate::engine::{Engine, Item};
use crate::items::{fill_value, key, mix};
use crate::measures::Figure;
use crate::workload::{Phase, Workload};

#[derive(Parser)]
struct Arguments {
    /// Where the engine keeps its files
    dir: PathBuf,
    #[arg(value_enum)]
    phase: Phase,
    #[command(flatten)]
    workload: Workload,
}

/// The main function of an engine's program.
pub fn main<E: Engine>() -> Result<()> {
    let arguments = Arguments::parse();
    let mut worker = Worker {
        dir: arguments.dir.clone(),
        workload: arguments.workload,
        figures: Vec::new(),
    };
    E::run(&arguments.dir, async |env| match arguments.phase {
        Phase::Put => worker.put::<E>(env).await,
        Phase::Get => worker.get::<E>(env).await,
        Phase::Prune => worker.prune::<E>(env).await,
    })?;
    println!("{}", serde_json::to_string(&worker.figures)?);
    Ok(())
}

struct Worker {
    dir: PathBuf,
    workload: Workload,
    figures: Vec<Figure>,
}

impl Worker {
    fn report(&mut self, measure: impl Into<String>, value: f64) {
        self.figures.push(Figure {
            measure: measure.into(),
            value,
        });
    }

    fn report_rate(&mut self, what: &str, count: u64, started: Instant) {
        let rate = count as f64 / started.elapsed().as_secs_f64();
        self.report(format!("{what}/s"), rate);
    }

    fn report_quantiles(&mut self, what: &str, latencies: &Histogram<u64>) {
        for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
            let nanos = latencies.value_at_quantile(quantile);
            self.report(format!("{what} {name} us"), nanos as f64 / 1e3);
        }
    }

    async fn put<E: Engine>(&mut self, env: &E::Env) -> Result<()> {
        let mut engine = E::open(env, &self.dir, &self.workload).await?;
        let (mut elapsed, mut cpu) = (0.0, 0.0);
        let mut latencies = Histogram::<u64>::new(3)?;
        let written = bytes_written()?;
        let mut batch: Vec<Item> = Vec::new();
        let items = self.workload.items;
        for first in (0..items).step_by(self.workload.batch as usize) {
            batch.clear();
            batch.extend(
                (first..items.min(first + self.workload.batch)).map(|index| self.item(index)),
            );
            let (started, cpu_started) = (Instant::now(), ProcessTime::now());
            engine.put_batch(&batch).await?;
            let took = started.elapsed();
            elapsed += took.as_secs_f64();
            cpu += cpu_started.elapsed().as_secs_f64();
            latencies.record(took.as_nanos() as u64)?;
        }
        self.report("put/s", items as f64 / elapsed);
        self.report("put CPU ns", cpu * 1e9 / items as f64);
        self.report_quantiles("batch", &latencies);
        self.report("batch worst us", latencies.max() as f64 / 1e3);
        let payload = items * (self.workload.value_size + crate::KEY_SIZE) as u64;
        self.report(
            "written per byte put",
            (bytes_written()? - written) as f64 / payload as f64,
        );
        engine.close().await?;
        self.report("disk B/item", disk_bytes(&self.dir)? as f64 / items as f64);
        Ok(())
    }

    fn item(&self, index: u64) -> Item {
        let mut value = vec![0; self.workload.value_size];
        fill_value(index, &mut value);
        Item {
            index,
            key: key(index),
            value,
        }
    }

    async fn get<E: Engine>(&mut self, env: &E::Env) -> Result<()> {
        let memory = anonymous_memory()?;
        let started = Instant::now();
        let engine = E::open(env, &self.dir, &self.workload).await?;
        self.report("reopen ms", started.elapsed().as_secs_f64() * 1e3);
        let grown = anonymous_memory()?.saturating_sub(memory);
        self.report("memory B/item", grown as f64 / self.workload.items as f64);
        let started = Instant::now();
        let mut bytes = 0;
        let scanned = engine
            .scan(self.workload.items, &mut |value| bytes += value.len())
            .await?;
        ensure!(scanned == self.workload.items, "scanned {scanned} items");
        ensure!(bytes == scanned as usize * self.workload.value_size);
        self.report_rate("scan", scanned, started);
        self.get_by_index(&engine).await?;
        self.get_by_key(&engine).await?;
        self.get_absent(&engine).await?;
        engine.close().await
    }

    fn random_index(&self, n: u64) -> u64 {
        mix(n ^ 0x5bd1_e995) % self.workload.items
    }

    fn check_value<V: AsRef<[u8]>>(&self, index: u64, value: Option<V>) -> Result<()> {
        let value = value.with_context(|| format!("item {index} is not there"))?;
        let mut start = [0; 8];
        fill_value(index, &mut start);
        let len = self.workload.value_size.min(8);
        ensure!(value.as_ref().len() == self.workload.value_size);
        ensure!(
            value.as_ref()[..len] == start[..len],
            "item {index} differs"
        );
        Ok(())
    }

    async fn get_by_index<E: Engine>(&mut self, engine: &E) -> Result<()> {
        let started = Instant::now();
        for n in 0..self.workload.gets {
            let index = self.random_index(n);
            self.check_value(index, engine.get(index).await?)?;
        }
        self.report_rate("get by index", self.workload.gets, started);
        Ok(())
    }

    async fn get_by_key<E: Engine>(&mut self, engine: &E) -> Result<()> {
        let started = Instant::now();
        for n in 0..self.workload.gets {
            let index = self.random_index(!n);
            self.check_value(index, engine.get_by_key(&key(index)).await?)?;
        }
        self.report_rate("get by key", self.workload.gets, started);
        let mut latencies = Histogram::<u64>::new(3)?;
        for n in 0..self.workload.gets.min(200_000) {
            let key = key(self.random_index(n));
            let started = Instant::now();
            let value = engine.get_by_key(&key).await?;
            latencies.record(started.elapsed().as_nanos() as u64)?;
            ensure!(value.is_some());
        }
        self.report_quantiles("get by key", &latencies);
        Ok(())
    }

    async fn get_absent<E: Engine>(&mut self, engine: &E) -> Result<()> {
        let started = Instant::now();
        for n in 0..self.workload.gets {
            ensure!(engine.get_by_key(&key(!n)).await?.is_none());
        }
        self.report_rate("absent key", self.workload.gets, started);
        Ok(())
    }

    async fn prune<E: Engine>(&mut self, env: &E::Env) -> Result<()> {
        let mut engine = E::open(env, &self.dir, &self.workload).await?;
        let before = disk_bytes(&self.dir)?;
        let started = Instant::now();
        engine.prune(self.workload.items / 2).await?;
        self.report("prune half ms", started.elapsed().as_secs_f64() * 1e3);
        let freed = before.saturating_sub(disk_bytes(&self.dir)?) as f64;
        self.report("freed % of half", freed * 100.0 / (before as f64 / 2.0));
        engine.close().await
    }
}

/// Bytes that the process wrote, as it asked for them.
fn bytes_written() -> Result<u64> {
    Ok(procfs::process::Process::myself()?.io()?.wchar)
}

/// Memory of the process that no file stands for.
fn anonymous_memory() -> Result<u64> {
    let status = procfs::process::Process::myself()?.status()?;
    Ok(status.rssanon.context("the system tells no RssAnon")? * 1024)
}

/// Bytes that a folder's files take on disk.
fn disk_bytes(dir: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += match metadata.is_dir() {
            true => disk_bytes(&entry.path())?,
            false => metadata.blocks() * 512,
        };
    }
    Ok(bytes)
}
