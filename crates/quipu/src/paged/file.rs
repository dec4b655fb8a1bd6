//! One paged blob: append, read, cut.

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use super::cache::PageCache;
use super::encode::{Committed, encode_pages};
use super::tail::Tail;
use crate::error::{Error, Result};
use crate::format::{PageState, SLOTS_SIZE, Slot, crc32c};
use crate::storage::{Access, BlobFile, DataBlob};

/// Bytes that are read at a time in search of the last valid page.
const SCAN_BYTES: u64 = 256 << 10;
/// Smaller pages are not cached: they would cost more than they hold.
const MIN_CACHED_PAGE: usize = 64;

/// Streams in the cache; each cut makes a new one.
static NEXT_STREAM: AtomicU64 = AtomicU64::new(1);

/// One blob as an append-only stream. One writer, any number of readers beside it.
pub(crate) struct PagedFile {
    file: BlobFile,
    page_size: usize,
    cache: PageCache,
    stream: AtomicU64,
    /// Bytes below are full pages on disk; mirrors the tail's start, to be read without its lock.
    settled: AtomicU64,
    tail: RwLock<Tail>,
    header_size: u64,
    /// Held from the first write to the flush, so that an error in between is not lost with it.
    unflushed: Mutex<Option<Arc<DataBlob>>>,
}

/// What was cut from the end of a file, in bytes of the blob.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) bytes: u64,
    /// Whether a part of a page, or pages that are not valid, were there.
    pub(crate) torn: bool,
}

/// The last valid page of a blob.
struct LastPage {
    number: u64,
    bytes: Vec<u8>,
    committed: Committed,
}

impl PagedFile {
    /// A new blob with an empty stream.
    pub(crate) fn create(file: BlobFile, page_size: u16, cache: PageCache) -> Result<Self> {
        let blob = file.create()?;
        let header_size = blob.layout().header_size();
        Ok(Self::with(
            file,
            page_size,
            cache,
            header_size,
            Tail::default(),
        ))
    }

    /// Opens a blob. `durable` bytes of the stream are known to be durable: what lies below is
    /// never cut. What lies behind the last valid page is torn, and with `strict` already what
    /// lies behind the first that is not valid: pages of one write reach the disk in any order.
    /// With [`Access::Read`] nothing is cut at all.
    pub(crate) fn open(
        file: BlobFile,
        page_size: u16,
        cache: PageCache,
        durable: u64,
        strict: bool,
    ) -> Result<(Self, Cut)> {
        let blob = file.get()?;
        let header_size = blob.layout().header_size();
        let opened = Self::with(file, page_size, cache, header_size, Tail::default());
        let cut = opened.find_end(&blob, durable, strict)?;
        Ok((opened, cut))
    }

    fn with(
        file: BlobFile,
        page_size: u16,
        cache: PageCache,
        header_size: u64,
        tail: Tail,
    ) -> Self {
        Self {
            file,
            page_size: page_size.max(1).into(),
            cache,
            stream: AtomicU64::new(NEXT_STREAM.fetch_add(1, Ordering::Relaxed)),
            settled: AtomicU64::new(tail.start),
            tail: RwLock::new(tail),
            header_size,
            unflushed: Mutex::new(None),
        }
    }

    pub(crate) fn file(&self) -> &BlobFile {
        &self.file
    }

    /// The length of the stream, waiting bytes included.
    pub(crate) fn len(&self) -> u64 {
        self.tail.read().end()
    }

    /// Bytes that are not written yet.
    pub(crate) fn waiting(&self) -> usize {
        self.tail.read().waiting()
    }

