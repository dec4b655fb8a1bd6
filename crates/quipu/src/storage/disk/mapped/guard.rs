//! What keeps a page that cannot be read from ending the process.
//!
//! Where the system cannot give a page of a map - the disk failed, or the file was cut - it sends SIGBUS
//! to the thread that asked for it, and that ends a process which does not handle it. So the first map
//! installs a [`handler`]. For an address in one of our maps it notes that the map has failed, then puts
//! zeros in the place of the whole map, and the thread goes on; whoever copies out of the map looks
//! afterwards whether it has failed, and lets go of what it copied. For any other address, and for a signal that
//! somebody sent, it does what would have been done without it.
//!
//! The method is that of EFL's `eina_mmap_safety_enabled_set`, which replaces page by page.
//!
//! # Invariants
//!
//! - The handler takes no lock and no memory: it reads and writes atomics of a static table, and makes
//!   few system calls.
//! - Maps that are watched do not overlap, and each is mapped while it is watched.
//! - Where a map begins and how long it is are one word, so that the handler never takes the length of one for
//!   that of another which had the place before.
//! - A failed map stays failed: nothing is read from it again.
//! - Zeros are put nowhere but for a read that failed in the thread that the handler runs in, so that the map is there.

use std::ptr;
// Always of the standard library: a signal comes in no order that a test chooses.
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

use super::{handler, spare};

/// The most maps of a process, a quarter of those that Linux lets it have; more files are read with calls.
pub(super) const MAX_MAPS: usize = 16_384;

/// One map, for the handler.
struct Watched {
    taken: AtomicBool,
    /// Where the map lies, see [`pack`]; 0: none is watched.
    range: AtomicUsize,
    failed: AtomicBool,
}

static WATCHED: [Watched; MAX_MAPS] = [const {
    Watched {
        taken: AtomicBool::new(false),
        range: AtomicUsize::new(0),
        failed: AtomicBool::new(false),
    }
}; MAX_MAPS];

