//! A workload's figures as a table: a line a measure, a column an engine.

use comfy_table::{Cell, CellAlignment, Table, presets};

use crate::results::OfWorkload;

/// Medians; in brackets the first engine's ratio to the other.
pub(crate) fn table(workload: &OfWorkload, engines: &[String]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    table.set_header(std::iter::once("").chain(engines.iter().map(String::as_str)));
    for measure in &workload.measures {
        let first = engines
            .first()
            .map_or(f64::NAN, |name| measure.median(name));
        let cells = engines.iter().enumerate().map(|(at, name)| {
            let value = measure.median(name);
            let text = match at {
                _ if value.is_nan() => "".to_owned(),
                0 => shown(value),
                _ if !(first / value).is_finite() => shown(value),
                _ => format!("{} ({:.2})", shown(value), first / value),
            };
            Cell::new(text).set_alignment(CellAlignment::Right)
        });
        table.add_row(std::iter::once(Cell::new(&measure.measure)).chain(cells));
    }
    table
}

/// Three or more digits.
pub(crate) fn shown(value: f64) -> String {
    match value.abs() {
        1e6.. => format!("{:.2}M", value / 1e6),
        1e4.. => format!("{:.0}k", value / 1e3),
        100.0.. => format!("{value:.0}"),
        _ => format!("{value:.2}"),
    }
}
