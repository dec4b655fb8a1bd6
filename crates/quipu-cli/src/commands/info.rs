//! `quipu info`: what an archive is and holds.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use quipu::{KeyBytes, Reader, SectionInfo};
use serde_json::json;

use crate::archive::{ReadArgs, open_reader};
use crate::failure::Result;
use crate::output::{Output, human};

/// Print settings, counts, ranges, bytes on disk and in memory, sections
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    read: ReadArgs,
    /// List every section
    #[arg(long)]
    sections: bool,
}

/// Runs and sections that are listed unless all are asked for.
const LISTED: usize = 10;

pub(crate) fn run(args: Args) -> Result<()> {
    let archive = open_reader(&args.read.archive)?;
    let mut out = Output::new();
    if args.read.json {
        out.json(&as_json(&archive))?;
    } else {
        out.line(&summary(&archive).to_string())?;
        out.line("")?;
        out.line(&sections(&archive, args.sections).to_string())?;
    }
    out.finish()
}

fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table
}

fn summary(archive: &Reader<KeyBytes>) -> Table {
    let (settings, stats) = (archive.settings(), archive.stats());
    let ranges = archive.ranges();
    let listed = ranges
        .iter()
        .take(LISTED)
        .map(|run| format!("{}..={}", run.start(), run.end()));
    let mut listed: Vec<String> = listed.collect();
    if ranges.len() > LISTED {
        listed.push(format!("and {} more", ranges.len() - LISTED));
    }
    let mut table = plain_table();
    table
        .add_row(["key size", &format!("{} bytes", settings.key_size)])
        .add_row(["items per section", &settings.items_per_section.to_string()])
        .add_row(["page size", &format!("{} bytes", settings.page_size)])
        .add_row(["header layout", &format!("{:?}", settings.layout)])
        .add_row(["compression", &settings.compression.to_string()])
        .add_row(["translator", &settings.translator.to_string()])
        .add_row([
            "partitions",
            &format!("{}, {}", settings.index_partition, settings.value_partition),
        ])
        .add_row(["indices stored", &stats.items_tracked.to_string()])
        .add_row(["floor", &archive.floor().to_string()])
        .add_row(["ranges", &listed.join(", ")])
        .add_row(["damaged", &stats.damaged.to_string()])
        .add_row(["sections", &stats.sections.to_string()])
        .add_row([
            "keys",
            &format!(
                "{}, {} of them in tables; of the others, {} in conflict",
                stats.keys, stats.keys_in_tables, stats.key_conflicts
            ),
        ])
        .add_row(["disk, index", &human(stats.disk_index)])
        .add_row(["disk, values", &human(stats.disk_values)])
        .add_row(["disk, key tables", &human(stats.disk_tables)])
        .add_row(["disk, other", &human(stats.disk_other)])
        .add_row(["memory, keys", &human(stats.memory_keys)])
        .add_row(["memory, key tables", &human(stats.memory_tables)])
        .add_row(["memory, sections", &human(stats.memory_sections)])
        .add_row(["memory, runs", &human(stats.memory_runs)])
        .add_row(["memory, page cache", &human(stats.memory_page_cache)]);
    table
}

fn sections(archive: &Reader<KeyBytes>, all: bool) -> Table {
    let mut table = plain_table();
    table.set_header([
        "section",
        "entries",
        "damaged",
        "index",
        "values",
        "compressed",
    ]);
    for column in table.column_iter_mut() {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let sections = archive.sections();
    let skipped = if all {
        0
    } else {
        sections.len().saturating_sub(LISTED)
    };
    if skipped > 0 {
        table.add_row([format!("{skipped} more: --sections")]);
    }
    for section in &sections[skipped..] {
        table.add_row([
            section.section.to_string(),
            section.entries.to_string(),
            section.damaged.to_string(),
            human(section.index_bytes),
            human(section.value_bytes),
            if section.compressed { "yes" } else { "no" }.to_owned(),
        ]);
    }
    table
}

fn as_json(archive: &Reader<KeyBytes>) -> serde_json::Value {
    let (settings, stats) = (archive.settings(), archive.stats());
    let ranges = archive.ranges();
    let ranges: Vec<_> = ranges
        .iter()
        .map(|run| [*run.start(), *run.end()])
        .collect();
    let section = |info: SectionInfo| {
        json!({
            "section": info.section, "entries": info.entries, "damaged": info.damaged,
            "index_bytes": info.index_bytes, "value_bytes": info.value_bytes, "compressed": info.compressed,
        })
    };
    json!({
        "key_size": settings.key_size,
        "items_per_section": settings.items_per_section,
        "page_size": settings.page_size,
        "layout": format!("{:?}", settings.layout),
        "compression": settings.compression.to_string(),
        "translator": settings.translator.to_string(),
        "index_partition": settings.index_partition,
        "value_partition": settings.value_partition,
        "items": stats.items_tracked,
        "floor": archive.floor(),
        "first_index": archive.first_index(),
        "last_index": archive.last_index(),
        "ranges": ranges,
        "damaged": stats.damaged,
        "keys": stats.keys,
        "keys_in_tables": stats.keys_in_tables,
        "key_conflicts": stats.key_conflicts,
        "disk": {
            "index": stats.disk_index, "values": stats.disk_values,
            "tables": stats.disk_tables, "other": stats.disk_other,
        },
        "memory": {
            "keys": stats.memory_keys, "tables": stats.memory_tables,
            "sections": stats.memory_sections,
            "runs": stats.memory_runs, "page_cache": stats.memory_page_cache,
        },
        "open_files": stats.open_files,
        "sections": archive.sections().into_iter().map(section).collect::<Vec<_>>(),
    })
}
