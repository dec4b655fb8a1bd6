//! Checks that a storage keeps its rules.
use super::Storage;
use std::sync::Arc;
/// Runs.
pub fn run(_factory: &dyn Fn() -> Arc<dyn Storage>) {}
