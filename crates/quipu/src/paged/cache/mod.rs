//! The page cache: full pages of index files, bounded in bytes, shared by whoever is given it.

mod frame;
mod pool;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use self::pool::Pool;

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
    pool: Arc<Pool>,
}

impl PageCache {
    /// A cache of at most `bytes` bytes, what it needs beside the pages included. A page takes a multiple of 4,096
    /// of them, and a little more. With 0 it keeps nothing.
    pub fn new(bytes: usize) -> Self {
        Self {
            pool: Arc::new(Pool::new(bytes as u64)),
        }
    }

    /// Pages that were found.
    pub fn hits(&self) -> u64 {
        self.pool.hits()
    }

    /// Pages that had to be read from disk.
    pub fn misses(&self) -> u64 {
        self.pool.misses()
    }

    /// Bytes in use, what the pages cost beside their own included.
    pub fn bytes(&self) -> usize {
        self.pool.bytes()
    }

    /// Bytes of memory that it has now: the pages, room for some more, and what is made ahead to find them.
    pub fn memory(&self) -> usize {
        self.pool.memory()
    }

    /// A name for a stream that no other in this cache has. The first caches of two runs of a program give
    /// the same, so that the same pages get in each other's way in both.
    pub(crate) fn next_stream(&self) -> u64 {
        self.pool.streams.next()
    }

    /// Fills `out` from the bytes of a page that begin `within` it; false, with anything in `out`, where they are
    /// not in memory.
    #[inline]
    pub(crate) fn read(&self, stream: u64, page: u64, within: usize, out: &mut [u8]) -> bool {
        self.pool.read(stream, page, within, out)
    }

    /// What `look` makes of the words of a page of up to 4,096 bytes, if that is in memory. It may be called with
    /// any words, more than once: only what is given back counts.
    #[inline]
    pub(crate) fn look<T>(
        &self,
        stream: u64,
        page: u64,
        look: impl FnMut(&[AtomicU64]) -> T,
    ) -> Option<T> {
        self.pool.look(stream, page, look)
    }

    /// As [`read`](Self::read), without a count of the look.
    pub(crate) fn peek(&self, stream: u64, page: u64, within: usize, out: &mut [u8]) -> bool {
        self.pool.peek(stream, page, within, out)
    }

    /// As [`insert`](Self::insert), of a page that was read because only [`peek`](Self::peek) had looked for it.
    pub(crate) fn insert_missed(&self, stream: u64, page: u64, bytes: &[u8]) {
        self.pool.count(false);
        self.pool.insert(stream, page, bytes);
    }

    /// Takes in a page that is likely to be read soon.
    pub(crate) fn insert(&self, stream: u64, page: u64, bytes: &[u8]) {
        self.pool.insert(stream, page, bytes);
    }

    /// Takes in a page that was read, if there is room; else one of some, by chance. What is read often comes in soon,
    /// and what is read once costs little and pushes out little.
    pub(crate) fn offer(&self, stream: u64, page: u64, bytes: &[u8]) {
        if self.takes_offer(page) {
            self.insert(stream, page, bytes);
        }
    }

    /// Gives back the room of the first pages of a stream, of `size` bytes each, which nobody reads any more.
    pub(crate) fn forget(&self, stream: u64, pages: u64, size: usize) {
        self.pool.forget(stream, pages, size);
    }

    /// Whether an offer of a page that was looked for in vain is taken.
    pub(crate) fn takes_offer(&self, page: u64) -> bool {
        self.pool.takes_offer(page)
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

    impl PageCache {
        fn has(&self, stream: u64, page: u64) -> bool {
            self.look(stream, page, |_| ()).is_some()
        }
    }

    #[test]
    fn stays_within_its_bytes() {
        let cache = PageCache::new(100_000);
        for page in 0..1000 {
            cache.insert(1, page, &[0; 4084]);
            assert!(cache.bytes() <= 100_000);
        }
        assert!(cache.bytes() > 50_000);
        assert!((0..1000).any(|page| cache.has(1, page)));
        assert!(cache.hits() + cache.misses() > 0);
    }

    #[test]
    fn what_a_cache_keeps_does_not_depend_on_other_caches() {
        let kept = || {
            let cache = PageCache::new(60_000);
            let stream = cache.next_stream();
            (0..1000).for_each(|page| cache.insert(stream, page, &[0; 4084]));
            let is_kept = |&page: &u64| cache.has(stream, page);
            (0..1000).filter(is_kept).collect::<Vec<_>>()
        };
        let first = kept();
        assert!(!first.is_empty());
        assert!((0..20).all(|_| kept() == first));
    }

    #[test]
    fn of_pages_that_are_read_once_few_push_out_others() {
        let cache = PageCache::new(100_000);
        let miss_and_offer = |page| {
            if !cache.has(1, page) {
                cache.offer(1, page, &[0; 4084]);
            }
        };
        (0..1000).for_each(|page| cache.insert(1, page, &[0; 4084]));
        let kept: Vec<u64> = (0..1000).filter(|&page| cache.has(1, page)).collect();
        (1000..1000 + kept.len() as u64).for_each(miss_and_offer);
        let left = kept.iter().filter(|&&page| cache.has(1, page)).count();
        assert!(left > kept.len() / 2, "{left} of {}", kept.len());
        // What is read again and again comes in, whatever its number.
        for page in 2000..2020 {
            (0..200).for_each(|_| miss_and_offer(page));
            assert!(cache.has(1, page), "{page}");
        }
    }

    #[test]
    fn streams_do_not_share_pages() {
        let cache = PageCache::new(100_000);
        cache.insert(1, 0, b"one");
        let mut read = [0; 3];
        assert!(!cache.read(2, 0, 0, &mut read));
        assert!(cache.read(1, 0, 0, &mut read));
        assert_eq!(&read, b"one");
        assert_eq!((cache.hits(), cache.misses()), (1, 1));
    }
}
