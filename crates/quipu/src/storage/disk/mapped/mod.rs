//! Reads through memory maps: what is in the system's page cache is copied from there, without a call.
//!
//! ```text
//! file   |— 256 KiB —|—————— 768 KiB ——————|———————————— 3 MiB ————————————|— 12 MiB …
//! maps         0                1                          2                       3
//! ```
//!
//! A read of some hundred bytes through `pread` takes a microsecond or so, most of it spent in the kernel
//! on finding the page again; through a map it is a copy. But a map has no way to tell that a page could not
//! be read other than a signal that ends the process, and it reads page by page what a call would read at
//! once. So:
//!
//! - The signal is caught, and the read made again with a call, which tells the error: see [`guard`]. A thread that
//!   blocks the signal makes calls only: see [`handler`].
//! - The first read of each 64 KiB is made with a call, which reads ahead as files are read; later ones go
//!   through the map. So a map mostly finds its pages in memory.
//! - Bytes are copied out of a map, never lent: they are checked as they will be used, whatever happens to
//!   the file meanwhile.
//! - A file is only mapped once it was read more than a few times.
//!
//! The first map is as long as the file is when it is made, rounded up to a power of two, from 64 KiB to 64 GiB. Maps
//! are made for a file that grows as well: each is three times as long as all before it, so that few are needed,
//! reaches beyond the file's end, and none is ever made anew. Those of a file that has all its bytes take at most twice its
//! length of addresses, or 64 KiB, those of one that grew meanwhile, or is longer than 64 GiB, at most four times its
//! length; all maps of a process take no more than a part of those that it may have, where somebody has limited them: see [`room`]. Maps
//! go when the file is closed, and the last [`Window`] to it is dropped. Where the first could not be made, the
//! file's reads are calls until it is opened again.
//!
//! A map needs no open file: who keeps a window reads what is mapped with the file closed, and hands the maps on to
//! the next handle. There the first read of each 64 KiB goes through the map as well if the system says that it is in memory:
//! a call would cost an open.

mod before;
mod guard;
mod handler;
mod map;
mod room;
mod segment;
mod spare;

use std::any::Any;
use std::fs::File;
use std::sync::Arc;

use self::segment::{CHUNK_BITS, Segment};
use super::super::Window;
use super::folder::Identity;
use crate::sync::OnceLock;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The first map is no shorter than 2 to the power of this: a chunk, and a page of any system.
const FIRST_BITS: u32 = CHUNK_BITS;
/// And no longer than this, 64 GiB, so that the length of a file that has few bytes takes little memory for its chunks.
const MOST_BITS: u32 = 36;
/// With each map behind the first, all together have so many more bits: four times as many bytes.
const MORE_BITS: u32 = 2;
/// So each of these is so many times as long as all before it.
const BEHIND: u64 = (1 << MORE_BITS) - 1;
/// So many maps behind the shortest first reach to 2^46 bytes, more than a file has.
const MORE_MAPS: usize = 15;
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
    /// Those of a file that has grown beyond the first map.
    more: OnceLock<Box<[Place; MORE_MAPS]>>,
}

/// A map, once it was made; none where that failed.
type Place = OnceLock<Option<Segment>>;

/// Which map has an offset behind the first, which has `bits`, and where it begins; 0 is the one behind the first.
fn place(offset: u64, bits: u32) -> Option<(usize, u64)> {
    let more = (offset >> bits).checked_ilog2()? / MORE_BITS;
    Some((more as usize, 1 << (bits + MORE_BITS * more)))
}

/// How long the first map of a file of so many bytes is, in bits.
fn first_bits(len: u64) -> u32 {
    let bits = u64::BITS - len.saturating_sub(1).leading_zeros();
    bits.clamp(FIRST_BITS, MOST_BITS)
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
        // One that could not be may be now.
        let was_refused = matches!(maps.first.get(), Some(None));
        (maps.of == of && !was_refused).then_some(maps)
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
        let first = match self.first.get() {
            Some(first) => first.as_ref(),
            None => self.make_first(file),
        };
        first.is_some_and(|first| match end <= first.len() {
            true => first.read(buf, offset as usize, len),
            false => self.read_behind(first, file, buf, offset, len),
        })
    }

    #[cold]
    fn make_first(&self, file: &File) -> Option<&Segment> {
        let make = || {
            let bits = first_bits(self.len.load(Ordering::Acquire));
            Segment::new(file, 0, 1 << bits)
        };
        // A thread that must not read what is mapped makes no map either.
        match handler::catches_here() {
            true => self.first.get_or_init(make).as_ref(),
            false => None,
        }
    }

    /// The same, where the bytes do not end in the first map.
    fn read_behind(
        &self,
        first: &Segment,
        file: &File,
        buf: &mut Vec<u8>,
        offset: u64,
        len: usize,
    ) -> bool {
        let Some((nth, start)) = place(offset, first.bits()) else {
            return false;
        };
        let place = self.more.get_or_init(Box::default).get(nth);
        let made = place.and_then(|place| match place.get() {
            Some(segment) => segment.as_ref(),
            None if !handler::catches_here() => None,
            None => place
                .get_or_init(|| Segment::new(file, start, start.checked_mul(BEHIND)?))
                .as_ref(),
        });
        made.is_some_and(|segment| segment.read(buf, (offset - start) as usize, len))
    }

    /// The map that has an offset, if it is made, and where it begins.
    fn made(&self, offset: u64) -> Option<(&Segment, u64)> {
        let first = self.first.get()?.as_ref()?;
        match place(offset, first.bits()) {
            None => Some((first, 0)),
            Some((nth, start)) => {
                let segment = self.more.get()?.get(nth)?.get()?.as_ref()?;
                Some((segment, start))
            }
        }
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
        self.made(offset).is_some_and(|(segment, start)| {
            buf.try_reserve(len).is_ok() && segment.read_closed(buf, (offset - start) as usize, len)
        })
    }

    fn mapped_at(&self, offset: u64) -> Option<usize> {
        let (segment, start) = self.made(offset)?;
        segment.address((offset - start) as usize)
    }

    fn memory(&self) -> usize {
        let more = self.more.get();
        let places = more.into_iter().flat_map(|more| more.iter());
        let made = places.chain([&self.first]).filter_map(Place::get).flatten();
        let bits: usize = made.map(Segment::memory).sum();
        size_of::<Self>() + more.map_or(0, |more| size_of_val(&**more)) + bits
    }
}

#[cfg(test)]
mod tests;
