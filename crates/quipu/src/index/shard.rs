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
//!
//! **Beside readers.** One at a time inserts, any number look up meanwhile, without a lock and without waiting. An insert
//! moves the slots in its way one place on, the last one first, and each is at its new place before its old one is written
//! over: at any moment each slot is there, one of them perhaps twice. So slots only ever move on, in the direction
//! in which a look-up goes, and it meets each of them: the stores release, the loads acquire, so that who sees what came
//! to a place sees what was there a place further on. A slot that moves with the look-up is met twice. Nothing is
//! ever removed from an array or moved back in it: for that another array takes its place.

use super::candidates::Candidates;
use crate::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

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
#[derive(Debug, PartialEq)]
pub(super) enum Inserted {
    /// The location is in now. `conflict`: another one has its tag.
    Stored { conflict: bool },
    /// There is no room: [`Shard::grown`] is to take the shard's place.
    Full,
    /// Others of the tag are dead: [`Shard::without_dead`] is to take the shard's place.
    Dead,
}

/// The slots of the keys whose mix begins with the same bits.
#[derive(Default)]
pub(super) struct Shard {
    pub(super) slots: Box<[AtomicU64]>,
    /// How many homes there are; the slots behind are room.
    pub(super) capacity: u32,
    /// Of whoever inserts.
    len: AtomicU32,
}

impl Shard {
    /// A shard of these slots, of which `len` are not empty.
    pub(super) fn of(slots: Box<[AtomicU64]>, capacity: u32, len: u32) -> Self {
        Self {
            slots,
            capacity,
            len: AtomicU32::new(len),
        }
    }

    /// So many empty slots.
    pub(super) fn empty(slots: usize) -> Box<[AtomicU64]> {
        (0..slots).map(|_| AtomicU64::new(EMPTY)).collect()
    }

    pub(super) fn len(&self) -> u32 {
        self.len.load(Relaxed)
    }

    /// Bytes of the array.
    pub(super) fn memory(&self) -> usize {
        size_of_val::<[AtomicU64]>(&self.slots)
    }

    /// Whether it can hold no more whatever is done.
    pub(super) fn is_full(&self) -> bool {
        self.len() >= LEN_MAX
    }

    /// Slots beyond the first of each tag.
    pub(super) fn conflicts(&self) -> usize {
        conflicts(self.entries())
    }

    /// The locations of a tag, the oldest first. One may come twice while others insert.
    #[inline]
    pub(super) fn lookup(&self, tag: u64, out: &mut Candidates) {
        let (low, high) = bounds(tag);
        let behind = self.slots.get(self.home(low)..).unwrap_or_default();
        for (i, slot) in behind.iter().enumerate() {
            let slot = slot.load(Acquire);
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
        self.lookup_from(self.first_from(self.home(low), low), low, high, out);
    }

    /// What is behind a place before which there is nothing of the tag. What was there may be further on by now.
    fn lookup_from(&self, start: usize, low: u64, high: u64, out: &mut Candidates) {
        let slots = self.slots.get(start..).unwrap_or_default();
        let slots = slots.iter().map(|slot| slot.load(Acquire));
        slots
            .take_while(|slot| *slot < high)
            .filter(|slot| *slot >= low) // or one that an insert has just moved here
            .for_each(|slot| out.push(slot & LOCATION_MASK));
    }

    /// Adds a location behind those of the same tag. One call at a time.
    pub(super) fn insert(
        &self,
        tag: u64,
        location: u64,
        is_dead: &dyn Fn(u64) -> bool,
    ) -> Inserted {
        let (start, end) = self.places(tag);
        let conflict = start != end;
        if conflict && self.dead(start, end, is_dead).next().is_some() {
            return Inserted::Dead;
        }
        let len = self.len();
        if len >= max_len(self.capacity) || !self.put_at(end, tag << LOCATION_BITS | location) {
            return Inserted::Full;
        }
        self.len.store(len + 1, Relaxed);
        Inserted::Stored { conflict }
    }

    /// A copy without the dead among the oldest slots of a tag.
    pub(super) fn without_dead(&self, tag: u64, is_dead: &dyn Fn(u64) -> bool) -> Self {
        let (start, end) = self.places(tag);
        let dead: Vec<usize> = self.dead(start, end, is_dead).collect();
        self.without(&dead)
    }

    /// A copy without this location of a tag; none where it is not there.
    pub(super) fn without_location(&self, tag: u64, location: u64) -> Option<Self> {
        let (start, end) = self.places(tag);
        let found = (start..end).find(|&at| self.at(at) & LOCATION_MASK == location)?;
        Some(self.without(&[found]))
    }

    /// Where the dead are among the oldest slots of a tag.
    fn dead(
        &self,
        start: usize,
        end: usize,
        is_dead: &dyn Fn(u64) -> bool,
    ) -> impl Iterator<Item = usize> {
        let oldest = (start..end).take(DEAD_CHECKS);
        oldest.filter(move |&at| is_dead(self.at(at) & LOCATION_MASK))
    }

    /// Where the slots of a tag are, for whoever inserts: the first, and the place behind the last.
    #[inline]
    fn places(&self, tag: u64) -> (usize, usize) {
        let (low, high) = bounds(tag);
        let start = self.first_from(self.home(low), low);
        (start, self.first_from(start, high))
    }

    /// The slots that are not empty.
    pub(super) fn entries(&self) -> impl Iterator<Item = u64> + Clone + '_ {
        let slots = self.slots.iter().map(|slot| slot.load(Relaxed));
        slots.filter(|slot| *slot != EMPTY)
    }

