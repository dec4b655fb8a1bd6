//! Which indices are stored, as runs.
//!
//! ```text
//! stored 1..=10, 21..=30   ->   { 1: 10, 21: 30 }   first index -> last index, inclusive
//! ```
//!
//! Runs do not touch: between two of them there is at least one index that is not stored. Both ends
//! of `u64` are ordinary. A call searches in time logarithmic in the number of runs, and a change moves those of a block; a
//! run takes 16 to 32 bytes. The last one, which grows as items are put in order, is kept apart, and is all that most
//! sections have.

use std::ops::RangeInclusive;

use super::block_map::BlockMap;

/// A set of indices that is mostly made of runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Runs {
    /// first -> last, of all but the last; none where there are none
    before: Option<Box<BlockMap<u64>>>,
    last: Option<(u64, u64)>,
    count: u128,
}

impl Runs {
    /// Nothing is stored.
    #[cfg(test)]
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds an index; false when it was stored already.
    #[inline]
    pub(crate) fn insert(&mut self, index: u64) -> bool {
        // What is put in order goes to the end of the last run.
        if let Some((_, end)) = &mut self.last
            && end.checked_add(1) == Some(index)
        {
            *end = index;
            self.count += 1;
            return true;
        }
        self.insert_apart(index)
    }

    fn insert_apart(&mut self, index: u64) -> bool {
        let below = self.run_to(index);
        if below.is_some_and(|(_, end)| end >= index) {
            return false;
        }
        let next = index.checked_add(1);
        let run = match next.and_then(|next| self.take(next)) {
            Some((_, last)) => (index, last),
            None => (index, index),
        };
        match below {
            Some((first, end)) if end == index.wrapping_sub(1) => self.put((first, run.1)),
            _ => self.put(run),
        }
        self.count += 1;
        true
    }

    /// Adds every index of `first..=last`.
    pub(crate) fn insert_run(&mut self, mut first: u64, mut last: u64) {
        // Mostly it goes on where the last one ends: that grows.
        if let Some((_, end)) = &mut self.last
            && end.checked_add(1) == Some(first)
            && last >= first
        {
            *end = last;
            self.count += size(&(first..=last));
            return;
        }
        while let Some((start, end)) = self.run_to(last.saturating_add(1))
            && end.saturating_add(1) >= first
        {
            self.take(start);
            self.count -= size(&(start..=end));
            (first, last) = (first.min(start), last.max(end));
        }
        self.count += size(&(first..=last));
        self.put((first, last));
    }

    /// Puts a run that touches no other, or in the place of one that begins where it does.
    fn put(&mut self, run: (u64, u64)) {
        match self.last {
            Some((first, _)) if run.0 < first => self.put_before(run),
            Some(last) => {
                if last.0 != run.0 {
                    self.put_before(last);
                }
                self.last = Some(run);
            }
            None => self.last = Some(run),
        }
    }

    fn put_before(&mut self, (first, last): (u64, u64)) {
        self.before.get_or_insert_default().insert(first, last);
    }

    /// Takes out the run that begins at an index.
    fn take(&mut self, first: u64) -> Option<(u64, u64)> {
        let before = self.before.as_mut();
        let taken = match self.last {
            Some(last) if last.0 == first => {
                self.last = before.and_then(|before| before.pop_last());
                Some(last)
            }
            _ => before.and_then(|before| before.remove(first)),
        };
        self.before.take_if(|before| before.len() == 0);
        taken
    }

    /// How many runs there are.
    pub(crate) fn run_count(&self) -> usize {
        self.before().map_or(0, BlockMap::len) + usize::from(self.last.is_some())
    }

    /// Removes an index; false when it was not stored.
    pub(crate) fn remove(&mut self, index: u64) -> bool {
        let Some((first, last)) = self.run_at(index) else {
            return false;
        };
        self.take(first);
        if let Some(before) = index.checked_sub(1).filter(|before| *before >= first) {
            self.put((first, before));
        }
        if let Some(after) = index.checked_add(1).filter(|after| *after <= last) {
            self.put((after, last));
        }
        self.count -= 1;
        true
    }

