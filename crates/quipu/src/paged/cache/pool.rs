//! Frames that hold a part of a page each, and the buckets that lead to them.
//!
//! ```text
//! (stream, part) ──hash──> bucket: 8 × (tag, frame)          one line of the cache
//!                                          │
//!                               ┌──────────┴─────────┐
//!                               ▼                    ▼
//!                          head of a frame        its bytes      both in a slab
//! ```
//!
//! Pages of up to 4,096 bytes are one part; longer ones are cut into parts of so many, which come and go one by
//! one. A look-up reads the bucket, the head and the bytes that are wanted: three lines, of which the last two are
//! asked for together, since the number of a frame tells where both are. It takes no lock and changes none of
//! them, but for a mark that the first one sets. What a bucket says is a hint: the frame says which part it has.
//!
//! A part that comes in takes the place of one that was not read since the hand came by (a clock). It is
//! not marked itself, so that pages that are read once do not push out those in daily use. Once there is no room
//! left, of the pages that are read from disk only some come in, by chance: where more is read than fits, most would
//! be pushed out before they are read again, and each costs a copy and a victim.
//!
//! The lock and the atomics are not those of [`sync`](crate::sync): all that is done beside them is copying and
//! arithmetic, so there is nothing between which another order of steps could come.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::frame::{Frame, copy_out};
use crate::slabs::{COST_BYTES, Free, MAX_SLOTS, SLOT_BYTES, Slabs};
use crate::sync::Unique;
use crate::sync::striped::{OfThread, Striped};

/// Bytes that a part takes: its slot and head, its share of the buckets.
pub(super) const PART_BYTES: usize = COST_BYTES + 32;
/// Parts that a bucket leads to,
const WAYS: usize = 8;
/// and frames that there are for each: with more, full buckets would be many.
const FRAMES_PER_BUCKET: usize = 3;
/// Of so many pages that are offered to a full pool, about one comes in.
const OFFERS: u64 = 8;
/// Bits of a part's number that say where in its page it is: a page has at most 65,535 bytes.
const WITHIN_BITS: u32 = 4;

/// Where parts are, for a hash: the upper half of it, and the number of the frame. 0 is none.
#[repr(align(64))]
#[derive(Default)]
struct Bucket([AtomicU64; WAYS]);

/// What changes when a part comes in.
#[derive(Default)]
struct Hand {
    /// The frame to look at next.
    at: u32,
    free: Free,
    /// Parts that are there.
    parts: usize,
}

#[derive(Debug, Default)]
struct Looks {
    hits: AtomicU64,
    misses: AtomicU64,
}

/// Pages in memory, at most so many bytes of them.
pub(super) struct Pool {
    /// Names of streams that were given.
    pub(super) streams: Unique,
    slabs: Slabs,
    buckets: Box<[Bucket]>,
    hand: Mutex<Hand>,
    /// Whether a part had to go for another.
    is_full: AtomicBool,
    looks: Striped<Looks>,
}

/// A part's name, and where it is looked for.
#[derive(Clone, Copy)]
struct Name {
    stream: u64,
    part: u64,
    hash: u64,
}

impl Name {
    /// The part of a page that holds the byte `within`.
    #[inline]
    fn of(stream: u64, page: u64, within: usize) -> Self {
        let part = (within / SLOT_BYTES) as u64;
        Self::new(stream, page << WITHIN_BITS | part)
    }

    #[inline]
    fn new(stream: u64, part: u64) -> Self {
        // Streams and pages are numbers that nobody chooses to collide: a multiplication spreads them.
        let mixed = u128::from(stream.rotate_left(32) ^ part ^ 0x9E37_79B9_7F4A_7C15)
            * u128::from(0xD6E8_FEB8_6659_FD93_u64);
        let hash = (mixed as u64 ^ (mixed >> 64) as u64).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
        Self { stream, part, hash }
    }

    /// What a bucket has of it; never 0.
    #[inline]
    fn tag(self) -> u64 {
        self.hash >> 32 | 1
    }

    fn way(self, frame: u32) -> u64 {
        self.tag() << 32 | u64::from(frame)
    }
}

/// Whether pages of such numbers and sizes have names of their own. All that files have do.
#[inline]
fn is_named(page: u64, end: usize) -> bool {
    page <= u64::MAX >> WITHIN_BITS && end <= SLOT_BYTES << WITHIN_BITS
}

