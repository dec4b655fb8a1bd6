//! One file a scenario; what they share.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::model::Outcome;
use crate::plan::Start;
use crate::shape::Shape;
use crate::tally::Tally;
use crate::writer::Work;

mod full;
mod fuse;
mod kill;
mod power;
mod qemu;

/// What every scenario takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// How many rounds
    #[arg(long, default_value_t = 20)]
    pub rounds: u64,
    /// Decides what is written, and when the fault strikes after a report
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Where a temporary folder is made; it is kept when something is wrong
    #[arg(long)]
    pub folder: Option<PathBuf>,
    /// The writer reports syncs that it does not make; the scenario must find out, and then ends
    /// with exit code 0
    #[arg(long)]
    pub canary: bool,
}

impl Args {
    /// What a writer of this scenario does.
    fn work(&self, shape: Shape, start: Start) -> Work {
        Work {
            lie: self.canary,
            ..Work::endless(shape, start)
        }
    }
}

/// The scenarios.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Scenario {
    /// Kills a process that writes
    Kill(Args),
    /// Shuts down the file system under a process that writes
    Power(Args),
    /// Fills a disk, frees some of it, goes on; so many rounds for each kind of disk and archive
    Full(Args),
    /// A disk that fails at its n-th call, for each n up to the number of rounds, and loses power
    Fuse(fuse::FuseArgs),
    /// Kills a guest of qemu that writes
    Qemu(qemu::QemuArgs),
}

/// Why a scenario cannot run here.
#[derive(Debug)]
pub struct Skipped(pub String);

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Skipped {}

impl Scenario {
    fn name(&self) -> &'static str {
        match self {
            Self::Kill(_) => "kill",
            Self::Power(_) => "power",
            Self::Full(_) => "full",
            Self::Fuse(_) => "fuse",
            Self::Qemu(_) => "qemu",
        }
    }

    fn args(&self) -> &Args {
        match self {
            Self::Kill(args) | Self::Power(args) | Self::Full(args) => args,
            Self::Fuse(args) => &args.common,
            Self::Qemu(args) => &args.common,
        }
    }

    /// Runs all rounds in a temporary folder.
    pub fn run(&self) -> Result<()> {
        let started = Instant::now();
        let mut folder = tempfile::Builder::new();
        let folder = folder.prefix("quipu-faults-");
        let folder = match &self.args().folder {
            Some(parent) => folder.tempdir_in(parent),
            None => folder.tempdir(),
        };
        let folder = folder.context("cannot make a temporary folder")?;
        let mut tally = Tally::default();
        let result = match self {
            Self::Kill(args) => kill::run(args, folder.path(), &mut tally),
            Self::Power(args) => power::run(args, folder.path(), &mut tally),
            Self::Full(args) => full::run(args, folder.path(), &mut tally),
            Self::Fuse(args) => fuse::run(args, folder.path(), &mut tally),
            Self::Qemu(args) => qemu::run(args, folder.path(), &mut tally),
        };
        println!("{}: {tally} ({:.0?})", self.name(), started.elapsed());
        match result {
            Err(error) if error.is::<Skipped>() => Err(error),
            result if self.args().canary => {
                ensure!(result.is_err(), "the canary was not found");
                println!("the canary was found");
                Ok(())
            }
            result => result.inspect_err(|_| eprintln!("kept: {}", folder.keep().display())),
        }
    }
}

/// Ends the scenario where anything acknowledged is lost, or anything else is not as it should be.
fn must_be_right(outcome: &Outcome) -> Result<()> {
    let Outcome {
        lost, extra, wrong, ..
    } = outcome;
    ensure!(
        outcome.is_right(),
        "lost {} {:?}, extra {} {:?} (first ones as index, serial), wrong {} {:#?}",
        lost.len(),
        first(lost),
        extra.len(),
        first(extra),
        wrong.len(),
        first(wrong)
    );
    Ok(())
}

/// The first few, which are enough to look at.
fn first<T>(all: &[T]) -> &[T] {
    all.get(..5).unwrap_or(all)
}
