//! Defects of the library that are switched on one by one, and whether they are caught: by the first
//! seeds, by the fixed workloads, and by crafted cases, each the history in which one step counts.

use quipu::canary::Canary;

use crate::crafted::CRAFTED;
use crate::every_step::every_step;
use crate::fixed::FIXED;
use crate::seeds::run_seeds;

/// How a defect fared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caught {
    /// The defect.
    pub canary: Canary,
    /// Seeds that were run with it.
    pub seeds: u64,
    /// Seeds that failed.
    pub failed: u64,
    /// Of the fixed workloads that are stopped at every step, those that failed; none where they
    /// were not run.
    pub every_step: Option<usize>,
    /// Variants of the crafted cases that are meant for it, and of these those that failed.
    pub crafted: (usize, usize),
}

impl Caught {
    /// Whether anything noticed it, and whatever was crafted for it did.
    pub fn is_caught(&self) -> bool {
        let by_chance = self.failed > 0 || self.every_step.is_some_and(|failed| failed > 0);
        match self.crafted {
            (0, _) => by_chance,
            (_, failed) => failed > 0,
        }
    }
}

/// Runs the first seeds with a defect, and the cases that were crafted for it; where none of them
/// fails, the fixed workloads too.
pub fn try_canary(canary: Canary, seeds: u64, jobs: usize) -> Caught {
    let report = run_seeds(0..seeds, jobs, Some(canary), usize::MAX, &|| {});
    let failed = report.failures.len() as u64;
    let meant = CRAFTED.iter().filter(|crafted| crafted.defect == canary);
    let crafted = meant.map(|crafted| crafted.run(Some(canary)));
    let crafted = crafted.fold((0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1));
    let fails = |case| every_step(&case, jobs, Some(canary)).is_err();
    let in_fixed = || {
        let cases = FIXED.iter().filter_map(|fixed| fixed.case().ok());
        cases.filter(|case| fails(case.clone())).count()
    };
    Caught {
        canary,
        seeds: report.seeds,
        failed,
        every_step: (failed == 0 && crafted.1 == 0).then(in_fixed),
        crafted,
    }
}
