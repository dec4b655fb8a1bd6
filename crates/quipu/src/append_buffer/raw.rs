//! Memory that fills from the front while others read what is there: the `unsafe` of the append buffer.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::Arc;

use crate::sync::atomic::{
    AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

/// Bytes of a stream from a place in it on, of which some are there. Bytes that are there never change.
pub(super) struct Chunk {
    start: u64,
    memory: Box<[MaybeUninit<UnsafeCell<u8>>]>,
    /// How many are there, which were written: stored by [`Filling`] alone, when they are.
    len: AtomicUsize,
}

// SAFETY: bytes below `len` are never written, so any thread may read them, which is all that a chunk lets one do; what is
// behind them is touched by the one `Filling` alone.
#[allow(unsafe_code)]
unsafe impl Sync for Chunk {}

impl Chunk {
    /// Where in the stream it begins.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// What is there.
    #[inline]
    #[allow(unsafe_code)]
    pub(super) fn bytes(&self) -> &[u8] {
        let len = self.len.load(Acquire);
        let begin = self.memory.as_ptr().cast::<u8>();
        // SAFETY: `len` is at most the length of the memory, and its first `len` bytes were written before it was stored. As
        // long as the chunk is borrowed nobody writes to them: `append` writes behind them, `restart` needs a chunk that
        // nobody else has.
        unsafe { std::slice::from_raw_parts(begin, len) }
    }
}

/// The one that fills a chunk.
pub(super) struct Filling(Arc<Chunk>);

impl Filling {
    /// Of a new chunk with room for so many bytes.
    pub(super) fn new(start: u64, capacity: usize) -> Self {
        Self(Arc::new(Chunk {
            start,
            memory: Box::new_uninit_slice(capacity),
            len: AtomicUsize::new(0),
        }))
    }

    /// The chunk, for readers.
    pub(super) fn chunk(&self) -> &Arc<Chunk> {
        &self.0
    }

    pub(super) fn capacity(&self) -> usize {
        self.0.memory.len()
    }

    /// Adds bytes, which are all seen at once; false, and nothing is added, where there is no room for them.
    #[inline]
    #[allow(unsafe_code)]
    pub(super) fn append<const N: usize>(&mut self, parts: [&[u8]; N]) -> bool {
        let mut len = self.0.len.load(Relaxed);
        let mut room = self.0.memory.get(len..).unwrap_or_default();
        for part in parts {
            let Some((there, behind)) = room.split_at_checked(part.len()) else {
                return false;
            };
            let at = there.as_ptr().cast::<u8>().cast_mut();
            // SAFETY: there is room for the part, the memory may be written to through a shared pointer, nobody reads what lies
            // behind `len` before that says that it is there, and only the one `Filling`, which is borrowed, writes.
            unsafe { at.copy_from_nonoverlapping(part.as_ptr(), part.len()) };
            room = behind;
            len += part.len();
        }
        self.0.len.store(len, Release);
        true
    }

    /// Begins anew, empty; false where readers still have the chunk.
    pub(super) fn restart(&mut self, start: u64) -> bool {
        let Some(chunk) = Arc::get_mut(&mut self.0) else {
            return false;
        };
        chunk.start = start;
        *chunk.len.get_mut() = 0;
        true
    }
}
