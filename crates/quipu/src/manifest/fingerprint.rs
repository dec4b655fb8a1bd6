//! The fingerprint of a section: a few of its items, by which its files are known again.
//!
//! ```text
//! in a mark: count u8, then count times: moved u64
//!            count u8, then count times: position u64 | entry CRC-32C u32 | value CRC-32C u32
//!            count u32, then count times: first u64 | behind the last u64, positions of foreign entries
//! ```
//!
//! The checksums inside a section's files say that bytes are whole, not that they are this section's. A
//! value file of another section, or an index file from before a rewind, passes them all. So the mark
//! keeps the checksums of a few items: of the first, of the last, and wherever the index file was
//! written anew, of the last that stayed where it was and of the one behind it: an older copy has
//! another one there.

use std::ops::Range;

use super::codec::{Decoder, Encoder};

/// Bytes of a sample, and of a range.
const SAMPLE_SIZE: usize = 16;
/// Of so many places where the index file was written anew samples are kept, the latest.
const MAX_MOVED: usize = 8;

/// Which items of a section were where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    /// The first position that was moved, or dropped, each time the index file was written anew.
    /// Ascending.
    pub(crate) moved: Vec<u64>,
    /// Ascending.
    pub(crate) samples: Vec<Sample>,
    /// Positions of entries that were found to be none of the section's.
    pub(crate) foreign: Vec<Range<u64>>,
}

/// One item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) position: u64,
    /// The checksum of its entry.
    pub(crate) entry: u32,
    /// The checksum that is stored behind its value.
    pub(crate) value: u32,
}

impl Fingerprint {
    /// The fingerprint of the same section once its entries from a position on are others; no
    /// samples are taken yet.
    pub(crate) fn moved_from(&self, position: u64) -> Self {
        let mut moved = self.moved.clone();
        moved.retain(|&at| at < position);
        moved.push(position);
        let surplus = moved.len().saturating_sub(MAX_MOVED);
        moved.drain(..surplus);
        Self {
            moved,
            ..Self::default()
        }
    }

    /// Which positions are worth a sample in a section of so many entries.
    pub(crate) fn positions(&self, records: u64) -> Vec<u64> {
        let mut wanted = vec![0, records.saturating_sub(1)];
        for &moved in &self.moved {
            wanted.extend([moved.saturating_sub(1), moved]);
        }
        wanted.retain(|&position| position < records);
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }

    /// The sample of a position, where one was taken.
    pub(crate) fn at(&self, position: u64) -> Option<Sample> {
        let mut samples = self.samples.iter();
        samples.find(|of| of.position == position).copied()
    }

    /// Bytes of memory beside its own.
    pub(super) fn memory(&self) -> usize {
        size_of::<u64>() * self.moved.capacity()
            + size_of::<Sample>() * self.samples.capacity()
            + size_of::<Range<u64>>() * self.foreign.capacity()
    }

    pub(super) fn encoded_len(&self) -> usize {
        let counts = 1 + 1 + 4;
        counts + 8 * self.moved.len() + SAMPLE_SIZE * (self.samples.len() + self.foreign.len())
    }

    pub(super) fn encode(&self, out: &mut Encoder) {
        out.u8(self.moved.len() as u8);
        self.moved.iter().for_each(|&position| out.u64(position));
        out.u8(self.samples.len() as u8);
        for sample in &self.samples {
            out.u64(sample.position);
            out.u32(sample.entry);
            out.u32(sample.value);
        }
        out.u32(self.foreign.len() as u32);
        for range in &self.foreign {
            out.u64(range.start);
            out.u64(range.end);
        }
    }

    pub(super) fn decode(from: &mut Decoder<'_>) -> Option<Self> {
        let mut fingerprint = Self::default();
        for _ in 0..from.u8()? {
            fingerprint.moved.push(from.u64()?);
        }
        for _ in 0..from.u8()? {
            fingerprint.samples.push(Sample {
                position: from.u64()?,
                entry: from.u32()?,
                value: from.u32()?,
            });
        }
        for _ in 0..from.u32()? {
            fingerprint.foreign.push(from.u64()?..from.u64()?);
        }
        Some(fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_and_where_entries_moved_are_sampled() {
        let of = |moved: &[u64], records| {
            let fingerprint = Fingerprint {
                moved: moved.to_vec(),
                ..Fingerprint::default()
            };
            fingerprint.positions(records)
        };
        assert_eq!(of(&[], 0), []);
        assert_eq!(of(&[0], 1), [0]);
        assert_eq!(of(&[], 9), [0, 8]);
        assert_eq!(of(&[5], 5), [0, 4]);
        assert_eq!(of(&[5], 9), [0, 4, 5, 8]);
        assert_eq!(of(&[2, 5], 9), [0, 1, 2, 4, 5, 8]);
        assert_eq!(of(&[u64::MAX], 9), [0, 8]);
    }

    #[test]
    fn the_latest_moves_are_kept() {
        let mut fingerprint = Fingerprint::default();
        for position in [3, 7, 5, 5] {
            fingerprint = fingerprint.moved_from(position);
        }
        assert_eq!(fingerprint.moved, [3, 5]);
        for position in 10..30 {
            fingerprint = fingerprint.moved_from(position);
        }
        assert_eq!(fingerprint.moved, (22..30).collect::<Vec<_>>());
        // As much as fits into the counts.
        assert!(fingerprint.positions(u64::MAX).len() <= 18);
    }
}
