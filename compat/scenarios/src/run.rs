//! Who writes and who reads, over all scenarios.

use crate::engine::Engine;
use crate::golden::Golden;
use crate::model::Expected;
use crate::random::random;
use crate::read_store::ReadStore;
use crate::scenario::Scenario;
use crate::shapes::shapes;
use anyhow::{Context as _, Result, anyhow};
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Instant;
use tempfile::TempDir;

/// How many seeds share a line of the output.
const SEEDS_A_GROUP: usize = 50;

/// What is run, and where.
#[derive(Default)]
pub struct Checks {
    /// The seeds of random scenarios.
    pub seeds: Vec<RangeInclusive<u64>>,
    /// Only the shape with this name, or all of them.
    pub shapes: Shapes,
    /// A second opinion on what is written.
    pub read_store: Option<ReadStore>,
    /// The folder for temporary stores, or the system's.
    pub temp: Option<PathBuf>,
    /// Leaves the store of a failed check where it is.
    pub keep: bool,
}

/// Which of the shapes are run.
#[derive(Default)]
pub enum Shapes {
    /// All of them.
    #[default]
    All,
    /// The one of this name.
    Only(String),
    /// None of them.
    None,
}

/// How many checks were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Stores that were read and found right.
    pub passed: u64,
    /// Stores that the second opinion cannot read here.
    pub skipped: u64,
}

/// For each scenario: quipu reads what the reference wrote, the reference reads what quipu wrote,
/// and the reference reads what it wrote and quipu went on with. Stops at the first difference.
pub fn run(reference: &dyn Engine, quipu: &dyn Engine, checks: &Checks) -> Result<Report> {
    checks.over_all(&|store, scenario| {
        let expected = Expected::of(scenario);
        store.fill(reference, scenario, &expected)?;
        store.check(quipu, scenario, &expected)?;

        store.clear()?;
        store.fill(quipu, scenario, &expected)?;
        store.check(reference, scenario, &expected)?;

        store.clear()?;
        let (head, tail) = scenario.split();
        store.fill(reference, &head, &Expected::of(&head))?;
        let expected = Expected::of(&Scenario::join(&head, &tail));
        store.fill(quipu, &tail, &expected)?;
        store.check(reference, scenario, &expected)
    })
}

/// For each scenario: the reference reads what it wrote, also where it went on with it.
pub fn self_check(reference: &dyn Engine, checks: &Checks) -> Result<Report> {
    checks.over_all(&|store, scenario| {
        let (head, tail) = scenario.split();
        store.fill(reference, &head, &Expected::of(&head))?;
        store.check(reference, &head, &Expected::of(&head))?;
        let expected = Expected::of(&Scenario::join(&head, &tail));
        store.fill(reference, &tail, &expected)?;
        store.check(reference, scenario, &expected)
    })
}

/// Each engine reads a copy of each golden archive of a folder.
pub fn check_golden(engines: &[&dyn Engine], dir: &Path, checks: &Checks) -> Result<Report> {
    let archives = Golden::all(dir)?;
    checks.group(
        &format!("golden {}", dir.display()),
        &archives,
        &|store, golden| {
            let (scenario, expected) = (&golden.scenario, &golden.expected);
            for engine in engines {
                store.clear()?;
                golden.copy_to(store.dir())?;
                store.second_opinion(scenario, expected)?;
                let checked = engine.check_also(store.dir(), scenario, expected, golden.more());
                store.count(checked)?;
            }
            Ok(())
        },
    )
}

/// What is repeated to meet one failure again.
trait Named {
    fn reproduction(&self) -> String;
}

impl Named for Scenario {
    fn reproduction(&self) -> String {
        match self.name.strip_prefix("seed ") {
            Some(seed) => format!("--seed {seed}"),
            None => format!("--scenario {}", self.name),
        }
    }
}

impl Named for Golden {
    fn reproduction(&self) -> String {
        format!("--golden, archive {}", self.scenario.name)
    }
}

