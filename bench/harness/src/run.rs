//! Runs workloads: in each round every engine once, each phase in a process of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use quipu_bench::measures::Report;
use quipu_bench::{Phase, Workload};

use crate::Engines;
use crate::engines::Name;
use crate::process::{all_phases, drop_caches};
use crate::results::{Failure, Machine, OfMeasure, OfWorkload, Results, rounded};
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
    /// Another number of look-ups than the workload's
    #[arg(long)]
    gets: Option<u64>,
    /// Another number of rounds than the workload's
    #[arg(long)]
    rounds: Option<u32>,
    /// An engine that takes longer for one phase is stopped, and left out of the workload
    #[arg(long, default_value_t = 60)]
    limit_minutes: u64,
    /// Write every figure of every round to this file, after each workload
    #[arg(long)]
    json: Option<PathBuf>,
}

impl Run {
    /// The first engine may not fail; of others it is told.
    pub(crate) fn run(self) -> Result<()> {
        for name in &self.workloads {
            let mut names = suite::ALL.iter().map(|workload| workload.name);
            ensure!(names.any(|known| known == name), "no workload {name}");
        }
        let mut results = Results::new(
            Machine::this(&self.engines.dir)?,
            command_line(),
            &self.engines.engines,
        )?;
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
            self.workload(named, workload, rounds, &mut results)?;
            if let Some(path) = &self.json {
                results.write(path)?;
            }
        }
        let first = results.engines.first().map(|engine| engine.0.clone());
        let own: Vec<_> = results
            .failures
            .iter()
            .filter(|failure| first.as_ref().is_some_and(|name| name == failure.engine()))
            .map(|failure| format!("{}: {}", failure.workload, failure.what))
            .collect();
        ensure!(own.is_empty(), "failed: {}", own.join("; "));
        Ok(())
    }

    fn workload(
        &self,
        named: &Named,
        mut workload: Workload,
        rounds: u32,
        results: &mut Results,
    ) -> Result<()> {
        if let Some(items) = self.items {
            workload.items = items;
            workload.window = suite::window(items);
        }
        workload.gets = self.gets.unwrap_or(workload.gets);
        let mut of_workload = OfWorkload {
            name: named.name.to_owned(),
            what: named.what.to_owned(),
            arguments: workload.arguments().join(" "),
            rounds: self.rounds.unwrap_or(rounds),
            measures: Vec::new(),
            series: BTreeMap::new(),
        };
        let limit = Duration::from_secs(60 * self.limit_minutes);
        let engines = self.engines.engines.iter();
        let mut engines: Vec<&Name> = engines
            .filter(|name| named.takes(&name.to_string()))
            .collect();
        for round in 1..=of_workload.rounds {
            engines.retain(|name| {
                eprintln!("{} {round}: {name}", named.name);
                match all_phases(&self.engines, name, named.phases, &workload, limit) {
                    Ok(report) => of_workload.add(name, report),
                    Err(error) => results.fail(named.name, name, &error),
                }
                !results.failed(named.name, name)
            });
        }
        let names: Vec<_> = engines.iter().map(ToString::to_string).collect();
        println!(
            "\n{}: {}\n{}",
            named.name,
            named.what,
            table(&of_workload, &names)
        );
        results.workloads.push(of_workload);
        Ok(())
    }
}

/// What the command line was, without where things lie on this machine.
fn command_line() -> String {
    let mut words = vec!["quipu-bench".to_owned()];
    let mut arguments = std::env::args().skip(1);
    while let Some(word) = arguments.next() {
        match word.as_str() {
            "--programs" | "--dir" | "--json" => drop(arguments.next()),
            _ => words.push(word),
        }
    }
    words.join(" ")
}

impl Results {
    fn fail(&mut self, workload: &str, engine: &Name, error: &anyhow::Error) {
        eprintln!("{workload}: {error:#}");
        self.failures.push(Failure {
            workload: workload.to_owned(),
            engine: engine.to_string(),
            what: format!("{error:#}"),
        });
    }

    fn failed(&self, workload: &str, engine: &Name) -> bool {
        let mut failures = self.failures.iter();
        failures.any(|of| of.workload == workload && of.engine == engine.to_string())
    }
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
