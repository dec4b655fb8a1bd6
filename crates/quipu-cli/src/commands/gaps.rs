//! `quipu gaps`: which indices an archive lacks.

use quipu::{KeyBytes, Reader};
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
    for gap in gaps(&archive, args.from).take(args.max.unwrap_or(usize::MAX)) {
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

/// The runs of missing indices from `from` on. Each costs one look at the runs that are stored.
fn gaps(archive: &Reader<KeyBytes>, from: u64) -> impl Iterator<Item = Gap> {
    let mut next = Some(from);
    std::iter::from_fn(move || {
        let first = archive.missing_items(next?, 1).pop()?;
        let last = match archive.next_gap(first).1 {
            Some(stored) => stored - 1,
            // Behind the last item that can be read, only damaged ones are known.
            None => archive.missing_items(first, usize::MAX).pop()?,
        };
        next = last.checked_add(1);
        Some(Gap { first, last })
    })
}
