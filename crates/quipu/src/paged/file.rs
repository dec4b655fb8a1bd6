//! One paged blob: append, read, cut.

use std::sync::Arc;

use super::cache::PageCache;
use super::end::Durable;
use super::tail::{End, Tail};
use crate::append_buffer::AppendView;
use crate::error::{Error, Result};
use crate::format::{Layout, PageState, SLOTS_SIZE};
use crate::storage::{BlobFile, DataBlob};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};

/// Smaller pages are not cached: they would cost more than they hold.
pub(super) const MIN_CACHED_PAGE: usize = 64;

/// One blob as an append-only stream. One writer, any number of readers beside it.
pub(crate) struct PagedFile {
    pub(super) file: BlobFile,
    pub(super) page_size: usize,
    pub(super) cache: PageCache,
    /// Its name in the cache; each cut makes a new one.
    pub(super) stream: AtomicU64,
    /// Bytes below are full pages on disk.
    pub(super) settled: AtomicU64,
    /// Where the stream ends on disk.
    written: AtomicU64,
    /// Of the writer alone.
    pub(super) tail: Mutex<Tail>,
    /// The bytes of the tail, for readers.
    pub(super) end: AppendView,
    pub(super) layout: Layout,
    /// Held from the first write to the flush, so that an error in between is not lost with it.
    pub(super) unflushed: Mutex<Option<Arc<DataBlob>>>,
}

/// What was cut from the end of a file, in bytes of the blob.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) bytes: u64,
    /// Whether a part of a page, or pages that are not valid, were there.
    pub(crate) torn: bool,
}

/// Bytes of a blob with a stream of so many bytes, its header included.
pub(crate) fn disk_len(stream: u64, page_size: usize, layout: Layout) -> u64 {
    let pages = stream.div_ceil(page_size.max(1) as u64);
    let physical = page_size.max(1) as u64 + SLOTS_SIZE as u64;
    layout
        .header_size()
        .saturating_add(pages.saturating_mul(physical))
}

impl PagedFile {
    /// A new blob with an empty stream.
    pub(crate) fn create(file: BlobFile, page_size: u16, cache: PageCache) -> Result<Self> {
        let blob = file.create()?;
        Ok(Self::with(file, page_size, cache, blob.layout()))
    }

    /// Opens a blob. `durable` bytes of the stream are known to be durable: what lies below is
    /// never cut. What lies behind the last valid page is torn, and with `strict` already what
    /// lies behind the first that is not valid: pages of one write reach the disk in any order.
    /// With [`Access::Read`] nothing is cut at all.
    pub(crate) fn open(
        file: BlobFile,
        page_size: u16,
        cache: PageCache,
        durable: Durable,
        strict: bool,
    ) -> Result<(Self, Cut)> {
        let blob = file.get()?;
        let layout = blob.layout();
        let opened = Self::with(file, page_size, cache, layout);
        let cut = opened.find_end(&blob, durable, strict)?;
        Ok((opened, cut))
    }

    fn with(file: BlobFile, page_size: u16, cache: PageCache, layout: Layout) -> Self {
        let tail = Tail::new();
        Self {
            file,
            page_size: page_size.max(1).into(),
            stream: AtomicU64::new(cache.next_stream()),
            cache,
            settled: AtomicU64::new(0),
            written: AtomicU64::new(0),
            end: tail.bytes.view(),
            tail: Mutex::new(tail),
            layout,
            unflushed: Mutex::new(None),
        }
    }

    pub(crate) fn file(&self) -> &BlobFile {
        &self.file
    }

    /// Lets go of the blob and of its pages in the cache: it is removed.
    pub(crate) fn forget(&self) {
        self.file.forget();
        if self.page_size >= MIN_CACHED_PAGE {
            let pages = self.settled.load(Ordering::Acquire) / self.page_size as u64;
            let stream = self.stream.load(Ordering::Acquire);
            self.cache.forget(stream, pages, self.page_size);
        }
    }

    /// The length of the stream, waiting bytes included.
    pub(crate) fn len(&self) -> u64 {
        self.end.end()
    }

