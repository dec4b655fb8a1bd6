//! What is measured.

use serde::{Deserialize, Serialize};

/// One figure of one process.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
pub struct Figure {
    /// What was measured, with its unit.
    pub measure: String,
    pub value: f64,
}
