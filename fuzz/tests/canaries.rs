//! Every target finds the defect that is planted for it, within a short, fixed budget. In a process
//! of its own: the defects are switched on for all of it.

use quipu_fuzz::{Target, plain, switch_canaries_on};

/// Inputs that a target may need.
const BUDGET: u64 = 3000;

#[test]
fn every_planted_defect_is_found() {
    switch_canaries_on();
    // Panics are what is looked for; their messages would hide the report.
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    for target in Target::ALL {
        match plain::search(target, 99, BUDGET) {
            Some(find) => println!("{target:?}: found after {} inputs", find.after),
            None => missed.push(target),
        }
    }
    let _ = std::panic::take_hook();
    assert!(missed.is_empty(), "not found: {missed:?}");
}