    /// Removes every index below `min`; returns how many.
    pub(crate) fn remove_below(&mut self, min: u64) -> u128 {
        let straddling = min
            .checked_sub(1)
            .and_then(|below| self.run_at(below))
            .filter(|(_, last)| *last >= min);
        let mut kept = self.take_all().split_off(min);
        if let Some((_, last)) = straddling {
            kept.insert(min, last);
        }
        let count = total(&kept);
        let removed = self.count - count;
        self.keep(kept, count);
        removed
    }

    /// Removes every index above `max`; returns how many.
    pub(crate) fn remove_above(&mut self, max: u64) -> u128 {
        let mut kept = self.take_all();
        let behind = max.checked_add(1).map(|next| kept.split_off(next));
        let mut removed = behind.as_ref().map_or(0, total);
        if let Some((first, last)) = kept.at_or_below(max).filter(|(_, last)| *last > max) {
            removed += u128::from(last - max);
            kept.insert(first, max);
        }
        self.keep(kept, self.count - removed);
        removed
    }

    /// All runs, taken out.
    fn take_all(&mut self) -> BlockMap<u64> {
        let mut runs = self
            .before
            .take()
            .map_or_else(BlockMap::default, |before| *before);
        if let Some(last) = self.last.take() {
            runs.insert(last.0, last.1);
        }
        runs
    }

    /// Takes these for all runs, with so many indices.
    fn keep(&mut self, mut runs: BlockMap<u64>, count: u128) {
        self.last = runs.pop_last();
        self.before = (runs.len() > 0).then(|| Box::new(runs));
        self.count = count;
    }

    /// Whether an index is stored.
    pub(crate) fn contains(&self, index: u64) -> bool {
        self.run_at(index).is_some()
    }

    /// How many indices are stored.
    pub(crate) fn count(&self) -> u128 {
        self.count
    }

    /// The least stored index.
    pub(crate) fn first(&self) -> Option<u64> {
        let first = self.before().and_then(BlockMap::first).or(self.last);
        first.map(|(first, _)| first)
    }

    /// The greatest stored index.
    pub(crate) fn last(&self) -> Option<u64> {
        self.last.map(|(_, last)| last)
    }

    /// The first stored index that is `index` or above.
    pub(crate) fn at_or_after(&self, index: u64) -> Option<u64> {
        self.ranges_from(index)
            .next()
            .map(|run| (*run.start()).max(index))
    }

    /// The first run that ends at `index` or above.
    pub(crate) fn run_from(&self, index: u64) -> Option<(u64, u64)> {
        let run = self.ranges_from(index).next()?;
        Some(run.into_inner())
    }

    /// The last run that begins at `index` or below.
    pub(crate) fn run_to(&self, index: u64) -> Option<(u64, u64)> {
        if let Some(last) = self.last.filter(|(first, _)| *first <= index) {
            return Some(last);
        }
        self.before()?.at_or_below(index)
    }

    /// The end of the run that holds `index`, and the start of the next run behind `index`.
    pub(crate) fn next_gap(&self, index: u64) -> (Option<u64>, Option<u64>) {
        let end = self.run_at(index).map(|(_, last)| last);
        let behind = index.checked_add(1);
        let next = behind.and_then(|from| self.beginning_from(from).next());
        (end, next.map(|run| *run.start()))
    }

    /// The runs of what is not stored of `first..=last`, ascending.
    pub(crate) fn not_stored(&self, first: u64, last: u64) -> Vec<(u64, u64)> {
        let mut gaps = Vec::new();
        let mut from = Some(first);
        for run in self
            .ranges_from(first)
            .take_while(|run| *run.start() <= last)
        {
            let gap = from.zip(run.start().checked_sub(1));
            gaps.extend(gap.filter(|(from, to)| from <= to));
            from = run.end().checked_add(1);
        }
        gaps.extend(from.filter(|&from| from <= last).map(|from| (from, last)));
        gaps
    }