    /// Bytes of the blob, header included.
    pub(crate) fn disk_len(&self) -> u64 {
        let pages = self.tail.read().disk_end().div_ceil(self.page_size as u64);
        self.header_size
            .saturating_add(pages.saturating_mul(self.physical() as u64))
    }

    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>() + self.tail.read().bytes.capacity()
    }

    /// Appends bytes in memory; where in the stream they begin.
    #[inline]
    pub(crate) fn append(&self, bytes: &[u8]) -> u64 {
        let mut tail = self.tail.write();
        let at = tail.end();
        tail.bytes.extend_from_slice(bytes);
        at
    }

    /// Whether the stream ends with a damaged page that is not cut, so that it goes on with a page
    /// of its own.
    pub(crate) fn ends_damaged(&self) -> bool {
        let tail = self.tail.read();
        tail.bytes.is_empty() && tail.damaged
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
        let tail = self.tail.read();
        (tail.start, tail.bytes.clone())
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
    /// Fills `out` from `offset` of the stream on.
    #[inline]
    pub(crate) fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let end = offset
            .checked_add(out.len() as u64)
            .ok_or_else(|| self.out_of_bounds(offset, out.len()))?;
        if end <= self.settled.load(Ordering::Acquire) {
            return self.read_pages(offset, out);
        }
        self.read_end(offset, end, out)
    }

    fn read_end(&self, offset: u64, end: u64, out: &mut [u8]) -> Result<()> {
        let tail = self.tail.read();
        if end > tail.end() {
            drop(tail);
            return Err(self.out_of_bounds(offset, out.len()));
        }
        let from = offset.max(tail.start);
        if from < end {
            let (at, to) = ((from - tail.start) as usize, (end - tail.start) as usize);
            out[(from - offset) as usize..].copy_from_slice(&tail.bytes[at..to]);
        }
        let on_disk = tail.start.saturating_sub(offset).min(out.len() as u64) as usize;
        drop(tail);
        self.read_pages(offset, &mut out[..on_disk])
    }

    /// Reads bytes of full pages.
    fn read_pages(&self, offset: u64, mut out: &mut [u8]) -> Result<()> {
        let page_size = self.page_size as u64;
        let stream = self.stream.load(Ordering::Acquire);
        let (mut page, mut within) = (offset / page_size, (offset % page_size) as usize);
        while !out.is_empty() {
            let wanted = out.len().min(self.page_size - within);
            let Some(bytes) = self.cached(stream, page) else {
                return self.read_from_disk(stream, page, within, out);
            };
            let (now, rest) = out.split_at_mut(wanted);
            now.copy_from_slice(&bytes[within..within + wanted]);
            out = rest;
            (page, within) = (page + 1, 0);
        }
        Ok(())
    }

    fn cached(&self, stream: u64, page: u64) -> Option<Bytes> {
        if self.page_size < MIN_CACHED_PAGE {
            return None;
        }
        self.cache.get(stream, page)
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
        let mut raw = Vec::new();
        let len = pages.saturating_mul(self.physical());
        self.file
            .get()?
            .read_into(&mut raw, self.page_offset(first)?, len)?;
        for (page, raw) in (first..).zip(raw.chunks_exact(self.physical())) {
            let wanted = out.len().min(self.page_size - within);
            let valid = self.check(page, raw, within + wanted)?;
            let (now, rest) = out.split_at_mut(wanted);
            now.copy_from_slice(&raw[within..within + wanted]);
            if valid == self.page_size && self.page_size >= MIN_CACHED_PAGE {
                self.cache
                    .insert(stream, page, Bytes::copy_from_slice(&raw[..self.page_size]));
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
            PageState::Invalid { expected, found } => Err(Error::Checksum {
                path: self.file.path(),
                offset,
                expected,
                found,
            }),
        }
    }
}

/// Writing; never called by two at a time.
impl PagedFile {
    /// Writes what waits, without flushing it. Readers go on beside it.
    pub(crate) fn write_out(&self) -> Result<()> {
        let tail = self.tail.read();
        if tail.waiting() == 0 {
            return Ok(());
        }
        let mut out = Vec::new();
        let committed = encode_pages(&tail.bytes, self.page_size, tail.committed, &mut out);
        let page = tail.start / self.page_size as u64;
        let at = self
            .page_offset(page)?
            .saturating_add(tail.committed_len() as u64);
        let blob = self.file.get()?;
        *self.unflushed.lock() = Some(Arc::clone(&blob));
        blob.write_at(&[IoSlice::new(&out)], at)?;
        self.cache_full_pages(page, &tail.bytes);
        drop(tail);
        let mut tail = self.tail.write();
        tail.settle(self.page_size, committed);
        self.settled.store(tail.start, Ordering::Release);
        Ok(())
    }

