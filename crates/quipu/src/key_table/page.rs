//! Pages of words, and runs of words over several of them.

use std::io::IoSlice;

use crate::canary::Canary;
use crate::error::{Error, Result};
use crate::format::crc32c;
use crate::storage::Blob;

pub(super) const PAGE_SIZE: usize = 4096;
const WORD_SIZE: usize = 8;
/// Words of a page.
pub(super) const WORDS: usize = 511;
/// Where its checksum stands.
const CRC_AT: usize = PAGE_SIZE - 4;
/// Pages that are written, or read, with one call: few enough to stay in the processor's caches.
const PAGES_AT_ONCE: usize = 32;

/// How many pages so many words take.
pub(super) const fn pages(words: u64) -> u64 {
    words.div_ceil(WORDS as u64)
}

/// The checksum of a page: of its bytes, of the table and of where in it the page stands, so that no
/// page is taken for another.
fn checksum(page: &[u8], table: u64, number: u64) -> u32 {
    let place = [table.to_be_bytes(), number.to_be_bytes()].concat();
    crc32c(page.get(..CRC_AT).unwrap_or_default()) ^ crc32c(&place)
}

/// Whether a page is whole, and the one of this number.
pub(super) fn is_right(page: &[u8], table: u64, number: u64) -> bool {
    let stored = page
        .get(CRC_AT..PAGE_SIZE)
        .and_then(|crc| crc.try_into().ok());
    stored.map(u32::from_be_bytes) == Some(checksum(page, table, number))
}

/// A word of a page that was read; 0 beyond its end.
#[inline]
pub(super) fn word(page: &[u8], at: usize) -> u64 {
    let bytes = page.get(at * WORD_SIZE..(at + 1) * WORD_SIZE);
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u64::from_le_bytes)
}

/// Reads `count` pages from `number` on into `pages`, and checks each.
pub(super) fn read(
    blob: &dyn Blob,
    table: Option<u64>,
    number: u64,
    count: u64,
    pages: &mut Vec<u8>,
) -> Result<()> {
    pages.clear();
    let offset = number * PAGE_SIZE as u64;
    blob.read_into(pages, offset, count as usize * PAGE_SIZE)?;
    for (at, page) in (number..).zip(pages.chunks_exact(PAGE_SIZE)) {
        // The header tells which table it is.
        let table = table.unwrap_or_else(|| word(page, super::file::TABLE_AT));
        if !is_right(page, table, at) && !Canary::TableUnchecked.sings() {
            return Err(Error::Damaged {
                path: blob.path().to_path_buf(),
                offset: at * PAGE_SIZE as u64,
                reason: "a page of this key table does not check; it is made again".to_owned(),
            });
        }
    }
    Ok(())
}

/// Words of a table, read page by page.
pub(super) struct Words<'a> {
    blob: &'a dyn Blob,
    table: u64,
    /// The next page to read.
    page: u64,
    left: u64,
    read: Vec<u8>,
    /// Which word of what was read is the next.
    at: usize,
}

impl<'a> Words<'a> {
    /// So many words from the beginning of a page on.
    pub(super) fn new(blob: &'a dyn Blob, table: u64, page: u64, words: u64) -> Self {
        Self {
            blob,
            table,
            page,
            left: words,
            read: Vec::new(),
            at: 0,
        }
    }

    /// Whether there is no next word.
    pub(super) fn is_at_end(&self) -> bool {
        self.left == 0
    }

