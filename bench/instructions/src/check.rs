//! Counts every path under callgrind, and compares.

use std::collections::BTreeMap;
use std::path::Path as FilePath;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use crate::paths::{Archives, ITEMS, Path};

/// How far from its budget a path may be, in percent: what compilers and libraries of the system make
/// of the same code.
const TOLERANCE: f64 = 3.0;

const HEAD: &str = "# Instructions of one item on each path; \
    `bash bench/instructions.sh --update` writes this file.\n";

/// Instructions of one item, by the name of the path.
type Budgets = BTreeMap<String, f64>;

/// What a budget says of a count.
#[derive(Debug, PartialEq)]
enum Verdict {
    Within,
    /// The path has become slower, or something in it has.
    Above,
    /// It has become faster, and the budget would let that be lost again.
    Below,
}

pub(crate) fn check(file: &FilePath, update: bool, only: Option<Path>) -> Result<()> {
    let counted = count_all(only)?;
    if update {
        ensure!(
            only.is_none(),
            "budgets are written for all paths at a time"
        );
        std::fs::write(file, HEAD.to_owned() + &toml::to_string(&counted)?)?;
    }
    let budgets: Budgets = toml::from_str(&std::fs::read_to_string(file)?)?;
    let (mut above, mut below) = (Vec::new(), Vec::new());
    println!("{:<22} {:>12} {:>12}", "instructions", "counted", "budget");
    for (path, &count) in &counted {
        let Some(&budget) = budgets.get(path) else {
            println!("{path:<22} {count:>12.1} no budget");
            above.push(path.as_str());
            continue;
        };
        let percent = percent(count, budget);
        println!("{path:<22} {count:>12.1} {budget:>12.1} {percent:>+7.1}%");
        match verdict(percent) {
            Verdict::Within => (),
            Verdict::Above => above.push(path.as_str()),
            Verdict::Below => below.push(path.as_str()),
        }
    }
    if !below.is_empty() {
        println!(
            "more than {TOLERANCE} % below the budget: {}; lower it, so that nothing takes it back: \
             bash bench/instructions.sh --update",
            below.join(", ")
        );
    }
    ensure!(
        above.is_empty(),
        "more than {TOLERANCE} % above the budget: {}",
        above.join(", ")
    );
    Ok(())
}

fn percent(count: f64, budget: f64) -> f64 {
    (count / budget - 1.0) * 100.0
}

fn verdict(percent: f64) -> Verdict {
    if percent > TOLERANCE {
        Verdict::Above
    } else if percent < -TOLERANCE {
        Verdict::Below
    } else {
        Verdict::Within
    }
}

fn count_all(only: Option<Path>) -> Result<Budgets> {
    let archives = Archives::prepare()?;
    let paths = Path::value_variants().iter().copied();
    let counted = paths.filter(|path| only.is_none_or(|only| only.name() == path.name()));
    let counted = counted.map(|path| {
        let count = count(path, &archives.of(path)?, archives.folder())?;
        let each = count as f64 / ITEMS as f64;
        Ok((path.name(), (each * 10.0).round() / 10.0))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_down_is_above_and_a_gain_below() {
        let of = |count| verdict(percent(count, 1_000.0));
        assert_eq!(of(1_031.0), Verdict::Above);
        assert_eq!(of(1_029.0), Verdict::Within);
        assert_eq!(of(971.0), Verdict::Within);
        assert_eq!(of(969.0), Verdict::Below);
        assert_eq!(of(0.0), Verdict::Below);
    }
}
