//! What is measured, and what the system tells of the process.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Which of two figures is the better one.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub enum Better {
    Higher,
    Lower,
}

/// One figure of one process.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
pub struct Figure {
    /// What was measured, with its unit.
    pub measure: String,
    pub better: Better,
    pub value: f64,
}

/// A figure over the course of one process: (items put, value).
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
pub struct Series {
    pub measure: String,
    pub points: Vec<(f64, f64)>,
}

/// All that one process reports.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
pub struct Report {
    pub figures: Vec<Figure>,
    pub series: Vec<Series>,
}

impl Report {
    pub(crate) fn higher(&mut self, measure: impl Into<String>, value: f64) {
        self.add(measure.into(), Better::Higher, value);
    }

    pub(crate) fn lower(&mut self, measure: impl Into<String>, value: f64) {
        self.add(measure.into(), Better::Lower, value);
    }

    pub(crate) fn quantiles(&mut self, what: &str, latencies: &Histogram<u64>) {
        for (name, quantile) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
            self.quantile(what, name, quantile, latencies);
        }
        self.lower(format!("{what} worst us"), latencies.max() as f64 / 1e3);
    }

    pub(crate) fn quantile(
        &mut self,
        what: &str,
        name: &str,
        quantile: f64,
        latencies: &Histogram<u64>,
    ) {
        let nanos = latencies.value_at_quantile(quantile);
        self.lower(format!("{what} {name} us"), nanos as f64 / 1e3);
    }

    /// A ratio to nothing is no figure.
    fn add(&mut self, measure: String, better: Better, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.figures.push(Figure {
            measure,
            better,
            value,
        });
    }
}

/// Bytes that the process made the disk write, through maps too.
pub(crate) fn bytes_written() -> Result<u64> {
    Ok(procfs::process::Process::myself()?.io()?.write_bytes)
}

/// Memory of the process that no file stands for.
pub(crate) fn anonymous_memory() -> Result<u64> {
    let status = procfs::process::Process::myself()?.status()?;
    Ok(status.rssanon.context("the system tells no RssAnon")? * 1024)
}

pub(crate) fn open_files() -> Result<usize> {
    Ok(procfs::process::Process::myself()?.fd_count()?)
}

/// How long this thread was ready and had no core.
pub(crate) fn waited_for_core() -> Result<Duration> {
    let thread = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let waited = thread.split_whitespace().nth(1);
    let waited = waited.context("the system tells no time of waiting")?;
    Ok(Duration::from_nanos(waited.parse()?))
}

/// Bytes that a folder's files take on disk. Files that vanish meanwhile take none.
pub(crate) fn disk_bytes(dir: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        bytes += match metadata.is_dir() {
            true => disk_bytes(&entry.path())?,
            false => metadata.blocks() * 512,
        };
    }
    Ok(bytes)
}
