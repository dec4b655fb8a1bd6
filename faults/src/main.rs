//! Real faults: a process that writes and reports what is durable is hit by them, and everything
//! that it reported must be there afterwards. README.md tells what each scenario tests.

mod check;
mod child;
mod content;
mod fuse;
mod guest;
mod model;
mod mount;
mod plan;
mod scenarios;
mod shape;
mod tally;
mod writer;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use scenarios::{Scenario, Skipped};

/// The exit code of a scenario that cannot run here.
const SKIPPED: u8 = 77;

/// Real faults against quipu. Exit code 0: nothing was lost; 1: something is wrong; 77: the
/// scenario cannot run here.
#[derive(Debug, Parser)]
#[command(version, about)]
enum Program {
    #[command(flatten)]
    Scenario(Scenario),
    /// Writes in a folder and reports on standard output; what the scenarios start
    #[command(hide = true)]
    Write {
        folder: PathBuf,
        #[command(flatten)]
        work: writer::Work,
    },
    /// Runs as the first process of a guest
    #[command(hide = true)]
    Guest(guest::Args),
}

fn main() -> ExitCode {
    match Program::parse() {
        Program::Scenario(scenario) => match scenario.run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => match error.downcast_ref::<Skipped>() {
                Some(reason) => {
                    println!("skipped: {reason}");
                    ExitCode::from(SKIPPED)
                }
                None => {
                    eprintln!("quipu-faults: {error:#}");
                    ExitCode::FAILURE
                }
            },
        },
        Program::Guest(args) => match guest::run(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Program::Write { folder, work } => {
            let mut out = std::io::LineWriter::new(std::io::stdout().lock());
            let code = writer::run(&work, &folder, &mut out);
            let _ = out.flush();
            // Whoever listened is gone: nothing is left to report to.
            code.map_or(ExitCode::FAILURE, ExitCode::from)
        }
    }
}
