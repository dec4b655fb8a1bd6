//! Reading a stream from some place to its end, record by record, in large pieces.

use std::ops::ControlFlow;

use super::file::PagedFile;
use crate::error::{Error, Result};

/// Pages that are in memory at a time: tiny ones that are damaged cost more than they hold.
const MAX_PAGES: usize = 4096;

/// What a replay hands each record to: its ordinal, and its bytes or why they cannot be read.
pub(crate) type OnRecord<'a> = &'a mut dyn FnMut(u64, Result<&[u8]>) -> ControlFlow<()>;

/// A page that cannot be read: the span of the stream that it covers, and why.
struct Hole {
    start: u64,
    end: u64,
    page: u64,
    raw: Vec<u8>,
    /// Why the disk cannot read it, if it cannot.
    unreadable: Option<String>,
}

/// The part of the stream that is in memory.
struct Window {
    /// Where `bytes` begins in the stream.
    start: u64,
    bytes: Vec<u8>,
    holes: Vec<Hole>,
}

impl PagedFile {
    /// Hands over the records of `size` bytes from number `from` on, to the end that the stream
    /// has now. Records that overlap a page that does not check are handed over as errors.
    pub(crate) fn replay(
        &self,
        size: usize,
        from: u64,
        read_ahead: usize,
        on: OnRecord<'_>,
    ) -> Result<()> {
        let (tail_start, tail) = self.tail_copy();
        let Some(offset) = from
            .checked_mul(size as u64)
            .filter(|&at| at < tail_start + tail.len() as u64)
        else {
            return Ok(());
        };
        let page_size = self.page_size() as u64;
        let mut page = (offset / page_size).min(tail_start / page_size);
        let mut window = Window {
            start: page * page_size,
            bytes: Vec::new(),
            holes: Vec::new(),
        };
        let mut next = from;
        let end_page = tail_start / page_size;
        let at_a_time = (read_ahead / self.physical()).clamp(1, MAX_PAGES) as u64;
        while page < end_page {
            let pages = at_a_time.min(end_page - page);
            self.read_window(page, pages, &mut window)?;
            page += pages;
            if self.hand_over(size, &mut next, &mut window, on)?.is_break() {
                return Ok(());
            }
        }
        window.bytes.extend_from_slice(&tail);
        self.hand_over(size, &mut next, &mut window, on).map(drop)
    }

    /// Adds pages to the window.
    fn read_window(&self, first: u64, pages: u64, window: &mut Window) -> Result<()> {
        // A file that is shorter than it was misses its last pages; they are holes.
        let read = self.read_raw(&*self.file().get()?, first, pages)?;
        for (page, raw) in (first..).zip(read.bytes.chunks_exact(self.physical())) {
            let valid = self.check(page, raw, self.page_size());
            if valid.is_err() {
                let start = page * self.page_size() as u64;
                let readable = self.check(page, raw, 1).unwrap_or(0);
                window.holes.push(Hole {
                    start: start + readable as u64,
                    end: start + self.page_size() as u64,
                    page,
                    raw: raw.to_vec(),
                    unreadable: match read.unreadable.get(&page) {
                        Some(Error::Unreadable { reason, .. }) => Some(reason.clone()),
                        _ => None,
                    },
                });
            }
            window.bytes.extend_from_slice(&raw[..self.page_size()]);
        }
        Ok(())
    }

    /// Hands over the whole records in the window and drops their bytes.
    fn hand_over(
        &self,
        size: usize,
        next: &mut u64,
        window: &mut Window,
        on: OnRecord<'_>,
    ) -> Result<ControlFlow<()>> {
        let mut at = (*next * size as u64 - window.start) as usize;
        // Records ascend, and so do holes: those that end before a record are done with.
        let mut passed = 0;
        while let Some(record) = window.bytes.get(at..at.saturating_add(size)) {
            let (start, end) = (window.start + at as u64, window.start + (at + size) as u64);
            let holes = window.holes.get(passed..).unwrap_or_default();
            passed += holes.iter().take_while(|hole| hole.end <= start).count();
            let hole = window.holes.get(passed).filter(|hole| hole.start < end);
            let record = match hole {
                None => Ok(record),
                Some(hole) => Err(self.error_of(hole, start, end)),
            };
            if on(*next, record).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            *next += 1;
            at += size;
        }
        let kept = at.min(window.bytes.len());
        window.bytes.drain(..kept);
        window.start += kept as u64;
        window.holes.retain(|hole| hole.end > window.start);
        Ok(ControlFlow::Continue(()))
    }

    fn error_of(&self, hole: &Hole, start: u64, end: u64) -> Error {
        let within = |at: u64| at.clamp(hole.page * self.page_size() as u64, hole.end);
        let wanted = within(end) - hole.page * self.page_size() as u64;
        if let Some(reason) = &hole.unreadable {
            return Error::Unreadable {
                path: self.file().path(),
                offset: hole.page.saturating_mul(self.physical() as u64),
                reason: reason.clone(),
            };
        }
        match self.check(hole.page, &hole.raw, wanted as usize) {
            Err(error) => error,
            Ok(_) => Error::Damaged {
                path: self.file().path(),
                offset: start,
                reason: "the page cannot be read".to_owned(),
            },
        }
    }
}
