//! Plots as SVG: bars of a workload's main measures, lines of what was sampled and of what grows.

mod bars;
mod lines;

use std::path::Path;

use anyhow::{Result, anyhow};

use self::lines::Line;
use crate::results::{OfWorkload, Results};

/// Plots over the workloads that differ in the number of items alone.
pub(super) const SCALE: &str = "scale";
/// What these show.
const GROWING: [&str; 6] = [
    "reopen ms",
    "reopen after a kill ms",
    "memory B/item",
    "memory after reads B/item",
    "get by key/s",
    "put/s",
];

/// Files of plots, with the workload they are of.
pub(crate) struct Plots(Vec<(String, String)>);

impl Plots {
    pub(crate) fn of(&self, workload: &str) -> impl Iterator<Item = &str> {
        let plots = self.0.iter().filter(move |plot| plot.0 == workload);
        plots.map(|plot| plot.1.as_str())
    }
}

pub(crate) fn draw(results: &Results, folder: &Path) -> Result<Plots> {
    let mut plots = Vec::new();
    let engines: Vec<&str> = results
        .engines
        .iter()
        .map(|engine| engine.0.as_str())
        .collect();
    for workload in &results.workloads {
        let mut add = |file: String| plots.push((workload.name.clone(), file));
        let file = format!("{}.svg", workload.name);
        if bars::bars(workload, &engines, &folder.join(&file))? {
            add(file);
        }
        for measure in sampled(workload) {
            let file = file_of(&measure);
            let sampled = samples(workload, &engines, &measure);
            lines::lines(&measure, "items put", &sampled, &folder.join(&file))?;
            add(file);
        }
    }
    for measure in GROWING {
        let growing = growing(results, &engines, measure);
        if growing.iter().any(|line| line.1.len() > 1) {
            let file = file_of(&format!("{SCALE} {measure}"));
            lines::lines(measure, "items", &growing, &folder.join(&file))?;
            plots.push((SCALE.to_owned(), file));
        }
    }
    Ok(Plots(plots))
}

fn file_of(title: &str) -> String {
    format!("{}.svg", title.replace([' ', '/'], "-"))
}

fn sampled(workload: &OfWorkload) -> Vec<String> {
    let first = workload.series.values().next();
    let series = first.into_iter().flatten();
    series.map(|series| series.measure.clone()).collect()
}

fn samples(workload: &OfWorkload, engines: &[&str], measure: &str) -> Vec<Line> {
    let of = |name: &&str| {
        let mut series = workload.series.get(*name)?.iter();
        let found = series.find(|series| series.measure == measure)?;
        Some(((*name).to_owned(), found.points.clone()))
    };
    engines.iter().filter_map(of).collect()
}

/// A point a workload of the kind: the number of its items, the median.
fn growing(results: &Results, engines: &[&str], measure: &str) -> Vec<Line> {
    let workloads = results.workloads.iter();
    let workloads = workloads.filter(|workload| workload.name.starts_with(SCALE));
    let found = workloads.filter_map(|workload| {
        let mut measures = workload.measures.iter();
        Some((
            workload.items()?,
            measures.find(|of| of.measure == measure)?,
        ))
    });
    let found: Vec<_> = found.collect();
    let line = |name: &&str| {
        let points = found.iter().map(|(items, of)| (*items, of.median(name)));
        let points = points.filter(|point| point.1.is_finite());
        ((*name).to_owned(), points.collect())
    };
    let lines = engines.iter().map(line);
    lines.filter(|line: &Line| !line.1.is_empty()).collect()
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw: {error}")
}