    /// What is in these runs and not in others; takes time with the runs, not with what is in them.
    pub(crate) fn without(&self, others: &Self) -> Self {
        let mut rest = Self::default();
        for (first, last) in self.ranges().map(RangeInclusive::into_inner) {
            for (first, last) in others.not_stored(first, last) {
                rest.insert_run(first, last);
            }
        }
        rest
    }

    /// The stored runs, ascending.
    pub(crate) fn ranges(&self) -> impl DoubleEndedIterator<Item = RangeInclusive<u64>> + '_ {
        self.ranges_from(0)
    }

    /// The stored runs, ascending, from the one on that holds or follows `index`.
    pub(crate) fn ranges_from(
        &self,
        index: u64,
    ) -> impl DoubleEndedIterator<Item = RangeInclusive<u64>> + '_ {
        let first = self.run_at(index).map_or(index, |(first, _)| first);
        self.beginning_from(first)
    }

    /// The stored runs that begin at `first` or above.
    fn beginning_from(
        &self,
        first: u64,
    ) -> impl DoubleEndedIterator<Item = RangeInclusive<u64>> + '_ {
        let last = self.last.filter(|(start, _)| *start >= first);
        let before = self.before().into_iter();
        let runs = before
            .flat_map(move |before| before.from(first))
            .chain(last);
        runs.map(|(first, last)| first..=last)
    }

    /// Bytes of memory, about.
    pub(crate) fn memory(&self) -> usize {
        let before = self
            .before()
            .map_or(0, |before| size_of_val(before) + before.memory());
        size_of::<Self>() + before
    }

    #[inline]
    fn before(&self) -> Option<&BlockMap<u64>> {
        self.before.as_deref()
    }

    fn run_at(&self, index: u64) -> Option<(u64, u64)> {
        self.run_to(index).filter(|(_, last)| *last >= index)
    }
}

fn size(run: &RangeInclusive<u64>) -> u128 {
    u128::from(*run.end()) - u128::from(*run.start()) + 1
}