    /// What was just written is likely to be read.
    fn cache_full_pages(&self, first: u64, bytes: &[u8]) {
        if self.page_size < MIN_CACHED_PAGE {
            return;
        }
        let stream = self.stream.load(Ordering::Acquire);
        for (page, bytes) in (first..).zip(bytes.chunks_exact(self.page_size)) {
            self.cache
                .insert(stream, page, Bytes::copy_from_slice(bytes));
        }
    }

    /// Writes what waits and flushes it.
    pub(crate) fn sync(&self) -> Result<()> {
        self.write_out()?;
        let unflushed = self.unflushed.lock().clone();
        if let Some(blob) = unflushed {
            blob.sync()?;
            *self.unflushed.lock() = None;
        }
        Ok(())
    }

    /// Cuts the stream to `len` bytes; durable when it returns. In each crash in between the
    /// stream ends at the old end, the new one, or a page between them.
    pub(crate) fn truncate(&self, len: u64) -> Result<()> {
        let mut tail = self.tail.write();
        if len >= tail.end() {
            return Ok(());
        }
        if len >= tail.disk_end() {
            let kept = (len - tail.start) as usize;
            tail.bytes.truncate(kept);
            return Ok(());
        }
        drop(tail);
        let blob = self.file.get()?;
        let page = len / self.page_size as u64;
        let kept = (len % self.page_size as u64) as usize;
        let whole = page + u64::from(kept > 0);
        blob.resize(self.page_offset(whole)?)?;
        blob.sync()?;
        let mut new = Tail {
            start: page * self.page_size as u64,
            ..Tail::default()
        };
        if kept > 0 {
            (new.bytes, new.committed) = self.shorten_page(&blob, page, kept)?;
        }
        self.replace_tail(new);
        Ok(())
    }

    /// A cut gives the stream a new identity in the cache.
    fn replace_tail(&self, new: Tail) {
        let mut tail = self.tail.write();
        self.stream.store(
            NEXT_STREAM.fetch_add(1, Ordering::Relaxed),
            Ordering::Release,
        );
        self.settled.store(new.start, Ordering::Release);
        *tail = new;
    }

    /// Makes a page hold its first `len` bytes only. First the slot that does not speak gets the
    /// new length, durably; then the one that speaks is erased with the bytes behind. Whatever of
    /// the second write survives a crash, one of the two slots is whole.
    fn shorten_page(
        &self,
        blob: &DataBlob,
        page: u64,
        len: usize,
    ) -> Result<(Vec<u8>, Option<Committed>)> {
        let at = self.page_offset(page)?;
        let mut raw = vec![0; self.physical()];
        blob.read_at(&mut raw, at)?;
        self.check(page, &raw, len)?;
        let slot = match PageState::of(&raw) {
            PageState::Valid {
                slot,
                len: speaking,
            } if usize::from(speaking) == len => slot,
            PageState::Valid { slot, .. } => slot.other(),
            PageState::Invalid { .. } => Slot::First,
        };
        let committed = Committed {
            len: len as u16,
            crc: crc32c(&raw[..len]),
            slot,
        };
        slot.write(&mut raw[self.page_size..], committed.len, committed.crc);
        blob.write_at(
            &[IoSlice::new(&raw[self.page_size..])],
            at + self.page_size as u64,
        )?;
        blob.sync()?;
        raw[len..].fill(0);
        slot.write(&mut raw[self.page_size..], committed.len, committed.crc);
        blob.write_at(&[IoSlice::new(&raw[len..])], at + len as u64)?;
        blob.sync()?;
        raw.truncate(len);
        Ok((raw, Some(committed)))
    }
}

/// Finding the end.
impl PagedFile {
    /// Looks at the blob's end again: another process writes it.
    pub(crate) fn refresh(&self) -> Result<()> {
        let blob = self.file.get()?;
        let known = self.len();
        let found = self.end_of(&blob, 0, false)?.0;
        // An end that is shorter is one that is just being written.
        if found.end() > known {
            self.settled.store(found.start, Ordering::Release);
            *self.tail.write() = found;
        }
        Ok(())
    }

