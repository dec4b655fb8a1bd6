//! The page.

use std::fmt::Write;

use anyhow::Result;

use super::losses::{self, Reasons};
use super::plots::{Plots, SCALE};
use super::targets::{self, Targets};
use crate::flushes;
use crate::results::Results;
use crate::table::table;

/// What no run changes.
const HEAD: &str = include_str!("head.md");

pub(crate) fn page(
    results: &Results,
    notes: &str,
    reasons: &Reasons,
    targets: &Targets,
    plots: &Plots,
) -> Result<String> {
    let mut page = String::from(HEAD);
    if !notes.is_empty() {
        write!(page, "\n{notes}")?;
    }
    about(results, &mut page)?;
    if !results.flushes.is_empty() {
        writeln!(
            page,
            "\n## Flushes\n\n{FLUSHES}\n{}",
            flushes::table(&results.flushes)
        )?;
    }
    failures(results, &mut page)?;
    writeln!(page, "\n## What quipu is to reach\n\n{TARGETS}")?;
    page.push_str(&targets::section(results, targets)?);
    writeln!(page, "\n## Where quipu loses, and why\n\n{LOSSES}")?;
    page.push_str(&losses::section(results, reasons)?);
    let engines: Vec<String> = results
        .engines
        .iter()
        .map(|engine| engine.0.clone())
        .collect();
    for plot in plots.of(SCALE) {
        writeln!(page, "\n![by the number of items](performance/{plot})")?;
    }
    for workload in &results.workloads {
        let taking_part: Vec<String> = engines
            .iter()
            .filter(|name| workload.measures.iter().any(|of| !of.median(name).is_nan()))
            .cloned()
            .collect();
        writeln!(page, "\n## {}: {}\n", workload.name, workload.what)?;
        writeln!(
            page,
            "Medians of {} rounds; `{}`.\n",
            workload.rounds, workload.arguments
        )?;
        for plot in plots.of(&workload.name) {
            writeln!(page, "![{}](performance/{plot})\n", workload.name)?;
        }
        writeln!(page, "{}", table(workload, &taking_part))?;
    }
    Ok(page)
}

const TARGETS: &str = "The bars of `bench/targets.toml`; they are for full sizes, and a quick run \
tells the direction alone.\n";

const FLUSHES: &str = "Calls that flush, for batches put one after another; what opening and \
closing cost is taken off.\nLMDB writes the page that makes a commit count through a file opened \
with `O_DSYNC`, which no count shows.\nparity-db flushes behind the back of its caller: its puts \
are not durable when they return.\n";

const LOSSES: &str = "Every measure in which a rival is ahead by more than 5 %, longest calls, \
open files and ratios apart, and the floor apart, which is no rival.\nThe reason is that of the first rival.\n";

fn failures(results: &Results, page: &mut String) -> Result<()> {
    if !results.failures.is_empty() {
        writeln!(page, "\n## What did not end\n")?;
    }
    for failure in &results.failures {
        writeln!(page, "- {}: {}", failure.workload, failure.what)?;
    }
    Ok(())
}

fn about(results: &Results, page: &mut String) -> Result<()> {
    let machine = &results.machine;
    writeln!(page, "\n## Machine and versions\n")?;
    writeln!(
        page,
        "{}, {} cores, {} GiB, Linux {}, {}, {}.\n",
        machine.cpu,
        machine.cores,
        machine.memory_gib,
        machine.kernel,
        machine.file_system,
        machine.rustc
    )?;
    for (engine, version) in &results.engines {
        writeln!(page, "- {engine}: {version}")?;
    }
    writeln!(page, "\nCommand: `{}`", results.command)?;
    Ok(())
}
