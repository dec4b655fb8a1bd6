//! Runs engines side by side: in each round every engine once, each phase in a process of its own.

mod engines;
mod flushes;
mod process;
mod report;
mod results;
mod run;
mod suite;
mod table;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use engines::Name;

/// Measures archives and databases side by side
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs workloads and prints medians, in brackets the first engine's ratio to each other
    Run(run::Run),
    /// Counts the calls that flush, to show which engines are durable when they say so
    Flushes(flushes::Flushes),
    /// Writes tables, plots and a page of what a run gave
    Report(report::Report),
    /// Lists workloads and engines
    List,
}

/// Which engines, and where they are.
#[derive(Args, Clone)]
struct Engines {
    /// Engines, a variant behind a colon; ratios are those of the first to each other
    #[arg(long, value_delimiter = ',', default_values_t = engines::all())]
    engines: Vec<Name>,
    /// The folder of the engines' programs
    #[arg(long, default_value = "bench/target/release")]
    programs: PathBuf,
    /// Where the engines keep their files; it should be on a real disk
    #[arg(long, default_value = "bench/target")]
    dir: PathBuf,
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Run(run) => run.run(),
        Command::Flushes(flushes) => flushes.run(),
        Command::Report(report) => report.run(),
        Command::List => {
            for workload in suite::ALL {
                println!("{:<12} {}", workload.name, workload.what);
            }
            engines::all().iter().for_each(|name| println!("{name}"));
            Ok(())
        }
    }
}