    /// Bytes that are not written yet.
    pub(crate) fn waiting(&self) -> usize {
        self.tail.lock().waiting()
    }

    /// The header that the file has.
    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// Bytes of the blob, header included.
    pub(crate) fn disk_len(&self) -> u64 {
        let written = self.written.load(Ordering::Acquire);
        disk_len(written, self.page_size, self.layout)
    }

    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>() + self.end.memory()
    }

    /// Gives back what a large buffer has more than it needs.
    pub(crate) fn release_buffer(&self) {
        let kept = 2 * self.page_size;
        self.tail.lock().bytes.shrink_to(kept);
    }

    /// Appends a record in memory; where in the stream it begins. Behind a damaged page that is on
    /// the grid of records of this size: the one that overlaps the page, and what is filled up,
    /// counts as damaged.
    #[inline]
    pub(crate) fn append(&self, bytes: &[u8]) -> u64 {
        let mut tail = self.tail.lock();
        if tail.ends_damaged() {
            let start = tail.bytes.start();
            let filler = start.next_multiple_of(bytes.len() as u64) - start;
            tail.bytes.append([&vec![0; filler as usize]]);
        }
        let at = tail.bytes.end();
        tail.bytes.append([bytes]);
        at
    }

    /// Whether the stream ends with a damaged page that is not cut, so that it goes on with a page
    /// of its own.
    pub(crate) fn ends_damaged(&self) -> bool {
        self.tail.lock().ends_damaged()
    }

    /// Whether the stream goes on behind a damaged page, with nothing yet that was flushed there.
    pub(crate) fn is_behind_damage(&self) -> bool {
        self.tail.lock().damaged
    }

    /// Bytes of a page on disk.
    pub(super) fn physical(&self) -> usize {
        self.page_size + SLOTS_SIZE
    }

    pub(super) fn page_size(&self) -> usize {
        self.page_size
    }

    /// A copy of the end that is in memory, and where it begins.
    pub(super) fn tail_copy(&self) -> (u64, Vec<u8>) {
        self.end.read(|start, bytes| (start, bytes.to_vec()))
    }

    /// Takes what was found at the end of the stream.
    pub(super) fn take_end(&self, found: &End) {
        let mut tail = self.tail.lock();
        tail.replace(found);
        self.settled.store(found.start, Ordering::Release);
        self.is_written(&tail);
    }

    /// Notes where the stream ends on disk.
    pub(super) fn is_written(&self, tail: &Tail) {
        self.written.store(tail.disk_end(), Ordering::Release);
    }

    /// Where in the blob the page stands that holds a byte of the stream.
    pub(crate) fn page_holding(&self, offset: u64) -> Result<u64> {
        self.page_offset(offset / self.page_size as u64)
    }

    /// Where a page stands in the blob.
    pub(super) fn page_offset(&self, page: u64) -> Result<u64> {
        page.checked_mul(self.physical() as u64)
            .ok_or_else(|| self.out_of_bounds(page, 0))
    }

    fn out_of_bounds(&self, offset: u64, wanted: usize) -> Error {
        Error::OutOfBounds {
            path: self.file.path(),
            offset,
            wanted: wanted as u64,
            len: self.len(),
        }
    }
}

/// Reading.
impl PagedFile {
    /// Fills `out` from `offset` of the stream on; false when the stream ends before.
    #[inline]
    pub(crate) fn read(&self, offset: u64, out: &mut [u8]) -> Result<bool> {
        let Some(end) = offset.checked_add(out.len() as u64) else {
            return Ok(false);
        };
        if end <= self.settled.load(Ordering::Acquire) {
            return self.read_pages(offset, out).map(|()| true);
        }
        self.read_end(offset, end, out)
    }

    /// Where the page is mapped that a read at an offset reads from the file. To ask whether the cache has it would take
    /// as long as the hint does.
    #[inline]
    pub(crate) fn mapped_at(&self, offset: u64) -> Option<usize> {
        let is_on_disk = offset < self.settled.load(Ordering::Relaxed);
        let page = self.page_holding(offset).ok()?;
        is_on_disk.then(|| self.file.mapped_at(page)).flatten()
    }

