//! What must, may and must not be in an archive.
//!
//! Exact, because the writer reports each sync, prune and rewind before it goes on: after a crash
//! everything up to the last report was done, and of what comes behind it at most the steps up to
//! the next one that would have been reported, each alone.

use std::collections::BTreeMap;

use crate::plan::{Plan, Put, Start, Step};

/// An item of which the model knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    serial: u64,
    /// It was acknowledged: a sync, or an open, that came after it returned.
    must: bool,
}

/// An archive as it should be.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// By index, in the order stored.
    items: BTreeMap<u64, Vec<Known>>,
    floor: u64,
    section: u64,
    /// A prune that had begun: the floor may be this one.
    pruning: Option<u64>,
    /// A rewind that had begun: what is above may be gone, all of it.
    rewinding: Option<u64>,
}

/// What a check found, in items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Acknowledged: they must be there.
    pub acknowledged: u64,
    /// Not acknowledged, and there all the same.
    pub unacknowledged: u64,
    /// Acknowledged and not there: (index, serial).
    pub lost: Vec<(u64, u64)>,
    /// There, though never put, or dropped: (index, serial).
    pub extra: Vec<(u64, u64)>,
    /// Anything else that is not as it should be.
    pub wrong: Vec<String>,
}

impl Outcome {
    pub fn is_right(&self) -> bool {
        self.lost.is_empty() && self.extra.is_empty() && self.wrong.is_empty()
    }
}

impl Model {
    pub fn new(section: u64) -> Self {
        Self {
            section,
            ..Self::default()
        }
    }

    /// Where the next round of writing begins.
    pub fn start(&self, seed: u64, round: u64) -> Start {
        let last = self.items.last_key_value();
        Start {
            seed,
            round,
            next_index: last.map_or(self.floor, |(index, _)| index + 1),
            floor: self.floor,
            section: self.section,
            keep: false,
        }
    }

    /// Every acknowledged item: (index, serial).
    pub fn acknowledged(&self) -> impl Iterator<Item = (u64, u64)> {
        self.items.iter().flat_map(|(&index, known)| {
            let must = known.iter().filter(|known| known.must);
            must.map(move |known| (index, known.serial))
        })
    }

    /// Of a round: so many steps were reported, then it ended somewhere before the next report.
    pub fn crash(&mut self, start: &Start, done: u64) {
        self.stop(start, done, false);
    }

    /// As [`crash`](Self::crash), where the writer may have `synced` at the end.
    pub fn stop(&mut self, start: &Start, done: u64, synced: bool) {
        let mut steps = Plan::new(start);
        for step in steps.by_ref().take(done as usize) {
            self.apply(&step);
        }
        if synced {
            self.sync();
        }
        for step in steps {
            match step {
                Step::Prune(min) => self.pruning = Some(self.floor.max(self.floor_of(min))),
                Step::Rewind(last) => self.rewinding = Some(last),
                Step::Sync | Step::Reopen => {}
                put => {
                    self.apply(&put);
                    continue;
                }
            }
            break;
        }
    }

    /// A step that was done.
    pub fn apply(&mut self, step: &Step) {
        match step {
            Step::Put(put) | Step::Multi(put) => self.put(put),
            Step::Batch(puts) => puts.iter().for_each(|put| self.put(put)),
            Step::Sync | Step::Reopen => self.sync(),
            Step::Prune(min) => self.prune(self.floor_of(*min)),
            Step::Rewind(last) => self.rewind(*last),
        }
    }

    fn put(&mut self, put: &Put) {
        let known = Known {
            serial: put.serial,
            must: false,
        };
        self.items.entry(put.index).or_default().push(known);
    }

    fn sync(&mut self) {
        for known in self.items.values_mut().flatten() {
            known.must = true;
        }
    }

    fn floor_of(&self, min: u64) -> u64 {
        min / self.section * self.section
    }

    fn prune(&mut self, floor: u64) {
        self.floor = self.floor.max(floor);
        self.items = self.items.split_off(&self.floor);
    }

