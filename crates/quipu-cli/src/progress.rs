//! Progress of long work: on a terminal only.

use indicatif::{ProgressBar, ProgressStyle};

fn bar(what: &'static str, template: &str) -> ProgressBar {
    // indicatif draws nothing where standard error is no terminal.
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.with_message(what)
}

/// Counts sections.
pub(crate) fn sections(what: &'static str) -> ProgressBar {
    bar(what, "{msg} [{bar:30}] {pos}/{len} sections, {eta} left")
}

/// Counts bytes.
pub(crate) fn bytes(what: &'static str) -> ProgressBar {
    bar(
        what,
        "{msg} [{bar:30}] {binary_bytes}/{binary_total_bytes}, {binary_bytes_per_sec}, {eta} left",
    )
}

/// Counts items of which there are so many.
pub(crate) fn items(what: &'static str, total: u64) -> ProgressBar {
    let bar = bar(what, "{msg} [{bar:30}] {pos}/{len}, {per_sec}, {eta} left");
    bar.set_length(total);
    bar
}

/// Counts items of which nobody knows how many there are.
pub(crate) fn counter(what: &'static str) -> ProgressBar {
    bar(what, "{spinner} {msg} {pos}, {per_sec}")
}

pub(crate) fn show(bar: &ProgressBar, done: u64, total: u64) {
    bar.set_length(total);
    bar.set_position(done);
}
