//! commonware-storage 2026.10.0.

#[path = "../../../../compat/v2026_10_0/src/api.rs"]
#[allow(dead_code, reason = "not every call is measured")]
mod api;
#[path = "../../commonware.rs"]
mod reference;

fn main() -> anyhow::Result<()> {
    quipu_bench::worker::main::<reference::Commonware>()
}