/// Where to look for a free place first.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A place in the table of maps.
#[derive(Debug)]
pub(super) struct Guard(&'static Watched);

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watched")
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

/// The bits of a begin that are zero, since it is that of a page.
const FREE_BITS: u32 = 12;
/// Of these, the lower ones tell by how many bits a length is shifted, the others what is shifted.
const SHIFT_BITS: u32 = 6;

/// Begin and length of a map in one word: the begin, and in the bits that are zero in it the length, `n << shift`
/// with `n` below 64. None where that cannot be.
fn pack(start: usize, len: usize) -> Option<usize> {
    let shift = len.trailing_zeros();
    let n = len.checked_shr(shift)?;
    let fits = n < 1 << (FREE_BITS - SHIFT_BITS) && start.is_multiple_of(1 << FREE_BITS);
    fits.then_some(start | n << SHIFT_BITS | shift as usize)
}

fn unpack(range: usize) -> (usize, usize) {
    let n = (range % (1 << FREE_BITS)) >> SHIFT_BITS;
    let shift = range % (1 << SHIFT_BITS);
    (range >> FREE_BITS << FREE_BITS, n << shift)
}

impl Watched {
    /// Begin and length of the map, if it has an address.
    fn range_with(&self, address: usize) -> Option<(usize, usize)> {
        let (start, len) = unpack(self.range.load(Ordering::SeqCst));
        (address.wrapping_sub(start) < len).then_some((start, len))
    }
}

impl Guard {
    /// A place for a map; none where all are taken, the signal is somebody else's, or the process has too many maps.
    pub(super) fn take() -> Option<Self> {
        if !handler::is_installed() || !spare::is_kept() {
            return None;
        }
        let first = NEXT.fetch_add(1, Ordering::Relaxed);
        (0..MAX_MAPS).find_map(|nth| {
            let watched = WATCHED.get(first.wrapping_add(nth) % MAX_MAPS)?;
            let taken = watched.taken.swap(true, Ordering::Acquire);
            // Made only if it is free: one that is dropped frees its place.
            (!taken).then(|| Self(watched))
        })
    }

    /// From now on, pages of this map that cannot be read do not end the process. False where the map lies
    /// so that the handler could not be told.
    pub(super) fn watch(&self, start: usize, len: usize) -> bool {
        let Some(range) = pack(start, len) else {
            return false;
        };
        self.0.failed.store(false, Ordering::SeqCst);
        self.0.range.store(range, Ordering::SeqCst);
        true
    }

    /// To be called before the map goes: its addresses may be another's then.
    pub(super) fn unwatch(&self) {
        self.0.range.store(0, Ordering::SeqCst);
    }

    /// Whether some page could not be read. To be asked after a copy.
    #[inline]
    pub(super) fn has_failed(&self) -> bool {
        // Nothing of the copy may be read behind the look, by the compiler's or the processor's choice.
        fence(Ordering::Acquire);
        self.0.failed.load(Ordering::SeqCst)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.unwatch();
        self.0.taken.store(false, Ordering::Release);
    }
}

/// Puts zeros in the place of the map that has an address. False where none has.
pub(super) fn replace_map_of(address: usize) -> bool {
    for watched in &WATCHED {
        let Some((start, len)) = watched.range_with(address) else {
            continue;
        };
        // First, so that no thread that finds the zeros takes them for the file's.
        watched.failed.store(true, Ordering::SeqCst);
        // SAFETY: the range is that of a map of ours: it is mapped as long as it is watched, and the
        // thread that was stopped here is reading from it, so that it does not go meanwhile. Nobody has
        // references into it.
        return unsafe { put_zeros(start, len) } || {
            spare::give_back();
            // SAFETY: as above.
            unsafe { put_zeros(start, len) }
        };
    }
    false
}

/// # Safety
///
/// The range is mapped, and nobody has references into it.
unsafe fn put_zeros(start: usize, len: usize) -> bool {
    let at = ptr::with_exposed_provenance_mut::<libc::c_void>(start);
    let flags = libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: as the caller says.
    let zeros = unsafe { libc::mmap(at, len, libc::PROT_READ, flags, -1, 0) };
    zeros != libc::MAP_FAILED
}

#[cfg(test)]
mod tests {
    use super::super::tests::assert_goes_on;
    use super::*;

    #[test]
    fn a_range_is_one_word() {
        for start in [0x1000, 0x7fff_dead_b000, usize::MAX << 12] {
            for len in [4096, 1 << 16, 3 << 16, 3 << 44, 63 << 20] {
                assert_eq!(unpack(pack(start, len).unwrap()), (start, len));
            }
        }
        assert_eq!(pack(0x1001, 4096), None);
        assert_eq!(pack(0x1000, 65 << 12), None);
        assert_eq!(pack(0x1000, 0), None);
        assert_eq!(unpack(0), (0, 0));
    }

    /// Else the handler would put zeros where somebody else's memory is.
    #[test]
    fn no_map_has_the_length_of_another_in_its_place() {
        // Addresses that no process has.
        let (short, long) = (1 << 62, (1 << 62) + (1 << 40));
        // Behind the short map, where it would end if it had the length of the long one.
        let foreign = short + (1 << 20);
        let place = Watched {
            taken: AtomicBool::new(true),
            range: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
        };
        let place: &'static Watched = Box::leak(Box::new(place));
        let looker =
            std::thread::spawn(move || (0..3_000_000).find_map(|_| place.range_with(foreign)));
        let guard = Guard(place);
        while !looker.is_finished() {
            assert!(guard.watch(short, 1 << 16));
            guard.unwatch();
            assert!(guard.watch(long, 3 << 28));
            guard.unwatch();
        }
        assert_eq!(looker.join().unwrap(), None);
    }

    /// Only as the child of the test below.
    #[test]
    #[ignore = "takes all places of the process"]
    fn takes_all_places() {
        let mut all: Vec<_> = (0..MAX_MAPS).map(|_| Guard::take().unwrap()).collect();
        assert!(Guard::take().is_none());
        all.pop();
        let last = Guard::take();
        assert!(last.is_some() && Guard::take().is_none());
    }

    #[test]
    fn no_more_maps_than_places() {
        assert_goes_on("guard::tests::takes_all_places");
    }
}
