//! The command line that all compatibility programs have.

use crate::engine::Engine;
use crate::quipu_engine::{Layout, engine};
use crate::read_store::ReadStore;
use crate::run::{Checks, Report, Shapes, check_golden, run, self_check};
use anyhow::{Context as _, Result, bail};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
Compares quipu with another program that writes the same files.

    --self-check         leave quipu out: the other program reads what it wrote
    --golden DIR         read copies of the golden archives in DIR (may be repeated)
    --read-store FILE    let this Python program read every store that is written, too
    --python PROGRAM     the Python to run it with (python3)
    --seeds FIRST..LAST  the random scenarios to run, both ends included (1..200)
    --seed N             only the scenario of this seed
    --scenario NAME      only the shape of this name
    --temp DIR           where to put stores while they are checked
    --keep               leave the store of a failed check where it is";

#[derive(Default)]
struct Options {
    self_check: bool,
    golden: Vec<PathBuf>,
    read_store: Option<PathBuf>,
    python: Option<String>,
    seeds: Option<RangeInclusive<u64>>,
    scenario: Option<String>,
    temp: Option<PathBuf>,
    keep: bool,
}

/// Runs what the command line asks for; `layout` is the newest header that `reference` reads.
pub fn main(reference: &dyn Engine, layout: Layout) -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error:#}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    println!("{}", reference.name());
    match options.run(reference, layout) {
        Ok(Report { passed, skipped }) => {
            println!("{passed} passed, 0 failed, {skipped} skipped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Self>> {
        let mut options = Self::default();
        while let Some(word) = words.next() {
            let mut next = || {
                words
                    .next()
                    .with_context(|| format!("{word} lacks its argument"))
            };
            match word.as_str() {
                "--self-check" => options.self_check = true,
                "--golden" => options.golden.push(next()?.into()),
                "--read-store" => options.read_store = Some(next()?.into()),
                "--python" => options.python = Some(next()?),
                "--seeds" => options.seeds = Some(seeds(&next()?)?),
                "--seed" => options.seeds = Some(one_seed(&next()?)?),
                "--scenario" => options.scenario = Some(next()?),
                "--temp" => options.temp = Some(next()?.into()),
                "--keep" => options.keep = true,
                "--help" | "-h" => return Ok(None),
                _ => bail!("unknown option {word}"),
            }
        }
        Ok(Some(options))
    }

    fn run(self, reference: &dyn Engine, layout: Layout) -> Result<Report> {
        let checks = self.checks()?;
        let quipu = if self.self_check {
            None
        } else {
            Some(quipu(layout)?)
        };
        let mut report = match &quipu {
            Some(quipu) => run(reference, quipu.as_ref(), &checks)?,
            None => self_check(reference, &checks)?,
        };
        let engines: Vec<&dyn Engine> = [Some(reference), quipu.as_deref()]
            .into_iter()
            .flatten()
            .collect();
        for dir in &self.golden {
            report += check_golden(&engines, dir, &checks)?;
        }
        Ok(report)
    }

    /// One seed or one shape alone leaves the others out.
    fn checks(&self) -> Result<Checks> {
        let python = self.python.as_deref().unwrap_or("python3");
        let read_store = self
            .read_store
            .clone()
            .map(|program| ReadStore::new(python, program));
        let (shapes, seeds) = match (&self.scenario, &self.seeds) {
            (None, None) => (Shapes::All, vec![1..=200]),
            (Some(name), None) => (Shapes::Only(name.clone()), Vec::new()),
            (None, Some(seeds)) if seeds.start() == seeds.end() => {
                (Shapes::None, vec![seeds.clone()])
            }
            (None, Some(seeds)) => (Shapes::All, vec![seeds.clone()]),
            (Some(name), Some(seeds)) => (Shapes::Only(name.clone()), vec![seeds.clone()]),
        };
        let (temp, keep) = (self.temp.clone(), self.keep);
        Ok(Checks {
            seeds,
            shapes,
            read_store: read_store.transpose()?,
            temp,
            keep,
        })
    }
}

fn quipu(layout: Layout) -> Result<Box<dyn Engine>> {
    engine(layout).context("built without quipu; run with --self-check")
}

fn seeds(text: &str) -> Result<RangeInclusive<u64>> {
    let (first, last) = text.split_once("..").context("--seeds takes FIRST..LAST")?;
    let seeds = first.parse()?..=last.parse()?;
    if seeds.is_empty() {
        bail!("--seeds: no seed in {text}");
    }
    Ok(seeds)
}

fn one_seed(text: &str) -> Result<RangeInclusive<u64>> {
    let seed = text.parse()?;
    Ok(seed..=seed)
}
