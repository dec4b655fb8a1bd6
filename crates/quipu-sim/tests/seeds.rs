//! The first seeds, and that a seed decides everything.

use quipu_sim::run::run;
use quipu_sim::seeds::{cores, run_seeds};
use quipu_sim::workload;

const SEEDS: u64 = 2000;

#[test]
fn the_first_seeds_go_well() {
    let report = run_seeds(0..SEEDS, cores(), None, 3, &|| {});
    assert!(report.failures.is_empty(), "{:#?}", report.failures);
    assert_eq!(report.seeds, SEEDS);
    // That so much happens at all: a simulator in which nothing fails finds nothing.
    let counts = report.counts;
    assert!(
        counts.crashes > SEEDS && counts.checks > 2 * SEEDS,
        "{counts:?}"
    );
    assert!(
        counts.faults > SEEDS / 10 && counts.damages > SEEDS / 10,
        "{counts:?}"
    );
}

#[test]
fn two_runs_of_a_seed_make_the_same_calls() {
    for seed in 0..100 {
        let case = workload::case(seed);
        let first = run(&case).unwrap();
        assert_eq!(first, run(&case).unwrap(), "seed {seed}");
        let other = run(&workload::case(seed + 1)).unwrap();
        assert_ne!(first.log_hash, other.log_hash, "seed {seed}");
        let from_text = case.to_string().parse().unwrap();
        assert_eq!(case, from_text, "seed {seed}");
    }
}
