//! The bytes of one blob, in chunks; a chunk that was never written is not there.

use std::collections::BTreeMap;

/// Bytes of a chunk.
const CHUNK: u64 = 1 << 16;

/// Bytes 0 to `len`. A chunk may be shorter than [`CHUNK`]: what it lacks reads as zeros. No chunk
/// has bytes at or behind `len`.
#[derive(Clone, Debug, Default)]
pub(in crate::storage) struct Content {
    len: u64,
    chunks: BTreeMap<u64, Vec<u8>>,
}

impl Content {
    pub(in crate::storage) fn len(&self) -> u64 {
        self.len
    }

    /// Bytes of memory that the chunks take.
    pub(in crate::storage) fn bytes(&self) -> u64 {
        self.chunks.values().map(|c| c.capacity() as u64).sum()
    }

    /// Bytes that are kept, holes before the last byte of a chunk among them.
    #[cfg(feature = "simulated")]
    pub(in crate::storage) fn stored(&self) -> u64 {
        self.chunks.values().map(|c| c.len() as u64).sum()
    }

    /// How much [`stored`](Self::stored) grows by a write of `len` bytes at `offset`.
    #[cfg(feature = "simulated")]
    pub(in crate::storage) fn growth(&self, offset: u64, len: u64) -> u64 {
        let (mut at, mut rest, mut grown) = (offset, len, 0_u64);
        while rest > 0 {
            let (number, from) = place(at);
            let part = rest.min(CHUNK.saturating_sub(from as u64));
            let there = self.chunks.get(&number).map_or(0, |c| c.len() as u64);
            let end = (from as u64).saturating_add(part);
            grown = grown.saturating_add(end.saturating_sub(there));
            at = at.saturating_add(part);
            rest = rest.saturating_sub(part);
        }
        grown
    }

    /// The offsets and lengths of the chunks that hold anything at or behind `from`.
    #[cfg(feature = "simulated")]
    pub(in crate::storage) fn chunks_from(&self, from: u64) -> impl Iterator<Item = (u64, u64)> {
        let chunks = self.chunks.range(place(from).0..);
        chunks.map(|(number, bytes)| (number.saturating_mul(CHUNK), bytes.len() as u64))
    }

    /// Fills `out` from `offset` on. The range must lie within the blob.
    pub(in crate::storage) fn read(&self, offset: u64, out: &mut [u8]) {
        let mut rest = out;
        let mut at = offset;
        while !rest.is_empty() {
            let (number, from) = place(at);
            let (part, behind) = rest.split_at_mut(room(from, rest.len()));
            let chunk = self.chunks.get(&number).map_or(&[][..], Vec::as_slice);
            let there = chunk.get(from..).unwrap_or_default();
            let (filled, zeros) = part.split_at_mut(there.len().min(part.len()));
            filled.copy_from_slice(there.split_at(filled.len()).0);
            zeros.fill(0);
            at = at.saturating_add(part.len() as u64);
            rest = behind;
        }
    }

    /// Appends `len` bytes from `offset` on to `out`. The range must lie within the blob.
    pub(in crate::storage) fn read_into(&self, offset: u64, len: usize, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start.saturating_add(len), 0);
        self.read(offset, out.split_at_mut(start).1);
    }

    /// Writes `bytes` from `offset` on; the end must be one that a blob can have.
    pub(in crate::storage) fn write(&mut self, offset: u64, bytes: &[u8]) {
        let mut rest = bytes;
        let mut at = offset;
        while !rest.is_empty() {
            let (number, from) = place(at);
            let (part, behind) = rest.split_at(room(from, rest.len()));
            let chunk = self.chunks.entry(number).or_default();
            if chunk.len() < from {
                chunk.resize(from, 0);
            }
            let over = part.len().min(chunk.len() - from);
            let (overwriting, appending) = part.split_at(over);
            chunk
                .split_at_mut(from)
                .1
                .split_at_mut(over)
                .0
                .copy_from_slice(overwriting);
            chunk.extend_from_slice(appending);
            at = at.saturating_add(part.len() as u64);
            rest = behind;
        }
        self.len = self.len.max(at);
    }

    /// Cuts, or grows with zeros.
    pub(in crate::storage) fn resize(&mut self, len: u64) {
        if len < self.len {
            let (number, keep) = place(len);
            self.chunks.split_off(&number.saturating_add(1));
            match self.chunks.get_mut(&number) {
                Some(_) if keep == 0 => drop(self.chunks.remove(&number)),
                Some(chunk) => chunk.truncate(keep),
                None => {}
            }
        }
        self.len = len;
    }
}

/// The chunk that holds the byte at `offset`, and where in it.
fn place(offset: u64) -> (u64, usize) {
    (offset / CHUNK, (offset % CHUNK) as usize)
}

/// How many of `wanted` bytes lie in the chunk, from its byte `from` on.
fn room(from: usize, wanted: usize) -> usize {
    wanted.min((CHUNK as usize).saturating_sub(from))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all(content: &Content) -> Vec<u8> {
        let mut out = Vec::new();
        content.read_into(0, content.len() as usize, &mut out);
        out
    }

    proptest! {
        /// Against a plain vector: (resize?, offset, length, byte).
        #[test]
        fn behaves_like_a_vector(steps in prop::collection::vec(
            (any::<bool>(), 0..200_000_usize, 1..150_000_usize, 1..=u8::MAX), 1..12))
        {
            let (mut content, mut model) = (Content::default(), Vec::new());
            for (resize, offset, len, byte) in steps {
                if resize {
                    content.resize(offset as u64);
                    model.resize(offset, 0);
                } else {
                    content.write(offset as u64, &vec![byte; len]);
                    model.resize(model.len().max(offset + len), 0);
                    model[offset..offset + len].fill(byte);
                }
                prop_assert!(read_all(&content) == model);
            }
        }
    }
}
