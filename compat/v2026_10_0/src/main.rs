//! Compares quipu with commonware-storage 2026.10.0.

mod api;
#[path = "../../reference.rs"]
mod reference;

fn main() -> std::process::ExitCode {
    quipu_compat_scenarios::cli::main(&reference::Reference, api::LAYOUT)
}
