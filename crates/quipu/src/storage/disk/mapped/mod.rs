//! Reads through memory maps: what is in the system's page cache is copied from there, without a call.
//!
//! ```text
//! file   |———— 64 MiB ————|———— 64 MiB ————|————————— 128 MiB —————————|— 256 MiB …
//! maps          0                 1                      2                    3
//! ```
//!
//! A read of some hundred bytes through `pread` takes a microsecond or so, most of it spent in the kernel
//! on finding the page again; through a map it is a copy. But a map has no way to tell that a page could not
//! be read other than a signal that ends the process, and it reads page by page what a call would read at
//! once. So:
//!
//! - The signal is caught, and the read made again with a call, which tells the error: see [`guard`].
//! - The first read of each 64 KiB is made with a call, which reads ahead as files are read; later ones go
//!   through the map. So a map mostly finds its pages in memory.
//! - Bytes are copied out of a map, never lent: they are checked as they will be used, whatever happens to
//!   the file meanwhile.
//! - A file is only mapped once it was read more than a few times.
//!
//! Maps are made for a file that grows as well: each is longer than the one before, reaches beyond the file's
//! end, and none is ever made anew. Memory maps of one file take at most twice its length of addresses, and
//! 64 MiB; they go when the file is closed, and the last [`Window`] to it is dropped.
//!
//! A map needs no open file: who keeps a window reads what is mapped with the file closed, and hands the maps on to
//! the next handle. There the first read of each 64 KiB goes through the map as well if the system says that it is in memory:
//! a call would cost an open.

mod before;
mod guard;
mod handler;
mod map;
mod room;

use std::any::Any;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use self::map::Map;
use super::super::Window;
use super::folder::Identity;
use crate::sync::OnceLock;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Bytes of the first map; of each one after the second twice as many as of the one before.
const FIRST_BITS: u32 = 26;
/// So many maps behind the first reach to 2^46 bytes, more than a file has.
const MORE_MAPS: usize = 20;
/// Of so many bytes the first read is made with a call.
const CHUNK_BITS: u32 = 16;
/// Longer reads are made with a call, which reads them at once.
const MAX_READ: usize = 1 << 19;
/// A file that was read no more often is not mapped.
const READS_BEFORE: u32 = 16;

/// The maps of one file, which its handles share if one is given those of another.
#[derive(Debug)]
pub(super) struct Maps {
    of: Identity,
    reads: AtomicU32,
    /// The file is known to have so many bytes.
    len: AtomicU64,
    first: Place,
    /// Those of a file that has more bytes than the first map.
    more: OnceLock<Box<[Place; MORE_MAPS]>>,
}

/// A map, once it was made; none where that failed.
type Place = OnceLock<Option<Segment>>;

/// A part of the file, and which of its chunks were read with a call.
#[derive(Debug)]
struct Segment {
    map: Map,
    read: Box<[AtomicU64]>,
}

/// Which map has an offset, and where that begins.
fn place(offset: u64) -> (usize, u64) {
    match offset >> FIRST_BITS {
        0 => (0, 0),
        nth => {
            let bits = nth.ilog2();
            (bits as usize + 1, 1 << (FIRST_BITS + bits))
        }
    }
}

/// Where a read ends that may go through a map.
#[inline]
fn end_of_read(offset: u64, len: usize) -> Option<u64> {
    match len {
        1..=MAX_READ => offset.checked_add(len as u64),
        _ => None,
    }
}

impl Maps {
    /// Those of a file of which none is made yet; none where files are not mapped at all.
    #[allow(clippy::unnecessary_wraps)]
    pub(super) fn new(of: Identity) -> Option<Arc<Self>> {
        Some(Arc::new(Self {
            of,
            reads: AtomicU32::new(0),
            len: AtomicU64::new(0),
            first: Place::new(),
            more: OnceLock::new(),
        }))
    }

    /// Those of a window to this file.
    pub(super) fn behind(window: &Arc<dyn Window>, of: Identity) -> Option<Arc<Self>> {
        let window: Arc<dyn Any + Send + Sync> = Arc::clone(window) as _;
        let maps = window.downcast::<Self>().ok()?;
        // A file that is opened again and again is to be mapped.
        maps.reads.store(READS_BEFORE, Ordering::Relaxed);
        (maps.of == of).then_some(maps)
    }

