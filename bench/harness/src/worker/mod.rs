//! The process of one engine: does one phase and prints its report as JSON.

mod cold;
mod cost;
mod get;
mod latency;
mod prune;
mod put;
mod puts;
mod readers;
mod reopen;
mod ring;
mod single;
mod tasks;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Parser;

use crate::engine::{Engine, Item};
use crate::items::{check_parts, check_whole, item, key, mix};
use crate::measures::Report;
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
    if let Some(name) = &arguments.workload.variant {
        ensure!(E::VARIANTS.contains(&name.as_str()), "no variant {name}");
    }
    let mut worker = Worker {
        dir: arguments.dir.clone(),
        workload: arguments.workload,
        report: Report::default(),
    };
    cost::count_instructions();
    E::run(&arguments.dir, || worker.phase::<E>(arguments.phase))?;
    worker.print()
}

struct Worker {
    dir: PathBuf,
    workload: Workload,
    report: Report,
}

impl Worker {
    fn phase<E: Engine>(&mut self, phase: Phase) -> Result<()> {
        match phase {
            Phase::Put => self.put::<E>(),
            Phase::Backfill => self.backfill::<E>(),
            Phase::PutKilled => self.put_killed::<E>(),
            Phase::Reopen => self.reopen::<E>("reopen"),
            Phase::ReopenKilled => self.reopen::<E>("reopen after a kill"),
            Phase::Get => self.get::<E>(),
            Phase::Cold => self.cold::<E>(),
            Phase::Prune => self.prune::<E>(),
            Phase::Ring => self.ring::<E>(),
            Phase::Readers => self.readers::<E>(),
            Phase::Single => self.single::<E>(),
            Phase::Tasks => self.tasks::<E>(),
            Phase::Latency => self.latency::<E>(),
        }
    }

    fn print(&self) -> Result<()> {
        println!("{}", serde_json::to_string(&self.report)?);
        Ok(())
    }

    fn open<E: Engine>(&self) -> Result<E> {
        E::open(&self.dir, &self.workload)
    }

    fn item(&self, index: u64) -> Item {
        item(index, self.workload.value_size)
    }

    fn random_index(&self, n: u64) -> u64 {
        mix(n ^ 0x5bd1_e995) % self.workload.items
    }

    /// A read by index, checked in parts.
    fn get_one<E: Engine>(&self, engine: &E, index: u64) -> Result<()> {
        let mut checked = Ok(());
        let size = self.workload.value_size;
        let found = engine.get(index, &mut |value| {
            checked = check_parts(index, size, value)
        })?;
        ensure!(found, "item {index} is not there");
        checked
    }

    /// A read by key, checked in parts.
    fn get_one_by_key<E: Engine>(&self, engine: &E, index: u64) -> Result<()> {
        let mut checked = Ok(());
        let size = self.workload.value_size;
        let found = engine.get_by_key(&key(index), &mut |value| {
            checked = check_parts(index, size, value);
        })?;
        ensure!(found, "item {index} is not there by its key");
        checked
    }

    /// Reads every item of a few thousand both ways and compares every byte.
    fn check_some<E: Engine>(&self, engine: &E) -> Result<()> {
        let size = self.workload.value_size;
        for n in 0..self.workload.items.min(10_000) {
            let index = self.random_index(n);
            let mut checked = Ok(());
            let mut check = |value: &[u8]| {
                if checked.is_ok() {
                    checked = check_whole(index, size, value);
                }
            };
            let found = engine.get(index, &mut check)?;
            ensure!(found, "item {index} is not there");
            let found = engine.get_by_key(&key(index), &mut check)?;
            ensure!(found, "item {index} is not there by its key");
            checked?;
        }
        Ok(())
    }
}

pub(crate) fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> Result<T> {
    let ended = thread.join();
    ended.map_err(|_| anyhow::anyhow!("a thread panicked"))
}