fn total(runs: &BlockMap<u64>) -> u128 {
    runs.from(0)
        .map(|(first, last)| size(&(first..=last)))
        .sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn runs_of(of: &[(u64, u64)]) -> Runs {
        let mut runs = Runs::default();
        of.iter()
            .for_each(|&(first, last)| runs.insert_run(first, last));
        runs
    }

    #[test]
    fn runs_without_others() {
        let all = runs_of(&[(0, 9), (20, 29), (40, u64::MAX)]);
        for (some, rest) in [
            (runs_of(&[]), all.clone()),
            (all.clone(), runs_of(&[])),
            (
                runs_of(&[(0, 0), (5, 24), (40, u64::MAX)]),
                runs_of(&[(1, 4), (25, 29)]),
            ),
            (
                runs_of(&[(3, 3), (u64::MAX, u64::MAX)]),
                runs_of(&[(0, 2), (4, 9), (20, 29), (40, u64::MAX - 1)]),
            ),
        ] {
            assert_eq!(all.without(&some), rest);
        }
    }

    fn runs(ranges: &[RangeInclusive<u64>]) -> Runs {
        let mut runs = Runs::new();
        for index in ranges.iter().cloned().flatten() {
            runs.insert(index);
        }
        runs
    }

    fn ranges(runs: &Runs) -> Vec<RangeInclusive<u64>> {
        runs.ranges().collect()
    }

    #[test]
    fn gaps_as_the_documentation_works_them() {
        let runs = runs(&[1..=10, 21..=30]);
        assert_eq!(runs.next_gap(5), (Some(10), Some(21)));
        assert_eq!(runs.next_gap(11), (None, Some(21)));
        assert_eq!(runs.next_gap(25), (Some(30), None));
        assert_eq!(runs.next_gap(40), (None, None));
    }

    #[test]
    fn both_ends_of_u64() {
        let mut runs = runs(&[0..=0, u64::MAX..=u64::MAX]);
        assert_eq!(ranges(&runs), [0..=0, u64::MAX..=u64::MAX]);
        assert_eq!(runs.next_gap(u64::MAX), (Some(u64::MAX), None));
        assert_eq!(runs.next_gap(0), (Some(0), Some(u64::MAX)));
        assert!(!runs.insert(0) && !runs.insert(u64::MAX));
        assert_eq!(runs.remove_below(u64::MAX), 1);
        assert!(runs.remove(u64::MAX) && !runs.remove(u64::MAX));
        assert_eq!((runs.first(), runs.last(), runs.count()), (None, None, 0));
    }

    #[test]
    fn all_of_u64() {
        let mut runs = Runs::new();
        runs.last = Some((0, u64::MAX));
        runs.count = 1 << 64;
        assert_eq!(runs.remove_above(u64::MAX), 0);
        assert!(runs.remove(7) && runs.insert(7));
        assert_eq!(runs.remove_above(99), (1 << 64) - 100);
        assert_eq!(runs.remove_below(90), 90);
        assert_eq!(ranges(&runs), [90..=99]);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u64),
        InsertRun(u64, u64),
        Remove(u64),
        Below(u64),
        Above(u64),
    }

    /// Near both ends of u64, so that runs form, join and split there.
    fn index() -> impl Strategy<Value = u64> {
        prop_oneof![0..24_u64, (0..24_u64).prop_map(|n| u64::MAX - n)]
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            12 => index().prop_map(Step::Insert),
            2 => (index(), 0..6_u64).prop_map(|(first, more)| {
                Step::InsertRun(first, first.saturating_add(more))
            }),
            4 => index().prop_map(Step::Remove),
            1 => index().prop_map(Step::Below),
            1 => index().prop_map(Step::Above),
        ]
    }

    fn apply(step: Step, runs: &mut Runs, model: &mut BTreeSet<u64>) {
        let before = model.len();
        match step {
            Step::Insert(i) => assert_eq!(runs.insert(i), model.insert(i)),
            Step::InsertRun(first, last) => {
                runs.insert_run(first, last);
                model.extend(first..=last);
            }
            Step::Remove(i) => assert_eq!(runs.remove(i), model.remove(&i)),
            Step::Below(min) => {
                model.retain(|i| *i >= min);
                assert_eq!(runs.remove_below(min), (before - model.len()) as u128);
            }
            Step::Above(max) => {
                model.retain(|i| *i <= max);
                assert_eq!(runs.remove_above(max), (before - model.len()) as u128);
            }
        }
    }

    /// The questions about one index, answered from the set.
    fn check_at(runs: &Runs, model: &BTreeSet<u64>, index: u64) {
        assert_eq!(runs.contains(index), model.contains(&index));
        let end = (index..=u64::MAX).take_while(|i| model.contains(i)).last();
        let after = model.range(index..).filter(|i| {
            **i != index && !model.contains(&(**i - 1)) // a run begins
        });
        assert_eq!(
            runs.next_gap(index),
            (end, after.copied().next()),
            "at {index}"
        );
        let from = runs.ranges_from(index).next();
        let held = model.range(index..).next().copied();
        assert_eq!(from.as_ref().map(|run| index.max(*run.start())), held);
    }

    proptest! {
        #[test]
        fn does_what_a_set_does(steps in prop::collection::vec(step(), 0..120)) {
            let (mut runs, mut model) = (Runs::new(), BTreeSet::new());
            for step in steps {
                apply(step, &mut runs, &mut model);
            }
            prop_assert_eq!(runs.count(), model.len() as u128);
            prop_assert_eq!(runs.first(), model.first().copied());
            prop_assert_eq!(runs.last(), model.last().copied());
            prop_assert!(runs.ranges().flatten().eq(model.iter().copied()));
            let apart = ranges(&runs).windows(2).all(|w| w[0].end() + 1 < *w[1].start());
            prop_assert!(apart, "runs that touch are one");
            for n in 0..26 {
                check_at(&runs, &model, n);
                check_at(&runs, &model, u64::MAX - n);
            }
        }
    }
}
