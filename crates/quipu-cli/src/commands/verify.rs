//! `quipu verify`: reads and checks everything.

use quipu::{KeyBytes, Reader, VerifyEvent, VerifyReport};
use serde_json::json;

use crate::archive::{ReadArgs, open_reader, open_writer};
use crate::failure::{Failure, Result};
use crate::output::{Output, human};
use crate::progress;

/// Read every page, entry and value, and check them
///
/// Damage is printed with its file, its offset, what was expected and what was found; the exit
/// code is then 3. Nothing is changed, but for what --note says.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    read: ReadArgs,
    /// Keep note of damage in the archive: `gaps` then lists it, and put and import fill it. Needs
    /// to be the only writer
    #[arg(long)]
    note: bool,
}

pub(crate) fn run(args: Args) -> Result<()> {
    match args.note {
        true => {
            let archive = open_writer(&args.read.archive)?;
            let verified = verify(&archive, &args);
            archive.close()?;
            verified
        }
        false => verify(&*open_reader(&args.read.archive)?, &args),
    }
}

fn verify(archive: &Reader<KeyBytes>, args: &Args) -> Result<()> {
    let mut out = Output::new();
    let mut printed = Ok(());
    let bar = progress::bytes("verifying");
    let report = archive.verify(&mut |event| {
        if let VerifyEvent::Progress { done, total } = event {
            progress::show(&bar, done, total);
        } else if printed.is_ok() {
            printed = print(&mut out, &event, args.read.json);
        }
    });
    bar.finish_and_clear();
    printed?;
    let report = report?;
    if args.read.json {
        out.json(&json!({
            "sections": report.sections, "entries": report.entries, "bytes": report.bytes,
            "damaged": report.damaged, "lost_indices": report.lost_indices,
            "damaged_files": report.damaged_files, "needs_repair": report.needs_repair(),
            "unreadable_sections": report.unreadable_sections,
            "marks_incomplete": report.marks_incomplete,
        }))?;
    } else if report.is_clean() {
        out.line(&format!(
            "{} items in {} sections, {}: all right",
            report.entries,
            report.sections,
            human(report.bytes)
        ))?;
    }
    out.finish()?;
    match report.is_clean() {
        true => Ok(()),
        false => Err(failure(&report, args.note)),
    }
}

/// One line for what was found.
pub(super) fn print(out: &mut Output, event: &VerifyEvent, as_json: bool) -> Result<()> {
    let (text, json) = match event {
        VerifyEvent::Damage(damage) => {
            let (section, position, error) = (damage.section, damage.position, &damage.error);
            let index = damage.index.map(|index| format!(", index {index}"));
            let index = index.unwrap_or_default();
            (
                format!("section {section}, entry {position}{index}: {error}"),
                json!({
                    "section": section, "position": position, "index": damage.index,
                    "error": error.to_string(),
                }),
            )
        }
        VerifyEvent::File { section, error } => (
            error.to_string(),
            json!({ "section": section, "error": error.to_string() }),
        ),
        VerifyEvent::Unreadable { section, error } => (
            format!("section {section}: {error}"),
            json!({ "section": section, "error": error.to_string() }),
        ),
        VerifyEvent::Lost(run) => (
            format!("lost: {}..={}", run.start(), run.end()),
            json!({ "lost_first": run.start(), "lost_last": run.end() }),
        ),
        _ => return Ok(()),
    };
    out.line(&match as_json {
        true => json.to_string(),
        false => text,
    })
}

fn failure(report: &VerifyReport, noted: bool) -> Failure {
    let (damaged, lost) = (report.damaged, report.lost_indices);
    let entries = report.entries;
    Failure::Damage(match (report.needs_repair(), lost) {
        (false, 0) => "the marks of what is durable, quipu/marks, are damaged, everything else is \
             right; `quipu verify --note` makes them anew"
            .to_owned(),
        (false, _) => format!(
            "{lost} indices were lost earlier and wait to be put again, everything that is on disk \
             is right"
        ),
        (true, 0) => format!(
            "{damaged} of {entries} entries are damaged, {} files have damage outside of entries; no index is \
             lost, `quipu repair` takes the damage out",
            report.damaged_files
        ),
        (true, _) => format!(
            "{damaged} of {entries} entries are damaged, {lost} indices cannot be read; {}",
            match noted {
                true => "put these again from another source",
                false =>
                    "`quipu verify --note` keeps note of it, so that they can be put again, and \
                     `quipu repair` takes the damage out",
            }
        ),
    })
}
