//! The positions of a section beside its writer: without a lock where its items were put in order.

use super::positions::Positions;
use crate::sync::RwLock;
use crate::sync::atomic::{AtomicU64, Ordering};

/// No index; that of this number is looked up with the lock.
const NONE: u64 = u64::MAX;

/// The positions of one section's items, which one thread adds to and any number look up.
///
/// Most sections are filled in order: of their first items index and position go up together, and will not
/// change. How many these are is read without a lock, whose line of the cache readers would wait for one after
/// another.
#[derive(Debug)]
pub(crate) struct Placed {
    all: RwLock<Positions>,
    /// The index at position 0, or [`NONE`] as long as there was none; never another one.
    first: AtomicU64,
    /// How many indices from there on are in order.
    ordered: AtomicU64,
}

impl Default for Placed {
    fn default() -> Self {
        Self {
            all: RwLock::default(),
            first: AtomicU64::new(NONE),
            ordered: AtomicU64::new(0),
        }
    }
}

impl Placed {
    /// The position of the first item stored at `index`.
    #[inline]
    pub(crate) fn first(&self, index: u64) -> Option<u64> {
        let ordered = self.ordered.load(Ordering::Acquire);
        let position = index.wrapping_sub(self.first.load(Ordering::Relaxed));
        match position < ordered {
            true => Some(position),
            false => self.all.read().first(index),
        }
    }

    /// Whatever else is asked of the positions.
    pub(crate) fn look<T>(&self, at: impl FnOnce(&Positions) -> T) -> T {
        at(&self.all.read())
    }

    /// Adds items, (index, position), at positions above all those before.
    pub(crate) fn add(&self, items: impl Iterator<Item = (u64, u64)>) {
        let mut all = self.all.write();
        let first = self.first.load(Ordering::Relaxed);
        let told = self.ordered.load(Ordering::Relaxed);
        let mut ordered = told;
        for (index, position) in items {
            all.insert(index, position);
            // It goes on with what is in order, or ends it.
            let is_next = position == ordered && index.wrapping_sub(first) == ordered;
            ordered += u64::from(told > 0 && is_next);
        }
        match told > 0 {
            true => self.ordered.store(ordered, Ordering::Release),
            false => self.tell(&all),
        }
    }

    /// Takes these positions in place of those before.
    pub(crate) fn replace(&self, positions: Positions) {
        let mut all = self.all.write();
        *all = positions;
        self.tell(&all);
    }

    /// Called with the lock for writing.
    fn tell(&self, all: &Positions) {
        let first = self.first.load(Ordering::Relaxed);
        match all.in_order_from_first() {
            Some((index, len)) if index != NONE && [index, NONE].contains(&first) => {
                self.first.store(index, Ordering::Relaxed);
                self.ordered.store(len, Ordering::Release);
            }
            // Who has read one of the two must not take another's for the second.
            _ => self.ordered.store(0, Ordering::Release),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn finds_what_the_positions_find(
            indices in prop::collection::vec(0..40_u64, 0..60),
            begin in 0..3_usize,
        ) {
            let (placed, mut plain) = (Placed::default(), Positions::default());
            // In order first, in two of three cases.
            let in_order = (5..5 + 10 * begin as u64).chain(indices);
            for (position, index) in (0..).zip(in_order) {
                placed.add(std::iter::once((index, position)));
                plain.insert(index, position);
                for index in 0..45 {
                    prop_assert_eq!(placed.first(index), plain.first(index));
                }
            }
        }
    }

    #[test]
    fn what_takes_the_place_of_others_counts() {
        let placed = Placed::default();
        placed.replace(Positions::in_order(10, 5));
        assert_eq!(placed.first(12), Some(2));
        for (first, len) in [(10, 3), (11, 2), (10, 4), (0, 0), (10, 1)] {
            placed.replace(Positions::in_order(first, len));
            for index in 0..20_u64 {
                let expected = index.checked_sub(first).filter(|&at| at < len);
                assert_eq!(placed.first(index), expected, "{first} {len} {index}");
            }
        }
    }
}
