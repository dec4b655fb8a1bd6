//! Where in one section the items of an index are.
//!
//! ```text
//! position      0   1   2   3   4   5   6
//! index         7   8   9   9   9  12  13
//!
//! segments      7 -> position 0, length 3    (7, 8, 9 at 0, 1, 2)
//!              12 -> position 5, length 2    (12, 13 at 5, 6)
//! more          9, position 3 -> length 2    (9 again at 3, 4)
//! ```
//!
//! `segments` has the first item of every index, as stretches in which index and position both go up
//! by one; they do not overlap. `more` has the further items of an index, as stretches of positions. So a
//! section that was filled in order takes one segment, some 40 bytes; the worst is one for every item.
//!
//! Positions are inserted in ascending order, which is the order in which items are stored.

use std::collections::BTreeMap;
#[cfg(test)]
use std::ops::RangeInclusive;

use super::memory;
use super::runs::Runs;

/// The positions of one section's items, by index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Positions {
    /// first index -> the segment
    segments: BTreeMap<u64, Segment>,
    /// (index, first position) -> how many positions
    more: BTreeMap<(u64, u64), u64>,
    /// The index at position 0.
    first: Option<u64>,
    len: u64,
}

/// Items of which index and position both go up by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// The first index.
    pub(crate) first: u64,
    /// Its position.
    pub(crate) position: u64,
    len: u64,
}

impl Stretch {
    /// The last index.
    pub(crate) fn last(&self) -> u64 {
        self.first + (self.len - 1)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    position: u64,
    len: u64,
}

impl Positions {
    /// No items.
    #[cfg(test)]
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Of so many items that were put in order, one an index.
    pub(crate) fn in_order(first: u64, len: u64) -> Self {
        let mut positions = Self::default();
        if len > 0 {
            let segment = Segment { position: 0, len };
            positions.segments.insert(first, segment);
            positions.first = Some(first);
            positions.len = len;
        }
        positions
    }

    /// Adds an item. `position` is above all those before.
    pub(crate) fn insert(&mut self, index: u64, position: u64) {
        self.len += 1;
        if position == 0 {
            self.first = Some(index);
        }
        // What is put in order goes to the end of the last segment.
        if let Some(mut last) = self.segments.last_entry() {
            let ahead = index.checked_sub(*last.key());
            let segment = last.get_mut();
            if ahead == Some(segment.len)
                && segment.position.checked_add(segment.len) == Some(position)
            {
                segment.len += 1;
                return;
            }
        }
        if let Some((first, segment)) = self.segments.range_mut(..=index).next_back() {
            let ahead = index - first;
            if ahead < segment.len {
                return self.insert_more(index, position);
            }
            if ahead == segment.len && segment.position.checked_add(ahead) == Some(position) {
                segment.len += 1;
                return;
            }
        }
        self.segments.insert(index, Segment { position, len: 1 });
    }

    fn insert_more(&mut self, index: u64, position: u64) {
        let mut of = self.more.range_mut((index, 0)..=(index, position));
        if let Some(((_, first), len)) = of.next_back()
            && position - first == *len
        {
            *len += 1;
        } else {
            self.more.insert((index, position), 1);
        }
    }

    /// The position of the first item stored at `index`.
    pub(crate) fn first(&self, index: u64) -> Option<u64> {
        let (first, segment) = self.segments.range(..=index).next_back()?;
        let ahead = index - first;
        (ahead < segment.len).then(|| segment.position + ahead)
    }

    /// The index at position 0, and how many from there on stand side by side. What comes later changes none of them.
    pub(crate) fn in_order_from_first(&self) -> Option<(u64, u64)> {
        let first = self.first?;
        Some((first, self.segments.get(&first)?.len))
    }

    /// The stretch that `index` is in, where no index has more than one item.
    pub(crate) fn stretch_with(&self, index: u64) -> Option<Stretch> {
        let (&first, segment) = self.segments.range(..=index).next_back()?;
        let is_in = index - first < segment.len && self.more.is_empty();
        is_in.then_some(Stretch {
            first,
            position: segment.position,
            len: segment.len,
        })
    }

