//! How many addresses the maps of the process take: where it has a limit of them, others need them more.

use std::mem::MaybeUninit;
// Always of the standard library, as in `guard`.
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Of a limit, maps take this part.
const PART: u64 = 8;

static TAKEN: AtomicUsize = AtomicUsize::new(0);
/// The most that maps may take; asked for once.
static MOST: OnceLock<usize> = OnceLock::new();

/// Addresses for a map, until it is dropped.
#[derive(Debug)]
pub(super) struct Room(usize);

impl Room {
    /// So many; none where maps have their part of the limit already.
    pub(super) fn take(bytes: usize) -> Option<Self> {
        let most = *MOST.get_or_init(most);
        let more = |taken: usize| taken.checked_add(bytes).filter(|&taken| taken <= most);
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        let taken = TAKEN.fetch_update(set, fetch, more);
        taken.ok().map(|_| Self(bytes))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        TAKEN.fetch_sub(self.0, Ordering::Relaxed);
    }
}

/// A part of the limit that the process has (`ulimit -v`), if it has one.
fn most() -> usize {
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: the pointer is good, and a call that succeeds has filled the limit.
    let limit = unsafe {
        let told = libc::getrlimit(libc::RLIMIT_AS, limit.as_mut_ptr());
        (told == 0).then(|| limit.assume_init())
    };
    let limit = limit.map(|of| of.rlim_cur);
    match limit.filter(|&most| most != libc::RLIM_INFINITY) {
        Some(most) => usize::try_from(most / PART).unwrap_or(usize::MAX),
        None => usize::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::assert_goes_on;
    use super::*;

    /// Only as the child of the test below.
    #[test]
    #[ignore = "limits the process"]
    fn takes_what_it_may() {
        let limit = libc::rlimit {
            rlim_cur: 8 << 30,
            rlim_max: 8 << 30,
        };
        // SAFETY: the pointer is good.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
        let take = || Room::take(64 << 20);
        let all: Vec<_> = std::iter::from_fn(take).collect();
        assert_eq!(all.len(), 16);
        drop(all);
        assert!(take().is_some());
    }

    #[test]
    fn maps_take_a_part_of_a_limit() {
        assert_goes_on("room::tests::takes_what_it_may");
    }
}
