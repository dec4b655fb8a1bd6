//! Many cases on several threads.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use super::case::{Case, Masks};
use super::check::check;
use super::report::Report;
use super::shape::{Shape, mix};

/// Which cases are run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many masks a byte is flipped with.
    pub masks: Masks,
    /// Of flipped bytes and cuts one in so many, chosen by a hash that is the same in every run,
    /// and fewer in the zeros of headers. All of every other damage.
    pub one_in: u64,
    /// Threads.
    pub threads: usize,
}

/// Runs the cases of a plan; `tell` is called with how many are done, of all.
///
/// Panics of the library are caught and counted.
pub fn run(shapes: &[Shape], plan: Plan, tell: &(dyn Fn(u64, u64) + Sync)) -> Report {
    let cases: Vec<(&Shape, Case)> = shapes
        .iter()
        .flat_map(|shape| chosen(shape, plan))
        .collect();
    let (next, done) = (AtomicUsize::new(0), AtomicU64::new(0));
    let work = || {
        let mut report = Report::default();
        while let Some((shape, case)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Some(outcome) = check(shape, case) {
                report.add(shape, case, &outcome);
            }
            tell(done.fetch_add(1, Ordering::Relaxed) + 1, cases.len() as u64);
        }
        report
    };
    let mut report = Report::default();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..plan.threads.max(1))
            .map(|_| scope.spawn(work))
            .collect();
        for thread in threads {
            match thread.join() {
                Ok(part) => report.merge(part),
                Err(payload) => std::panic::resume_unwind(payload),
            }
        }
    });
    report
}

fn chosen(shape: &Shape, plan: Plan) -> Vec<(&Shape, Case)> {
    let seed = shape
        .name
        .bytes()
        .fold(0, |seed, byte| mix(seed ^ u64::from(byte)));
    let is_chosen = |at: u64, case: &Case| match case.commonness(shape) {
        Some(times) if plan.one_in > 1 => mix(seed ^ at).is_multiple_of(plan.one_in * times),
        _ => true,
    };
    let all = (0u64..).zip(Case::all(shape, plan.masks));
    all.filter(|(at, case)| is_chosen(*at, case))
        .map(|(_, case)| (shape, case))
        .collect()
}
