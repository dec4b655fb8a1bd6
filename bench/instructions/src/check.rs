//! Runs every path under callgrind and compares.

use std::collections::BTreeMap;
use std::path::Path as FilePath;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use crate::paths::{ITEMS, Path, prepare};

/// How far above its budget a path may be, in percent: what compilers and libraries of the system
/// make of the same code.
const TOLERANCE: f64 = 3.0;

const HEAD: &str = "# Instructions of one item on each path; \
    `bash bench/instructions.sh --update` writes this file.\n";

/// Instructions of one item, by the name of the path.
type Budgets = BTreeMap<String, f64>;

pub(crate) fn check(file: &FilePath, update: bool) -> Result<()> {
    let counted = count_all()?;
    if update {
        std::fs::write(file, HEAD.to_owned() + &toml::to_string(&counted)?)?;
    }
    let budgets: Budgets = toml::from_str(&std::fs::read_to_string(file)?)?;
    let mut above = Vec::new();
    println!(
        "{:<14} {:>12} {:>12} {:>8}",
        "instructions", "counted", "budget", ""
    );
    for (path, &count) in &counted {
        let budget = *budgets
            .get(path)
            .with_context(|| format!("{path} has no budget"))?;
        let percent = (count / budget - 1.0) * 100.0;
        println!("{path:<14} {count:>12.1} {budget:>12.1} {percent:>+7.1}%");
        if percent > TOLERANCE {
            above.push(path.as_str());
        }
    }
    ensure!(
        above.is_empty(),
        "more than {TOLERANCE} % above the budget: {}",
        above.join(", ")
    );
    Ok(())
}

fn count_all() -> Result<Budgets> {
    let folder = tempfile::tempdir()?;
    let read = folder.path().join("read");
    prepare(&read)?;
    let counted = Path::value_variants().iter().map(|&path| {
        let written = folder.path().join(path.name());
        let dir = if path.writes() { &written } else { &read };
        let count = count(path, dir, folder.path())?;
        Ok((
            path.name(),
            (count as f64 / ITEMS as f64 * 10.0).round() / 10.0,
        ))
    });
    counted.collect()
}

/// Instructions of a whole path.
fn count(path: Path, dir: &FilePath, out: &FilePath) -> Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=quipu_measured"])
        .arg(format!(
            "--callgrind-out-file={}",
            out.join("callgrind.out").display()
        ))
        .arg(std::env::current_exe()?)
        .args(["walk", &path.name()])
        .arg(dir)
        .output()
        .context("cannot run valgrind")?;
    let log = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} failed:\n{log}", path.name());
    let collected = log.lines().find_map(|line| line.split_once("Collected :"));
    let (_, count) = collected.with_context(|| format!("valgrind counted nothing:\n{log}"))?;
    Ok(count.trim().parse()?)
}