    fn find_end(&self, blob: &DataBlob, durable: u64, strict: bool) -> Result<Cut> {
        let (tail, pages) = self.end_of(blob, durable, strict)?;
        let len = blob.len()?;
        let end = self.page_offset(pages)?;
        let cut = Cut {
            bytes: len.saturating_sub(end),
            torn: len > end,
        };
        if cut.torn && self.file.files().access() == Access::Write {
            blob.resize(end)?;
            // Before anything is written behind the new end.
            blob.sync()?;
        }
        self.settled.store(tail.start, Ordering::Release);
        *self.tail.write() = tail;
        Ok(cut)
    }

    /// The end of the stream and how many pages the blob keeps.
    fn end_of(&self, blob: &DataBlob, durable: u64, strict: bool) -> Result<(Tail, u64)> {
        let page_size = self.page_size as u64;
        let durable_pages = durable.div_ceil(page_size);
        let pages = blob.len()? / self.physical() as u64;
        let whole = match strict {
            true => self.first_torn_page(blob, durable / page_size, pages)?,
            false => pages,
        };
        let last = self.last_valid_page(blob, whole)?;
        let end = last.as_ref().map_or(0, |last| {
            last.number * page_size + u64::from(last.committed.len)
        });
        let mut tail = Tail::default();
        match last {
            // Damage below the mark: the stream goes on behind it, with a page of its own.
            _ if end < durable => {
                tail.start = durable_pages.saturating_mul(page_size);
                tail.damaged = true;
                Ok((tail, durable_pages))
            }
            None => Ok((tail, 0)),
            Some(last) => {
                let full = usize::from(last.committed.len) == self.page_size;
                tail.start = (last.number + u64::from(full)) * page_size;
                if !full {
                    tail.bytes = last.bytes;
                    tail.committed = Some(last.committed);
                }
                Ok((tail, last.number + 1))
            }
        }
    }

    /// The end of the pages from `first` on that are full, and one more that is valid.
    fn first_torn_page(&self, blob: &DataBlob, first: u64, pages: u64) -> Result<u64> {
        let physical = self.physical() as u64;
        let mut page = first;
        while page < pages {
            let count = (SCAN_BYTES / physical).max(1).min(pages - page);
            let mut raw = Vec::new();
            blob.read_into(
                &mut raw,
                self.page_offset(page)?,
                (count * physical) as usize,
            )?;
            for raw in raw.chunks_exact(self.physical()) {
                match PageState::of(raw) {
                    PageState::Valid { len, .. } if usize::from(len) == self.page_size => page += 1,
                    PageState::Valid { .. } => return Ok(page + 1),
                    PageState::Invalid { .. } => return Ok(page),
                }
            }
        }
        Ok(pages.max(first))
    }

    /// Searches from the end on backwards, many pages at a time.
    fn last_valid_page(&self, blob: &DataBlob, mut pages: u64) -> Result<Option<LastPage>> {
        let physical = self.physical() as u64;
        // Mostly it is the very last; only behind a crash there is more to read.
        let mut at_a_time = 1;
        while pages > 0 {
            let first = pages.saturating_sub(at_a_time);
            let mut raw = Vec::new();
            blob.read_into(
                &mut raw,
                first * physical,
                ((pages - first) * physical) as usize,
            )?;
            for (number, raw) in (first..pages).rev().zip(raw.rchunks_exact(self.physical())) {
                if let PageState::Valid { len, slot } = PageState::of(raw) {
                    let bytes = raw[..usize::from(len)].to_vec();
                    let crc = crc32c(&bytes);
                    let committed = Committed { len, crc, slot };
                    return Ok(Some(LastPage {
                        number,
                        bytes,
                        committed,
                    }));
                }
            }
            pages = first;
            at_a_time = (SCAN_BYTES / physical).max(1);
        }
        Ok(None)
    }
}

impl std::fmt::Debug for PagedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PagedFile")
            .field("path", &self.file.path())
            .finish_non_exhaustive()
    }
}