    pub(super) fn window(self: &Arc<Self>) -> Arc<dyn Window> {
        Arc::clone(self) as _
    }

    /// Appends `len` bytes of the file at `offset` to `buf`, which has room for them. False, with `buf` as
    /// it was, where they are to be read with a call.
    #[inline]
    pub(super) fn read(&self, file: &File, buf: &mut Vec<u8>, offset: u64, len: usize) -> bool {
        let Some(end) = end_of_read(offset, len) else {
            return false;
        };
        if end > self.len.load(Ordering::Acquire) && !self.learn_length(file, end) {
            return false;
        }
        let (nth, start) = place(offset);
        let made = self.nth(nth, true).and_then(|place| match place.get() {
            Some(segment) => segment.as_ref(),
            None => place.get_or_init(|| Segment::new(file, start)).as_ref(),
        });
        made.is_some_and(|segment| segment.read(buf, (offset - start) as usize, len))
    }

    #[inline]
    fn nth(&self, nth: usize, is_to_be_made: bool) -> Option<&Place> {
        let Some(nth) = nth.checked_sub(1) else {
            return Some(&self.first);
        };
        let more = match self.more.get() {
            None if is_to_be_made => self.more.get_or_init(Box::default),
            more => more?,
        };
        more.get(nth)
    }

    /// Whether the file has so many bytes by now, and was read often enough to be mapped.
    #[cold]
    fn learn_length(&self, file: &File, end: u64) -> bool {
        if self.reads.load(Ordering::Relaxed) < READS_BEFORE {
            self.reads.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        let len = file.metadata().map_or(0, |of| of.len());
        self.len.store(len, Ordering::Release);
        end <= len
    }

    /// The file is about to have no more than so many bytes.
    pub(super) fn cut(&self, len: u64) {
        self.len.fetch_min(len, Ordering::AcqRel);
    }
}

impl Window for Maps {
    fn read_into(&self, buf: &mut Vec<u8>, offset: u64, len: usize) -> bool {
        let known = self.len.load(Ordering::Acquire);
        let Some(_) = end_of_read(offset, len).filter(|&end| end <= known) else {
            return false;
        };
        let (nth, start) = place(offset);
        let made = self.nth(nth, false).and_then(|place| place.get()?.as_ref());
        made.is_some_and(|segment| {
            buf.try_reserve(len).is_ok() && segment.read_closed(buf, (offset - start) as usize, len)
        })
    }

    fn memory(&self) -> usize {
        let more = self.more.get().map_or(0, |more| size_of_val(&**more));
        let places = (0..=MORE_MAPS).filter_map(|nth| self.nth(nth, false)?.get()?.as_ref());
        let bits: usize = places.map(|segment| size_of_val(&*segment.read)).sum();
        size_of::<Self>() + more + bits
    }
}

impl Segment {
    fn new(file: &File, start: u64) -> Option<Self> {
        let bytes = start.max(1 << FIRST_BITS);
        let chunks = usize::try_from(bytes >> CHUNK_BITS).ok()?;
        Some(Self {
            map: Map::new(file, start, usize::try_from(bytes).ok()?)?,
            read: (0..chunks.div_ceil(64))
                .map(|_| AtomicU64::new(0))
                .collect(),
        })
    }

    fn read(&self, buf: &mut Vec<u8>, at: usize, len: usize) -> bool {
        // What was not is read by the call that follows.
        self.note_read(at, len) == Some(true) && self.map.append_to(buf, at, len)
    }

    /// The same, where the call that follows would have to open the file first: what is in memory needs none.
    fn read_closed(&self, buf: &mut Vec<u8>, at: usize, len: usize) -> bool {
        let is_at_hand = self.are_read(at, len) || self.map.is_in_memory(at, len);
        is_at_hand && self.note_read(at, len).is_some() && self.map.append_to(buf, at, len)
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

#[cfg(test)]
mod tests;
