//! Runs that are gathered in the order in which they come, and sorted when they are wanted.

use super::runs::Runs;

/// So many are gathered before they are sorted for the first time.
const FIRST_SORT: usize = 512;

/// A set of indices to which much is added before it is asked for: an addition is one to the end of a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct GatheredRuns {
    runs: Vec<(u64, u64)>,
    /// How many there were when they were sorted last: there are no more than twice as many.
    sorted: usize,
}

impl GatheredRuns {
    /// Adds every index of `first..=last`.
    pub(crate) fn add(&mut self, first: u64, last: u64) {
        match self.runs.last_mut() {
            Some((_, end)) if end.checked_add(1) == Some(first) && last >= first => *end = last,
            _ => self.runs.push((first, last)),
        }
        if self.runs.len() >= FIRST_SORT.max(2 * self.sorted) {
            self.sort();
        }
    }

    /// Sorts them, and makes one of those that touch.
    fn sort(&mut self) {
        self.runs.sort_unstable();
        self.runs.dedup_by(|(first, last), (_, end)| {
            let touches = end.checked_add(1).is_none_or(|next| *first <= next);
            if touches {
                *end = (*last).max(*end);
            }
            touches
        });
        self.sorted = self.runs.len();
    }

    /// All of them.
    pub(crate) fn into_runs(mut self) -> Runs {
        self.sort();
        let mut runs = Runs::default();
        for (first, last) in self.runs {
            runs.insert_run(first, last);
        }
        runs
    }
}

impl From<&Runs> for GatheredRuns {
    fn from(runs: &Runs) -> Self {
        let runs: Vec<_> = runs.ranges().map(|run| run.into_inner()).collect();
        let sorted = runs.len();
        Self { runs, sorted }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn index() -> impl Strategy<Value = u64> {
        prop_oneof![0..3000_u64, (0..40_u64).prop_map(|n| u64::MAX - n)]
    }

    proptest! {
        #[test]
        fn they_are_the_runs_that_were_added(
            before in prop::collection::vec((index(), 0..4_u64), 0..50),
            added in prop::collection::vec((index(), 0..4_u64), 0..2000),
        ) {
            let mut runs = Runs::default();
            before.iter().for_each(|&(first, more)| runs.insert_run(first, first.saturating_add(more)));
            let mut gathered = GatheredRuns::from(&runs);
            for (first, more) in added {
                runs.insert_run(first, first.saturating_add(more));
                gathered.add(first, first.saturating_add(more));
                prop_assert!(gathered.runs.len() < FIRST_SORT.max(2 * gathered.sorted));
            }
            prop_assert_eq!(gathered.into_runs(), runs);
        }
    }
}
