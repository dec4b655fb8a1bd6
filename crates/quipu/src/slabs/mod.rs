//! Memory for pages, in allocations so large that the system can back them with huge pages.
//!
//! ```text
//! slab     up to 7 words unused | heads, 8 words a slot | slots, 512 words each
//! number   slab << 24 | slot
//! ```
//!
//! A page of 4 KiB in an allocation of its own costs a reader a miss of the TLB beside that of the cache. Slots lie
//! side by side instead: in small slabs at first, so that a small archive takes little, and from 4 MiB of slots on in
//! ones that are advised for huge pages. Their memory comes as zeros from the system and is not touched before it is
//! used.
//!
//! Heads and slots are atomics, so that readers may look at what a writer changes and find out later
//! that they read in vain. A head begins at a line of the cache, and so does a slot.

mod raw;

use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;

pub(crate) use raw::advise_huge;

/// Bytes of a slot.
pub(crate) const SLOT_BYTES: usize = SLOT_WORDS * WORD_BYTES;
const SLOT_WORDS: usize = 512;
/// Words of a head.
pub(crate) const HEAD_WORDS: usize = 8;
/// Bytes that a slot takes, its head included.
pub(crate) const COST_BYTES: usize = (SLOT_WORDS + HEAD_WORDS) * WORD_BYTES;
const WORD_BYTES: usize = size_of::<u64>();
/// What a head begins at a multiple of.
const LINE_BYTES: usize = 64;

/// More slots than there are numbers for, or anybody needs, are never made.
pub(crate) const MAX_SLOTS: usize = 1 << SLOT_BITS;
const SLOT_BITS: u32 = 24;
/// Slots of a slab at least.
const FEWEST: usize = 16;
/// From so many slots on, slabs are large.
const LARGE_FROM: usize = 1000;
/// Slots that fill 2 MiB, but for less than a page: the allocator's own words have room there as well, and the
/// system puts what is a multiple of 2 MiB at such an address.
const IN_HUGE_PAGE: usize = 504;
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Up to so many slots, in slabs that are made when they are needed.
pub(crate) struct Slabs {
    places: Box<[Place]>,
}

struct Place {
    slots: usize,
    slab: OnceLock<Slab>,
}

struct Slab {
    words: Box<[AtomicU64]>,
    /// Where the heads begin,
    heads: usize,
    /// and the slots.
    slots: usize,
}

/// A slot and its head.
#[derive(Clone, Copy)]
pub(crate) struct Slot<'a> {
    pub(crate) head: &'a [AtomicU64; HEAD_WORDS],
    pub(crate) words: &'a [AtomicU64; SLOT_WORDS],
}

/// Which slots are free.
#[derive(Debug, Default)]
pub(crate) struct Free {
    /// The first that was never used; none before the first call.
    fresh: Option<u32>,
    /// Those that were given back.
    returned: Vec<u32>,
}

impl Slabs {
    pub(crate) fn new(slots: usize) -> Self {
        let slots = slots.min(MAX_SLOTS);
        let mut places = Vec::new();
        let mut total = 0;
        while total < slots {
            let place = Place {
                slots: next_slab(total).min(slots - total),
                slab: OnceLock::new(),
            };
            total += place.slots;
            places.push(place);
        }
        Self {
            places: places.into_boxed_slice(),
        }
    }

    /// A slot that was made.
    #[inline]
    pub(crate) fn slot(&self, number: u32) -> Option<Slot<'_>> {
        let (slab, slot) = parts(number);
        self.places.get(slab)?.slab.get()?.slot(slot)
    }

    /// A slot, whose slab is made if need be.
    fn make(&self, number: u32) -> Option<Slot<'_>> {
        let (slab, slot) = parts(number);
        let place = self.places.get(slab)?;
        let made = place.slab.get_or_init(|| Slab::new(place.slots));
        made.slot(slot)
    }

    /// The number behind another.
    pub(crate) fn next(&self, number: u32) -> Option<u32> {
        let (slab, slot) = parts(number);
        let place = self.places.get(slab)?;
        let next = match slot + 1 < place.slots {
            true => number + 1,
            false => (slab as u32 + 1) << SLOT_BITS,
        };
        (parts(next).0 < self.places.len()).then_some(next)
    }

    /// Bytes of memory, of slabs as a whole.
    pub(crate) fn memory(&self) -> usize {
        let slabs = self.places.iter().filter_map(|place| place.slab.get());
        let slabs: usize = slabs.map(|slab| size_of_val(&*slab.words)).sum();
        size_of_val(&*self.places) + slabs
    }
}

impl Free {
    /// A slot that nobody uses, with its number.
    pub(crate) fn take<'a>(&mut self, slabs: &'a Slabs) -> Option<(u32, Slot<'a>)> {
        if let Some(number) = self.returned.pop() {
            return Some((number, slabs.slot(number)?));
        }
        let number = self.fresh.unwrap_or(0);
        let slot = slabs.make(number)?;
        // Behind the last one there is none to be made.
        self.fresh = Some(slabs.next(number).unwrap_or(u32::MAX));
        Some((number, slot))
    }

    pub(crate) fn put_back(&mut self, number: u32) {
        self.returned.push(number);
    }

    /// Whether the number was given out before, be it in use or not.
    pub(crate) fn was_given(&self, number: u32) -> bool {
        self.fresh.is_some_and(|fresh| number < fresh)
    }

    pub(crate) fn memory(&self) -> usize {
        self.returned.capacity() * size_of::<u32>()
    }
}

