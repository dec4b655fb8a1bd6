//! Frames that hold a page each, and the buckets that lead to them.
//!
//! ```text
//! (stream, page) ──hash──> bucket: 8 × (tag, frame)          one cache line
//!                                          │
//!                                          ▼
//!                          frame: lock, (stream, page), bytes ──> the page
//! ```
//!
//! A look-up reads the bucket, the frame and the part of the page that is wanted: three cache lines, where
//! a map of shared pointers takes five and changes two of them. What a bucket says is a hint: the frame says,
//! under its lock, which page it has.
//!
//! A page that comes in takes the place of one that was not read since the hand came by (a clock). It is
//! not marked itself, so that pages that are read once do not push out those in daily use.
//!
//! The locks and atomics are not those of [`sync`](crate::sync): all that is done under them is copying and
//! arithmetic, so there is nothing between which another order of steps could come.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, RwLock};

use crate::sync::Unique;

/// Bytes that a page in memory costs beside its own: its frame, its part of a bucket, the allocator's.
const OVERHEAD_BYTES: u64 = 128;
/// Frames that are made at once.
const CHUNK: usize = 256;
/// Pages that a bucket leads to,
const WAYS: usize = 8;
/// and frames that there are for each: with more, full buckets would be many.
const FRAMES_PER_BUCKET: usize = 3;
const FEWEST_FRAMES: usize = 16;
/// A page of 4 KiB in memory.
const USUAL_BYTES: usize = 4096;

/// Where pages are, for a hash: the upper half of it, and the number of the frame. 0 is none.
#[repr(align(64))]
#[derive(Default)]
struct Bucket([AtomicU64; WAYS]);

#[repr(align(64))]
#[derive(Default)]
struct Frame {
    content: RwLock<Content>,
    /// Read since the hand came by.
    used: AtomicBool,
    hits: AtomicU64,
}

#[derive(Default)]
struct Content {
    stream: u64,
    page: u64,
    /// None while the frame is free.
    bytes: Option<Arc<[u8]>>,
}

/// What changes when a page comes in.
#[derive(Default)]
struct Hand {
    /// The frame to look at next.
    at: usize,
    /// So many frames were used.
    made: usize,
    free: Vec<u32>,
}

/// Pages in memory, at most so many bytes of them.
pub(super) struct Pool {
    /// Names of streams that were given.
    pub(super) streams: Unique,
    most: u64,
    bytes: AtomicU64,
    capacity: usize,
    frames: Box<[OnceLock<Box<[Frame]>>]>,
    buckets: Box<[Bucket]>,
    hand: Mutex<Hand>,
    /// Those of pages that have gone.
    hits: AtomicU64,
    misses: AtomicU64,
}

/// A page's name, and where it is looked for.
#[derive(Clone, Copy)]
struct Name {
    stream: u64,
    page: u64,
    hash: u64,
}

impl Name {
    fn new(stream: u64, page: u64) -> Self {
        // Streams and pages are numbers that nobody chooses to collide: a multiplication spreads them.
        let mixed = u128::from(stream.rotate_left(32) ^ page ^ 0x9E37_79B9_7F4A_7C15)
            * u128::from(0xD6E8_FEB8_6659_FD93_u64);
        let hash = (mixed as u64 ^ (mixed >> 64) as u64).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
        Self { stream, page, hash }
    }

    /// What a bucket has of it; never 0.
    fn tag(self) -> u64 {
        self.hash >> 32 | 1
    }

    fn way(self, frame: usize) -> u64 {
        self.tag() << 32 | frame as u64
    }

    fn is_in(self, content: &Content) -> bool {
        (content.stream, content.page) == (self.stream, self.page)
    }
}

