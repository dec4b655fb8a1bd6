//! Runs engines side by side: in each round every engine once, each phase in a process of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use comfy_table::{Cell, CellAlignment, Table, presets};
use quipu_bench::measures::Figure;
use quipu_bench::{Phase, Workload};

/// Measures engines side by side and prints medians, and the first engine's ratio to each other
#[derive(Parser)]
struct Arguments {
    /// Programs of engines; ratios are those of the first to each other
    #[arg(required = true)]
    engines: Vec<PathBuf>,
    /// How often each is run
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// What to run, in this order; a later one needs those before it
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Phase::ALL)]
    phases: Vec<Phase>,
    /// Where the engines keep their files
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// Write every figure of every round to this file, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    #[command(flatten)]
    workload: Workload,
}

/// The figures of every round: measure, then engine.
type Figures = BTreeMap<String, BTreeMap<String, Vec<f64>>>;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut figures = Figures::new();
    let mut order = Vec::new();
    for round in 1..=arguments.rounds {
        for program in &arguments.engines {
            let name = name_of(program)?;
            eprintln!("round {round}: {name}");
            for figure in run(program, &arguments)? {
                if !order.contains(&figure.measure) {
                    order.push(figure.measure.clone());
                }
                let of_engine = figures.entry(figure.measure).or_default();
                of_engine
                    .entry(name.clone())
                    .or_default()
                    .push(figure.value);
            }
        }
    }
    if let Some(path) = &arguments.json {
        std::fs::write(path, serde_json::to_vec_pretty(&figures)?)?;
    }
    let names: Result<Vec<String>> = arguments.engines.iter().map(|path| name_of(path)).collect();
    println!("{}", table(&figures, &order, &names?));
    Ok(())
}

fn name_of(program: &Path) -> Result<String> {
    let name = program
        .file_name()
        .context("the engine's program has no name")?;
    Ok(name
        .to_string_lossy()
        .trim_start_matches("bench-")
        .to_owned())
}

/// One round of one engine, in a folder of its own.
fn run(program: &Path, arguments: &Arguments) -> Result<Vec<Figure>> {
    let dir = tempfile::Builder::new()
        .prefix("bench")
        .tempdir_in(&arguments.dir)?;
    let mut figures = Vec::new();
    for phase in &arguments.phases {
        let output = Command::new(program)
            .arg(dir.path())
            .arg(
                phase
                    .to_possible_value()
                    .context("a hidden phase")?
                    .get_name(),
            )
            .args(arguments.workload.arguments())
            .stderr(std::process::Stdio::inherit())
            .output()
            .with_context(|| format!("cannot run {}", program.display()))?;
        ensure!(output.status.success(), "{} failed", program.display());
        let lines = String::from_utf8(output.stdout)?;
        let last = lines
            .lines()
            .last()
            .context("the engine reported nothing")?;
        figures.extend(serde_json::from_str::<Vec<Figure>>(last)?);
    }
    Ok(figures)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A line a measure: the medians of the engines, in brackets the first one's ratio to it.
fn table(figures: &Figures, order: &[String], names: &[String]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    table.set_header(std::iter::once("").chain(names.iter().map(String::as_str)));
    for measure in order {
        let medians = names.iter().map(|name| {
            let values = figures.get(measure).and_then(|engines| engines.get(name));
            values.map_or(f64::NAN, |values| median(values))
        });
        let medians: Vec<f64> = medians.collect();
        let first = medians.first().copied().unwrap_or(f64::NAN);
        let cells = medians.iter().enumerate().map(|(at, &value)| {
            let text = match at {
                0 => shown(value),
                _ => format!("{} ({:.2})", shown(value), first / value),
            };
            Cell::new(text).set_alignment(CellAlignment::Right)
        });
        table.add_row(std::iter::once(Cell::new(measure)).chain(cells));
    }
    table
}

/// Three or more digits.
fn shown(value: f64) -> String {
    match value.abs() {
        1e6.. => format!("{:.2}M", value / 1e6),
        1e4.. => format!("{:.0}k", value / 1e3),
        100.0.. => format!("{value:.0}"),
        _ => format!("{value:.2}"),
    }
}
