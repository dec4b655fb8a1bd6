//! One shard of the key index: a flat array of slots, sorted by tag, with gaps.
//!
//! ```text
//! a slot      63 ....... 36  35 ................... 0
//!             tag (28 bits)  location (36 bits, all ones: the slot is empty and so is the tag)
//!
//! the array   |<------------ capacity ------------>|<- room ->|
//!             . . 3 7 7 9 . . 12 . 15 17 18 18 . . . . 27 28 . .
//!                   ^ home of tag t = t * capacity >> 28
//! ```
//!
//! Invariants, which together make the layout the same whatever the order of inserts was:
//! - the slots that are not empty are in the order of their tags, equal tags in the order of inserts;
//! - a slot lies at its home or behind it, and nothing between its home and it is empty.
//!
//! So a search begins at the home and ends at the first empty slot or greater tag, a slot can be
//! placed without its key (only tags are compared), and a larger array is filled in one sweep. What is
//! displaced at the end overflows into the room, nothing wraps around.

use super::candidates::Candidates;

/// Bits of a slot that hold the location.
pub(super) const LOCATION_BITS: u32 = 36;
/// Bits of a slot that hold the tag.
pub(super) const TAG_BITS: u32 = 28;

pub(super) const LOCATION_MASK: u64 = (1 << LOCATION_BITS) - 1;
pub(super) const EMPTY: u64 = u64::MAX;
/// Slots that a search compares one by one before it goes on in doubling steps.
const NEAR: usize = 16;
/// How many slots of its tag an insert asks about, so that keys in one conflict do not make inserts
/// quadratic. Those stored first are dead first, so the dead ones are found all the same.
const DEAD_CHECKS: usize = 64;
/// A shard holds no more: its lengths are `u32`, and one growth step has to fit.
const LEN_MAX: u32 = u32::MAX / 4 * 3;

/// What an insert came to.
pub(super) struct Inserted {
    /// Whether the location is in now. If not, the shard is to be replaced by [`Shard::grown`].
    pub(super) stored: bool,
    /// Dead slots removed.
    pub(super) removed: usize,
    /// How the number of conflicts changed.
    pub(super) conflicts: isize,
}

/// The slots of the keys whose mix begins with the same bits.
#[derive(Default)]
pub(super) struct Shard {
    pub(super) slots: Box<[u64]>,
    /// How many homes there are; the slots behind are room.
    pub(super) capacity: u32,
    pub(super) len: u32,
}

impl Shard {
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// Bytes of the array.
    pub(super) fn memory(&self) -> usize {
        size_of_val::<[u64]>(&self.slots)
    }

    /// Whether it can hold no more whatever is done.
    pub(super) fn is_full(&self) -> bool {
        self.len >= LEN_MAX
    }

    /// Slots beyond the first of each tag.
    pub(super) fn conflicts(&self) -> usize {
        conflicts(self.entries())
    }

    #[inline]
    pub(super) fn lookup(&self, tag: u64, out: &mut Candidates) {
        let (low, high) = bounds(tag);
        let behind = self.slots.get(self.home(low)..).unwrap_or_default();
        for (i, &slot) in behind.iter().enumerate() {
            if slot >= low {
                if slot >= high {
                    return;
                }
                out.push(slot & LOCATION_MASK);
            } else if i == NEAR {
                return self.lookup_far(low, high, out);
            }
        }
    }

    /// The rest of a lookup in the middle of many slots that conflict.
    #[cold]
    fn lookup_far(&self, low: u64, high: u64, out: &mut Candidates) {
        let start = self.first_from(self.home(low), low);
        let slots = self.slots.get(start..).unwrap_or_default();
        slots
            .iter()
            .take_while(|slot| **slot < high)
            .for_each(|slot| out.push(slot & LOCATION_MASK));
    }

    /// Adds a location behind those of the same tag, of which dead ones go.
    pub(super) fn insert(
        &mut self,
        tag: u64,
        location: u64,
        is_dead: &dyn Fn(u64) -> bool,
    ) -> Inserted {
        let (low, high) = bounds(tag);
        let start = self.first_from(self.home(low), low);
        let mut end = self.first_from(start, high);
        let before = (end - start).saturating_sub(1);
        let removed = if start == end {
            0
        } else {
            self.remove_dead(start, end, is_dead)
        };
        end -= removed;
        let stored = self.len < max_len(self.capacity) && self.put_at(end, low | location);
        let after = (end - start + usize::from(stored)).saturating_sub(1);
        Inserted {
            stored,
            removed,
            conflicts: after as isize - before as isize,
        }
    }

