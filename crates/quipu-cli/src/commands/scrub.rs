//! `quipu scrub`: verification at a byte rate, which goes on where it was.

use std::path::PathBuf;
use std::sync::mpsc;

use quipu::{Archive, KeyBytes, ScrubOptions, VerifyEvent};
use serde_json::json;

use super::verify::print;
use crate::archive::open_writer;
use crate::failure::{Failure, Result};
use crate::output::{Output, human};
use crate::progress;

/// Check everything slowly, the newest section first, again and again
///
/// As `verify`, at so many bytes a second. When it is stopped, by Ctrl-C or a kill, the next run
/// goes on where this one was, at most 16 MiB of checked bytes before it. Damage is printed and
/// noted in the archive: `gaps` then lists it, and put and import fill it. It is the only writer
/// while it runs.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The archive's folder
    archive: PathBuf,
    /// Bytes a second; k, m and g stand for KiB, MiB and GiB
    #[arg(long, value_name = "BYTES", default_value = "16m", value_parser = parse_rate)]
    rate: u64,
    /// End with the pass, instead of beginning another an hour later; the exit code is 3 when the
    /// pass has found damage
    #[arg(long)]
    once: bool,
    /// Print JSON, one object a line
    #[arg(long)]
    json: bool,
}

fn parse_rate(text: &str) -> std::result::Result<u64, String> {
    let (digits, shift) = match text.to_ascii_lowercase() {
        of if of.ends_with('k') => (text.len() - 1, 10),
        of if of.ends_with('m') => (text.len() - 1, 20),
        of if of.ends_with('g') => (text.len() - 1, 30),
        _ => (text.len(), 0),
    };
    let number: Option<u64> = text.get(..digits).and_then(|digits| digits.parse().ok());
    let bytes = number.and_then(|number| number.checked_mul(1 << shift));
    bytes
        .filter(|&bytes| bytes > 0)
        .ok_or_else(|| "give a number of bytes above 0, such as 500k".to_owned())
}

pub(crate) fn run(args: Args) -> Result<()> {
    let mut archive = open_writer(&args.archive)?;
    let (events, told) = mpsc::channel();
    let mut options = ScrubOptions::new()
        .bytes_per_second(args.rate)
        .on_event(move |event| {
            // Nobody listens any more once the output is closed; the scrub is stopped then.
            let _ = events.send(event);
        });
    if args.once {
        options = options.passes(1);
    }
    let handle = archive.scrub(options)?.spawn()?;
    let followed = follow(&mut archive, &told, args.json);
    match followed {
        Ok(()) => handle.join()?,
        Err(failure) => {
            handle.stop()?;
            return Err(failure);
        }
    }
    let findings = archive.stats().scrub_findings;
    let (checked, passes) = (archive.stats().scrub_total, archive.stats().scrub_passes);
    archive.close()?;
    let mut out = Output::new();
    if args.json {
        out.json(&json!({"bytes": checked, "passes": passes, "findings": findings}))?;
    } else if findings == 0 {
        out.line(&format!("{}: all right", human(checked)))?;
    }
    out.finish()?;
    match findings {
        0 => Ok(()),
        _ => Err(Failure::Damage(format!(
            "the pass found {findings} entries or files damaged, `quipu gaps` lists the indices that \
             are lost; `quipu repair` takes the damage out"
        ))),
    }
}

/// Prints what is found, until the scrub ends.
fn follow(
    archive: &mut Archive<KeyBytes>,
    told: &mpsc::Receiver<VerifyEvent>,
    as_json: bool,
) -> Result<()> {
    let bar = progress::bytes("scrubbing");
    let mut out = Output::new();
    for event in told {
        if let VerifyEvent::Progress { done, total } = event {
            progress::show(&bar, done, total);
            out.flush()?;
            // What a kill must not lose: the scrub does not come by here again soon.
            archive.sync()?;
        } else {
            print(&mut out, &event, as_json)?;
        }
    }
    bar.finish_and_clear();
    out.finish()
}
