//! Counts the calls that flush while batches are put, by strace.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::Args;
use comfy_table::{Table, presets};
use quipu_bench::{Phase, Workload};

use crate::Engines;
use crate::engines::Name;
use crate::results::{Flush, Results};

const CALLS: [&str; 4] = ["fsync", "fdatasync", "msync", "sync_file_range"];

/// It acknowledges before it flushes, and has no call that waits.
const NOT_DURABLE: &str = "parity_db";

#[derive(Args)]
pub(crate) struct Flushes {
    #[command(flatten)]
    engines: Engines,
    /// How many batches; what opening and closing cost is counted apart and taken off
    #[arg(long, default_value_t = 100)]
    batches: u64,
    /// Add the counts to this file of a run
    #[arg(long)]
    json: Option<PathBuf>,
}

impl Flushes {
    pub(crate) fn run(self) -> Result<()> {
        let counted = self.engines.engines.iter().map(|name| {
            eprintln!("flushes: {name}");
            self.count(name)
        });
        let flushes: Vec<Flush> = counted.collect::<Result<_>>()?;
        println!("{}", table(&flushes));
        if let Some(path) = &self.json {
            let mut results = Results::read(path)?;
            results.flushes = flushes.clone();
            results.write(path)?;
        }
        let short = flushes.iter().filter(|flush| flush.each() < 1.0);
        let short = short.filter(|flush| flush.engine != NOT_DURABLE);
        let short: Vec<&str> = short.map(|flush| flush.engine.as_str()).collect();
        ensure!(
            short.is_empty(),
            "less than a flush a batch: {}",
            short.join(", ")
        );
        Ok(())
    }

    /// Of twice as many batches less those of as many: opening and closing cancel out.
    fn count(&self, name: &Name) -> Result<Flush> {
        let few = self.count_all(name, self.batches)?;
        let many = self.count_all(name, 2 * self.batches)?;
        let calls = CALLS.into_iter().map(|call| {
            let of = |counts: &BTreeMap<String, u64>| counts.get(call).copied().unwrap_or(0);
            (call.to_owned(), of(&many).saturating_sub(of(&few)))
        });
        Ok(Flush {
            engine: name.to_string(),
            batches: self.batches,
            calls: calls.collect(),
        })
    }

    fn count_all(&self, name: &Name, batches: u64) -> Result<BTreeMap<String, u64>> {
        let folder = tempfile::tempdir_in(&self.engines.dir)?;
        let (dir, log) = (folder.path().join("data"), folder.path().join("strace"));
        std::fs::create_dir(&dir)?;
        let workload = Workload {
            items: batches * 10,
            batch: 10,
            ..Workload::default()
        };
        let engine = name.command(&self.engines.programs, &dir, Phase::Put, &workload);
        let status = Command::new("strace")
            .args(["-f", "-c", "-e"])
            .arg(format!("trace={}", CALLS.join(",")))
            .arg("-o")
            .arg(&log)
            .arg(engine.get_program())
            .args(engine.get_args())
            .stdout(Stdio::null())
            .status()
            .context("cannot run strace")?;
        ensure!(status.success(), "{name} failed: {status}");
        Ok(parse(&std::fs::read_to_string(&log)?))
    }
}

impl Flush {
    fn each(&self) -> f64 {
        self.calls.values().sum::<u64>() as f64 / self.batches as f64
    }
}

/// Lines of strace's summary: share, seconds, microseconds a call, calls, perhaps errors, the call.
fn parse(summary: &str) -> BTreeMap<String, u64> {
    let counts = summary.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (call, count) = (words.last()?, words.get(3)?);
        CALLS
            .contains(call)
            .then(|| Some(((*call).to_owned(), count.parse().ok()?)))?
    });
    counts.collect()
}

pub(crate) fn table(flushes: &[Flush]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    let header = ["engine", "batches"].into_iter().chain(CALLS);
    table.set_header(header.chain(["flushes a batch"]));
    for flush in flushes {
        let counts = CALLS.map(|call| flush.calls.get(call).copied().unwrap_or(0));
        let mut row = vec![flush.engine.clone(), flush.batches.to_string()];
        row.extend(counts.iter().map(u64::to_string));
        row.push(format!("{:.2}", flush.each()));
        table.add_row(row);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_read() {
        let summary = "% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 90.00    0.000900           9       100         1 fdatasync
 10.00    0.000100          10        10           fsync
------ ----------- ----------- --------- --------- ----------------
100.00    0.001000                   110         1 total\n";
        let counts = parse(summary);
        assert_eq!(counts.get("fdatasync"), Some(&100));
        assert_eq!(counts.get("fsync"), Some(&10));
        assert_eq!(counts.len(), 2);
    }
}
