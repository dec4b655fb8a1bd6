//! What a run gave, as it is written to a file.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use quipu_bench::measures::{Better, Series};
use serde::{Deserialize, Serialize};

use crate::engines::Name;

#[derive(Default, Deserialize, Serialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    /// The command line of the run.
    pub(crate) command: String,
    /// Engine and version, in the order they are compared in.
    pub(crate) engines: Vec<(String, String)>,
    pub(crate) workloads: Vec<OfWorkload>,
    /// Calls that flush, for batches put one after another; see `flushes`.
    #[serde(default)]
    pub(crate) flushes: Vec<Flush>,
    /// What did not end, or not in time.
    #[serde(default)]
    pub(crate) failures: Vec<Failure>,
}

#[derive(Default, Deserialize, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: f64,
    pub(crate) kernel: String,
    pub(crate) file_system: String,
    pub(crate) rustc: String,
}

#[derive(Deserialize, Serialize)]
pub(crate) struct OfWorkload {
    pub(crate) name: String,
    pub(crate) what: String,
    pub(crate) arguments: String,
    pub(crate) rounds: u32,
    /// In the order they were reported.
    pub(crate) measures: Vec<OfMeasure>,
    /// The last round's: engine, then series.
    pub(crate) series: BTreeMap<String, Vec<Series>>,
}

#[derive(Deserialize, Serialize)]
pub(crate) struct OfMeasure {
    pub(crate) measure: String,
    pub(crate) better: Better,
    /// Engine, then round.
    pub(crate) values: BTreeMap<String, Vec<f64>>,
}

#[derive(Deserialize, Serialize)]
pub(crate) struct Failure {
    pub(crate) workload: String,
    pub(crate) engine: String,
    pub(crate) what: String,
}

#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Flush {
    pub(crate) engine: String,
    pub(crate) batches: u64,
    /// By the name of the call.
    pub(crate) calls: BTreeMap<String, u64>,
}

/// Five digits are more than any figure is good for.
pub(crate) fn rounded(value: f64) -> f64 {
    format!("{value:.4e}").parse().unwrap_or(value)
}

impl OfWorkload {
    /// How many items it was run with.
    pub(crate) fn items(&self) -> Option<f64> {
        let mut words = self.arguments.split(' ');
        words.find(|word| *word == "--items")?;
        words.next()?.parse().ok()
    }
}

impl OfMeasure {
    /// The median of the rounds, between the two middle ones of an even number; NaN where the engine has none.
    pub(crate) fn median(&self, engine: &str) -> f64 {
        let mut sorted = self.values.get(engine).cloned().unwrap_or_default();
        sorted.sort_by(f64::total_cmp);
        let middle = [sorted.len().saturating_sub(1) / 2, sorted.len() / 2];
        let sum: Option<f64> = middle.iter().map(|at| sorted.get(*at)).sum();
        sum.map_or(f64::NAN, |sum| sum / 2.0)
    }
}

impl Failure {
    /// Without its variant.
    pub(crate) fn engine(&self) -> &str {
        self.engine.split(':').next().unwrap_or_default()
    }
}

impl Results {
    pub(crate) fn new(machine: Machine, command: String, engines: &[Name]) -> Result<Self> {
        let versions = engines
            .iter()
            .map(|name| Ok((name.to_string(), name.version()?)));
        Ok(Self {
            machine,
            command,
            engines: versions.collect::<Result<_>>()?,
            workloads: Vec::new(),
            flushes: Vec::new(),
            failures: Vec::new(),
        })
    }

    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Ok(serde_json::from_str(&text)?)
    }

    /// What both have is the other's.
    pub(crate) fn merge(&mut self, other: Self) {
        for workload in other.workloads {
            self.workloads.retain(|known| known.name != workload.name);
            self.failures
                .retain(|known| known.workload != workload.name);
            self.workloads.push(workload);
        }
        self.failures.extend(other.failures);
        if !other.flushes.is_empty() {
            self.flushes = other.flushes;
        }
        if self.command != other.command {
            self.command = format!("{}`, `{}", self.command, other.command);
        }
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, serde_json::to_string(self)? + "\n")?;
        Ok(())
    }
}

impl Machine {
    pub(crate) fn this(dir: &Path) -> Result<Self> {
        use procfs::{CpuInfo, Current, Meminfo};
        let cpu = CpuInfo::current()?;
        let memory = Meminfo::current()?.mem_total;
        Ok(Self {
            cpu: cpu.model_name(0).unwrap_or("unknown").to_owned(),
            cores: cpu.num_cores(),
            memory_gib: (memory as f64 / f64::from(1 << 30) * 10.0).round() / 10.0,
            kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease")?
                .trim()
                .to_owned(),
            file_system: output("df", &["--output=fstype", &dir.to_string_lossy()])?
                .replace("Type\n", ""),
            rustc: output("rustc", &["--version"])?,
        })
    }
}

fn output(program: &str, arguments: &[&str]) -> Result<String> {
    let output = std::process::Command::new(program)
        .args(arguments)
        .output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_two_is_between_them() {
        let of = |values: &[f64]| OfMeasure {
            measure: String::new(),
            better: Better::Lower,
            values: [("engine".to_owned(), values.to_vec())].into(),
        };
        assert_eq!(of(&[1.0, 3.0]).median("engine"), 2.0);
        assert_eq!(of(&[9.0, 1.0, 3.0]).median("engine"), 3.0);
        assert!(of(&[]).median("engine").is_nan());
        assert!(of(&[1.0]).median("another").is_nan());
    }
}
