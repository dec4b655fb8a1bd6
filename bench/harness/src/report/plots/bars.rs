//! Bars: a panel a measure, a bar an engine.

use std::path::Path;

use anyhow::Result;
use plotters::prelude::*;

use super::failed;
use crate::results::{OfMeasure, OfWorkload};
use crate::table::shown;

/// What bars are drawn of, where a workload has it.
const MAIN: &[&str] = &[
    "put/s",
    "get by index/s",
    "get by key/s",
    "absent key/s",
    "scan/s",
    "get by key, 2 threads/s",
    "get by key p99 us",
    "reopen ms",
    "reopen after a kill ms",
    "reopen open files after reads",
    "memory B/item",
    "disk B/item",
    "one put, x bare append",
    "64 tasks put/s",
    "64 tasks, x one",
    "put p99.9 us",
    "put worst us",
    "longest put beyond flushes ms",
    "beside 8 readers put/s",
    "beside 8 readers put/s while it has a core, x alone",
    "8 readers get by key/s",
    "8 readers get by key p99 us",
    "backfill put/s",
    "ring put/s",
    "cold get by key/s",
];
const COLUMNS: usize = 3;
const PANEL: (u32, u32) = (340, 260);

/// A panel a measure; whether there was any.
pub(super) fn bars(workload: &OfWorkload, engines: &[&str], path: &Path) -> Result<bool> {
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