impl Checks {
    fn over_all(&self, check: &dyn Fn(&mut Store<'_>, &Scenario) -> Result<()>) -> Result<Report> {
        let mut report = Report::default();
        let wanted: Vec<Scenario> = shapes().into_iter().filter(|one| self.wants(one)).collect();
        if let Shapes::Only(name) = &self.shapes
            && wanted.is_empty()
        {
            return Err(anyhow!("no shape is named {name}"));
        }
        if !wanted.is_empty() {
            report += self.group("shapes of the golden archives", &wanted, check)?;
        }
        for range in &self.seeds {
            let seeds: Vec<u64> = range.clone().collect();
            for seeds in seeds.chunks(SEEDS_A_GROUP) {
                let scenarios: Vec<Scenario> = seeds.iter().map(|seed| random(*seed)).collect();
                let name = format!("seeds {} to {}", seeds[0], seeds[seeds.len() - 1]);
                report += self.group(&name, &scenarios, check)?;
            }
        }
        Ok(report)
    }

    fn wants(&self, shape: &Scenario) -> bool {
        match &self.shapes {
            Shapes::All => true,
            Shapes::Only(name) => shape.name == *name,
            Shapes::None => false,
        }
    }

    /// Checks one after the other and prints a line.
    fn group<T: Named>(
        &self,
        name: &str,
        all: &[T],
        check: &dyn Fn(&mut Store<'_>, &T) -> Result<()>,
    ) -> Result<Report> {
        let begin = Instant::now();
        let mut report = Report::default();
        for one in all {
            let mut store = Store::new(self)?;
            let done = catch_unwind(AssertUnwindSafe(|| check(&mut store, one)));
            report += store.report;
            let failed = match done {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error,
                Err(panic) => anyhow!("{}: panicked: {}", one.reproduction(), message(&*panic)),
            };
            let kept = store.keep().map(|dir| format!(" (kept {})", dir.display()));
            let kept = kept.unwrap_or_default();
            return Err(failed.context(format!("reproduce with {}{kept}", one.reproduction())));
        }
        let Report { passed, skipped } = report;
        let seconds = begin.elapsed().as_secs_f64();
        println!("{name}: {passed} stores right, {skipped} skipped, {seconds:.1} s");
        Ok(report)
    }
}

impl std::ops::AddAssign for Report {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.skipped += other.skipped;
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "no message".to_owned())
}

/// A temporary folder with a store, and what was checked in it.
struct Store<'a> {
    checks: &'a Checks,
    folder: TempDir,
    report: Report,
}

impl<'a> Store<'a> {
    fn new(checks: &'a Checks) -> Result<Self> {
        Ok(Self {
            checks,
            folder: folder(checks)?,
            report: Report::default(),
        })
    }

    fn dir(&self) -> &Path {
        self.folder.path()
    }

    fn clear(&mut self) -> Result<()> {
        self.folder = folder(self.checks)?;
        Ok(())
    }

    /// An engine carries out the scenario; `expected` is what the store then holds in all.
    fn fill(&mut self, by: &dyn Engine, scenario: &Scenario, expected: &Expected) -> Result<()> {
        let context = || format!("{}: {} writes", scenario.name, by.name());
        by.write(self.dir(), scenario).with_context(context)?;
        self.second_opinion(scenario, expected)
            .with_context(context)
    }

    fn second_opinion(&mut self, scenario: &Scenario, expected: &Expected) -> Result<()> {
        match &self.checks.read_store {
            Some(program) if program.can_read(scenario) => {
                let checked = program.check(self.dir(), scenario, expected);
                self.count(checked)
            }
            Some(_) => {
                self.report.skipped += 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn check(&mut self, by: &dyn Engine, scenario: &Scenario, expected: &Expected) -> Result<()> {
        let checked = by.check(self.dir(), scenario, expected);
        self.count(checked)
    }

    fn count(&mut self, checked: Result<()>) -> Result<()> {
        self.report.passed += u64::from(checked.is_ok());
        checked
    }

    fn keep(self) -> Option<PathBuf> {
        self.checks.keep.then(|| self.folder.keep())
    }
}

fn folder(checks: &Checks) -> Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("quipu-compat-");
    let folder = match &checks.temp {
        Some(dir) => builder.tempdir_in(dir),
        None => builder.tempdir(),
    };
    folder.context("cannot make a temporary folder")
}