    fn read_end(&self, offset: u64, end: u64, out: &mut [u8]) -> Result<bool> {
        match self.copy_end(offset, end, out) {
            Some(on_disk) => self.read_pages(offset, &mut out[..on_disk]).map(|()| true),
            None => Ok(false),
        }
    }

    /// Copies what is in memory of the bytes from `offset` to `end`; how many before that are on disk, or none when the
    /// stream ends before.
    pub(super) fn copy_end(&self, offset: u64, end: u64, out: &mut [u8]) -> Option<usize> {
        self.end.read(|start, bytes| {
            if end > start.saturating_add(bytes.len() as u64) {
                return None;
            }
            let on_disk = start.saturating_sub(offset).min(out.len() as u64) as usize;
            let at = (offset + on_disk as u64).saturating_sub(start) as usize;
            let out = out.get_mut(on_disk..)?;
            out.copy_from_slice(bytes.get(at..at + out.len())?);
            Some(on_disk)
        })
    }

    /// Reads bytes of full pages.
    fn read_pages(&self, offset: u64, mut out: &mut [u8]) -> Result<()> {
        let page_size = self.page_size as u64;
        let stream = self.stream.load(Ordering::Acquire);
        let (mut page, mut within) = (offset / page_size, (offset % page_size) as usize);
        while !out.is_empty() {
            let wanted = out.len().min(self.page_size - within);
            if !self.read_cached(stream, page, within, &mut out[..wanted]) {
                return self.read_from_disk(stream, page, within, out);
            }
            out = out.split_at_mut(wanted).1;
            (page, within) = (page + 1, 0);
        }
        Ok(())
    }

    fn read_cached(&self, stream: u64, page: u64, within: usize, out: &mut [u8]) -> bool {
        self.page_size >= MIN_CACHED_PAGE && self.cache.read(stream, page, within, out)
    }

    /// Reads and checks all pages that `out` spans with one call.
    fn read_from_disk(
        &self,
        stream: u64,
        first: u64,
        mut within: usize,
        mut out: &mut [u8],
    ) -> Result<()> {
        let pages = (within + out.len()).div_ceil(self.page_size);
        let raw = self.read_stored(first, pages as u64)?;
        for (page, raw) in (first..).zip(raw.chunks_exact(self.physical())) {
            let wanted = out.len().min(self.page_size - within);
            let valid = self.check(page, raw, within + wanted)?;
            let (now, rest) = out.split_at_mut(wanted);
            now.copy_from_slice(&raw[within..within + wanted]);
            if valid == self.page_size && self.page_size >= MIN_CACHED_PAGE {
                self.cache.offer(stream, page, &raw[..self.page_size]);
            }
            out = rest;
            within = 0;
        }
        Ok(())
    }

    /// How many bytes of a page are right; an error when fewer than `wanted` are.
    pub(super) fn check(&self, page: u64, raw: &[u8], wanted: usize) -> Result<usize> {
        let offset = self.page_offset(page)?;
        match PageState::of(raw) {
            PageState::Valid { len, .. } if usize::from(len) >= wanted => Ok(len.into()),
            PageState::Valid { len, .. } => Err(Error::Damaged {
                path: self.file.path(),
                offset,
                reason: format!("the page holds {len} bytes, expected {wanted}"),
            }),
            PageState::Invalid { .. } if is_unwritten(raw, self.page_size) => Err(Error::Damaged {
                path: self.file.path(),
                offset,
                reason: format!(
                    "the page is not there: expected at least {wanted} bytes, found a page without a \
                     checksum, or the end of the file"
                ),
            }),
            PageState::Invalid { expected, found } => Err(Error::Checksum {
                path: self.file.path(),
                offset,
                expected,
                found,
            }),
        }
    }
}

/// Whether neither of a page's checksums was ever written.
fn is_unwritten(raw: &[u8], page_size: usize) -> bool {
    let slots = raw.get(page_size..).unwrap_or_default();
    slots.iter().all(|&byte| byte == 0)
}

impl std::fmt::Debug for PagedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PagedFile")
            .field("path", &self.file.path())
            .finish_non_exhaustive()
    }
}
