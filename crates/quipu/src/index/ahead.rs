//! Keys whose memory the processor fetches before it is looked at: an insert into an index that no cache holds is mostly
//! waiting.

use std::ptr;
use std::sync::Arc;

use super::key_index::KeyIndex;
use super::place::{GROUP_SIZE, Place};
use super::shard::{LOCATION_BITS, Shard};
use crate::error::Result;
use crate::prefetch::prefetch;

/// So many keys ahead of an insert the processor is asked for the slots of one,
const NEAR_AHEAD: usize = 6;
/// and for what tells where they are.
const FAR_AHEAD: usize = 14;

impl KeyIndex {
    /// Adds locations of several keys in their order, as [`insert`](Self::insert) does each, and tells `removed` how many
    /// of those that were dead went, where any did. Stops at the first error.
    ///
    /// Memory that no cache has is asked for some keys ahead, first what tells where the slots are.
    pub(crate) fn insert_all(
        &self,
        items: impl Iterator<Item = (u64, u64)> + Clone,
        is_dead: &dyn Fn(u64) -> bool,
        mut removed: impl FnMut(usize),
    ) -> Result<()> {
        // Of the first one there is nothing to wait for: it is inserted now.
        let (mut far, mut near) = (items.clone().skip(1), items.clone().skip(1));
        let first = far.by_ref().take(FAR_AHEAD);
        first.for_each(|(key, _)| self.prefetch_hint(key));
        let first = near.by_ref().take(NEAR_AHEAD);
        first.for_each(|(key, _)| self.prefetch(key));
        for (key, location) in items {
            if let Some((key, _)) = far.next() {
                self.prefetch_hint(key);
            }
            if let Some((key, _)) = near.next() {
                self.prefetch(key);
            }
            match self.insert(key, location, is_dead)? {
                0 => {}
                dead => removed(dead),
            }
        }
        Ok(())
    }

    /// Asks the processor for what [`prefetch`](Self::prefetch) and [`insert`](Self::insert) look at first.
    #[inline]
    fn prefetch_hint(&self, key: u64) {
        let shard = Place::of(key, self.seed).shard;
        if let (Some(hint), Some(group)) =
            (self.hints.get(shard), self.groups.get(shard / GROUP_SIZE))
        {
            prefetch(ptr::from_ref(hint).addr());
            // The lock, and about where the shard's pointer is behind it.
            let lock = ptr::from_ref(group).addr();
            prefetch(lock);
            prefetch(lock + shard % GROUP_SIZE * size_of::<Arc<Shard>>());
        }
    }

    /// Asks the processor for the slots where a key belongs: an insert that follows some tens of nanoseconds
    /// later need not wait for memory.
    #[inline]
    pub(crate) fn prefetch(&self, key: u64) {
        let place = Place::of(key, self.seed);
        if let Some(hint) = self.hints.get(place.shard) {
            hint.prefetch(place.tag << LOCATION_BITS);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::error::Error;
    use crate::index::{Candidates, KeyIndex, MAX_LOCATION};

    /// The same as one by one, whatever the number: fewer than are looked ahead, and more.
    #[test]
    fn several_keys_are_as_each_of_them() {
        for count in [0, 1, 5, 13, 14, 15, 20, 1000] {
            let index = KeyIndex::new();
            index.insert(3, MAX_LOCATION, &|_| false).unwrap();
            let mut dead = 0;
            let items = (0..count).map(|nth| (nth % 400, nth));
            let is_dead = |location| location == MAX_LOCATION;
            index
                .insert_all(items, &is_dead, |more| dead += more)
                .unwrap();
            assert_eq!(dead, usize::from(count > 3));
            let mut found = Candidates::new();
            for key in 0..400 {
                index.lookup(key, &mut found);
                let mut expected: Vec<_> = (0..count).filter(|nth| nth % 400 == key).collect();
                if key == 3 && dead == 0 {
                    expected.insert(0, MAX_LOCATION);
                }
                assert_eq!(*found, *expected, "{key} of {count}");
            }
        }
    }

    #[test]
    fn stops_at_the_first_that_is_refused() {
        let index = KeyIndex::new();
        let items = [(1, 1), (2, MAX_LOCATION + 1), (3, 3)].into_iter();
        let refused = index.insert_all(items, &|_| false, |_| ());
        assert!(matches!(refused, Err(Error::IndexFull { .. })));
        assert_eq!(index.len(), 1);
    }
}