impl Pool {
    pub(super) fn new(bytes: u64) -> Self {
        let frames = usize::try_from(bytes).map_or(usize::MAX, |bytes| bytes / USUAL_BYTES);
        // More than a bucket has numbers for, or memory for what leads to them, helps nobody.
        let capacity = frames.clamp(FEWEST_FRAMES, 1 << 24);
        let buckets = capacity.div_ceil(FRAMES_PER_BUCKET);
        Self {
            streams: Unique::new(),
            most: bytes,
            bytes: AtomicU64::new(0),
            capacity,
            frames: (0..capacity.div_ceil(CHUNK))
                .map(|_| OnceLock::new())
                .collect(),
            buckets: (0..buckets).map(|_| Bucket::default()).collect(),
            hand: Mutex::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Bytes of memory: of the pages, their frames and the buckets.
    pub(super) fn memory(&self) -> usize {
        // Held, so that the pages and their bytes are of one moment.
        let hand = self.hand.lock();
        let (made, pages) = (hand.made, hand.made.saturating_sub(hand.free.len()));
        let frames = made.next_multiple_of(CHUNK) * size_of::<Frame>();
        let found_by = size_of_val(&*self.frames) + size_of_val(&*self.buckets);
        let counts = pages * 2 * size_of::<usize>();
        let own = (self.bytes() as usize).saturating_sub(pages * OVERHEAD_BYTES as usize);
        size_of::<Self>() + found_by + frames + counts + own
    }

    pub(super) fn hits(&self) -> u64 {
        let chunks = self.frames.iter().filter_map(OnceLock::get);
        let frames = chunks.flat_map(|frames| frames.iter());
        let present: u64 = frames.map(|frame| frame.hits.load(Ordering::Relaxed)).sum();
        self.hits.load(Ordering::Relaxed) + present
    }

    pub(super) fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }

    fn bucket(&self, name: Name) -> &[AtomicU64] {
        let low = u64::from(name.hash as u32);
        let at = (low * self.buckets.len() as u64) >> 32;
        self.buckets
            .get(at as usize)
            .map_or(&[], |bucket| &bucket.0)
    }

    fn frame(&self, number: usize) -> Option<&Frame> {
        self.frames.get(number / CHUNK)?.get()?.get(number % CHUNK)
    }

    /// What `look` makes of a page's bytes, if it is in memory.
    #[inline]
    pub(super) fn with<T>(
        &self,
        stream: u64,
        page: u64,
        look: impl FnOnce(&Arc<[u8]>) -> Option<T>,
    ) -> Option<T> {
        let name = Name::new(stream, page);
        for way in self.bucket(name) {
            let way = way.load(Ordering::Acquire);
            if way >> 32 != name.tag() {
                continue;
            }
            let Some(frame) = self.frame(way as u32 as usize) else {
                continue;
            };
            let content = frame.content.read();
            if name.is_in(&content)
                && let Some(bytes) = &content.bytes
            {
                let found = look(bytes);
                drop(content);
                frame.hits.fetch_add(1, Ordering::Relaxed);
                // Read first: readers that find the mark set then share the line.
                if !frame.used.load(Ordering::Relaxed) {
                    frame.used.store(true, Ordering::Relaxed);
                }
                return found;
            }
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        None
    }

    /// Takes a page in, if there can be room for it.
    pub(super) fn insert(&self, stream: u64, page: u64, bytes: &[u8]) {
        let cost = bytes.len() as u64 + OVERHEAD_BYTES;
        if cost > self.most {
            return;
        }
        let name = Name::new(stream, page);
        let mut hand = self.hand.lock();
        let Some(way) = self.way_for(name, &mut hand) else {
            // Another thread has read it as well.
            return;
        };
        let mut spare = None;
        while hand.free.is_empty() && hand.made >= self.capacity
            || self.bytes().saturating_add(cost) > self.most
        {
            match self.evict_next(&mut hand) {
                Some(evicted) => spare = Some(evicted),
                None => return,
            }
        }
        let Some(number) = self.free_frame(&mut hand) else {
            return;
        };
        let Some(frame) = self.frame(number) else {
            return;
        };
        self.bytes.fetch_add(cost, Ordering::Relaxed);
        *frame.content.write() = Content {
            stream,
            page,
            bytes: Some(filled(spare, bytes)),
        };
        frame.used.store(false, Ordering::Relaxed);
        way.store(name.way(number), Ordering::Release);
    }

    /// A free place in the page's bucket, made free if there is none; none where the page is there.
    fn way_for(&self, name: Name, hand: &mut Hand) -> Option<&AtomicU64> {
        let bucket = self.bucket(name);
        let mut free = None;
        for way in bucket {
            let at = way.load(Ordering::Acquire);
            if at == 0 {
                free = free.or(Some(way));
            } else if at >> 32 == name.tag()
                && self
                    .frame(at as u32 as usize)
                    .is_some_and(|frame| name.is_in(&frame.content.read()))
            {
                return None;
            }
        }
        free.or_else(|| {
            let number = |way: &AtomicU64| way.load(Ordering::Acquire) as u32 as usize;
            let is_unused = |way: &&AtomicU64| {
                let frame = self.frame(number(way));
                frame.is_some_and(|frame| !frame.used.load(Ordering::Relaxed))
            };
            let mut ways = bucket.iter();
            let victim = ways.find(is_unused).or(bucket.get(hand.at % WAYS))?;
            self.evict(number(victim), hand);
            Some(victim)
        })
    }

    fn free_frame(&self, hand: &mut Hand) -> Option<usize> {
        if let Some(number) = hand.free.pop() {
            return Some(number as usize);
        }
        let number = hand.made;
        self.frames
            .get(number / CHUNK)?
            .get_or_init(|| (0..CHUNK).map(|_| Frame::default()).collect());
        hand.made += 1;
        Some(number)
    }

    /// Makes the frame free that was not read for longest, about; its page.
    fn evict_next(&self, hand: &mut Hand) -> Option<Arc<[u8]>> {
        // The first turn takes the marks away.
        for _ in 0..2 * hand.made {
            let number = hand.at;
            hand.at = if number + 1 < hand.made {
                number + 1
            } else {
                0
            };
            let Some(frame) = self.frame(number) else {
                continue;
            };
            if !frame.used.swap(false, Ordering::Relaxed)
                && let Some(evicted) = self.evict(number, hand)
            {
                return Some(evicted);
            }
        }
        None
    }

    fn evict(&self, number: usize, hand: &mut Hand) -> Option<Arc<[u8]>> {
        let frame = self.frame(number)?;
        let mut content = frame.content.write();
        let bytes = content.bytes.take()?;
        let name = Name::new(content.stream, content.page);
        drop(content);
        let way = name.way(number);
        for at in self.bucket(name) {
            if at.load(Ordering::Acquire) == way {
                at.store(0, Ordering::Release);
            }
        }
        let hits = frame.hits.swap(0, Ordering::Relaxed);
        self.hits.fetch_add(hits, Ordering::Relaxed);
        let cost = bytes.len() as u64 + OVERHEAD_BYTES;
        self.bytes.fetch_sub(cost, Ordering::Relaxed);
        hand.free.push(number as u32);
        Some(bytes)
    }
}

/// A page with these bytes, in the memory of one that has gone where that serves.
fn filled(spare: Option<Arc<[u8]>>, bytes: &[u8]) -> Arc<[u8]> {
    if let Some(mut spare) = spare.filter(|spare| spare.len() == bytes.len())
        && let Some(memory) = Arc::get_mut(&mut spare)
    {
        memory.copy_from_slice(bytes);
        return spare;
    }
    Arc::from(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pool: &Pool, stream: u64, page: u64) -> Option<u64> {
        pool.with(stream, page, |bytes| {
            bytes.first_chunk().map(|of| u64::from_le_bytes(*of))
        })
    }

    fn insert(pool: &Pool, stream: u64, page: u64, len: usize) {
        let mut bytes = vec![0; len];
        bytes[..8].copy_from_slice(&(stream << 32 | page).to_le_bytes());
        pool.insert(stream, page, &bytes);
    }

    #[test]
    fn most_of_what_fits_is_found() {
        let pool = Pool::new(1000 * 4300);
        for page in 0..1000 {
            insert(&pool, 1, page, 4084);
        }
        let found = (0..1000).filter(|&page| read(&pool, 1, page) == Some(1 << 32 | page));
        let found = found.count() as u64;
        assert!(found > 980, "{found}");
        assert_eq!((pool.hits(), pool.misses()), (found, 1000 - found));
    }

    #[test]
    fn pages_of_any_size_stay_within_the_bytes() {
        let pool = Pool::new(1_000_000);
        for page in 0..5000 {
            insert(&pool, page % 7, page, 64 + (page as usize * 37) % 9000);
            assert!(pool.bytes() <= 1_000_000);
        }
        let bytes: usize = (0..5000)
            .filter_map(|page| pool.with(page % 7, page, |bytes| Some(bytes.len() + 128)))
            .sum();
        assert_eq!(pool.bytes(), bytes as u64);
        assert!(bytes > 800_000);
    }

    #[test]
    fn what_is_read_stays() {
        let pool = Pool::new(100 * 4224);
        insert(&pool, 1, 0, 4084);
        for page in 1..5000 {
            assert_eq!(read(&pool, 1, 0), Some(1 << 32), "{page}");
            insert(&pool, 1, page, 4084);
        }
    }

    #[test]
    fn the_same_page_twice_is_one() {
        let pool = Pool::new(100_000);
        insert(&pool, 1, 5, 4084);
        let bytes = pool.bytes();
        insert(&pool, 1, 5, 4084);
        assert_eq!(pool.bytes(), bytes);
    }

    #[test]
    fn nothing_is_kept_where_there_is_no_room() {
        let pool = Pool::new(0);
        insert(&pool, 1, 5, 4084);
        assert_eq!((read(&pool, 1, 5), pool.bytes()), (None, 0));
    }

    /// Threads that read and insert by the thousand never find another page's bytes.
    #[test]
    fn a_page_is_itself_or_not_there() {
        let pool = Pool::new(50 * 300);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let pool = &pool;
                scope.spawn(move || {
                    for n in 0..20_000_u64 {
                        let page = n.wrapping_mul(0x9E37_79B9 + thread) % 200;
                        match read(pool, 3, page) {
                            Some(found) => assert_eq!(found, 3 << 32 | page),
                            None => insert(pool, 3, page, 100),
                        }
                    }
                });
            }
        });
        let found: u64 = (0..200)
            .filter_map(|page| read(&pool, 3, page).map(|_| 228))
            .sum();
        assert_eq!(pool.bytes(), found);
    }
}