    fn rewind(&mut self, last: u64) {
        self.sync();
        self.items.retain(|&index, _| index <= last);
    }

    /// Compares with what an archive holds, in index order and the order stored; then holds that
    /// for what must be there from now on.
    pub fn compare(&mut self, floor: u64, found: &[(u64, u64)]) -> Outcome {
        let mut outcome = Outcome::default();
        self.settle_floor(floor, &mut outcome);
        self.settle_rewind(found);
        let mut rest = found.iter().copied().peekable();
        for (&index, known) in &self.items {
            for known in known {
                while let Some(extra) = rest.next_if(|&(of, _)| of < index) {
                    outcome.extra.push(extra);
                }
                let there = rest.next_if_eq(&(index, known.serial)).is_some();
                outcome.acknowledged += u64::from(known.must);
                outcome.unacknowledged += u64::from(there && !known.must);
                if known.must && !there {
                    outcome.lost.push((index, known.serial));
                }
            }
            while let Some(extra) = rest.next_if(|&(of, _)| of == index) {
                outcome.extra.push(extra);
            }
        }
        outcome.extra.extend(rest);
        self.hold(found);
        outcome
    }

    fn settle_floor(&mut self, floor: u64, outcome: &mut Outcome) {
        let pruning = self.pruning.take();
        if floor != self.floor && Some(floor) != pruning {
            let expected = self.floor;
            outcome.wrong.push(format!(
                "the floor is {floor}, it should be {expected} or {pruning:?}"
            ));
        }
        if floor > self.floor {
            self.prune(floor);
        }
    }

    /// A rewind that had begun is done as a whole, or not at all.
    fn settle_rewind(&mut self, found: &[(u64, u64)]) {
        let Some(last) = self.rewinding.take() else {
            return;
        };
        let is_done = found.last().is_none_or(|&(index, _)| index <= last);
        let drops = self.acknowledged().any(|(index, _)| index > last);
        if is_done && drops {
            self.rewind(last);
        }
    }

    fn hold(&mut self, found: &[(u64, u64)]) {
        self.items.clear();
        for &(index, serial) in found {
            self.put(&Put { index, serial });
        }
        self.sync();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Start {
        Model::new(8).start(3, 1)
    }

    /// After so many reports: what was put, and the number of steps.
    fn after(reports: usize) -> (Model, u64) {
        let mut model = Model::new(8);
        let (mut done, mut left) = (0, reports);
        for step in Plan::new(&start()) {
            model.apply(&step);
            done += 1;
            left -= usize::from(step.is_reported());
            if left == 0 {
                break;
            }
        }
        (model, done)
    }

    fn crashed(done: u64) -> Model {
        let mut model = Model::new(8);
        model.crash(&start(), done);
        model
    }

    #[test]
    fn what_was_acknowledged_is_enough_and_each_lack_is_told() {
        for reports in 1..60 {
            let (full, done) = after(reports);
            let found: Vec<_> = full.acknowledged().collect();
            assert!(crashed(done).compare(full.floor, &found).is_right());
            for lack in 0..found.len() {
                let mut rest = found.clone();
                let gone = rest.remove(lack);
                let outcome = crashed(done).compare(full.floor, &rest);
                // The last ones may be gone by a rewind that had begun.
                if !outcome.lost.contains(&gone) {
                    assert!(crashed(done).rewinding.is_some_and(|last| gone.0 > last));
                }
            }
        }
    }

    #[test]
    fn what_was_never_put_is_extra() {
        for reports in 1..20 {
            let (full, done) = after(reports);
            let mut found: Vec<_> = full.acknowledged().collect();
            found.push((1 << 40, 77));
            let outcome = crashed(done).compare(full.floor, &found);
            assert_eq!(outcome.extra, [(1 << 40, 77)]);
        }
    }

    #[test]
    fn another_floor_is_told() {
        let (full, done) = after(10);
        let found: Vec<_> = full.acknowledged().collect();
        let outcome = crashed(done).compare(full.floor + 8 * 1000, &found);
        assert_eq!(outcome.wrong.len(), 1);
    }
}
