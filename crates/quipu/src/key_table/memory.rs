//! Pages of slots that are kept in memory.
//!
//! A page that was read stays with its table as long as there is room, where a look-up finds it beside the
//! fence that led to it: in a slot of slabs that the tables share, which another page takes when the table goes. Pages
//! beyond that share a cache.
//!
//! The lock and the atomics of the slots are not those of [`sync`](crate::sync), as in the cache: see there.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::page::{PAGE_BYTES, PAGE_SIZE};
use crate::paged::PageCache;
use crate::slabs::{Free, MAX_SLOTS, SLOT_BYTES, Slabs, Slot};
use crate::sync::OnceLock;

/// Of so many parts of the bytes, one is the cache's.
const CACHE_PART: u64 = 4;

/// What the tables of an archive keep in memory together.
pub(crate) struct PageMemory {
    /// Slots for pages that stay with tables.
    slabs: Slabs,
    kept: Mutex<Kept>,
    /// Whether there was no slot for the last page.
    is_full: AtomicBool,
    cache: PageCache,
}

#[derive(Default)]
struct Kept {
    free: Free,
    pages: usize,
}

impl PageMemory {
    /// Room for so many bytes of pages; for all of them where no number is given.
    pub(crate) fn new(bytes: Option<u64>) -> Self {
        let cached = bytes.map_or(0, |bytes| bytes / CACHE_PART);
        let kept = bytes.map_or(MAX_SLOTS as u64, |bytes| {
            (bytes - cached) / PAGE_SIZE as u64
        });
        Self {
            slabs: Slabs::new(usize::try_from(kept).unwrap_or(MAX_SLOTS)),
            kept: Mutex::default(),
            is_full: AtomicBool::new(false),
            cache: PageCache::new(usize::try_from(cached).unwrap_or(usize::MAX)),
        }
    }

    /// A name for a table's pages that no other's have.
    pub(super) fn next_stream(&self) -> u64 {
        self.cache.next_stream()
    }

    /// Bytes of pages that are in use, of those that may be.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.kept.lock().pages * PAGE_SIZE + self.cache.bytes()
    }

    /// Bytes of memory, of slabs as a whole.
    pub(crate) fn memory(&self) -> usize {
        let free = self.kept.lock().free.memory();
        self.slabs.memory() + free + self.cache.memory()
    }

    /// Whether a page that was looked for in vain is to be read as a whole and [put](PagePlace::put) here. Where
    /// not, less is to be read.
    pub(super) fn takes(&self, at: u64) -> bool {
        !self.is_full.load(Ordering::Relaxed) || self.cache.takes_offer(at)
    }

    fn take(&self) -> Option<(u32, Slot<'_>)> {
        let mut kept = self.kept.lock();
        let taken = kept.free.take(&self.slabs);
        self.is_full.store(taken.is_none(), Ordering::Relaxed);
        kept.pages += usize::from(taken.is_some());
        taken
    }

    fn put_back(&self, number: u32) {
        let mut kept = self.kept.lock();
        kept.free.put_back(number);
        kept.pages -= 1;
        self.is_full.store(false, Ordering::Relaxed);
    }
}

impl fmt::Debug for PageMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageMemory")
            .field("kept", &self.kept.lock().pages)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

/// The place of one page.
#[derive(Debug)]
pub(super) struct PagePlace {
    /// Its first slot.
    pub(super) first: u64,
    /// The slot that it is kept in.
    kept: OnceLock<u32>,
}

impl PagePlace {
    pub(super) fn new(first: u64) -> Self {
        Self {
            first,
            kept: OnceLock::new(),
        }
    }

    /// What `look` makes of the words of the page, if it is in memory. It may be called with any words, more than
    /// once: only what is given back counts.
    #[inline]
    pub(super) fn look<T>(
        &self,
        memory: &PageMemory,
        stream: u64,
        at: u64,
        mut look: impl FnMut(&[AtomicU64]) -> T,
    ) -> Option<T> {
        match self.kept.get() {
            Some(&number) => memory.slabs.slot(number).map(|slot| look(slot.words)),
            None => memory.cache.look(stream, at, look),
        }
    }

    /// Keeps the words of a page that was read: with the table, where there is room, else in the cache.
    pub(super) fn put(&self, page: &[u8], memory: &PageMemory, stream: u64, at: u64) {
        const _: () = assert!(PAGE_BYTES <= SLOT_BYTES && SLOT_BYTES == PAGE_SIZE);
        let Some((number, slot)) = memory.take() else {
            return memory.cache.insert(stream, at, page);
        };
        for (to, from) in slot.words.iter().zip(page.as_chunks().0) {
            // Nobody knows of the slot yet.
            to.store(u64::from_le_bytes(*from), Ordering::Relaxed);
        }
        if self.kept.set(number).is_err() {
            // Another thread has read it as well.
            memory.put_back(number);
        }
    }

    /// Lets go of the page: its table goes.
    pub(super) fn release(&self, memory: &PageMemory) {
        if let Some(&number) = self.kept.get() {
            memory.put_back(number);
        }
    }
}
