//! One file a scenario; what they share.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::model::Outcome;
use crate::tally::Tally;

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
    Fuse(Args),
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
            Self::Kill(args) | Self::Power(args) | Self::Full(args) | Self::Fuse(args) => args,
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
        result.inspect_err(|error| {
            if !error.is::<Skipped>() {
                eprintln!("kept: {}", folder.keep().display());
            }
        })
    }
}

/// Ends the scenario where anything acknowledged is lost, or anything else is not as it should be.
fn must_be_right(outcome: &Outcome) -> Result<()> {
    let Outcome {
        lost, extra, wrong, ..
    } = outcome;
    ensure!(
        outcome.is_right(),
        "lost {lost:?}, extra {extra:?} (index, serial), wrong {wrong:#?}"
    );
    Ok(())
}