    /// The next word; none behind the last.
    pub(super) fn next(&mut self) -> Result<Option<u64>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.fill()?;
        let page = self.read.get(self.at / WORDS * PAGE_SIZE..);
        let found = word(page.unwrap_or_default(), self.at % WORDS);
        self.at += 1;
        self.left -= 1;
        Ok(Some(found))
    }

    /// Adds the words of the next pages to `out`, as many as are read with one call.
    pub(super) fn next_pages(&mut self, out: &mut Vec<u64>) -> Result<()> {
        if self.left == 0 {
            return Ok(());
        }
        self.fill()?;
        let before = out.len();
        let pages = self.read.get(self.at / WORDS * PAGE_SIZE..);
        let mut skipped = self.at % WORDS;
        for page in pages.unwrap_or_default().chunks_exact(PAGE_SIZE) {
            let left = self.left - (out.len() - before) as u64;
            let end = skipped + left.min((WORDS - skipped) as u64) as usize;
            let bytes = page.get(skipped * WORD_SIZE..end * WORD_SIZE);
            let words = bytes.unwrap_or_default().chunks_exact(WORD_SIZE);
            out.extend(words.map(|bytes| word(bytes, 0)));
            skipped = 0;
        }
        self.at += out.len() - before;
        self.left -= (out.len() - before) as u64;
        Ok(())
    }

    /// Reads more where there is no word left of what was read.
    fn fill(&mut self) -> Result<()> {
        if self.at == self.read.len() / PAGE_SIZE * WORDS {
            let count = pages(self.left).min(PAGES_AT_ONCE as u64);
            read(
                self.blob,
                Some(self.table),
                self.page,
                count,
                &mut self.read,
            )?;
            self.page += count;
            self.at = 0;
        }
        Ok(())
    }
}

/// Writes words, in pages.
pub(super) struct Writer<'a> {
    blob: &'a dyn Blob,
    table: u64,
    /// The page that is being filled.
    page: u64,
    words: usize,
    pending: Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(blob: &'a dyn Blob, table: u64) -> Self {
        Self {
            blob,
            table,
            page: 0,
            words: 0,
            pending: Vec::new(),
        }
    }

    pub(super) fn word(&mut self, word: u64) -> Result<()> {
        self.pending.extend_from_slice(&word.to_le_bytes());
        self.words += 1;
        match self.words == WORDS {
            true => self.end_page(),
            false => Ok(()),
        }
    }

    pub(super) fn words(&mut self, mut words: &[u64]) -> Result<()> {
        while !words.is_empty() {
            let (part, rest) = words.split_at(words.len().min(WORDS - self.words));
            words = rest;
            let start = self.pending.len();
            self.pending.resize(start + part.len() * WORD_SIZE, 0);
            let bytes = self.pending.get_mut(start..).unwrap_or_default();
            for (bytes, word) in bytes.chunks_exact_mut(WORD_SIZE).zip(part) {
                bytes.copy_from_slice(&word.to_le_bytes());
            }
            self.words += part.len();
            if self.words == WORDS {
                self.end_page()?;
            }
        }
        Ok(())
    }

    /// Ends a run of words: the next one begins a page.
    pub(super) fn end_run(&mut self) -> Result<()> {
        match self.words {
            0 => Ok(()),
            _ => self.end_page(),
        }
    }

    fn end_page(&mut self) -> Result<()> {
        let whole = self.pending.len().next_multiple_of(PAGE_SIZE);
        self.pending.resize(whole, 0);
        let start = whole - PAGE_SIZE;
        let page = self.pending.get_mut(start..).unwrap_or_default();
        let crc = checksum(page, self.table, self.page);
        if let Some(stored) = page.get_mut(CRC_AT..) {
            stored.copy_from_slice(&crc.to_be_bytes());
        }
        self.words = 0;
        self.page += 1;
        match whole >= PAGES_AT_ONCE * PAGE_SIZE {
            true => self.write_out(),
            false => Ok(()),
        }
    }

    fn write_out(&mut self) -> Result<()> {
        let offset = self.page * PAGE_SIZE as u64 - self.pending.len() as u64;
        self.blob.write_at(&[IoSlice::new(&self.pending)], offset)?;
        self.pending.clear();
        Ok(())
    }

    /// Writes what is left; the bytes of the file.
    pub(super) fn end(mut self) -> Result<u64> {
        self.end_run()?;
        self.write_out()?;
        Ok(self.page * PAGE_SIZE as u64)
    }
}
