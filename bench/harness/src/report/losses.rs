//! Where quipu is behind a rival, and why.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};
use quipu_bench::measures::Better;
use serde::Deserialize;

use crate::results::{OfMeasure, Results};
use crate::table::shown;

/// Behind by less is a draw.
const DRAW: f64 = 1.05;
/// How many rivals a line names.
const NAMED: usize = 3;
/// No contest. The longest of all calls tells of the machine's moment more than of an engine, as a bare
/// append does; files that are open are only many where they are far more; and of a ratio to an engine's
/// own figure the figures tell.
const NO_CONTEST: [&str; 8] = [
    "worst",
    "bare append p50",
    "open files",
    "flushes",
    "growth",
    "x one",
    "x alone",
    "x longest flush",
];
/// Not rivals: what the machine can do, and quipu itself in its other mode.
const NO_RIVALS: [&str; 2] = ["floor", "quipu"];

#[derive(Deserialize)]
pub(crate) struct Reasons {
    reason: Vec<Reason>,
}

/// The first that fits counts.
#[derive(Deserialize)]
struct Reason {
    /// Any when empty.
    #[serde(default)]
    workload: String,
    /// Part of the measure's name.
    measure: String,
    /// Start of the engine's name; any when empty.
    #[serde(default)]
    engine: String,
    why: String,
}

impl Reasons {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Ok(toml::from_str(&text)?)
    }

    fn why(&self, workload: &str, measure: &str, engine: &str) -> &str {
        let mut reasons = self.reason.iter();
        let found = reasons.find(|reason| {
            (reason.workload.is_empty() || reason.workload == workload)
                && measure.contains(&reason.measure)
                && engine.starts_with(&reason.engine)
        });
        found.map_or("not looked into yet", |reason| &reason.why)
    }
}

/// One measure in which at least one rival is ahead.
struct Loss<'a> {
    workload: &'a str,
    measure: &'a str,
    own: f64,
    /// Engine, figure, by how much it is ahead; the best first.
    ahead: Vec<(&'a str, f64, f64)>,
}

fn losses(results: &Results) -> Vec<Loss<'_>> {
    let Some((own, _)) = results.engines.first() else {
        return Vec::new();
    };
    let mut losses = Vec::new();
    for workload in &results.workloads {
        for measure in &workload.measures {
            let ahead = ahead_of(results, own, measure);
            let contest = !NO_CONTEST.iter().any(|of| measure.measure.contains(of));
            if contest && !ahead.is_empty() {
                losses.push(Loss {
                    workload: &workload.name,
                    measure: &measure.measure,
                    own: measure.median(own),
                    ahead,
                });
            }
        }
    }
    losses
}

pub(super) fn rivals(results: &Results) -> impl Iterator<Item = &str> {
    let names = results.engines.iter().map(|engine| engine.0.as_str());
    names.filter(|name| !NO_RIVALS.iter().any(|none| name.starts_with(none)))
}

fn ahead_of<'a>(results: &'a Results, own: &str, measure: &OfMeasure) -> Vec<(&'a str, f64, f64)> {
    let figure = measure.median(own);
    let mut ahead: Vec<_> = rivals(results)
        .map(|name| {
            let other = measure.median(name);
            let by = match measure.better {
                Better::Higher => other / figure,
                Better::Lower => figure / other,
            };
            (name, other, by)
        })
        .filter(|(_, _, by)| *by > DRAW)
        .collect();
    ahead.sort_by(|a, b| b.2.total_cmp(&a.2));
    ahead
}

/// A line a measure: the first rivals, and why the first is ahead.
pub(crate) fn section(results: &Results, reasons: &Reasons) -> Result<String> {
    let mut text = String::new();
    writeln!(text, "| workload | measure | quipu | ahead of it | why |")?;
    writeln!(text, "|---|---|---|---|---|")?;
    for loss in losses(results) {
        let named = loss.ahead.iter().take(NAMED);
        let named =
            named.map(|(engine, figure, by)| format!("{engine} {} ({by:.2} x)", shown(*figure)));
        let mut rivals = named.collect::<Vec<_>>().join(", ");
        if loss.ahead.len() > NAMED {
            write!(rivals, " and {} more", loss.ahead.len() - NAMED)?;
        }
        let why = loss
            .ahead
            .first()
            .map(|first| reasons.why(loss.workload, loss.measure, first.0));
        writeln!(
            text,
            "| {} | {} | {} | {rivals} | {} |",
            loss.workload,
            loss.measure,
            shown(loss.own),
            why.unwrap_or_default()
        )?;
    }
    Ok(text)
}
