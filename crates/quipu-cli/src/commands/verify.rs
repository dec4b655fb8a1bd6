//! `quipu verify`: reads and checks everything.

use quipu::VerifyEvent;
use serde_json::json;

use crate::archive::{ReadArgs, open_reader};
use crate::failure::{Failure, Result};
use crate::output::{Output, human};
use crate::progress;

/// Read every page, entry and value, and check them
///
/// Damage is printed with its file, its offset, what was expected and what was found; the exit
/// code is then 3. Nothing is changed.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    read: ReadArgs,
}

pub(crate) fn run(args: Args) -> Result<()> {
    let archive = open_reader(&args.read.archive)?;
    let mut out = Output::new();
    let mut printed = Ok(());
    let bar = progress::bytes("verifying");
    let report = archive.verify(&mut |event| match event {
        VerifyEvent::Damage(damage) => {
            let index = damage
                .index
                .map_or(String::new(), |index| format!(", index {index}"));
            let at = format!(
                "section {}, entry {}{index}",
                damage.section, damage.position
            );
            let line = match args.read.json {
                true => json!({
                    "section": damage.section, "position": damage.position, "index": damage.index,
                    "error": damage.error.to_string(),
                })
                .to_string(),
                false => format!("{at}: {}", damage.error),
            };
            if printed.is_ok() {
                printed = out.line(&line);
            }
        }
        VerifyEvent::Progress { done, total } => progress::show(&bar, done, total),
        _ => {}
    });
    bar.finish_and_clear();
    printed?;
    let report = report?;
    let (entries, sections) = (report.entries, report.sections);
    if args.read.json {
        out.json(&json!({
            "sections": sections, "entries": entries, "bytes": report.bytes,
            "damaged": report.damaged, "lost_indices": report.lost_indices,
        }))?;
    } else if report.is_clean() {
        out.line(&format!(
            "{entries} items in {sections} sections, {}: all right",
            human(report.bytes)
        ))?;
    }
    out.finish()?;
    if report.is_clean() {
        return Ok(());
    }
    Err(Failure::Damage(format!(
        "{} of {entries} entries are damaged, {} indices cannot be read; put these again from another source",
        report.damaged, report.lost_indices
    )))
}
