//! `quipu adopt`: a store of commonware-storage becomes an archive.

use std::path::PathBuf;

use quipu::{Compression, Options};
use serde_json::json;

use crate::failure::Result;
use crate::output::Output;
use crate::progress;

/// Turn a store of commonware-storage's prunable archive into an archive, in place
///
/// No section is rewritten: the store stays readable for that program. The settings must be those
/// it was written with; otherwise nothing is changed. Torn ends that a crash left are cut, and
/// told. The marks of version 2026.10.0 are set aside. A damaged header stops nothing: its section is
/// read with the header that others have, or told.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The store's folder
    store: PathBuf,
    /// The partition of the index files
    #[arg(long, value_name = "P", default_value = "index")]
    index_partition: String,
    /// The partition of the value files
    #[arg(long, value_name = "P", default_value = "values")]
    value_partition: String,
    /// The partition in which version 2026.10.0 keeps marks of its own; it is set aside
    #[arg(long, value_name = "P", default_value = "metadata")]
    metadata_partition: String,
    /// Bytes of a key
    #[arg(long, value_name = "N")]
    key_size: usize,
    /// Bytes of a page, without its checksums
    #[arg(long, value_name = "N")]
    page_size: u16,
    /// Indices that one section spans
    #[arg(long, value_name = "N")]
    items_per_section: u64,
    /// The values are compressed with zstd; new ones will be at this level
    #[arg(long, value_name = "LEVEL", allow_negative_numbers = true)]
    zstd: Option<i32>,
    /// The values are not compressed, even if they look like zstd frames
    #[arg(long, conflicts_with = "zstd")]
    no_zstd: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> Result<()> {
    let bar = progress::sections("adopting");
    let shown = bar.clone();
    let mut options = Options::new()
        .partitions(args.index_partition, args.value_partition)
        .metadata_partition(args.metadata_partition)
        .key_size(args.key_size)
        .page_size(args.page_size)
        .items_per_section(args.items_per_section)
        .progress(move |done, total| progress::show(&shown, done, total));
    if let Some(level) = args.zstd {
        options = options.compression(Compression::Zstd(level));
    } else if args.no_zstd {
        options = options.compression(Compression::Off);
    }
    let adopted = options.adopt(&args.store);
    bar.finish_and_clear();
    let recovery = adopted?;
    let mut out = Output::new();
    if args.json {
        let cut: Vec<String> = recovery.sections.iter().map(ToString::to_string).collect();
        out.json(&json!({"adopted": true, "cut": cut, "removed": recovery.removed, "damaged": recovery.damaged, "unreadable": recovery.unreadable}))?;
    } else {
        out.line(&format!("{} is an archive now", args.store.display()))?;
        for section in &recovery.sections {
            out.line(&section.to_string())?;
        }
        for section in &recovery.unreadable {
            out.line(&format!(
                "nothing can be read of section {section}; `quipu verify` names the file"
            ))?;
        }
        for removed in &recovery.removed {
            out.line(&format!("removed {}", removed.display()))?;
        }
    }
    out.finish()
}
