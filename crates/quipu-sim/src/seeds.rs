//! Many seeds, on all cores.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use quipu::canary::{self, Canary};

use crate::run::{Failure, run};
use crate::workload;
use crate::world::Counts;

/// What the seeds of a range did.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Seeds that were run.
    pub seeds: u64,
    /// All they did, in numbers.
    pub counts: Counts,
    /// Those that failed.
    pub failures: BTreeMap<u64, Failure>,
}

/// Runs the seeds of a range on so many threads, with one defect switched on or none, until
/// `most_failures` failed. `tell` is called after each seed, from any thread.
pub fn run_seeds(
    seeds: Range<u64>,
    jobs: usize,
    defect: Option<Canary>,
    most_failures: usize,
    tell: &(dyn Fn() + Sync),
) -> Report {
    let next = AtomicU64::new(seeds.start);
    let enough = AtomicBool::new(false);
    let report = Mutex::new(Report::default());
    let work = || {
        canary::select(defect);
        while !enough.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                break;
            }
            let done = run(&workload::case(seed));
            let Ok(mut report) = report.lock() else {
                break;
            };
            report.seeds += 1;
            match done {
                Ok(done) => report.counts.add(done.counts),
                Err(failure) => drop(report.failures.insert(seed, failure)),
            }
            enough.store(report.failures.len() >= most_failures, Ordering::Relaxed);
            drop(report);
            tell();
        }
        canary::select(None);
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(work);
        }
    });
    report.into_inner().unwrap_or_default()
}

/// How many threads this machine runs at once.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
