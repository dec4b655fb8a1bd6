//! Compares quipu with commonware-storage 2026.10.0.

mod api;
#[path = "../../reference.rs"]
mod reference;

use quipu_compat_scenarios::cli;
use quipu_compat_scenarios::quipu_engine::Layout;
use reference::Reference;

/// The newest header that this version reads.
const LAYOUT: Layout = Layout::V1;

fn main() -> std::process::ExitCode {
    cli::main(&Reference, LAYOUT)
}
