//! Other sizes of a shard: every change of size is a new array that one sweep fills, so that the old
//! one goes on being read meanwhile. What is removed goes that way, too.
//!
//! A shard grows by an eighth, a small one by a half, when 7 of 8 homes' worth of slots is taken, and is made anew with 4 of 5
//! taken when a prune removed slots. A small one keeps its size then, so that an index that is filled and emptied
//! again and again, as that of recent keys is, soon asks for no memory.

use super::shard::{EMPTY, LOCATION_MASK, Shard, home, max_len};
use crate::sync::atomic::Ordering::Relaxed;

/// Slots that a growth step adds at least.
const STEP_MIN: u32 = 8;
/// A shard with fewer slots grows by a half: steps of an eighth would be of a few slots each, and take more time
/// than the memory is worth.
const SMALL: u32 = 128;

impl Shard {
    /// Whether so much is empty that [`Shard::fitted`] gives memory back.
    pub(super) fn is_sparse(&self) -> bool {
        let needed = match self.len() {
            0 => 0,
            len => len.max(STEP_MIN),
        };
        self.capacity > 2 * needed.max(SMALL / 2)
    }

    /// A copy with about an eighth more capacity, or, when only the end is crowded, with more room.
    pub(super) fn grown(&self) -> Self {
        if self.len() < max_len(self.capacity) {
            let tail = self.slots.iter().rev();
            let crowded = tail.take_while(|slot| slot.load(Relaxed) != EMPTY);
            let room = room(self.capacity).max(crowded.count() / 8);
            return Self::filled(self.entries(), self.len(), self.capacity, room);
        }
        let part = if self.capacity < SMALL { 2 } else { 8 };
        let step = (self.capacity / part).max(STEP_MIN);
        let capacity = self.capacity.saturating_add(step);
        Self::filled(self.entries(), self.len(), capacity, room(capacity))
    }

    /// A copy without the slots at these few places; smaller where it has become sparse.
    pub(super) fn without(&self, removed: &[usize]) -> Self {
        let slots = (0..)
            .zip(&self.slots)
            .filter(|(at, _)| !removed.contains(at));
        let entries = slots.map(|(_, slot)| slot.load(Relaxed));
        let entries = entries.filter(|slot| *slot != EMPTY);
        let len = self.len().saturating_sub(removed.len() as u32);
        let without = Self::filled(entries, len, self.capacity, room(self.capacity));
        if without.is_sparse() {
            return without.fitting(without.entries(), len);
        }
        without
    }

    /// A copy of the slots that `keep` wants, none when it wants all of them.
    pub(super) fn retained(&self, keep: &dyn Fn(u64) -> bool) -> Option<Self> {
        let mut kept = Vec::with_capacity(self.len() as usize);
        kept.extend(self.entries().filter(|slot| keep(slot & LOCATION_MASK)));
        let len = kept.len() as u32; // no more than self.len()
        if len == self.len() {
            return None;
        }
        Some(self.fitting(kept.iter().copied(), len))
    }

    fn fitting(&self, entries: impl Iterator<Item = u64> + Clone, len: u32) -> Self {
        let needed = len.saturating_add(len / 4).max(STEP_MIN);
        let capacity = needed.max(self.capacity.min(SMALL));
        Self::filled(entries, len, capacity, room(capacity))
    }

    /// Places sorted entries in a new array, with `room` empty slots behind the last.
    fn filled(
        entries: impl Iterator<Item = u64> + Clone,
        len: u32,
        capacity: u32,
        room: usize,
    ) -> Self {
        let place = |next: usize, slot: u64| next.max(home(slot, capacity));
        let end = entries
            .clone()
            .fold(0, |next, slot| place(next, slot) + 1)
            .max(capacity as usize);
        let mut slots = Self::empty(end + room);
        let mut next = 0;
        for slot in entries {
            let at = place(next, slot);
            if let Some(target) = slots.get_mut(at) {
                *target.get_mut() = slot;
            }
            next = at + 1;
        }
        Self::of(slots, capacity, len)
    }
}

/// Empty slots behind the last one of a new array.
fn room(capacity: u32) -> usize {
    2 + (capacity as usize / 32).min(14)
}

#[cfg(test)]
mod tests {
    use super::super::shard::{Inserted, TAG_BITS};
    use super::*;

    fn scattered(n: u64) -> u64 {
        n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - TAG_BITS)
    }

    fn filled(count: u64) -> Shard {
        let mut shard = Shard::default();
        for n in 0..count {
            while shard.insert(scattered(n), n, &|_| false) == Inserted::Full {
                shard = shard.grown();
            }
        }
        shard
    }

    #[test]
    fn load_stays_in_its_bounds() {
        for count in [200, 1_000, 2_441, 2_700, 3_000, 20_000] {
            let shard = filled(count);
            let bytes = shard.memory() as f64 / count as f64;
            assert!((9.0..11.5).contains(&bytes), "{bytes} at {count}");
            assert_eq!(shard.conflicts(), 0);
        }
    }

    #[test]
    fn a_retained_shard_is_as_small_as_a_new_one() {
        let shard = filled(3_000).retained(&|location| location >= 2_000);
        let shard = shard.unwrap();
        assert_eq!(shard.len(), 1_000);
        assert!(shard.memory() <= 1_000 * 11 && !shard.is_sparse());
        assert!(shard.retained(&|_| true).is_none());
        let none = shard.retained(&|_| false).unwrap();
        assert_eq!(none.len(), 0);
        assert!(none.memory() <= SMALL as usize * 8 + 128);
    }

    /// Or each round of the recent keys would ask for all the memory again.
    #[test]
    fn a_small_shard_keeps_its_size() {
        let shard = filled(60);
        let emptied = shard.retained(&|_| false).unwrap();
        assert_eq!((emptied.len(), emptied.memory()), (0, shard.memory()));
        assert!(!emptied.is_sparse());
    }

    #[test]
    fn a_crowded_end_gets_more_room_not_more_homes() {
        let mut shard = Shard::default();
        let mut steps = 0;
        for n in 0..10_000 {
            while shard.insert((1 << TAG_BITS) - 1, n, &|_| false) == Inserted::Full {
                shard = shard.grown();
                steps += 1;
            }
        }
        assert!(shard.memory() < 10_000 * 8 * 3, "{}", shard.memory());
        assert!(steps < 300, "{steps}");
    }
}
