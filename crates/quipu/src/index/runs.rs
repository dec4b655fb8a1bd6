//! Which indices are stored, as runs.
//!
//! ```text
//! stored 1..=10, 21..=30   ->   { 1: 10, 21: 30 }   first index -> last index, inclusive
//! ```
//!
//! Runs do not touch: between two of them there is at least one index that is not stored. Both ends
//! of `u64` are ordinary. A call takes time logarithmic in the number of runs, and a run about 30 bytes.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// A set of indices that is mostly made of runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Runs {
    /// first -> last
    runs: BTreeMap<u64, u64>,
    count: u128,
}

impl Runs {
    /// Nothing is stored.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds an index; false when it was stored already.
    pub(crate) fn insert(&mut self, index: u64) -> bool {
        let after = index
            .checked_add(1)
            .and_then(|next| self.runs.get(&next).copied());
        let last = after.unwrap_or(index);
        match self.runs.range_mut(..=index).next_back() {
            Some((_, end)) if *end >= index => return false,
            Some((_, end)) if *end == index.wrapping_sub(1) => *end = last,
            _ => _ = self.runs.insert(index, last),
        }
        if after.is_some() {
            self.runs.remove(&index.wrapping_add(1));
        }
        self.count += 1;
        true
    }

    /// Removes an index; false when it was not stored.
    pub(crate) fn remove(&mut self, index: u64) -> bool {
        let Some((first, last)) = self.run_at(index) else {
            return false;
        };
        self.runs.remove(&first);
        if let Some(before) = index.checked_sub(1).filter(|before| *before >= first) {
            self.runs.insert(first, before);
        }
        if let Some(after) = index.checked_add(1).filter(|after| *after <= last) {
            self.runs.insert(after, last);
        }
        self.count -= 1;
        true
    }

    /// Removes every index below `min`; returns how many.
    pub(crate) fn remove_below(&mut self, min: u64) -> u128 {
        let mut kept = self.runs.split_off(&min);
        if let Some((_, last)) = self.runs.last_key_value()
            && *last >= min
        {
            kept.insert(min, *last);
        }
        self.replace(kept)
    }

    /// Removes every index above `max`; returns how many.
    pub(crate) fn remove_above(&mut self, max: u64) -> u128 {
        let mut kept = std::mem::take(&mut self.runs);
        self.runs = match max.checked_add(1) {
            Some(next) => kept.split_off(&next),
            None => BTreeMap::new(),
        };
        if let Some((first, last)) = kept.last_key_value().map(|(f, l)| (*f, *l))
            && last > max
        {
            kept.insert(first, max);
            self.runs.insert(max + 1, last); // below `last`, so no overflow
        }
        let removed = total(&self.runs);
        self.runs = kept;
        self.count -= removed;
        removed
    }

    fn replace(&mut self, kept: BTreeMap<u64, u64>) -> u128 {
        let count = total(&kept);
        let removed = self.count - count;
        self.runs = kept;
        self.count = count;
        removed
    }

    /// Whether an index is stored.
    pub(crate) fn contains(&self, index: u64) -> bool {
        self.run_at(index).is_some()
    }

    /// How many indices are stored.
    pub(crate) fn count(&self) -> u128 {
        self.count
    }

    /// Whether none is.
    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The least stored index.
    pub(crate) fn first(&self) -> Option<u64> {
        self.runs.first_key_value().map(|(first, _)| *first)
    }

    /// The greatest stored index.
    pub(crate) fn last(&self) -> Option<u64> {
        self.runs.last_key_value().map(|(_, last)| *last)
    }

    /// The first stored index that is `index` or above.
    pub(crate) fn at_or_after(&self, index: u64) -> Option<u64> {
        self.ranges_from(index)
            .next()
            .map(|run| (*run.start()).max(index))
    }

    /// The last stored index that is `index` or below.
    pub(crate) fn at_or_before(&self, index: u64) -> Option<u64> {
        let (_, &end) = self.runs.range(..=index).next_back()?;
        Some(end.min(index))
    }

    /// The end of the run that holds `index`, and the start of the next run behind `index`.
    pub(crate) fn next_gap(&self, index: u64) -> (Option<u64>, Option<u64>) {
        let end = self.run_at(index).map(|(_, last)| last);
        let behind = index.checked_add(1);
        let next = behind.and_then(|from| self.runs.range(from..).next());
        (end, next.map(|(first, _)| *first))
    }

    /// Up to `max` indices from `start` on that are not stored and lie before a stored one,
    /// ascending. Allocates what it returns, no more; fewer when there is no memory for them all.
    pub(crate) fn missing_items(&self, start: u64, max: usize) -> Vec<u64> {
        let gaps = || self.gaps(start);
        let mut count = 0;
        for gap in gaps() {
            count =
                usize::try_from(size(&gap)).map_or(max, |size| max.min(size.saturating_add(count)));
            if count == max {
                break;
            }
        }
        let mut missing = Vec::new();
        while missing.try_reserve_exact(count).is_err() {
            count /= 2;
        }
        missing.extend(gaps().flatten().take(count));
        missing
    }

    /// What lies between the runs, from `start` on.
    fn gaps(&self, start: u64) -> impl Iterator<Item = RangeInclusive<u64>> + '_ {
        let mut from = Some(start);
        self.ranges_from(start).filter_map(move |run| {
            let gap = from.zip(run.start().checked_sub(1));
            from = run.end().checked_add(1);
            gap.map(|(from, to)| from..=to)
                .filter(|gap| !gap.is_empty())
        })
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
        self.runs.range(first..).map(|(first, last)| *first..=*last)
    }

    /// How many runs there are.
    pub(crate) fn len(&self) -> usize {
        self.runs.len()
    }

    /// Bytes of memory, about.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>() + self.runs.len() * 30
    }

    fn run_at(&self, index: u64) -> Option<(u64, u64)> {
        let (first, last) = self.runs.range(..=index).next_back()?;
        (*last >= index).then_some((*first, *last))
    }
}

fn size(run: &RangeInclusive<u64>) -> u128 {
    u128::from(*run.end()) - u128::from(*run.start()) + 1
}

fn total(runs: &BTreeMap<u64, u64>) -> u128 {
    runs.iter()
        .map(|(first, last)| size(&(*first..=*last)))
        .sum()
}
