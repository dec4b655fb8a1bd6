//! One memory map of a part of a file.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};

use super::guard::Guard;
use super::handler;
use super::room::Room;

/// Of more pages nobody asks whether they are in memory.
const MAX_PAGES: usize = 40;

/// A map, which is only read by copying out of it.
#[derive(Debug)]
pub(super) struct Map {
    start: NonNull<u8>,
    len: usize,
    guard: Guard,
    /// Given back once the map is gone.
    _room: Room,
}

// SAFETY: the memory is only read, and stays mapped while the value lives.
unsafe impl Send for Map {}
// SAFETY: as above; no reference into it is ever given out.
unsafe impl Sync for Map {}

impl Map {
    /// Maps `len` bytes of the file from `offset` on, a multiple of the page size; they may lie behind its
    /// end. None where it cannot be mapped, there is no room for it, or the signals of a page that
    /// cannot be read not be caught.
    pub(super) fn new(file: &File, offset: u64, len: usize) -> Option<Self> {
        let offset = libc::off_t::try_from(offset).ok()?;
        let room = Room::take(len)?;
        let guard = Guard::take()?;
        // SAFETY: a new map at an address that the system chooses touches no memory that is in use.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                len,
                libc::PROT_READ,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                offset,
            )
        };
        if start == libc::MAP_FAILED {
            return None;
        }
        let start = NonNull::new(start.cast::<u8>())?;
        // Reading ahead is for the calls to do: those through a map are at random. Where the system
        // does not take the advice, all is as right.
        // SAFETY: advice of this kind changes no bytes, and the range is the map made above.
        unsafe { libc::madvise(start.as_ptr().cast(), len, libc::MADV_RANDOM) };
        let map = Self {
            start,
            len,
            guard,
            _room: room,
        };
        let is_watched = map.guard.watch(start.as_ptr().expose_provenance(), len);
        is_watched.then_some(map)
    }

    /// Appends `len` bytes from `at` on to `buf`, which has room for them. False, with `buf` as it was,
    /// where a page could not be read, now or before, or none may be by this thread.
    #[inline]
    pub(super) fn append_to(&self, buf: &mut Vec<u8>, at: usize, len: usize) -> bool {
        let within = at.checked_add(len).is_some_and(|end| end <= self.len);
        if !within || buf.capacity() - buf.len() < len || !handler::catches_here() {
            return false;
        }
        // SAFETY: source and target were just held against their ends. The memory at the source is
        // mapped as long as `self` is there; a page that the system cannot give is replaced by zeros
        // (see `guard`). Others may write the file meanwhile: the bytes are then any mix of old and
        // new, as with a call, and it is the copy that checksums are held against.
        unsafe {
            let source = self.start.as_ptr().add(at);
            ptr::copy_nonoverlapping(source, buf.as_mut_ptr().add(buf.len()), len);
        }
        if self.guard.has_failed() {
            return false;
        }
        // SAFETY: there is capacity for so many, and they were just written.
        unsafe { buf.set_len(buf.len() + len) };
        true
    }
}

impl Map {
    /// Whether the system has all pages of these bytes in memory; false where it does not tell.
    pub(super) fn is_in_memory(&self, at: usize, len: usize) -> bool {
        let page_size = rustix::param::page_size();
        let first = at / page_size * page_size;
        let Some(end) = at.checked_add(len).filter(|&end| end <= self.len) else {
            return false;
        };
        let pages = (end - first).div_ceil(page_size);
        let mut resident = [0; MAX_PAGES];
        let Some(resident) = resident.get_mut(..pages) else {
            return false;
        };
        // SAFETY: the range begins with a page of the map and ends with one, and there is a byte for each of its pages.
        let asked = unsafe {
            let start = self.start.as_ptr().add(first);
            libc::mincore(start.cast(), end - first, resident.as_mut_ptr())
        };
        asked == 0 && resident.iter().all(|page| page & 1 != 0)
    }
}

impl Map {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Where a byte is mapped, if it is within the map: for hints, and tests.
    #[inline]
    pub(super) fn address(&self, at: usize) -> Option<usize> {
        (at < self.len).then(|| self.start.as_ptr().addr() + at)
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        self.guard.unwatch();
        // SAFETY: this is the range that was mapped, and nobody reads it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}
