//! Pages of words, and runs of words over several of them.
//!
//! A page is blocks with a checksum each, so that a look-up reads and checks one of them where the page is not in
//! memory: a tenth of what the whole page takes.

use std::cell::RefCell;
use std::io::IoSlice;

use crate::canary::Canary;
use crate::error::{Error, Result};
use crate::format::crc32c;
use crate::storage::Blob;

pub(super) const PAGE_SIZE: usize = 4096;
pub(super) const BLOCK_SIZE: usize = 512;
const BLOCKS: usize = PAGE_SIZE / BLOCK_SIZE;
const WORD_SIZE: usize = 8;
/// Words of a block,
pub(super) const BLOCK_WORDS: usize = 63;
/// of a page,
pub(super) const WORDS: usize = BLOCKS * BLOCK_WORDS;
/// and the bytes of both.
const BLOCK_BYTES: usize = BLOCK_WORDS * WORD_SIZE;
pub(super) const PAGE_BYTES: usize = WORDS * WORD_SIZE;
/// Where in a block its checksum stands.
const CRC_AT: usize = BLOCK_SIZE - 4;
/// Pages that are written, or read, with one call: few enough to stay in the processor's caches.
const PAGES_AT_ONCE: usize = 32;

/// How many pages so many words take.
pub(super) const fn pages(words: u64) -> u64 {
    words.div_ceil(WORDS as u64)
}

/// The checksum of a block: of its bytes, of the table and of where in it the block stands, so that no
/// block is taken for another.
fn checksum(block: &[u8], table: u64, number: u64) -> u32 {
    let mut place = [0; 16];
    let (of_table, of_block) = place.split_at_mut(8);
    of_table.copy_from_slice(&table.to_be_bytes());
    of_block.copy_from_slice(&number.to_be_bytes());
    crc32c(block.get(..CRC_AT).unwrap_or_default()) ^ crc32c(&place)
}

/// Whether a block is whole, and the one of this number.
fn is_right(block: &[u8], table: u64, number: u64) -> bool {
    let stored = block.get(CRC_AT..).and_then(|crc| crc.try_into().ok());
    stored.map(u32::from_be_bytes) == Some(checksum(block, table, number))
}

/// A word of what was read; 0 beyond its end.
#[inline]
pub(super) fn word(read: &[u8], at: usize) -> u64 {
    let bytes = read.get(at * WORD_SIZE..(at + 1) * WORD_SIZE);
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u64::from_le_bytes)
}

/// Reads the words of `count` pages from `number` on into `words`, 8 bytes each, and checks them.
pub(super) fn read(
    blob: &dyn Blob,
    table: Option<u64>,
    number: u64,
    count: u64,
    words: &mut Vec<u8>,
) -> Result<()> {
    let (first, count) = (number * BLOCKS as u64, count as usize * BLOCKS);
    read_blocks(blob, table, first, count, words)
}

/// Reads the words of one block of a page.
pub(super) fn read_block(
    blob: &dyn Blob,
    table: u64,
    number: u64,
    block: usize,
    words: &mut Vec<u8>,
) -> Result<()> {
    let first = number * BLOCKS as u64 + block as u64;
    read_blocks(blob, Some(table), first, 1, words)
}

fn read_blocks(
    blob: &dyn Blob,
    table: Option<u64>,
    first: u64,
    count: usize,
    words: &mut Vec<u8>,
) -> Result<()> {
    words.clear();
    let offset = first * BLOCK_SIZE as u64;
    let read = blob.read_into(words, offset, count * BLOCK_SIZE);
    read.map_err(|error| error.of_read(offset))?;
    // The header tells which table it is.
    let table = table.unwrap_or_else(|| word(words, super::file::TABLE_AT));
    match damaged_block(words, table, first) {
        Some(number) if !Canary::TableUnchecked.sings() => Err(Error::Damaged {
            path: blob.path().to_path_buf(),
            offset: number * BLOCK_SIZE as u64,
            reason: "a block of this key table does not check; it is made again".to_owned(),
        }),
        _ => {
            leave_words(words);
            Ok(())
        }
    }
}

/// The words of a page as it is in the file, if that is whole.
pub(super) fn words_of(mut page: Vec<u8>, table: u64, number: u64) -> Option<Vec<u8>> {
    let is_right = damaged_block(&page, table, number * BLOCKS as u64).is_none();
    leave_words(&mut page);
    (is_right && page.len() == PAGE_BYTES).then_some(page)
}

/// The first of these blocks that is not whole.
fn damaged_block(blocks: &[u8], table: u64, first: u64) -> Option<u64> {
    let mut blocks = (first..).zip(blocks.chunks_exact(BLOCK_SIZE));
    let damaged = blocks.find(|(number, block)| !is_right(block, table, *number));
    damaged.map(|(number, _)| number)
}

