//! One map of a file, and which of its chunks were read.

use std::fs::File;
use std::ops::Range;

use super::map::Map;
use crate::sync::atomic::{AtomicU64, Ordering};

/// Of so many bytes the first read is made with a call.
pub(super) const CHUNK_BITS: u32 = 16;

/// A part of the file, and which of its chunks were read with a call.
#[derive(Debug)]
pub(super) struct Segment {
    map: Map,
    read: Box<[AtomicU64]>,
}

impl Segment {
    pub(super) fn new(file: &File, start: u64, bytes: u64) -> Option<Self> {
        let bytes = usize::try_from(bytes).ok()?;
        let words = (bytes >> CHUNK_BITS).div_ceil(64);
        let mut read = Vec::new();
        read.try_reserve_exact(words).ok()?;
        read.extend((0..words).map(|_| AtomicU64::new(0)));
        Some(Self {
            map: Map::new(file, start, bytes)?,
            read: read.into_boxed_slice(),
        })
    }

    #[inline]
    pub(super) fn len(&self) -> u64 {
        self.map.len() as u64
    }

    /// Bytes of memory, the map apart.
    pub(super) fn memory(&self) -> usize {
        size_of_val(&*self.read)
    }

    /// Of the first map of a file, its length.
    pub(super) fn bits(&self) -> u32 {
        self.map.len().trailing_zeros()
    }

    #[inline]
    pub(super) fn read(&self, buf: &mut Vec<u8>, at: usize, len: usize) -> bool {
        // What was not is read by the call that follows.
        self.note_read(at, len) == Some(true) && self.map.append_to(buf, at, len)
    }

    /// The same, where the call that follows would have to open the file first: what is in memory needs none.
    pub(super) fn read_closed(&self, buf: &mut Vec<u8>, at: usize, len: usize) -> bool {
        let is_at_hand = self.are_read(at, len) || self.map.is_in_memory(at, len);
        is_at_hand && self.note_read(at, len).is_some() && self.map.append_to(buf, at, len)
    }

    pub(super) fn address(&self, at: usize) -> Option<usize> {
        self.map.address(at)
    }

    fn are_read(&self, at: usize, len: usize) -> bool {
        chunks(at, len).all(|chunk| {
            let word = self.read.get(chunk / 64);
            word.is_some_and(|word| word.load(Ordering::Relaxed) & 1 << (chunk % 64) != 0)
        })
    }

    /// Notes chunks as read; whether all were before. None where they go on in the next map.
    #[inline]
    fn note_read(&self, at: usize, len: usize) -> Option<bool> {
        let mut all_read = true;
        for chunk in chunks(at, len) {
            let word = self.read.get(chunk / 64)?;
            let bit = 1 << (chunk % 64);
            if word.load(Ordering::Relaxed) & bit == 0 {
                all_read = false;
                word.fetch_or(bit, Ordering::Relaxed);
            }
        }
        Some(all_read)
    }
}

/// The chunks that have bytes of a read, which is not empty.
#[inline]
fn chunks(at: usize, len: usize) -> Range<usize> {
    at >> CHUNK_BITS..((at + len - 1) >> CHUNK_BITS) + 1
}
