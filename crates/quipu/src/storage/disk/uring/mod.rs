//! Many reads at once, through io_uring.
//!
//! ```text
//! reads       0 1 2 3 4 5 6 7 8 9 …
//!             └──────┬──────┘
//! ring          up to 64 under way        a place that one leaves the next one takes
//!                    │
//! completions   3 0 1 5 …                 in the order of the disk
//! ```
//!
//! A thread that reads with a call waits for each read; with eight threads a disk has eight of them to choose
//! from. A ring takes dozens from one thread, with a system call for several.
//!
//! A ring only ever hands over what was read. Whatever else comes of a read (an error, the end of the file, no
//! memory), it is made again with a call, which tells what is wrong: so a read through a ring fails as any other.
//!
//! # Invariants
//!
//! - Memory that the system may write to is owned by the [flight] of its reads, and is freed when none of
//!   them is under way any more, however the flight ends. If that cannot be waited for, it is never freed.
//! - A ring is used by one thread at a time, and again only when nothing is left in it.
//! - A ring of the process before a fork is not used behind it: both would take each other's completions.
//!
//! # Cost
//!
//! A ring is a file descriptor and some 12 KiB; there are up to [`MAX_RINGS`], made when so many threads read at
//! once, and they stay. Memory for a read is taken when it begins, a long one's only once the file is known to be as
//! long.

mod flight;
mod ring;
#[cfg(test)]
mod tests;

use self::ring::{Request, Ring};
use super::super::{Read, checked_end};
use super::blob::LARGE_READ;
use crate::sync::{Mutex, OnceLock};

/// The most rings of a storage. Whoever finds none reads with calls.
const MAX_RINGS: usize = 8;

/// The rings of a storage.
#[derive(Debug)]
pub(super) struct Rings {
    allowed: bool,
    /// Whether the system has, and allows, what is needed; asked once.
    work: OnceLock<bool>,
    pool: Mutex<Pool>,
}

#[derive(Debug, Default)]
struct Pool {
    idle: Vec<Ring>,
    /// How many are in use.
    taken: usize,
}

impl Rings {
    pub(super) fn new(allowed: bool) -> Self {
        Self {
            allowed,
            work: OnceLock::new(),
            pool: Mutex::default(),
        }
    }

    /// Whether reads go through rings. Where the system is too old, or forbids it, they never do.
    pub(super) fn work(&self) -> bool {
        let try_one = || match Ring::new() {
            Ok(ring) => {
                self.pool.lock().idle.push(ring);
                true
            }
            Err(_) => false,
        };
        self.allowed && *self.work.get_or_init(try_one)
    }

    /// What the reads have read, in their order; none for those that are to be made with a call.
    pub(super) fn read(&self, reads: &[Read<'_>]) -> Vec<Option<Vec<u8>>> {
        // First: the blobs may be anybody's, and a ring that is taken must come back.
        let requests: Vec<_> = reads.iter().map(request).collect();
        let Some(ring) = self.take() else {
            return vec![None; reads.len()];
        };
        let (read, ring) = ring.read(&requests);
        let mut pool = self.pool.lock();
        pool.taken -= 1;
        pool.idle.extend(ring);
        read
    }

    fn take(&self) -> Option<Ring> {
        if !self.work() {
            return None;
        }
        let mut pool = self.pool.lock();
        while let Some(ring) = pool.idle.pop() {
            if ring.is_of_this_process() {
                pool.taken += 1;
                return Some(ring);
            }
        }
        if pool.taken >= MAX_RINGS {
            return None;
        }
        let ring = Ring::new().ok()?;
        pool.taken += 1;
        Some(ring)
    }
}

/// What a ring is asked for; none where a call is to find out whether there is so much.
fn request<'a>(read: &Read<'a>) -> Option<Request<'a>> {
    let Read { blob, offset, len } = *read;
    let end = checked_end(offset, len as u64)?;
    let is_sound = len > 0 && (len <= LARGE_READ || blob.len().is_ok_and(|has| end <= has));
    let file = blob.as_fd().filter(|_| is_sound)?;
    Some(Request { file, offset, len })
}
