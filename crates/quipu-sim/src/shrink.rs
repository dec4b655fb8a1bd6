//! The shortest case that still fails.
//!
//! Steps are left out, first by halves, then by smaller pieces, then one by one; then what is left
//! is made simpler: recoveries that are stopped, puts of a batch, settings. Whatever still fails, for
//! whatever reason, is gone on with. It ends when nothing can be left out any more.

use crate::case::{Case, Settings, Step};
use crate::run::{Failure, run};

/// A case is run at most so often on the way.
const MAX_RUNS: u32 = 4000;

/// Shrinks a case that fails; with its failure. None when it does not fail.
pub fn shrink(case: &Case) -> Option<(Case, Failure)> {
    let failure = run(case).err()?;
    let mut shrinking = Shrinking {
        case: case.clone(),
        failure,
        runs: 0,
    };
    while shrinking.pass() && shrinking.runs < MAX_RUNS {}
    Some((shrinking.case, shrinking.failure))
}

struct Shrinking {
    case: Case,
    failure: Failure,
    runs: u32,
}

impl Shrinking {
    /// Whether anything could be left out.
    fn pass(&mut self) -> bool {
        let mut shrunk = self.cut_steps();
        for at in 0..self.case.steps.len() {
            for simpler in self.case.steps.get(at).map_or(Vec::new(), simpler_steps) {
                let mut case = self.case.clone();
                if let Some(step) = case.steps.get_mut(at) {
                    *step = simpler;
                }
                shrunk |= self.accept(case);
            }
        }
        for settings in simpler_settings(&self.case.settings) {
            let steps = self.case.steps.clone();
            shrunk |= self.accept(Case { settings, steps });
        }
        shrunk
    }

    fn cut_steps(&mut self) -> bool {
        let mut shrunk = false;
        let mut piece = self.case.steps.len().div_ceil(2);
        while piece > 0 {
            let mut at = 0;
            while at < self.case.steps.len() {
                let mut case = self.case.clone();
                let end = (at + piece).min(case.steps.len());
                case.steps.drain(at..end);
                match self.accept(case) {
                    true => shrunk = true,
                    false => at += piece,
                }
            }
            piece /= 2;
        }
        shrunk
    }

    /// Goes on with a case if it is another and fails too.
    fn accept(&mut self, case: Case) -> bool {
        if case == self.case || self.runs >= MAX_RUNS {
            return false;
        }
        self.runs += 1;
        match run(&case) {
            Ok(_) => false,
            Err(failure) => {
                (self.case, self.failure) = (case, failure);
                true
            }
        }
    }
}

fn simpler_steps(step: &Step) -> Vec<Step> {
    match step {
        Step::Crash(crash) => {
            let without = |at: usize| {
                let mut crash = crash.clone();
                crash.again.remove(at);
                Step::Crash(crash)
            };
            (0..crash.again.len()).map(without).collect()
        }
        Step::Batch(puts) => {
            let without = |at: usize| {
                let mut puts = puts.clone();
                puts.remove(at);
                Step::Batch(puts)
            };
            let count = if puts.len() > 1 { puts.len() } else { 0 };
            (0..count).map(without).collect()
        }
        Step::Put { put, multi, sync } if *multi || *sync => vec![
            Step::Put {
                put: *put,
                multi: false,
                sync: false,
            },
            Step::Put {
                put: *put,
                multi: false,
                sync: *sync,
            },
        ],
        Step::Close { .. } => vec![Step::Close {
            zstd: None,
            buffer: None,
            log: None,
        }],
        _ => Vec::new(),
    }
}

fn simpler_settings(settings: &Settings) -> Vec<Settings> {
    let with = |change: &dyn Fn(&mut Settings)| {
        let mut settings = settings.clone();
        change(&mut settings);
        settings
    };
    let plain = Settings::default();
    vec![
        with(&|of| of.twin = false),
        with(&|of| of.zstd = false),
        with(&|of| of.buffer = plain.buffer),
        with(&|of| of.layout = plain.layout),
        with(&|of| of.cap = plain.cap),
        with(&|of| of.page = plain.page),
        with(&|of| of.items = plain.items),
    ]
}

#[cfg(test)]
mod tests {
    use quipu::canary::{self, Canary};

    use super::*;
    use crate::workload;

    #[test]
    fn a_failure_becomes_short_and_fails_again_from_its_text() {
        canary::select(Some(Canary::TakenIndexOverwritten));
        let failing = (0..200).map(workload::case).find(|case| run(case).is_err());
        let (short, failure) = shrink(&failing.unwrap()).unwrap();
        assert!(short.steps.len() <= 3, "{short}");
        let again: Case = short.to_string().parse().unwrap();
        assert_eq!(run(&again), Err(failure));
        canary::select(None);
        assert!(run(&again).is_ok());
    }
}