    fn remove_dead(&mut self, start: usize, end: usize, is_dead: &dyn Fn(u64) -> bool) -> usize {
        let end = end.min(start + DEAD_CHECKS);
        let mut removed = 0;
        for at in (start..end).rev() {
            if is_dead(self.at(at) & LOCATION_MASK) {
                self.remove_at(at);
                removed += 1;
            }
        }
        removed
    }

    /// Removes one slot; tells whether it was there and whether another has the same tag.
    pub(super) fn remove(&mut self, tag: u64, location: u64) -> (bool, bool) {
        let (low, high) = bounds(tag);
        let start = self.first_from(self.home(low), low);
        let same = self.slots.get(start..).unwrap_or_default().iter();
        let found = same
            .take_while(|slot| **slot < high)
            .position(|slot| slot & LOCATION_MASK == location);
        let Some(found) = found else {
            return (false, false);
        };
        self.remove_at(start + found);
        (true, (low..high).contains(&self.at(start)))
    }

    /// The slots that are not empty.
    pub(super) fn entries(&self) -> impl Iterator<Item = u64> + Clone + '_ {
        self.slots.iter().copied().filter(|slot| *slot != EMPTY)
    }

    fn home(&self, slot: u64) -> usize {
        home(slot, self.capacity)
    }

    fn at(&self, at: usize) -> u64 {
        self.slots.get(at).copied().unwrap_or(EMPTY)
    }

    /// The first place from `from` on with a slot of at least `bound`, or empty. `from` is the home
    /// of `bound`'s tag or a place of that tag. Behind an empty slot there are greater tags only, so
    /// the answer holds for all places behind as well, and doubling steps find it.
    fn first_from(&self, from: usize, bound: u64) -> usize {
        let slots = self.slots.get(from..).unwrap_or_default();
        let near = slots.iter().take(NEAR).position(|slot| *slot >= bound);
        if let Some(near) = near {
            return from + near;
        }
        let mut far = NEAR;
        while slots.get(far).is_some_and(|slot| *slot < bound) {
            far *= 2;
        }
        let known = far / 2;
        let unknown = slots.get(known..far.min(slots.len())).unwrap_or_default();
        from + known.min(slots.len()) + unknown.partition_point(|slot| *slot < bound)
    }

    /// Puts `slot` at `at`, what is there moves one place on; false when the end is in the way.
    fn put_at(&mut self, at: usize, slot: u64) -> bool {
        let behind = self.slots.get_mut(at..).unwrap_or_default();
        let Some(empty) = behind.iter().position(|slot| *slot == EMPTY) else {
            return false;
        };
        behind.copy_within(..empty, 1);
        behind[0] = slot; // not empty: it has an empty slot
        self.len += 1;
        true
    }

    /// Empties the place; the slots behind that are not at their home move one place back.
    fn remove_at(&mut self, at: usize) {
        let capacity = self.capacity;
        let behind = self.slots.get_mut(at..).unwrap_or_default();
        let moved = (1..behind.len())
            .take_while(|i| behind[*i] != EMPTY && home(behind[*i], capacity) < at + i)
            .count();
        behind.copy_within(1..=moved, 0);
        if let Some(freed) = behind.get_mut(moved) {
            *freed = EMPTY;
            self.len -= 1;
        }
    }
}

/// The least slot of a tag, and what is greater than all its slots.
#[inline]
fn bounds(tag: u64) -> (u64, u64) {
    let low = tag << LOCATION_BITS;
    (low, low | LOCATION_MASK)
}

/// The home of a slot's tag.
#[inline]
pub(super) fn home(slot: u64, capacity: u32) -> usize {
    (((slot >> LOCATION_BITS) * u64::from(capacity)) >> TAG_BITS) as usize
}

/// How many slots a capacity takes before it grows: 7 of 8.
pub(super) fn max_len(capacity: u32) -> u32 {
    (capacity - capacity / 8).min(LEN_MAX)
}

