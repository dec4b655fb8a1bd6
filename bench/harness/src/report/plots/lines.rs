//! Lines: what a measure does over time, or with the number of items.

use std::path::Path;

use anyhow::Result;
use plotters::prelude::*;

use super::failed;
use crate::table::shown;

const SIZE: (u32, u32) = (1000, 460);

/// An engine's name and its points.
pub(super) type Line = (String, Vec<(f64, f64)>);

/// A line an engine, on a scale of powers of ten.
pub(super) fn lines(title: &str, x: &str, series: &[Line], path: &Path) -> Result<()> {
    let points = || series.iter().flat_map(|of| of.1.iter());
    let end = points().map(|point| point.0).fold(0.0, f64::max);
    let most = points().map(|point| point.1).fold(1.0, f64::max);
    let least = points().map(|point| point.1).filter(|value| *value > 0.0);
    let least = least.fold(most, f64::min);
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE).map_err(failed)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(30)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..end * 1.25, (least / 1.5..most * 1.5).log_scale())
        .map_err(failed)?;
    let mut mesh = chart.configure_mesh();
    mesh.x_label_formatter(&|value| shown(*value))
        .y_label_formatter(&|value| shown(*value))
        .x_desc(x)
        .draw()
        .map_err(failed)?;
    // The first engine's comes last, over the others'.
    for (at, (name, points)) in series.iter().enumerate().rev() {
        let color = match at {
            0 => BLACK.to_rgba(),
            _ => Palette99::pick(at).to_rgba(),
        };
        let drawn = LineSeries::new(points.iter().copied(), color.stroke_width(2));
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