    /// Adds the positions of all items at `index` to `out`, in the order stored.
    pub(crate) fn all(&self, index: u64, out: &mut Vec<u64>) {
        if let Some(first) = self.first(index) {
            out.push(first);
            out.extend(self.more_of(index));
        }
    }

    /// The first position of `index` that is `from` or above.
    pub(crate) fn at_or_after(&self, index: u64, from: u64) -> Option<u64> {
        let first = self.first(index)?;
        if first >= from {
            return Some(first);
        }
        let before = self.more.range((index, 0)..=(index, from)).next_back();
        if let Some((&(_, first), &len)) = before
            && from - first < len
        {
            return Some(from);
        }
        let mut behind = self.more.range((index, from)..=(index, u64::MAX));
        behind.next().map(|(&(_, first), _)| first)
    }

    /// The indices that there is an item at.
    pub(crate) fn indices(&self) -> Runs {
        let mut runs = Runs::default();
        for (&first, segment) in &self.segments {
            runs.insert_run(first, first + (segment.len - 1));
        }
        runs
    }

    /// How many items there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of memory, about.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>()
            + memory::of_map::<u64, Segment>(self.segments.len())
            + memory::of_map::<(u64, u64), u64>(self.more.len())
    }

    /// Every (index, position) in the order of indices, those of one index in the order stored.
    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, u64)> + '_ {
        self.range(0..=u64::MAX)
    }

    /// [`Self::iter`] for the indices of a range.
    #[cfg(test)]
    pub(crate) fn range(
        &self,
        indices: RangeInclusive<u64>,
    ) -> impl DoubleEndedIterator<Item = (u64, u64)> + '_ {
        self.firsts(indices).flat_map(|(index, first)| {
            let more = self.more_of(index).map(move |position| (index, position));
            std::iter::once((index, first)).chain(more)
        })
    }

    /// The first item of each index of a range.
    #[cfg(test)]
    fn firsts(
        &self,
        indices: RangeInclusive<u64>,
    ) -> impl DoubleEndedIterator<Item = (u64, u64)> + '_ {
        let (start, end) = indices.into_inner();
        let before = self.segments.range(..=start).next_back();
        let from = before.map_or(start, |(first, _)| *first);
        // An empty range would make the map panic; `end` below `start` leaves nothing anyhow.
        let segments = self.segments.range(from..=end.max(from));
        segments.flat_map(move |(first, segment)| {
            let (first, position) = (*first, segment.position);
            let skipped = start.saturating_sub(first).min(segment.len);
            let wanted = end
                .checked_sub(first)
                .map_or(0, |last| last.saturating_add(1));
            let wanted = wanted.min(segment.len);
            (skipped..wanted).map(move |ahead| (first + ahead, position + ahead))
        })
    }

    fn more_of(&self, index: u64) -> impl DoubleEndedIterator<Item = u64> + '_ {
        let stretches = self.more.range((index, 0)..=(index, u64::MAX));
        stretches.flat_map(|((_, first), len)| (0..*len).map(move |ahead| first + ahead))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(indices: &[u64]) -> Positions {
        let mut positions = Positions::new();
        for (position, index) in indices.iter().enumerate() {
            positions.insert(*index, position as u64);
        }
        positions
    }

    fn all(positions: &Positions, index: u64) -> Vec<u64> {
        let mut out = Vec::new();
        positions.all(index, &mut out);
        out
    }

    #[test]
    fn the_picture_of_the_documentation() {
        let positions = filled(&[7, 8, 9, 9, 9, 12, 13]);
        assert_eq!((positions.segments.len(), positions.more.len()), (2, 1));
        assert_eq!(all(&positions, 9), [2, 3, 4]);
        assert_eq!(positions.first(13), Some(6));
        assert_eq!(positions.first(10), None);
    }

    #[test]
    fn filled_in_order_it_takes_one_segment() {
        let mut positions = Positions::new();
        let first = u64::MAX - 99_999;
        (0..100_000).for_each(|n| positions.insert(first + n, n));
        assert_eq!(positions.memory(), filled(&[first]).memory());
        assert_eq!(positions.first(u64::MAX), Some(99_999));
        assert_eq!(positions.first(first - 1), None);
        assert_eq!(positions.iter().next_back(), Some((u64::MAX, 99_999)));
    }

    #[test]
    fn a_stretch_is_what_stands_side_by_side() {
        let positions = filled(&[7, 8, 9, 12, 13, 10]);
        let stretch = |index| {
            let found = positions.stretch_with(index)?;
            Some((found.first, found.position, found.last()))
        };
        assert_eq!(stretch(8), Some((7, 0, 9)));
        assert_eq!(stretch(10), Some((10, 5, 10)));
        assert_eq!(stretch(13), Some((12, 3, 13)));
        assert_eq!((stretch(6), stretch(11), stretch(14)), (None, None, None));
        // The second item of 8 stands elsewhere.
        assert_eq!(filled(&[7, 8, 9, 8]).stretch_with(7), None);
    }

    #[test]
    fn in_order_is_as_if_put_in_order() {
        for len in [0, 1, 100] {
            let indices: Vec<u64> = (7..7 + len).collect();
            assert_eq!(Positions::in_order(7, len), filled(&indices));
        }
    }

    #[test]
    #[allow(clippy::reversed_empty_ranges)]
    fn a_reversed_range_is_empty() {
        let positions = filled(&[1, 2, 3, 5]);
        assert_eq!(positions.range(5..=1).count(), 0);
        assert_eq!(positions.range(3..=2).count(), 0);
        assert_eq!(positions.range(4..=4).count(), 0);
    }

    #[test]
    fn both_ends_of_u64() {
        let mut positions = Positions::new();
        assert!(positions.is_empty() && positions.iter().next().is_none());
        positions.insert(u64::MAX, 3);
        positions.insert(0, 4);
        positions.insert(u64::MAX, u64::MAX);
        assert_eq!(all(&positions, u64::MAX), [3, u64::MAX]);
        assert_eq!(positions.iter().count(), 3);
    }

    proptest! {
        /// Against the plain list of indices; `skip` leaves positions out, as damage does.
        #[test]
        fn does_what_a_list_does(
            indices in prop::collection::vec(prop_oneof![0..12_u64, 0..200_u64], 0..80),
            skip in 0..20_u64,
            (start, end) in (0..14_u64, 0..14_u64),
        ) {
            let mut positions = Positions::new();
            let mut model = Vec::new();
            for (position, index) in (0..).zip(indices).filter(|(p, _)| p % 20 != skip) {
                positions.insert(index, position);
                model.push((index, position));
            }
            prop_assert_eq!(positions.len(), model.len() as u64);
            model.sort();
            prop_assert_eq!(positions.len(), model.len() as u64);
            let mut indices = Runs::default();
            for &(index, _) in &model {
                indices.insert(index);
            }
            prop_assert_eq!(positions.indices(), indices);
            prop_assert!(positions.iter().eq(model.iter().copied()));
            prop_assert!(positions.iter().rev().eq(model.iter().rev().copied()));
            let within = model.iter().copied().filter(|(i, _)| (start..=end).contains(i));
            prop_assert!(positions.range(start..=end).eq(within));
            for index in 0..14 {
                let at: Vec<u64> = model.iter().filter(|(i, _)| *i == index).map(|(_, p)| *p).collect();
                prop_assert_eq!(positions.first(index), at.first().copied());
                for from in 0..90 {
                    let behind = at.iter().copied().find(|&position| position >= from);
                    prop_assert_eq!(positions.at_or_after(index, from), behind);
                }
                prop_assert_eq!(all(&positions, index), at);
            }
        }
    }
}
