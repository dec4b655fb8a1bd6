//! What holds for the whole; the rules one by one are in `tests/simulated`.

use std::sync::Arc;

use super::*;
use crate::storage::suite;

#[test]
fn keeps_every_rule() {
    suite::run(&|| Arc::new(Simulated::new(0)));
}

#[test]
fn keeps_every_rule_after_a_crash() {
    suite::run(&|| Arc::new(Simulated::new(0).after_crash(Survival::Bytes, 7)));
}
