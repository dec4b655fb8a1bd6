//! 28 workloads, stopped before and after every single call of the storage.

use quipu_sim::every_step::{SUBSETS, every_step};
use quipu_sim::fixed::FIXED;
use quipu_sim::seeds::cores;

#[test]
fn nothing_synced_is_lost_at_any_call() {
    for fixed in FIXED {
        let case = fixed.case().unwrap();
        let report = every_step(&case, cores(), None)
            .unwrap_or_else(|what| panic!("{}: {what}", fixed.name));
        assert!(report.calls >= 40, "{}: {report:?}", fixed.name);
        assert_eq!(report.points, 2 * report.calls);
        assert_eq!(
            report.checks,
            (report.points - report.shared_points) * SUBSETS
        );
    }
}
