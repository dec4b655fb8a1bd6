//! Every defect that can be switched on is caught.

use quipu::canary::Canary;
use quipu_sim::canaries::try_canary;
use quipu_sim::seeds::cores;

/// Seeds that are run with each defect.
const SEEDS: u64 = 400;

#[test]
fn every_defect_is_caught() {
    let caught = Canary::ALL
        .iter()
        .map(|&canary| try_canary(canary, SEEDS, cores()));
    let caught: Vec<_> = caught.collect();
    for of in &caught {
        println!(
            "{:?}: {} of {} seeds, {:?} fixed workloads, {} of {} crafted cases",
            of.canary, of.failed, of.seeds, of.every_step, of.crafted.1, of.crafted.0
        );
    }
    let missed: Vec<_> = caught.iter().filter(|of| !of.is_caught()).collect();
    assert!(missed.is_empty() && caught.len() >= 12, "{missed:#?}");
}
