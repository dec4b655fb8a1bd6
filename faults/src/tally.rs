//! The counts of a scenario, and what it says at its end.

use std::collections::BTreeMap;
use std::fmt;

use crate::child::Ended;
use crate::model::Outcome;

/// Counts over all rounds.
#[derive(Debug, Default)]
pub struct Tally {
    rounds: u64,
    reports: u64,
    checked: u64,
    unacknowledged: u64,
    lost: u64,
    extra: u64,
    wrong: u64,
    /// What the fault hit, how often.
    within: BTreeMap<String, u64>,
}

impl Tally {
    /// Counts one round.
    pub fn add(&mut self, ended: &Ended, outcome: &Outcome) {
        self.rounds += 1;
        self.reports += ended.reports.saturating_sub(1);
        self.checked += outcome.acknowledged;
        self.unacknowledged += outcome.unacknowledged;
        self.lost += outcome.lost.len() as u64;
        self.extra += outcome.extra.len() as u64;
        self.wrong += outcome.wrong.len() as u64;
        let within = ended.within.clone().unwrap_or_else(|| "put".to_owned());
        *self.within.entry(within).or_default() += 1;
    }

    /// Adds the counts of another.
    pub fn merge(&mut self, other: Self) {
        self.rounds += other.rounds;
        self.reports += other.reports;
        self.checked += other.checked;
        self.unacknowledged += other.unacknowledged;
        self.lost += other.lost;
        self.extra += other.extra;
        self.wrong += other.wrong;
        for (within, count) in other.within {
            *self.within.entry(within).or_default() += count;
        }
    }

    pub fn rounds(&self) -> u64 {
        self.rounds
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} rounds, {} acknowledged steps, {} acknowledged items checked, {} lost, {} extra, \
             {} wrong, {} unacknowledged ones there; struck within",
            self.rounds,
            self.reports,
            self.checked,
            self.lost,
            self.extra,
            self.wrong,
            self.unacknowledged
        )?;
        for (within, count) in &self.within {
            write!(f, " {within} {count}")?;
        }
        Ok(())
    }
}
