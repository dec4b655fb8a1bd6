//! Finding the end of a stream: at open, and again beside a writer in another process.

use super::encode::Committed;
use super::file::{Cut, PagedFile};
use super::tail::End;
use crate::canary::Canary;
use crate::error::{Error, Result};
use crate::format::{PageState, SLOTS_SIZE, crc32c, page_size_of, was_written_again};
use crate::storage::{Access, BLOCK_BYTES, DataBlob};
use crate::sync::atomic::Ordering;

/// Bytes that are read at a time in search of the last valid page.
const SCAN_BYTES: u64 = 256 << 10;
/// So many bytes that are said to be durable, and that the blob does not have, count as a damaged
/// end whose place is kept; more are not believed to have been there.
const MAX_MISSING_BYTES: u64 = 1 << 20;
/// The same in pages, for tiny ones: what a mark says must not cost a look at a million of them.
const MAX_MISSING_PAGES: u64 = 1 << 14;

/// What of a stream is known durable.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Durable {
    /// So many bytes, a multiple of
    pub(crate) bytes: u64,
    /// the bytes of a record.
    pub(crate) record: u64,
}

impl Durable {
    /// Its bytes, or so many, up to the end of a record: whoever marks whole records again must not
    /// leave out pages before the next one.
    fn at_most(self, most: u64) -> u64 {
        self.bytes.min(self.whole_records(most))
    }

    /// So many bytes, up to the end of a record.
    fn whole_records(self, bytes: u64) -> u64 {
        let end = bytes.checked_next_multiple_of(self.record.max(1));
        end.unwrap_or(u64::MAX)
    }

    /// The same for so many pages: bytes of whole records that end in the last of them, or the next.
    fn reaching(self, pages: u64, page_size: u64) -> u64 {
        let bytes = pages.saturating_mul(page_size);
        let within = bytes - bytes % self.record.max(1);
        match within.div_ceil(page_size) == pages {
            true => within,
            false => self.whole_records(bytes),
        }
    }
}

/// The last valid page of a blob.
struct LastPage {
    number: u64,
    bytes: Vec<u8>,
    committed: Committed,
}

impl PagedFile {
    /// Looks at the blob's end again: another process writes it.
    pub(crate) fn refresh(&self) -> Result<()> {
        let blob = self.file.get_again()?;
        let known = self.len();
        // As an open does, from the first page that was not full on: what lies behind a page that does not
        // check is what a crash tore, and goes with the next open for writing.
        let full = Durable {
            bytes: self.settled.load(Ordering::Acquire),
            record: 1,
        };
        let found = self.end_of(&blob, full, true)?.0;
        // An end that is shorter is one that is just being written.
        if found.end() > known {
            self.take_end(&found);
        }
        Ok(())
    }

    pub(super) fn find_end(&self, blob: &DataBlob, durable: Durable, strict: bool) -> Result<Cut> {
        let (found, pages) = self.end_of(blob, durable, strict)?;
        let len = blob.len()?;
        if pages == 0 && len > 0 && !strict {
            self.check_page_size(blob, len)?;
        }
        let end = self.page_offset(pages)?;
        let cut = Cut {
            bytes: len.saturating_sub(end),
            torn: len > end,
        };
        if cut.torn && self.file.files().access() == Access::Write {
            self.file.files().begin_cut()?;
            blob.resize(end)?;
            // Before anything is written behind the new end.
            if !Canary::CutNotFlushed.sings() {
                blob.sync()?;
            }
        }
        self.take_end(&found);
        Ok(cut)
    }

    /// A blob without a valid page may have been written with pages of another size: then it is
    /// not cut.
    fn check_page_size(&self, blob: &DataBlob, len: u64) -> Result<()> {
        let mut bytes = Vec::new();
        let most = usize::from(u16::MAX) + SLOTS_SIZE;
        blob.read_into(&mut bytes, 0, len.min(most as u64) as usize)
            .map_err(|error| error.of_read(0))?;
        match page_size_of(&bytes) {
            Some(stored) if usize::from(stored) != self.page_size => Err(Error::Settings {
                path: self.file.path(),
                setting: "the page size",
                stored: format!("{stored} bytes"),
                given: format!("{} bytes", self.page_size),
            }),
            _ => Ok(()),
        }
    }

