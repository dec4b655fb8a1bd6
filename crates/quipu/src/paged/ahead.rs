//! Pages that whoever reads many at once reads ahead of the reads that want them.

use super::file::{MIN_CACHED_PAGE, PagedFile};
use crate::format::PageState;
use crate::sync::atomic::Ordering;

/// A full page on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageAhead {
    stream: u64,
    pub(crate) page: u64,
    /// Where in the blob it begins.
    pub(crate) offset: u64,
    /// Its bytes there.
    pub(crate) len: usize,
}

impl PagedFile {
    /// Fills `out` from `offset` of the stream on, if all of that is in memory; counts no look at the cache.
    pub(crate) fn peek(&self, offset: u64, out: &mut [u8]) -> bool {
        let is_settled = |end| end <= self.settled.load(Ordering::Acquire);
        match offset.checked_add(out.len() as u64) {
            Some(end) if is_settled(end) => self.peek_pages(offset, out),
            Some(end) => self.peek_end(offset, end, out),
            None => false,
        }
    }

    fn peek_end(&self, offset: u64, end: u64, out: &mut [u8]) -> bool {
        match self.copy_end(offset, end, out) {
            Some(on_disk) => self.peek_pages(offset, &mut out[..on_disk]),
            None => false,
        }
    }

    fn peek_pages(&self, offset: u64, mut out: &mut [u8]) -> bool {
        let page_size = self.page_size as u64;
        let stream = self.stream.load(Ordering::Acquire);
        let (mut page, mut within) = (offset / page_size, (offset % page_size) as usize);
        while !out.is_empty() {
            let wanted = out.len().min(self.page_size - within);
            let (now, rest) = out.split_at_mut(wanted);
            if !self.cache.peek(stream, page, within, now) {
                return false;
            }
            (out, page, within) = (rest, page + 1, 0);
        }
        true
    }

    /// The full pages on disk with `len` bytes of the stream, in their order, as far as they would stay in memory.
    pub(crate) fn pages_ahead(&self, offset: u64, len: usize) -> impl Iterator<Item = PageAhead> {
        // Before the pages are read: those of a stream that is cut meanwhile are nobody's.
        let stream = self.stream.load(Ordering::Acquire);
        let page_size = self.page_size as u64;
        let end = offset
            .saturating_add(len as u64)
            .min(self.settled.load(Ordering::Acquire));
        let end = if self.page_size < MIN_CACHED_PAGE {
            0
        } else {
            end
        };
        (offset / page_size..end.div_ceil(page_size)).filter_map(move |page| {
            Some(PageAhead {
                stream,
                page,
                offset: self.page_offset(page).ok()?,
                len: self.physical(),
            })
        })
    }

    /// Keeps a page that was read in the cache. One that is not whole is left to the read that wants it, which
    /// tells.
    pub(crate) fn take_in(&self, of: &PageAhead, raw: &[u8]) {
        let is_full = |len| usize::from(len) == self.page_size;
        if raw.len() == of.len
            && let PageState::Valid { len, .. } = PageState::of(raw)
            && is_full(len)
            && let Some(page) = raw.get(..self.page_size)
        {
            self.cache.insert_missed(of.stream, of.page, page);
        }
    }
}
