//! Pages of slots that are kept in memory.
//!
//! A page that was read stays with its table as long as there is room, where a look-up finds it beside the
//! fence that led to it. Pages beyond that share a cache.

use std::ops::Deref;
use std::sync::Arc;

use super::page::PAGE_SIZE;
use crate::paged::PageCache;
use crate::sync::OnceLock;
use crate::sync::atomic::{AtomicU64, Ordering};

/// Of so many parts of the bytes, one is the cache's.
const CACHE_PART: u64 = 4;

/// What the tables of an archive keep in memory together.
#[derive(Debug)]
pub(crate) struct PageMemory {
    /// Bytes that may stay with tables,
    most: u64,
    /// and that do.
    kept: AtomicU64,
    cache: PageCache,
}

impl PageMemory {
    /// Room for so many bytes of pages; for all of them where no number is given.
    pub(crate) fn new(bytes: Option<u64>) -> Self {
        let cached = bytes.map_or(0, |bytes| bytes / CACHE_PART);
        Self {
            most: bytes.map_or(u64::MAX, |bytes| bytes - cached),
            kept: AtomicU64::new(0),
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
        self.kept.load(Ordering::Relaxed) as usize + self.cache.bytes()
    }

    /// Bytes of memory.
    pub(crate) fn memory(&self) -> usize {
        self.kept.load(Ordering::Relaxed) as usize + self.cache.memory()
    }

    fn take(&self) -> bool {
        let page = PAGE_SIZE as u64;
        let more = |kept: u64| kept.checked_add(page).filter(|&kept| kept <= self.most);
        let taken = self
            .kept
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.is_ok()
    }
}

/// The place of one page.
#[derive(Debug)]
pub(super) struct PagePlace {
    /// Its first slot.
    pub(super) first: u64,
    kept: OnceLock<Arc<[u8]>>,
}

impl PagePlace {
    pub(super) fn new(first: u64) -> Self {
        Self {
            first,
            kept: OnceLock::new(),
        }
    }

    /// The page, if it is in memory.
    #[inline]
    pub(super) fn get(&self, memory: &PageMemory, stream: u64, at: u64) -> Option<Page<'_>> {
        match self.kept.get() {
            Some(page) => Some(Page::Kept(page)),
            None => memory.cache.get(stream, at).map(Page::Cached),
        }
    }

    /// Keeps a page that was read, where there is room.
    pub(super) fn put(&self, page: &Arc<[u8]>, memory: &PageMemory, stream: u64, at: u64) {
        match memory.take() {
            true => {
                if self.kept.set(Arc::clone(page)).is_err() {
                    // Another thread has read it as well.
                    memory.kept.fetch_sub(PAGE_SIZE as u64, Ordering::Relaxed);
                }
            }
            false => memory.cache.insert(stream, at, page),
        }
    }

    /// Lets go of the page: its table goes.
    pub(super) fn release(&self, memory: &PageMemory) {
        if self.kept.get().is_some() {
            memory.kept.fetch_sub(PAGE_SIZE as u64, Ordering::Relaxed);
        }
    }
}

/// A page of slots.
pub(super) enum Page<'a> {
    Kept(&'a [u8]),
    Cached(Arc<[u8]>),
}

impl Deref for Page<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Kept(page) => page,
            Self::Cached(page) => page,
        }
    }
}