    fn home(&self, slot: u64) -> usize {
        home(slot, self.capacity)
    }

    fn at(&self, at: usize) -> u64 {
        self.slots.get(at).map_or(EMPTY, |slot| slot.load(Acquire))
    }

    /// The first place from `from` on with a slot of at least `bound`, or empty. `from` is the home
    /// of `bound`'s tag or a place of that tag. Behind an empty slot there are greater tags only, so
    /// the answer holds for all places behind as well, and doubling steps find it.
    ///
    /// While another thread inserts, what is at the place may be less already, and what is of at least `bound` is there or
    /// behind.
    fn first_from(&self, from: usize, bound: u64) -> usize {
        let slots = self.slots.get(from..).unwrap_or_default();
        let is_less = |slot: &AtomicU64| slot.load(Acquire) < bound;
        let near = slots.iter().take(NEAR).position(|slot| !is_less(slot));
        if let Some(near) = near {
            return from + near;
        }
        let mut far = NEAR;
        while slots.get(far).is_some_and(is_less) {
            far *= 2;
        }
        let known = far / 2;
        let unknown = slots.get(known..far.min(slots.len())).unwrap_or_default();
        from + known.min(slots.len()) + unknown.partition_point(is_less)
    }

    /// Puts `slot` at `at`, what is there moves one place on; false when the end is in the way.
    #[inline]
    fn put_at(&self, at: usize, slot: u64) -> bool {
        let behind = self.slots.get(at..).unwrap_or_default();
        let is_empty = |slot: &AtomicU64| slot.load(Relaxed) == EMPTY;
        let Some(empty) = behind.iter().position(is_empty) else {
            return false;
        };
        // The last one first, and each is at its new place before its old one is written over.
        let moved = behind.get(..=empty).unwrap_or_default();
        for pair in moved.windows(2).rev() {
            if let [from, to] = pair {
                to.store(from.load(Relaxed), Release);
            }
        }
        if let [first, ..] = behind {
            first.store(slot, Release);
        }
        true
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
        while shard.insert(tag, location, &nothing_dead) == Inserted::Full {
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
        assert_eq!(shard.entries().count(), shard.len() as usize);
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
                        let without = shard.without_location(tag, location);
                        prop_assert!(without.is_some(), "{tag} {location}");
                        shard = without.unwrap_or_default();
                        prop_assert!(shard.without_location(tag, location).is_none());
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

    /// Of an item that moves to the place of another with its key both are there for a moment.
    #[test]
    fn of_two_that_are_the_same_one_goes() {
        let mut shard = Shard::default();
        for location in [5, 6, 5] {
            insert(&mut shard, 3, location);
        }
        let shard = shard.without_location(3, 5).unwrap();
        assert_eq!(found(&shard, 3), [6, 5]);
        check_invariants(&shard);
    }

    #[test]
    fn an_insert_removes_the_dead_of_its_tag_only() {
        let mut shard = Shard::default();
        for location in 0..10 {
            insert(&mut shard, location % 2, location);
        }
        let is_dead = |location| location < 6;
        assert_eq!(shard.insert(1, 10, &is_dead), Inserted::Dead);
        let shard = shard.without_dead(1, &is_dead);
        let stored = Inserted::Stored { conflict: true };
        assert_eq!(shard.insert(1, 10, &is_dead), stored);
        assert_eq!(found(&shard, 1), [7, 9, 10]);
        assert_eq!(found(&shard, 0), [0, 2, 4, 6, 8]);
        check_invariants(&shard);
    }

    /// A look-up that has searched for its first slot and then waits while others insert before that.
    #[test]
    fn what_inserts_move_on_from_where_a_look_up_begins_is_found() {
        let shard = Shard::of(Shard::empty(200), 180, 0);
        let (low, high) = bounds(100);
        (0..40).for_each(|n| _ = shard.insert(n, 1_000 + n, &nothing_dead));
        for location in [7, 8] {
            shard.insert(100, location, &nothing_dead);
        }
        let start = shard.first_from(shard.home(low), low);
        for n in 0..30 {
            shard.insert(n, 2_000 + n, &nothing_dead);
            let mut out = Candidates::new();
            shard.lookup_from(start, low, high, &mut out);
            assert_eq!(*out, [7, 8], "{n}");
        }
    }

    /// Each insert moves the slots that the other threads look for, near their home and far from it.
    #[test]
    fn slots_are_found_while_inserts_move_them() {
        let (rounds, inserts) = if cfg!(miri) { (1, 30) } else { (60, 800) };
        for round in 0..rounds {
            let shard = Shard::of(Shard::empty(1_100), 1_000, 0);
            let sought = [40_000_u64, 40_001, 40_002];
            for location in 0..6 {
                shard.insert(sought[location as usize % 3], location, &nothing_dead);
            }
            std::thread::scope(|scope| {
                for tag in sought {
                    let shard = &shard;
                    scope.spawn(move || {
                        while shard.len() < inserts {
                            let mut locations = found(shard, tag);
                            let mut seen = Vec::new();
                            locations.retain(|l| {
                                !seen.contains(l) && {
                                    seen.push(*l);
                                    true
                                }
                            });
                            assert_eq!(locations, [tag - 40_000, tag - 40_000 + 3], "{round}");
                        }
                    });
                }
                for nth in 0..u64::from(inserts) {
                    // All have one home; some go before the sought ones, some behind.
                    let tag = nth.wrapping_mul(0x9E37_79B9) % 50_000;
                    let tag = if sought.contains(&tag) { 1 } else { tag };
                    shard.insert(tag, 100 + nth, &nothing_dead);
                }
            });
            check_invariants(&shard);
        }
    }
}
