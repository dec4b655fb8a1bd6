//! Planted defects: each target has one, which it must find when they are switched on. They stand
//! for what a careless reader of the same bytes would do.

use std::sync::atomic::{AtomicBool, Ordering};

static ON: AtomicBool = AtomicBool::new(false);

/// Switches the planted defects of all targets on, for the whole process.
pub fn switch_canaries_on() {
    ON.store(true, Ordering::Relaxed);
}

/// Whether they are on: by a call, or by the variable `QUIPU_FUZZ_CANARY`.
pub(crate) fn is_on() -> bool {
    static BY_VARIABLE: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    ON.load(Ordering::Relaxed)
        || *BY_VARIABLE.get_or_init(|| std::env::var_os("QUIPU_FUZZ_CANARY").is_some())
}
