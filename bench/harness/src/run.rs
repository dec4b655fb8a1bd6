//! Runs workloads: in each round every engine once, each phase in a process of its own.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use clap::Args;
use quipu_bench::measures::Report;
use quipu_bench::{Phase, Workload};

use crate::Engines;
use crate::engines::Name;
use crate::results::{Machine, OfMeasure, OfWorkload, Results, rounded};
use crate::suite::{self, Named};
use crate::table::table;

#[derive(Args)]
pub(crate) struct Run {
    #[command(flatten)]
    engines: Engines,
    /// The sizes of a full run: hours
    #[arg(long)]
    full: bool,
    /// Which workloads; all when not given
    #[arg(long, value_delimiter = ',')]
    workloads: Vec<String>,
    /// Another number of items than the workload's
    #[arg(long)]
    items: Option<u64>,
    /// Another number of rounds than the workload's
    #[arg(long)]
    rounds: Option<u32>,
    /// Write every figure of every round to this file, after each workload
    #[arg(long)]
    json: Option<PathBuf>,
}

impl Run {
    pub(crate) fn run(self) -> Result<()> {
        for name in &self.workloads {
            let mut names = suite::ALL.iter().map(|workload| workload.name);
            ensure!(names.any(|known| known == name), "no workload {name}");
        }
        let names = self.engines.engines.iter();
        let versions = names.map(|name| Ok((name.to_string(), name.version()?)));
        let mut results = Results {
            machine: Machine::this(&self.engines.dir)?,
            command: command_line(),
            engines: versions.collect::<Result<_>>()?,
            workloads: Vec::new(),
            flushes: Vec::new(),
        };
        let chosen =
            |name: &str| self.workloads.is_empty() || self.workloads.iter().any(|w| w == name);
        for named in suite::ALL.iter().filter(|named| chosen(named.name)) {
            let Some((workload, rounds)) = named.workload(self.full) else {
                continue;
            };
            if named.phases.contains(&Phase::Cold) && drop_caches().is_err() {
                eprintln!("{}: left out, only root may drop caches", named.name);
                continue;
            }
            let of_workload = self.workload(named, workload, rounds)?;
            let names: Vec<_> = self.engines_of(named).map(Name::to_string).collect();
            println!(
                "\n{}: {}\n{}",
                named.name,
                named.what,
                table(&of_workload, &names)
            );
            results.workloads.push(of_workload);
            if let Some(path) = &self.json {
                results.write(path)?;
            }
        }
        Ok(())
    }

    fn engines_of(&self, named: &Named) -> impl Iterator<Item = &Name> {
        let long = named.long;
        let takes_part = move |name: &str| !long || suite::LONG.contains(&name);
        let engines = self.engines.engines.iter();
        engines.filter(move |name| takes_part(&name.to_string()))
    }

    fn workload(&self, named: &Named, mut workload: Workload, rounds: u32) -> Result<OfWorkload> {
        if let Some(items) = self.items {
            workload.items = items;
            workload.window = items / 10;
        }
        let mut of_workload = OfWorkload {
            name: named.name.to_owned(),
            what: named.what.to_owned(),
            arguments: workload.arguments().join(" "),
            rounds: self.rounds.unwrap_or(rounds),
            measures: Vec::new(),
            series: BTreeMap::new(),
        };
        for round in 1..=of_workload.rounds {
            for name in self.engines_of(named) {
                eprintln!("{} {round}: {name}", named.name);
                let report = self.engine(name, named.phases, &workload)?;
                of_workload.add(name, report);
            }
        }
        Ok(of_workload)
    }

    /// All phases of one engine, in a folder of its own that goes when they are done.
    fn engine(&self, name: &Name, phases: &[Phase], workload: &Workload) -> Result<Report> {
        let folder = tempfile::Builder::new()
            .prefix("bench-data-")
            .tempdir_in(&self.engines.dir)?;
        let mut all = Report::default();
        for phase in phases {
            let dir = folder
                .path()
                .join(if of_killed(*phase) { "killed" } else { "clean" });
            std::fs::create_dir_all(&dir)?;
            if *phase == Phase::Cold {
                drop_caches()?;
            }
            let mut report = self.phase(name, &dir, *phase, workload)?;
            all.figures.append(&mut report.figures);
            all.series.append(&mut report.series);
        }
        Ok(all)
    }

    fn phase(&self, name: &Name, dir: &Path, phase: Phase, workload: &Workload) -> Result<Report> {
        let output = name
            .command(&self.engines.programs, dir, phase, workload)
            .stdout(Stdio::piped())
            .output()
            .with_context(|| format!("cannot run {name}"))?;
        let killed = phase == Phase::PutKilled && output.status.signal() == Some(9);
        ensure!(
            output.status.success() || killed,
            "{name} failed: {}",
            output.status
        );
        let lines = String::from_utf8(output.stdout)?;
        let last = lines.lines().last().context("no report")?;
        Ok(serde_json::from_str(last)?)
    }
}

fn of_killed(phase: Phase) -> bool {
    matches!(phase, Phase::PutKilled | Phase::ReopenKilled)
}

/// What the command line was, without the path of the program.
fn command_line() -> String {
    let arguments = std::env::args().skip(1);
    let words = std::iter::once("quipu-bench".to_owned()).chain(arguments);
    words.collect::<Vec<_>>().join(" ")
}

/// What is on disk is read from there next; only root may ask for it.
fn drop_caches() -> std::io::Result<()> {
    rustix::fs::sync();
    std::fs::write("/proc/sys/vm/drop_caches", "3")
}

impl OfWorkload {
    fn add(&mut self, name: &Name, mut report: Report) {
        let series = report.series.iter_mut();
        for point in series.flat_map(|series| series.points.iter_mut()) {
            *point = (rounded(point.0), rounded(point.1));
        }
        for figure in report.figures {
            let known = self
                .measures
                .iter()
                .position(|known| known.measure == figure.measure);
            let at = known.unwrap_or_else(|| {
                self.measures.push(OfMeasure {
                    measure: figure.measure,
                    better: figure.better,
                    values: BTreeMap::new(),
                });
                self.measures.len() - 1
            });
            let values = &mut self.measures[at].values;
            values
                .entry(name.to_string())
                .or_default()
                .push(rounded(figure.value));
        }
        if !report.series.is_empty() {
            self.series.insert(name.to_string(), report.series);
        }
    }
}