    /// The end of the stream and how many pages the blob keeps.
    fn end_of(&self, blob: &DataBlob, known: Durable, strict: bool) -> Result<(End, u64)> {
        let page_size = self.page_size as u64;
        let len = blob.len()?;
        let mut pages = len / self.physical() as u64;
        let durable = known.at_most(
            pages
                .saturating_mul(page_size)
                .saturating_add(MAX_MISSING_BYTES.min(MAX_MISSING_PAGES * page_size)),
        );
        let durable_pages = durable.div_ceil(page_size);
        if pages < durable_pages && !len.is_multiple_of(self.physical() as u64) {
            // Cut short below the mark. What the page lacks may have been zeros: it tells itself.
            pages += 1;
        }
        let whole = match strict {
            true => self.first_torn_page(blob, durable, pages)?,
            false => pages,
        };
        let (last, unreadable) = self.last_valid_page(blob, whole)?;
        // What the disk cannot read may be whole: for who could cut it, it is damage, and no torn end.
        let unreadable = match self.file.files().access() {
            Access::Write if Canary::UnreadableTorn.sings() => 0,
            Access::Write => known.reaching(self.behind_block(unreadable), page_size),
            Access::Read => 0,
        };
        let durable = durable.max(unreadable);
        let durable_pages = durable.div_ceil(page_size);
        let end = last.as_ref().map_or(0, |last| {
            last.number * page_size + u64::from(last.committed.len)
        });
        let mut found = End::default();
        match last {
            // Damage below the mark, or what cannot be read: the stream goes on behind it, with a page of its own.
            _ if end < durable => {
                found.start = durable_pages.saturating_mul(page_size);
                found.damaged = true;
                Ok((found, durable_pages))
            }
            None => Ok((found, 0)),
            Some(last) => {
                let full = usize::from(last.committed.len) == self.page_size;
                found.start = (last.number + u64::from(full)) * page_size;
                if !full {
                    found.bytes = last.bytes;
                    found.committed = Some(last.committed);
                }
                Ok((found, last.number + 1))
            }
        }
    }

    /// So many pages that cannot be read, and those that begin in the block in which they end: nothing can be written
    /// beside what cannot be read.
    fn behind_block(&self, pages: u64) -> u64 {
        if pages == 0 {
            return 0;
        }
        let (header, physical) = (self.layout.header_size(), self.physical() as u64);
        let end = pages.saturating_mul(physical).saturating_add(header);
        let block = end.checked_next_multiple_of(BLOCK_BYTES as u64);
        (block.unwrap_or(u64::MAX) - header).div_ceil(physical)
    }

    /// Behind what is durable: the end of the pages that are full, and one more that is valid.
    ///
    /// A page that was written again shows that an earlier flush ended: nothing is written after one that
    /// failed. What stands before it was durable, and where it does not check it is damaged, not torn. A page that
    /// the disk cannot read may be such a one.
    fn first_torn_page(&self, blob: &DataBlob, durable: u64, pages: u64) -> Result<u64> {
        let mut page = durable / self.page_size as u64;
        let durable_within = (durable % self.page_size as u64) as usize;
        // A page that lacks durable bytes is damaged, not torn: what follows it is looked at.
        let is_damaged =
            |of: u64, len: usize| of == durable / self.page_size as u64 && len < durable_within;
        let physical = self.physical() as u64;
        let mut torn = None;
        while page < pages {
            if torn.is_some() {
                // A hole of any size costs nothing.
                let written = blob.next_written(self.page_offset(page)?)?;
                page = page.max(written / physical);
                if page >= pages {
                    break;
                }
            }
            let count = (SCAN_BYTES / physical).max(1).min(pages - page);
            let read = self.read_raw(blob, page, count)?;
            for raw in read.bytes.chunks_exact(self.physical()) {
                if read.unreadable.contains_key(&page) {
                    torn = None;
                    page += 1;
                    continue;
                }
                let len = match PageState::of(raw) {
                    PageState::Valid { len, .. } => usize::from(len),
                    PageState::Invalid { .. } => 0,
                };
                if len > 0 && was_written_again(raw) {
                    torn = None;
                }
                if len < self.page_size && !is_damaged(page, len) {
                    torn.get_or_insert(page + u64::from(len > 0));
                }
                page += 1;
            }
        }
        Ok(torn.unwrap_or(pages))
    }

    /// Searches from the end on backwards, many pages at a time. Also up to which page behind it there are some that
    /// cannot be read; 0 where there are none.
    fn last_valid_page(&self, blob: &DataBlob, mut pages: u64) -> Result<(Option<LastPage>, u64)> {
        let mut unreadable = 0;
        let physical = self.physical() as u64;
        // Mostly it is the very last; only behind a crash there is more to read.
        let mut at_a_time = 1;
        while pages > 0 {
            let first = pages.saturating_sub(at_a_time);
            let read = self.read_raw(blob, first, pages - first)?;
            let raw = read.bytes.rchunks_exact(self.physical());
            for (number, raw) in (first..pages).rev().zip(raw) {
                if unreadable == 0 && read.unreadable.contains_key(&number) {
                    unreadable = number + 1;
                }
                if let PageState::Valid { len, slot } = PageState::of(raw) {
                    let bytes = raw[..usize::from(len)].to_vec();
                    let crc = crc32c(&bytes);
                    let committed = Committed { len, crc, slot };
                    let last = LastPage {
                        number,
                        bytes,
                        committed,
                    };
                    return Ok((Some(last), unreadable));
                }
            }
            pages = first;
            at_a_time = (SCAN_BYTES / physical).max(1);
        }
        Ok((None, unreadable))
    }
}
