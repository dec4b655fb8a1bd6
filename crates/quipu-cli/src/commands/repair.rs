//! `quipu repair`: sections written anew without their damage.

use std::ops::RangeInclusive;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use quipu::{RepairReport, SectionRepair};
use serde_json::json;

use crate::archive::{ReadArgs, open_reader, open_writer};
use crate::failure::{Failure, Result};
use crate::output::{Output, human};

/// Take damage out: write each section that has some anew without it
///
/// The old bytes go into the folder `quarantine` of the archive first. Everything that can be read
/// stays. The indices that are lost are listed, here and by `gaps`, until `put` or `import` puts
/// them again. The exit code is 3 when indices are lost, and with --dry-run when there is
/// anything to repair.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    read: ReadArgs,
    /// Say what would be done and change nothing; also beside a writer
    #[arg(long)]
    dry_run: bool,
}

/// Runs of lost indices that a line of the table lists.
const LISTED: usize = 5;

pub(crate) fn run(args: Args) -> Result<()> {
    let report = match args.dry_run {
        true => open_reader(&args.read.archive)?.plan_repair()?,
        false => {
            let mut archive = open_writer(&args.read.archive)?;
            let report = archive.repair()?;
            archive.close()?;
            report
        }
    };
    let mut out = Output::new();
    match args.read.json {
        true => print_json(&mut out, &report)?,
        false => print(&mut out, &report, args.dry_run)?,
    }
    out.finish()?;
    end(&report, args.dry_run)
}

fn print_json(out: &mut Output, report: &RepairReport) -> Result<()> {
    for of in &report.sections {
        let why: Vec<String> = of.why.iter().map(ToString::to_string).collect();
        let lost: Vec<_> = of.lost.iter().map(|run| [run.start(), run.end()]).collect();
        let quarantine = of.quarantine.iter();
        let quarantine: Vec<_> = quarantine
            .map(|blob| json!({"path": blob.path, "bytes": blob.bytes, "unreadable": blob.unreadable}))
            .collect();
        out.json(&json!({
            "section": of.section, "path": of.path, "why": why,
            "entries_kept": of.entries_kept, "entries_lost": of.entries_lost,
            "lost": lost, "quarantine": quarantine,
        }))?;
    }
    out.json(&json!({
        "sections": report.sections.len(), "entries_kept": report.entries_kept(),
        "entries_lost": report.entries_lost(), "lost_indices": report.lost_indices(),
        "quarantined_bytes": report.quarantined_bytes(),
        "unreadable_bytes": report.unreadable_bytes(),
    }))
}

fn print(out: &mut Output, report: &RepairReport, dry_run: bool) -> Result<()> {
    if report.is_empty() {
        return out.line("nothing is damaged");
    }
    out.line(&table(report).to_string())?;
    out.line("")?;
    for error in report.sections.iter().flat_map(|of| &of.why) {
        out.line(&error.to_string())?;
    }
    out.line(&format!(
        "{} {} sections, {} entries kept, {} lost, {} in quarantine",
        if dry_run { "would repair" } else { "repaired" },
        report.sections.len(),
        report.entries_kept(),
        report.entries_lost(),
        human(report.quarantined_bytes()),
    ))?;
    match report.unreadable_bytes() {
        0 => Ok(()),
        bytes => out.line(&format!(
            "{} of these the disk could not read",
            human(bytes)
        )),
    }
}

fn table(report: &RepairReport) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table.set_header(["section", "kept", "lost", "quarantine", "lost indices"]);
    for column in table.column_iter_mut().take(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for of in &report.sections {
        table.add_row([
            of.section.to_string(),
            of.entries_kept.to_string(),
            of.entries_lost.to_string(),
            human(of.quarantine.iter().map(|blob| blob.bytes).sum()),
            lost(of),
        ]);
    }
    table
}

fn lost(of: &SectionRepair) -> String {
    let run = |run: &RangeInclusive<u64>| match run.start() == run.end() {
        true => run.start().to_string(),
        false => format!("{}..={}", run.start(), run.end()),
    };
    let mut listed: Vec<String> = of.lost.iter().take(LISTED).map(run).collect();
    if of.lost.len() > LISTED {
        listed.push(format!("and {} more runs", of.lost.len() - LISTED));
    }
    listed.join(", ")
}

fn end(report: &RepairReport, dry_run: bool) -> Result<()> {
    let lost = report.lost_indices();
    let sentence = match (dry_run, lost) {
        _ if report.is_empty() => return Ok(()),
        (false, 0) => return Ok(()),
        (true, 0) => {
            "there is damage, and no index is lost; `quipu repair` takes it out".to_owned()
        }
        (true, _) => format!(
            "{lost} indices are lost; `quipu repair` takes the damage out, `quipu put` or \
             `quipu import` then puts them again"
        ),
        (false, _) => format!(
            "{lost} indices are lost, `quipu gaps` lists them; put them again with `quipu put` or \
             `quipu import`"
        ),
    };
    Err(Failure::Damage(sentence))
}