fn conflicts(mut entries: impl Iterator<Item = u64>) -> usize {
    let mut tag = match entries.next() {
        Some(slot) => slot >> LOCATION_BITS,
        None => return 0,
    };
    let same = |slot: &u64| {
        let next = slot >> LOCATION_BITS;
        std::mem::replace(&mut tag, next) == next
    };
    entries.filter(same).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nothing_dead(_: u64) -> bool {
        false
    }

    fn insert(shard: &mut Shard, tag: u64, location: u64) {
        while !shard.insert(tag, location, &nothing_dead).stored {
            *shard = shard.grown();
        }
    }

    fn found(shard: &Shard, tag: u64) -> Vec<u64> {
        let mut out = Candidates::new();
        shard.lookup(tag, &mut out);
        out.to_vec()
    }

    /// What the head of this module says about the array.
    fn check_invariants(shard: &Shard) {
        let mut last = 0;
        for at in 0..shard.slots.len() {
            let slot = shard.at(at);
            if slot != EMPTY {
                assert!(last >> LOCATION_BITS <= slot >> LOCATION_BITS, "sorted");
                let home = shard.home(slot);
                assert!(home <= at, "at home or behind it");
                assert!((home..at).all(|i| shard.at(i) != EMPTY), "no gap");
                last = slot;
            }
        }
        assert_eq!(shard.entries().count(), shard.len());
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u64),
        Remove(u64),
        Prune(u64),
    }

    /// Tags at both ends and few others, so that they conflict and crowd the end of the array.
    fn tag() -> impl Strategy<Value = u64> {
        const END: u64 = (1 << TAG_BITS) - 1;
        prop_oneof![0..3_u64, END - 3..=END, 0..=END, Just(END / 2)]
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            20 => tag().prop_map(Step::Insert),
            6 => any::<u64>().prop_map(Step::Remove),
            1 => (0..100_u64).prop_map(Step::Prune),
        ]
    }

    proptest! {
        /// Against a plain list of (tag, location) in the order of inserts.
        #[test]
        fn does_what_a_list_does(steps in prop::collection::vec(step(), 0..600)) {
            let (mut shard, mut model, mut next) = (Shard::default(), Vec::new(), 0_u64);
            for step in steps {
                match step {
                    Step::Insert(tag) => {
                        insert(&mut shard, tag, next);
                        model.push((tag, next));
                        next += 1;
                    }
                    Step::Remove(nth) if !model.is_empty() => {
                        let (tag, location) = model.remove(nth as usize % model.len());
                        prop_assert!(shard.remove(tag, location).0);
                        prop_assert!(!shard.remove(tag, location).0);
                    }
                    Step::Remove(_) => {}
                    Step::Prune(share) => {
                        let min = next * share / 100;
                        model.retain(|(_, location)| *location >= min);
                        shard = shard.retained(&|l| l >= min).unwrap_or(shard);
                    }
                }
            }
            check_invariants(&shard);
            for (tag, _) in &model {
                let same = model.iter().filter(|(t, _)| t == tag);
                let expected: Vec<u64> = same.map(|(_, location)| *location).collect();
                prop_assert_eq!(found(&shard, *tag), expected);
            }
        }
    }

    #[test]
    fn the_extreme_slots_are_told_from_an_empty_one() {
        let mut shard = Shard::default();
        let (tag, location) = ((1 << TAG_BITS) - 1, LOCATION_MASK - 1);
        assert_eq!(found(&shard, tag), []);
        insert(&mut shard, tag, location);
        insert(&mut shard, 0, 0);
        assert_eq!(found(&shard, tag), [location]);
        assert_eq!(found(&shard, 0), [0]);
        assert_eq!(found(&shard, 1), []);
    }

    #[test]
    fn an_insert_removes_the_dead_of_its_tag_only() {
        let mut shard = Shard::default();
        for location in 0..10 {
            insert(&mut shard, location % 2, location);
        }
        let inserted = shard.insert(1, 10, &|location| location < 6);
        assert_eq!((inserted.removed, inserted.conflicts), (3, -2));
        assert_eq!(found(&shard, 1), [7, 9, 10]);
        assert_eq!(found(&shard, 0), [0, 2, 4, 6, 8]);
        check_invariants(&shard);
    }
}