/// Takes what is not words out of whole blocks.
fn leave_words(blocks: &mut Vec<u8>) {
    let count = blocks.len() / BLOCK_SIZE;
    for block in 1..count {
        let at = block * BLOCK_SIZE;
        blocks.copy_within(at..at + BLOCK_BYTES, block * BLOCK_BYTES);
    }
    blocks.truncate(count * BLOCK_BYTES);
}

/// Words of one page, of which only those blocks are read that somebody looks at.
pub(super) struct Blocks<'a> {
    blob: &'a dyn Blob,
    table: u64,
    page: u64,
    /// Those that were read, and what could not be.
    read: RefCell<(Vec<Block>, Result<()>)>,
}

/// Which it is, and its words.
type Block = (usize, Vec<u8>);

impl<'a> Blocks<'a> {
    pub(super) fn new(blob: &'a dyn Blob, table: u64, page: u64) -> Self {
        Self {
            blob,
            table,
            page,
            read: RefCell::new((Vec::new(), Ok(()))),
        }
    }

    /// A word; any where its block cannot be read, which [`end`](Self::end) tells.
    pub(super) fn word(&self, at: usize) -> u64 {
        let (block, at) = (at / BLOCK_WORDS, at % BLOCK_WORDS);
        let (blocks, failed) = &mut *self.read.borrow_mut();
        if let Some((_, words)) = blocks.iter().find(|(number, _)| *number == block) {
            return word(words, at);
        }
        let mut words = Vec::new();
        let read = read_block(self.blob, self.table, self.page, block, &mut words);
        let found = read.map(|()| word(&words, at));
        blocks.push((block, words));
        found.unwrap_or_else(|error| {
            *failed = Err(error);
            0
        })
    }

    pub(super) fn end(self) -> Result<()> {
        self.read.into_inner().1
    }
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
        let found = word(&self.read, self.at);
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
        let words = self.read.get(self.at * WORD_SIZE..).unwrap_or_default();
        let words = words.chunks_exact(WORD_SIZE).map(|bytes| word(bytes, 0));
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        out.extend(words.take(left));
        self.at += out.len() - before;
        self.left -= (out.len() - before) as u64;
        Ok(())
    }

    /// Reads more where there is no word left of what was read.
    fn fill(&mut self) -> Result<()> {
        if self.at == self.read.len() / WORD_SIZE {
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
    /// The block that is being filled.
    block: u64,
    /// Words that it has.
    words: usize,
    pending: Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(blob: &'a dyn Blob, table: u64) -> Self {
        Self {
            blob,
            table,
            block: 0,
            words: 0,
            pending: Vec::new(),
        }
    }

    pub(super) fn word(&mut self, word: u64) -> Result<()> {
        self.words(&[word])
    }

    pub(super) fn words(&mut self, mut words: &[u64]) -> Result<()> {
        while !words.is_empty() {
            let (part, rest) = words.split_at(words.len().min(BLOCK_WORDS - self.words));
            words = rest;
            let start = self.pending.len();
            self.pending.resize(start + part.len() * WORD_SIZE, 0);
            let bytes = self.pending.get_mut(start..).unwrap_or_default();
            for (bytes, word) in bytes.chunks_exact_mut(WORD_SIZE).zip(part) {
                bytes.copy_from_slice(&word.to_le_bytes());
            }
            self.words += part.len();
            if self.words == BLOCK_WORDS {
                self.end_block()?;
            }
        }
        Ok(())
    }

    /// Ends a run of words: the next one begins a page.
    pub(super) fn end_run(&mut self) -> Result<()> {
        while self.words > 0 || !self.block.is_multiple_of(BLOCKS as u64) {
            self.end_block()?;
        }
        Ok(())
    }

    fn end_block(&mut self) -> Result<()> {
        let whole = self.pending.len() / BLOCK_SIZE * BLOCK_SIZE + BLOCK_SIZE;
        self.pending.resize(whole, 0);
        let start = whole - BLOCK_SIZE;
        let block = self.pending.get_mut(start..).unwrap_or_default();
        let crc = checksum(block, self.table, self.block);
        if let Some(stored) = block.get_mut(CRC_AT..) {
            stored.copy_from_slice(&crc.to_be_bytes());
        }
        self.words = 0;
        self.block += 1;
        match whole >= PAGES_AT_ONCE * PAGE_SIZE {
            true => self.write_out(),
            false => Ok(()),
        }
    }

    fn write_out(&mut self) -> Result<()> {
        let offset = self.block * BLOCK_SIZE as u64 - self.pending.len() as u64;
        self.blob.write_at(&[IoSlice::new(&self.pending)], offset)?;
        self.pending.clear();
        Ok(())
    }

    /// Writes what is left; the bytes of the file.
    pub(super) fn end(mut self) -> Result<u64> {
        self.end_run()?;
        self.write_out()?;
        Ok(self.block * BLOCK_SIZE as u64)
    }
}
