//! How many addresses the maps of a process may take.
//!
//! Addresses cost nothing, unless somebody has set a limit of them (`RLIMIT_AS`, `ulimit -v`): then what maps take
//! is missing elsewhere, and an allocation that fails ends the process. So maps take an eighth of such a limit at
//! most, counted over the whole process; for a file that finds no room, reads are calls.

use std::mem::MaybeUninit;
// Always of the standard library: it is of the process, and no order that a test chooses.
use std::sync::atomic::{AtomicUsize, Ordering};

/// Maps take no larger part of a limit than this.
const PART: u64 = 8;

static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// Addresses for a map, until it is dropped.
#[derive(Debug)]
pub(super) struct Room(usize);

impl Room {
    /// None where the process's limit leaves no room for so many.
    pub(super) fn take(len: usize) -> Option<Self> {
        let limit = limit();
        let more = |taken: usize| taken.checked_add(len).filter(|&all| fits(all, limit));
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        TAKEN.fetch_update(set, fetch, more).ok().map(|_| Self(len))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        TAKEN.fetch_sub(self.0, Ordering::Relaxed);
    }
}

fn fits(all: usize, limit: Option<u64>) -> bool {
    limit.is_none_or(|limit| all as u64 <= limit / PART)
}

/// The limit that the process has now; none where there is none.
fn limit() -> Option<u64> {
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: the pointer is good, and a call that succeeds has filled the limit.
    let limit = unsafe {
        let result = libc::getrlimit(libc::RLIMIT_AS, limit.as_mut_ptr());
        (result == 0).then(|| limit.assume_init().rlim_cur)
    };
    limit.filter(|&limit| limit != libc::RLIM_INFINITY)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_goes_on, file, read, warm};
    use super::*;

    /// Only as the child of the test below.
    #[test]
    #[ignore = "limits the addresses of the process"]
    fn maps_files_beside_a_limit() {
        let (small, large) = (file(3000), file(3000));
        large.set_len(1 << 30).unwrap();
        let limit = libc::rlimit {
            rlim_cur: PART << 30,
            rlim_max: libc::RLIM_INFINITY,
        };
        // SAFETY: the pointer is good.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
        let of_large = warm(&large, 0, 100);
        assert!(read(&of_large, &large, 0, 100).is_some());
        let of_small = warm(&small, 0, 100);
        assert_eq!(read(&of_small, &small, 0, 100), None, "no room");
        drop(of_large);
        let of_small = warm(&small, 0, 100);
        assert!(read(&of_small, &small, 0, 100).is_some());
    }

    #[test]
    fn maps_leave_most_addresses_to_others() {
        assert_goes_on("room::tests::maps_files_beside_a_limit");
    }

    #[test]
    fn an_eighth_of_the_limit() {
        assert!(fits(100, Some(800)) && !fits(101, Some(800)));
        assert!(fits(usize::MAX, None));
    }
}
