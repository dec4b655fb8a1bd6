//! `quipu prune`: old items out.

use std::path::PathBuf;

use serde_json::json;

use crate::archive::open_writer;
use crate::failure::Result;
use crate::output::Output;

/// Drop whole sections of items below an index, and free their disk space
///
/// Items of the section that MIN belongs to stay. What is dropped is never accepted again.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The archive's folder
    archive: PathBuf,
    /// Everything from this index on stays
    min: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> Result<()> {
    let mut archive = open_writer(&args.archive)?;
    let sections = archive.prune(args.min)?;
    let floor = archive.floor();
    archive.close()?;
    let mut out = Output::new();
    if args.json {
        out.json(&json!({"sections": sections, "floor": floor}))?;
    } else {
        out.line(&format!(
            "dropped {sections} sections, the floor is {floor}"
        ))?;
    }
    out.finish()
}
