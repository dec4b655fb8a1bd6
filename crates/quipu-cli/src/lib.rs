//! The program `quipu`: archives from the command line.
//!
//! It is a library so that its parsers can be fuzzed; [`main`] is all of the program.

mod archive;
mod commands;
mod failure;
#[doc(hidden)]
pub mod fuzzing;
mod output;
mod progress;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::failure::Failure;
use commands::{adopt, gaps, get, import, info, prune, put, range, repair, scrub, verify};

const EXAMPLES: &str = "\
Examples:
  quipu import git . history           every commit of this repository
  quipu get history 0                  the first one
  quipu get history --key $(git rev-parse HEAD)
  quipu range history 10..20 --json    some of them, one JSON object a line
  quipu info history                   what the archive holds
  quipu verify history                 reads and checks everything
  quipu repair history --dry-run       what a repair would take out

Exit codes:
  0  done
  1  what was asked for is not there, or the index to put at is taken
  2  the command line is wrong
  3  bytes on disk are damaged
  4  anything else: a file that cannot be read or written, a second writer, settings that differ

An item in JSON is {\"index\": 7, \"key\": \"hex\", \"value\": \"hex\"}.";

/// Archives of ordered, write-once items: put by index and key, get back by either.
#[derive(Parser)]
#[command(name = "quipu", version, about, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Import(import::Args),
    Get(get::Args),
    Put(put::Args),
    Info(info::Args),
    Gaps(gaps::Args),
    Range(range::Args),
    Prune(prune::Args),
    Verify(verify::Args),
    Repair(repair::Args),
    Scrub(scrub::Args),
    Adopt(adopt::Args),
}

/// Does what the command line of this process says; the code to exit with.
pub fn main() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => return answer(&error),
    };
    let result = match command {
        Command::Import(args) => import::run(args),
        Command::Get(args) => get::run(args),
        Command::Put(args) => put::run(args),
        Command::Info(args) => info::run(args),
        Command::Gaps(args) => gaps::run(args),
        Command::Range(args) => range::run(args),
        Command::Prune(args) => prune::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Repair(args) => repair::run(args),
        Command::Scrub(args) => scrub::run(args),
        Command::Adopt(args) => adopt::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// What a command line gets that is none of a command: the help it asked for, or one sentence.
fn answer(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // Whoever closed the output wants no more of it.
        let _ = error.print();
        return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
    }
    let text = error.to_string();
    let sentence = text.split("\n\n").next().unwrap_or_default();
    let words: Vec<&str> = sentence.split_whitespace().collect();
    let sentence = words.join(" ");
    let sentence = sentence.strip_prefix("error: ").unwrap_or(&sentence);
    Failure::Usage(format!("{sentence}; `--help` tells what a command takes")).report()
}
