//! `quipu gaps`: which indices an archive lacks.

use serde::Serialize;

use crate::archive::{ReadArgs, open_reader};
use crate::failure::Result;
use crate::output::Output;

/// Print the indices that are missing before the last stored one, as runs
///
/// Indices below the floor are not missing; damaged ones are.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    read: ReadArgs,
    /// The first index to look at
    #[arg(long, value_name = "INDEX", default_value_t = 0)]
    from: u64,
    /// Print at most so many runs
    #[arg(long, value_name = "N")]
    max: Option<usize>,
}

#[derive(Serialize)]
struct Gap {
    first: u64,
    last: u64,
}

pub(crate) fn run(args: Args) -> Result<()> {
    let archive = open_reader(&args.read.archive)?;
    let mut out = Output::new();
    for run in archive.missing_ranges(args.from, args.max.unwrap_or(usize::MAX)) {
        let (first, last) = run.into_inner();
        let gap = Gap { first, last };
        if args.read.json {
            out.json(&gap)?;
        } else if gap.first == gap.last {
            out.line(&gap.first.to_string())?;
        } else {
            out.line(&format!("{}..={}", gap.first, gap.last))?;
        }
    }
    out.finish()
}