impl Slab {
    fn new(slots: usize) -> Self {
        let words = raw::zeroed(words_of(slots));
        if slots >= 2 * IN_HUGE_PAGE {
            raw::advise_huge(&words);
        }
        let into_line = words.as_ptr().addr() % LINE_BYTES;
        let heads = (LINE_BYTES - into_line) % LINE_BYTES / WORD_BYTES;
        Self {
            words,
            heads,
            slots: heads + slots * HEAD_WORDS,
        }
    }

    #[inline]
    fn slot(&self, slot: usize) -> Option<Slot<'_>> {
        let (head, words) = (
            self.heads + slot * HEAD_WORDS,
            self.slots + slot * SLOT_WORDS,
        );
        Some(Slot {
            head: self.words.get(head..)?.first_chunk()?,
            words: self.words.get(words..)?.first_chunk()?,
        })
    }
}

#[inline]
fn parts(number: u32) -> (usize, usize) {
    let slot = number & ((1 << SLOT_BITS) - 1);
    ((number >> SLOT_BITS) as usize, slot as usize)
}

/// Slots of the slab that comes when there are `total` of them: so many that slabs are few, and so few that not much
/// waits for use. The first 2 MiB of a large one are no huge page, since the allocator writes there before it is asked
/// for one.
fn next_slab(total: usize) -> usize {
    match total < LARGE_FROM {
        true => (total / 2).max(FEWEST),
        false => (total / 4)
            .next_multiple_of(IN_HUGE_PAGE)
            .max(2 * IN_HUGE_PAGE),
    }
}

/// Words of a slab of so many slots, with those that are left over where it does not begin a line. A large slab
/// fills its huge pages.
fn words_of(slots: usize) -> usize {
    let bytes = slots * COST_BYTES + LINE_BYTES - WORD_BYTES;
    let bytes = match slots.is_multiple_of(IN_HUGE_PAGE) {
        true => bytes.next_multiple_of(HUGE_PAGE_BYTES) - LINE_BYTES,
        false => bytes,
    };
    bytes / WORD_BYTES
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn every_slot_is_its_own_and_begins_a_line() {
        for most in [0, 1, 16, 17, 2000, 9000] {
            let (slabs, mut free) = (Slabs::new(most), Free::default());
            let mut numbers = Vec::new();
            while let Some((number, slot)) = free.take(&slabs) {
                assert_eq!(slot.head.as_ptr().addr() % LINE_BYTES, 0);
                assert_eq!(slot.words.as_ptr().addr() % LINE_BYTES, 0);
                for word in [
                    &slot.head[0],
                    &slot.head[7],
                    &slot.words[0],
                    &slot.words[511],
                ] {
                    assert_eq!(word.load(Ordering::Relaxed), 0);
                    word.store(u64::from(number) + 1, Ordering::Relaxed);
                }
                numbers.push(number);
            }
            assert_eq!(numbers.len(), most);
            for number in numbers {
                let slot = slabs.slot(number).unwrap();
                for word in [
                    &slot.head[0],
                    &slot.head[7],
                    &slot.words[0],
                    &slot.words[511],
                ] {
                    assert_eq!(word.load(Ordering::Relaxed), u64::from(number) + 1);
                }
            }
        }
    }

    #[test]
    fn what_is_put_back_is_taken_first() {
        let (slabs, mut free) = (Slabs::new(20), Free::default());
        let numbers: Vec<u32> = (0..18).map(|_| free.take(&slabs).unwrap().0).collect();
        free.put_back(numbers[3]);
        assert_eq!(free.take(&slabs).unwrap().0, numbers[3]);
        assert!(numbers.iter().all(|&number| free.was_given(number)));
        assert!(!free.was_given(slabs.next(numbers[17]).unwrap()));
    }

    /// Slabs are few, make no more room than asked for, and large ones fill huge pages to less than one of 4 KiB.
    #[test]
    fn slabs_are_as_large_as_they_should_be() {
        let slabs = Slabs::new(MAX_SLOTS);
        assert!(slabs.places.len() < 1 << (u32::BITS - SLOT_BITS));
        let slots = slabs.places.iter().map(|place| place.slots);
        assert_eq!(slots.sum::<usize>(), MAX_SLOTS);
        for multiple in 1..40 {
            let bytes = words_of(multiple * IN_HUGE_PAGE) * WORD_BYTES;
            let behind = bytes.next_multiple_of(HUGE_PAGE_BYTES) - bytes;
            assert_eq!(behind, LINE_BYTES, "{multiple}");
        }
        assert_eq!(words_of(IN_HUGE_PAGE) * WORD_BYTES, (2 << 20) - LINE_BYTES);
    }

    #[test]
    fn no_slab_is_made_ahead() {
        let (slabs, mut free) = (Slabs::new(MAX_SLOTS), Free::default());
        assert!(slabs.memory() < 8192, "{}", slabs.memory());
        let _ = free.take(&slabs);
        assert!(slabs.memory() < 8192 + 16 * COST_BYTES);
    }
}
