//! Whether a log holds all the same what counts, where the disk cannot read some of its blocks.
//!
//! Zeros are read in the place of such a block. What it held may be had another time, so an open goes on only where it
//! held nothing that counts:
//!
//! - A log that is closed holds nothing, whatever else of it cannot be read: an open that ends says in both places of
//!   the generation that it is not closed any more, before any record is written.
//! - Records stand one behind the other: a block behind the place of the next one holds none.
//! - Generations are counted one by one, in two places by turns. Where the first record is of the one behind that which
//!   the readable place says, the other place said that one.
//!
//! Where the first record is of the generation that the readable place says, the other said the one before it, or the one behind
//! it: that the log was cleared, and nothing of it is to be brought to files that a rewind, say, has changed since. Then
//! records count for who has them already, and for sections of which the marks know that they are in the life in which the
//! records were written.

use std::collections::BTreeMap;

use super::record::{GENERATIONS, HEAD_BYTES, RECORDS_AT, Records, read_head};
use crate::error::{Error, Result};
use crate::storage::BLOCK_BYTES;

impl Records {
    /// The records of a log that is closed, where the header says whose, if that can be read.
    pub(super) fn of_closed(mut self, is_headless: bool) -> Self {
        self.is_damaged &= !is_headless;
        self
    }

    /// The records of a log of which the blocks at `bad` offsets cannot be read: one of them may have said their
    /// generation.
    ///
    /// # Errors
    /// Where one may have held what counts.
    pub(super) fn without(mut self, mut bad: BTreeMap<usize, Error>) -> Result<Self> {
        let is_bad = GENERATIONS.map(|place| bad.contains_key(&place));
        let place = (self.generation % 2) as usize;
        self.is_damaged &= !(self.is_ahead && is_bad[place] && !is_bad[1 - place]);
        let lacking = bad.keys().copied().find(|&at| self.may_lack(at));
        match lacking.and_then(|at| bad.remove(&at)) {
            Some(error) => Err(error),
            None => {
                let cleared = bad.remove(&GENERATIONS[1 - place]);
                self.unsure = cleared.filter(|_| !self.is_empty());
                Ok(self)
            }
        }
    }

    /// To be asked before it is brought to section files; whether these have it, or are known for those that it is for.
    pub(super) fn check_sure(&self, are_known: bool) -> Result<()> {
        let unsure = self.unsure.as_ref().filter(|_| !are_known);
        Error::unless_read(
            unsure,
            "it may say that the log was cleared of what the files lack",
        )
    }

    /// Whether the block at an offset may have held what counts.
    fn may_lack(&self, block: usize) -> bool {
        let next = self.end()..self.end() + HEAD_BYTES;
        let is_next = block < next.end && next.start < block + BLOCK_BYTES;
        // One whose head is there may be whole.
        let is_cut = read_head(&self.bytes, self.end()).is_some_and(|found| {
            let now = (self.generation, self.len());
            (found.head.generation, found.head.sequence) == now && block < found.end
        });
        self.is_damaged || is_next || is_cut && block >= RECORDS_AT
    }
}

/// Whether a generation is the one behind that which the places say, or the first, and none was written before it.
pub(super) fn is_behind(bytes: &[u8], said: Option<u64>, found: u64) -> bool {
    let is_zero = |at: &usize| {
        let place = bytes.get(*at..at + BLOCK_BYTES);
        place.is_some_and(|place| place.iter().all(|&byte| byte == 0))
    };
    let said = said.or_else(|| GENERATIONS.iter().all(is_zero).then_some(0));
    said.and_then(|said| said.checked_add(1)) == Some(found)
}
