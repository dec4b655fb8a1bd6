//! One map more than is needed, for a process that has as many as the system lets it.
//!
//! Zeros in the place of a map that has failed (see `guard`) are a map for a map. The system refuses it all the same to a
//! process that has as many as it may, and the read that failed would end it. So a page is mapped
//! ahead, and given back where that happens.

use std::ptr;
// Always of the standard library: a signal comes in no order that a test chooses.
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where the page lies; 0: none is kept.
static SPARE: AtomicUsize = AtomicUsize::new(0);

/// Whether there is one; it is mapped where there is none.
pub(super) fn is_kept() -> bool {
    SPARE.load(Ordering::SeqCst) != 0 || make()
}

fn make() -> bool {
    let (len, read) = (rustix::param::page_size(), libc::PROT_READ);
    // Shared, so that the system never makes it one with the map beside it: then nothing would be won.
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    // SAFETY: a new map at an address that the system chooses touches no memory that is in use.
    let page = unsafe { libc::mmap(ptr::null_mut(), len, read, flags, -1, 0) };
    if page == libc::MAP_FAILED {
        return false;
    }
    let (set, fetch) = (Ordering::SeqCst, Ordering::SeqCst);
    let kept = SPARE.compare_exchange(0, page.expose_provenance(), set, fetch);
    if kept.is_err() {
        // SAFETY: the page was mapped just now, and nobody knows it.
        unsafe { libc::munmap(page, len) };
    }
    true
}

/// Gives it back, if there is one. Takes no lock and no memory: the handler calls it.
pub(super) fn give_back() {
    let page = SPARE.swap(0, Ordering::SeqCst);
    if page != 0 {
        let at = ptr::with_exposed_provenance_mut(page);
        // SAFETY: this is the page that was mapped, whoever took it from its place is the only one who knows it, and it is
        // never read.
        unsafe { libc::munmap(at, rustix::param::page_size()) };
    }
}

#[cfg(test)]
mod tests {
    use super::super::handler::tests::{cut, mapped};
    use super::super::tests::assert_goes_on;
    use super::*;

    /// Only as the child of the test below.
    #[test]
    #[ignore = "takes all maps of the process"]
    fn reads_a_cut_file_where_no_map_can_be_made() {
        let (file, map) = mapped();
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // Of two kinds, so that the system makes no one of them.
        for read in [libc::PROT_READ, libc::PROT_NONE].into_iter().cycle() {
            // SAFETY: a new map at an address that the system chooses.
            let at = unsafe { libc::mmap(ptr::null_mut(), 1, read, flags, -1, 0) };
            if at == libc::MAP_FAILED {
                break;
            }
        }
        cut(&file, &map);
    }

    #[test]
    fn a_process_that_has_all_the_maps_it_may_have() {
        assert_goes_on("spare::tests::reads_a_cut_file_where_no_map_can_be_made");
    }
}
