//! Key tables: which keys stand where, in immutable files, for entries that are durable.
//!
//! ```text
//! quipu/keys-<16 hex digits>     a table; the greater its number, the later it was written
//!
//! a file is pages of 4,096 bytes, a page 8 blocks of 512:
//! 63 words of 8 bytes | 4 bytes unused | CRC-32C u32
//!
//! header   1 page    "QUIPUKEY", version, archive, table, slots, bits of an
//!                    ordinal, claims
//! slots    sorted    a key's mix, its last bits replaced by an ordinal: one word an entry
//! fences             the first slot of each page of slots
//! filter             a Bloom filter of blocks of 32 bytes: 12 bits a slot
//! claims             section, epoch, first position, behind the last: 4 words each
//! ```
//!
//! Entries get their ordinals in the order of the claims, so a table of n slots needs log2(n) bits for
//! them; the rest of a word tells keys apart. A look-up asks the filter, finds the page by the fences,
//! reads that one page or, where it is not to be kept in memory, about one block of it, and has section and position by
//! the claims. What it finds is a place where the
//! key may be: the caller compares the whole key, as with the [key index](crate::index).
//!
//! **Derived data.** A table is made of nothing but entries of index files, and can be made again. A
//! claim holds for a section as long as that has the epoch: a section that is written anew, or whose
//! files are lost or doubtful, gets another. Where a block does not check, the table's entries are read
//! from their index files instead.
//!
//! **Cost.** 8.2 bytes a key on disk for the slots and 1.5 for the filter; the filter and the fences are in
//! memory once a key was looked for. About one absent key in 200 reads a page in vain.
//!
//! The filter is the one of Putze, Sanders and Singler, "Cache-, hash- and space-efficient Bloom filters"
//! (2007), with eight bits of a block set for each key.

mod file;
mod filter;
mod memory;
mod merge;
mod page;
mod search;
mod sort;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use file::{KeyTable, PageAhead, Place};
pub(crate) use memory::PageMemory;
pub(crate) use merge::merge;
pub(crate) use sort::sort;
pub(crate) use write::{Contents, NextSlots, write};

use crate::manifest::PARTITION;

/// What names of tables begin with.
const NAME_PREFIX: &str = "keys-";
/// Slots that a table has at most: so many bits an ordinal takes, and the filter goes without.
pub(crate) const MAX_SLOTS: u64 = 1 << MAX_ORDINAL_BITS;
const MAX_ORDINAL_BITS: u32 = 28;

/// The greatest number of a table. No archive comes to it: a file of a greater one is none of its own, and
/// there is always a next number.
const MAX_NUMBER: u64 = u64::MAX >> 1;

/// Entries of one section that a table has slots for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Claim {
    pub(crate) section: u64,
    /// Which life of the section it is.
    pub(crate) epoch: u64,
    /// From this position
    pub(crate) from: u64,
    /// up to before this one.
    pub(crate) to: u64,
}

impl Claim {
    /// How many entries it is of.
    pub(crate) fn len(&self) -> u64 {
        self.to.saturating_sub(self.from)
    }
}

/// The name of a table.
pub(crate) fn name(number: u64) -> String {
    format!("{NAME_PREFIX}{number:016x}")
}

/// The number of a table of this name; none where it is not one's.
pub(crate) fn number(name: &str) -> Option<u64> {
    let hex = name.strip_prefix(NAME_PREFIX)?;
    let number = u64::from_str_radix(hex, 16).ok()?;
    (number <= MAX_NUMBER && self::name(number) == name).then_some(number)
}

/// How many bits the ordinals of so many slots take.
pub(crate) fn ordinal_bits(slots: u64) -> u32 {
    u64::BITS - slots.saturating_sub(1).leading_zeros()
}
