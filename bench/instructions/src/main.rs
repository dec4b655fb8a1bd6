//! Counts the instructions of quipu's hot paths under callgrind, and holds them to budgets.
//!
//! Time differs from run to run, the number of instructions hardly does. The program starts itself
//! under valgrind once a path; only what happens inside [`measured`] is counted, in the thread that
//! calls it.

mod check;
mod paths;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

use paths::Path;

/// Instructions of quipu's hot paths
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Counts each path and compares it with its budget
    Check {
        /// The file of budgets
        budgets: PathBuf,
        /// Write what was counted as the new budgets
        #[arg(long)]
        update: bool,
        /// This path alone
        #[arg(long, value_enum)]
        only: Option<Path>,
    },
    /// Walks one path; what valgrind runs
    Walk {
        #[arg(value_enum)]
        path: Path,
        /// The folder of the archive
        dir: PathBuf,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Check {
            budgets,
            update,
            only,
        } => check::check(&budgets, update, only),
        Command::Walk { path, dir } => paths::walk(path, &dir),
    }
}

/// What is counted. It has a name that no compiler changes, and a call that none takes away.
#[allow(unsafe_code, reason = "the name, which is of this program alone")]
#[unsafe(no_mangle)]
#[inline(never)]
pub fn quipu_measured(work: &mut dyn FnMut()) {
    work();
}

/// Does the work, and has it counted.
fn measured<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let mut work = Some(work);
    let mut result = None;
    quipu_measured(&mut || result = work.take().map(|work| work()));
    result.unwrap_or_else(|| anyhow::bail!("nothing was done"))
}
