//! How far scrubbing has come: a small blob, replaced now and then.
//!
//! ```text
//! 0..8      "QUIPUSCR"
//! 8..12     format version, u32
//! 12..100   the fields, u64 each, in the order of `Place::fields`
//! 100..104   CRC-32C of all bytes before, u32
//! ```
//!
//! It only saves work: one that is missing, damaged or of another version begins a new pass.

use std::sync::Arc;

use super::codec::{Decoder, Encoder};
use super::{SCRUB, read_whole, replace_whole};
use crate::error::Result;
use crate::format::crc32c;
use crate::storage::Storage;

const MAGIC: &[u8; 8] = b"QUIPUSCR";
const VERSION: u32 = 1;
const FIELDS: usize = 11;

/// How far a pass over all sections has come, from the newest down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The archive's, and how often it was rewound or repaired when this was written.
    pub(crate) id: u64,
    pub(crate) rewinds: u64,
    /// Passes that have ended.
    pub(crate) passes: u64,
    /// Whether one is under way; only then do the fields below count.
    pub(crate) under_way: bool,
    /// When it began, in seconds since 1970.
    pub(crate) began: u64,
    /// The section that is next, or in the middle.
    pub(crate) section: u64,
    /// The entry of it that is next.
    pub(crate) position: u64,
    /// So many entries of it belong to the pass.
    pub(crate) entries: u64,
    /// Bytes checked, of so many.
    pub(crate) done: u64,
    pub(crate) total: u64,
    /// Damage found by the pass.
    pub(crate) findings: u64,
}

impl Place {
    /// Reads the place of an archive; none where nothing that can be used is there.
    pub(crate) fn load(storage: &dyn Storage) -> Result<Option<Self>> {
        let bytes = read_whole(storage, SCRUB)?;
        Ok(bytes.and_then(|bytes| Self::decode(&bytes)))
    }

    /// Writes the place, at once and durably.
    pub(crate) fn store(&self, storage: &Arc<dyn Storage>) -> Result<()> {
        replace_whole(storage, SCRUB, &self.encode())
    }

    fn fields(&self) -> [u64; FIELDS] {
        [
            self.id,
            self.rewinds,
            self.passes,
            self.under_way.into(),
            self.began,
            self.section,
            self.position,
            self.entries,
            self.done,
            self.total,
            self.findings,
        ]
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Encoder(MAGIC.to_vec());
        out.u32(VERSION);
        self.fields().into_iter().for_each(|field| out.u64(field));
        let crc = crc32c(&out.0);
        out.u32(crc);
        out.0
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (checked, crc) = bytes.split_last_chunk::<4>()?;
        if crc32c(checked) != u32::from_be_bytes(*crc) {
            return None;
        }
        let mut from = Decoder::new(checked);
        if from.array() != Some(*MAGIC) || from.u32() != Some(VERSION) {
            return None;
        }
        let place = Self {
            id: from.u64()?,
            rewinds: from.u64()?,
            passes: from.u64()?,
            under_way: from.u64()? == 1,
            began: from.u64()?,
            section: from.u64()?,
            position: from.u64()?,
            entries: from.u64()?,
            done: from.u64()?,
            total: from.u64()?,
            findings: from.u64()?,
        };
        from.is_empty().then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_and_every_flipped_bit_is_noticed() {
        let place = Place {
            id: 8,
            rewinds: 9,
            passes: 1,
            under_way: true,
            began: 2,
            section: 3,
            position: 4,
            entries: 5,
            done: 6,
            total: 7,
            findings: u64::MAX,
        };
        let bytes = place.encode();
        assert_eq!(bytes.len(), 12 + 8 * FIELDS + 4);
        assert_eq!(Place::decode(&bytes), Some(place));
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Place::decode(&bytes), None, "{bit}");
        }
        for len in 0..bytes.len() {
            assert_eq!(Place::decode(&bytes[..len]), None, "{len}");
        }
    }
}
