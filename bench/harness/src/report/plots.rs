//! Plots as SVG: bars of a workload's main measures, lines of what was sampled.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;
use quipu_bench::measures::Series;

use crate::results::{OfMeasure, OfWorkload, Results};
use crate::table::shown;

/// What bars are drawn of, where a workload has it.
const MAIN: [&str; 18] = [
    "put/s",
    "get by index/s",
    "get by key/s",
    "absent key/s",
    "scan/s",
    "get by key, 2 threads/s",
    "get by key p99 us",
    "reopen ms",
    "reopen after a kill ms",
    "memory B/item",
    "disk B/item",
    "one put, x bare append",
    "beside 8 readers put/s",
    "8 readers get by key/s",
    "8 readers get by key p99 us",
    "backfill put/s",
    "ring put/s",
    "cold get by key/s",
];
const COLUMNS: usize = 3;
const PANEL: (u32, u32) = (340, 260);
const LINES: (u32, u32) = (1000, 460);

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
        if bars(workload, &engines, &folder.join(&file))? {
            add(file);
        }
        for measure in sampled(workload) {
            let file = format!("{}.svg", measure.replace(' ', "-"));
            lines(workload, &engines, &measure, &folder.join(&file))?;
            add(file);
        }
    }
    Ok(Plots(plots))
}

fn sampled(workload: &OfWorkload) -> Vec<String> {
    let first = workload.series.values().next();
    let series = first.into_iter().flatten();
    series.map(|series| series.measure.clone()).collect()
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw: {error}")
}

/// A panel a measure; whether there was any.
fn bars(workload: &OfWorkload, engines: &[&str], path: &Path) -> Result<bool> {
    let measures: Vec<&OfMeasure> = MAIN
        .iter()
        .filter_map(|name| workload.measures.iter().find(|of| of.measure == *name))
        .collect();
    let rows = measures.len().div_ceil(COLUMNS);
    if rows == 0 {
        return Ok(false);
    }
    let size = (PANEL.0 * COLUMNS as u32, PANEL.1 * rows as u32);
    let root = SVGBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE).map_err(failed)?;
    for (area, measure) in root.split_evenly((rows, COLUMNS)).iter().zip(measures) {
        panel(area, measure, engines).map_err(failed)?;
    }
    root.present().map_err(failed)?;
    Ok(true)
}

/// A bar an engine, the first one's dark.
fn panel<D: DrawingBackend>(
    area: &DrawingArea<D, plotters::coord::Shift>,
    measure: &OfMeasure,
    engines: &[&str],
) -> Result<(), DrawingAreaErrorKind<D::ErrorType>> {
    let medians = engines.iter().map(|name| (*name, measure.median(name)));
    let medians: Vec<_> = medians.filter(|of| of.1.is_finite()).collect();
    let most = medians
        .iter()
        .map(|of| of.1)
        .fold(f64::MIN_POSITIVE, f64::max);
    let (_, height) = area.dim_in_pixel();
    area.draw(&Text::new(
        measure.measure.clone(),
        (8, 6),
        ("sans-serif", 14).into_font().style(FontStyle::Bold),
    ))?;
    let step = (height as i32 - 34) / medians.len().max(1) as i32;
    for (at, (name, value)) in (0..).zip(&medians) {
        let top = 28 + at * step;
        let right = 140 + (value.max(0.0) / most * 130.0) as i32;
        let color = if at == 0 {
            RGBColor(30, 60, 120)
        } else {
            RGBColor(150, 170, 200)
        };
        area.draw(&Text::new((*name).to_owned(), (8, top), ("sans-serif", 11)))?;
        area.draw(&Rectangle::new(
            [(140, top), (right, top + step - 4)],
            color.filled(),
        ))?;
        area.draw(&Text::new(
            shown(*value),
            (right + 4, top),
            ("sans-serif", 11),
        ))?;
    }
    Ok(())
}

/// A line an engine, on a scale of powers of ten.
fn lines(workload: &OfWorkload, engines: &[&str], measure: &str, path: &Path) -> Result<()> {
    let of = |name: &&str| -> Option<(String, &Series)> {
        let mut series = workload.series.get(*name)?.iter();
        let found = series.find(|series| series.measure == measure)?;
        Some(((*name).to_owned(), found))
    };
    let series: Vec<_> = engines.iter().filter_map(of).collect();
    let points = || series.iter().flat_map(|of| of.1.points.iter());
    let end = points().map(|point| point.0).fold(0.0, f64::max);
    let most = points().map(|point| point.1).fold(1.0, f64::max);
    let least = points().map(|point| point.1).filter(|value| *value > 0.0);
    let least = least.fold(most, f64::min);
    let root = SVGBackend::new(path, LINES).into_drawing_area();
    root.fill(&WHITE).map_err(failed)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(measure, ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(30)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..end * 1.25, (least / 1.5..most * 1.5).log_scale())
        .map_err(failed)?;
    let mut mesh = chart.configure_mesh();
    mesh.x_label_formatter(&|value| shown(*value))
        .y_label_formatter(&|value| shown(*value))
        .x_desc("items put")
        .draw()
        .map_err(failed)?;
    // The first engine's comes last, over the others'.
    for (at, (name, series)) in series.iter().enumerate().rev() {
        let color = match at {
            0 => BLACK.to_rgba(),
            _ => Palette99::pick(at).to_rgba(),
        };
        let drawn = LineSeries::new(series.points.iter().copied(), color.stroke_width(2));
        chart
            .draw_series(drawn)
            .map_err(failed)?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .draw()
        .map_err(failed)?;
    root.present().map_err(failed)
}
