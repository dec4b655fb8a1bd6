//! The page cache: full pages of index files, bounded in bytes, shared by whoever is given it.

use std::fmt;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::sync::atomic::{AtomicU64, Ordering};

/// Bytes that a cached page costs beside its own.
const OVERHEAD_BYTES: u64 = 96;

/// A cache of index pages, bounded in bytes. Clones share it, and so do all archives and journals
/// that are given one.
///
/// ```
/// use quipu::{Archive, Options, PageCache};
///
/// let cache = PageCache::new(16 << 20);
/// let folder = tempfile::tempdir()?;
/// let open = |name| Options::new().page_cache(cache.clone()).open(folder.path().join(name));
/// let blocks: Archive<[u8; 32]> = open("blocks")?;
/// let receipts: Archive<[u8; 32]> = open("receipts")?;
/// assert!(cache.bytes() <= 16 << 20);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct PageCache {
    inner: Arc<Inner>,
}

struct Inner {
    pages: Cache<(u64, u64), Arc<[u8]>, PageBytes>,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Clone)]
struct PageBytes;

impl Weighter<(u64, u64), Arc<[u8]>> for PageBytes {
    fn weight(&self, _: &(u64, u64), page: &Arc<[u8]>) -> u64 {
        page.len() as u64 + OVERHEAD_BYTES
    }
}

impl PageCache {
    /// A cache of at most `bytes` bytes, what it needs beside the pages included. With 0 it keeps
    /// nothing.
    pub fn new(bytes: usize) -> Self {
        let pages = (bytes / 4096).clamp(16, 1 << 20);
        Self {
            inner: Arc::new(Inner {
                pages: Cache::with_weighter(pages, bytes as u64, PageBytes),
                hits: AtomicU64::new(0),
                misses: AtomicU64::new(0),
            }),
        }
    }

    /// Pages that were found.
    pub fn hits(&self) -> u64 {
        self.inner.hits.load(Ordering::Relaxed)
    }

    /// Pages that had to be read from disk.
    pub fn misses(&self) -> u64 {
        self.inner.misses.load(Ordering::Relaxed)
    }

    /// Bytes in use, what the pages cost beside their own included.
    pub fn bytes(&self) -> usize {
        self.inner.pages.weight() as usize
    }

    #[inline]
    pub(crate) fn get(&self, stream: u64, page: u64) -> Option<Arc<[u8]>> {
        let found = self.inner.pages.get(&(stream, page));
        let counter = if found.is_some() {
            &self.inner.hits
        } else {
            &self.inner.misses
        };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    pub(crate) fn insert(&self, stream: u64, page: u64, bytes: Arc<[u8]>) {
        self.inner.pages.insert((stream, page), bytes);
    }
}

impl fmt::Debug for PageCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageCache")
            .field("bytes", &self.bytes())
            .field("hits", &self.hits())
            .field("misses", &self.misses())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_within_its_bytes() {
        let cache = PageCache::new(100_000);
        for page in 0..1000 {
            cache.insert(1, page, Arc::from(vec![0; 4084]));
            assert!(cache.bytes() <= 100_000);
        }
        assert!(cache.bytes() > 50_000);
        assert!((0..1000).any(|page| cache.get(1, page).is_some()));
        assert!(cache.hits() + cache.misses() > 0);
    }

    #[test]
    fn streams_do_not_share_pages() {
        let cache = PageCache::new(100_000);
        cache.insert(1, 0, Arc::from(&b"one"[..]));
        assert_eq!(cache.get(2, 0), None);
        assert_eq!(&*cache.get(1, 0).unwrap(), b"one");
        assert_eq!((cache.hits(), cache.misses()), (1, 1));
    }
}