impl Pool {
    pub(super) fn new(bytes: u64) -> Self {
        let parts = usize::try_from(bytes).map_or(usize::MAX, |bytes| bytes / PART_BYTES);
        // More than there are numbers for, or memory for what leads to them, helps nobody.
        let parts = parts.min(MAX_SLOTS);
        let buckets = parts.div_ceil(FRAMES_PER_BUCKET);
        Self {
            streams: Unique::new(),
            slabs: Slabs::new(parts),
            buckets: (0..buckets).map(|_| Bucket::default()).collect(),
            hand: Mutex::default(),
            is_full: AtomicBool::new(parts == 0),
            looks: Striped::default(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.hand.lock().parts * PART_BYTES
    }

    /// Bytes of memory: of the slabs as a whole, whatever part of them is in use, and of the buckets.
    pub(super) fn memory(&self) -> usize {
        let found_by = size_of_val(&*self.buckets);
        size_of::<Self>() + found_by + self.slabs.memory() + self.hand.lock().free.memory()
    }

    pub(super) fn hits(&self) -> u64 {
        let looks = self.looks.iter();
        looks.map(|looks| looks.hits.load(Ordering::Relaxed)).sum()
    }

    pub(super) fn misses(&self) -> u64 {
        let looks = self.looks.iter();
        looks
            .map(|looks| looks.misses.load(Ordering::Relaxed))
            .sum()
    }

    #[inline]
    fn bucket(&self, name: Name) -> &[AtomicU64] {
        let low = u64::from(name.hash as u32);
        let at = (low * self.buckets.len() as u64) >> 32;
        self.buckets
            .get(at as usize)
            .map_or(&[], |bucket| &bucket.0)
    }

    #[inline]
    fn frame(&self, number: u32) -> Option<Frame<'_>> {
        self.slabs.slot(number).map(Frame::from)
    }

    /// Fills `out` from the bytes of a page that begin `within` it; false, with anything in `out`, where they are
    /// not all in memory.
    pub(super) fn read(&self, stream: u64, page: u64, within: usize, out: &mut [u8]) -> bool {
        let found = self.peek(stream, page, within, out);
        self.count(found);
        found
    }

    /// The same, uncounted.
    #[inline]
    pub(super) fn peek(&self, stream: u64, page: u64, within: usize, out: &mut [u8]) -> bool {
        let end = within.saturating_add(out.len());
        is_named(page, end)
            && match end <= SLOT_BYTES {
                true => self.read_part(Name::of(stream, page, 0), within, out),
                false => self.read_parts(stream, page, within, out),
            }
    }

    #[inline]
    fn read_part(&self, name: Name, at: usize, out: &mut [u8]) -> bool {
        let copied = self.look_up(name, |words, bytes| {
            let is_there = at + out.len() <= bytes;
            if is_there {
                copy_out(words, at, out);
            }
            is_there
        });
        copied == Some(true)
    }

    /// Of a page that is longer than a part, or shorter than what is wanted.
    #[cold]
    fn read_parts(&self, stream: u64, page: u64, mut within: usize, mut out: &mut [u8]) -> bool {
        while !out.is_empty() {
            let at = within % SLOT_BYTES;
            let (now, rest) = out.split_at_mut(out.len().min(SLOT_BYTES - at));
            if !self.read_part(Name::of(stream, page, within), at, now) {
                return false;
            }
            within += now.len();
            out = rest;
        }
        true
    }

    /// What `look` makes of the words of a page that is in memory and not longer than a part. It may be called
    /// with anything, before it is found out that this was not the page: it is to end, and only what is given
    /// back here counts.
    #[inline]
    pub(super) fn look<T>(
        &self,
        stream: u64,
        page: u64,
        mut look: impl FnMut(&[AtomicU64]) -> T,
    ) -> Option<T> {
        let name = Name::of(stream, page, 0);
        let found = match is_named(page, 0) {
            true => self.look_up(name, |words, _| look(words)),
            false => None,
        };
        self.count(found.is_some());
        found
    }

    #[inline]
    pub(super) fn count(&self, found: bool) {
        let looks = self.looks.of(OfThread::get());
        let counter = match found {
            true => &looks.hits,
            false => &looks.misses,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    #[inline(always)]
    fn look_up<T>(&self, name: Name, mut look: impl FnMut(&[AtomicU64], usize) -> T) -> Option<T> {
        for way in self.bucket(name) {
            let way = way.load(Ordering::Acquire);
            if way >> 32 != name.tag() {
                continue;
            }
            let Some(frame) = self.frame(way as u32) else {
                continue;
            };
            if let Some(found) = frame.read(name.stream, name.part, &mut look) {
                frame.mark();
                return Some(found);
            }
        }
        None
    }
}

/// What changes the pool, by one thread at a time.
impl Pool {
    /// Whether a page that was looked for in vain is to come in.
    pub(super) fn takes_offer(&self, page: u64) -> bool {
        if !self.is_full.load(Ordering::Relaxed) {
            return true;
        }
        if self.buckets.is_empty() {
            return false;
        }
        // Mixed, so that no pattern of looks decides which pages never come in.
        let looks = self.looks.of(OfThread::get());
        let misses = looks.misses.load(Ordering::Relaxed);
        Name::new(misses, page).hash.is_multiple_of(OFFERS)
    }

    /// Takes a page in, as far as there can be room for it.
    pub(super) fn insert(&self, stream: u64, page: u64, bytes: &[u8]) {
        if !is_named(page, bytes.len()) {
            return;
        }
        let mut hand = self.hand.lock();
        for (part, bytes) in bytes.chunks(SLOT_BYTES).enumerate() {
            let name = Name::of(stream, page, part * SLOT_BYTES);
            self.insert_part(name, bytes, &mut hand);
        }
    }

    /// Lets go of the first pages of a stream, of `size` bytes each: nobody reads them any more. Looks for no more than
    /// there is room for; what lies behind goes by itself, when others need the room.
    pub(super) fn forget(&self, stream: u64, pages: u64, size: usize) {
        let pages = pages.min(self.buckets.len() as u64 * WAYS as u64);
        for page in (0..pages).filter(|&page| is_named(page, size)) {
            for within in (0..size).step_by(SLOT_BYTES) {
                self.forget_part(Name::of(stream, page, within));
            }
        }
    }

    fn forget_part(&self, name: Name) {
        if self.frame_of(name).is_none() {
            return;
        }
        let mut hand = self.hand.lock();
        if let Some(number) = self.frame_of(name) {
            self.evict(number, &mut hand);
            self.is_full.store(false, Ordering::Relaxed);
        }
    }

    /// The frame that has a part.
    fn frame_of(&self, name: Name) -> Option<u32> {
        let mut ways = self.bucket(name).iter();
        ways.find_map(|way| self.leads_to(way.load(Ordering::Acquire), name))
    }

    /// The frame of a way, if that has this part.
    fn leads_to(&self, way: u64, name: Name) -> Option<u32> {
        let number = way as u32;
        let is_there = way >> 32 == name.tag()
            && self.frame(number).and_then(|frame| frame.content())
                == Some((name.stream, name.part));
        is_there.then_some(number)
    }

    fn insert_part(&self, name: Name, bytes: &[u8], hand: &mut Hand) {
        let Some(way) = self.way_for(name, hand) else {
            // Another thread has read it as well.
            return;
        };
        let free = hand.free.take(&self.slabs).or_else(|| {
            self.evict_next(hand);
            hand.free.take(&self.slabs)
        });
        let Some((number, slot)) = free else {
            return;
        };
        Frame::from(slot).fill(name.stream, name.part, bytes);
        way.store(name.way(number), Ordering::Release);
        hand.parts += 1;
    }

    /// A free place in the part's bucket, made free if there is none; none where the part is there.
    fn way_for(&self, name: Name, hand: &mut Hand) -> Option<&AtomicU64> {
        let bucket = self.bucket(name);
        let mut free = None;
        for way in bucket {
            let at = way.load(Ordering::Acquire);
            if at == 0 {
                free = free.or(Some(way));
            } else if self.leads_to(at, name).is_some() {
                return None;
            }
        }
        free.or_else(|| {
            let number = |way: &AtomicU64| way.load(Ordering::Acquire) as u32;
            let is_unused = |way: &&AtomicU64| {
                self.frame(number(way))
                    .is_some_and(|frame| !frame.is_used())
            };
            let mut ways = bucket.iter();
            let turn = bucket.get(hand.at as usize % WAYS);
            let victim = ways.find(is_unused).or(turn)?;
            self.evict(number(victim), hand);
            Some(victim)
        })
    }

    /// Makes the frame free that was not read for longest, about.
    fn evict_next(&self, hand: &mut Hand) {
        self.is_full.store(true, Ordering::Relaxed);
        // The first turn takes the marks away.
        for _ in 0..=2 * hand.parts {
            let number = hand.at;
            let next = self.slabs.next(number);
            hand.at = next.filter(|&next| hand.free.was_given(next)).unwrap_or(0);
            let Some(frame) = self.frame(number) else {
                continue;
            };
            if !frame.unmark() && self.evict(number, hand) {
                return;
            }
        }
    }

    /// Whether there was a part to let go of.
    fn evict(&self, number: u32, hand: &mut Hand) -> bool {
        let Some(frame) = self.frame(number) else {
            return false;
        };
        let Some((stream, part)) = frame.content() else {
            return false;
        };
        frame.clear();
        let name = Name::new(stream, part);
        let way = name.way(number);
        for at in self.bucket(name) {
            if at.load(Ordering::Acquire) == way {
                at.store(0, Ordering::Release);
            }
        }
        hand.free.put_back(number);
        hand.parts -= 1;
        true
    }
}

#[cfg(test)]
mod tests;
