//! One ring, in which nothing is under way.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;

use io_uring::{IoUring, Probe, opcode};

use super::flight::Flight;

/// Reads that are under way at a time. There is room for twice as many completions, so that none is ever lost.
pub(super) const DEPTH: usize = 64;
/// The most bytes of one read; a longer one goes on with another.
const MAX_PART: usize = 1 << 30;

/// A read that a ring is asked for, of at least a byte.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) file: BorrowedFd<'a>,
    pub(super) offset: u64,
    pub(super) len: usize,
}

/// A ring, to be used by one thread.
pub(super) struct Ring {
    pub(super) ring: IoUring,
    pub(super) process: u32,
    /// The most bytes of one read.
    pub(super) most: usize,
    /// Behind so many waits the next one fails.
    #[cfg(test)]
    pub(super) waits: usize,
}

impl Ring {
    /// # Errors
    ///
    /// What the system says where it has no such rings, forbids them, or has no room for one;
    /// [`io::ErrorKind::Unsupported`] where they cannot read yet.
    pub(super) fn new() -> io::Result<Self> {
        let ring = IoUring::new(DEPTH as u32)?;
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe)?;
        match probe.is_supported(opcode::Read::CODE) {
            true => Ok(Self {
                ring,
                process: std::process::id(),
                most: MAX_PART,
                #[cfg(test)]
                waits: usize::MAX,
            }),
            false => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// False behind a fork: the process before it has the same ring.
    pub(super) fn is_of_this_process(&self) -> bool {
        self.process == std::process::id()
    }

    /// Makes the reads; what each has read, in their order, and none where that is not all. The ring comes back
    /// if nothing is left in it.
    pub(super) fn read(
        mut self,
        requests: &[Option<Request<'_>>],
    ) -> (Vec<Option<Vec<u8>>>, Option<Self>) {
        let mut flight = Flight::new(&mut self, requests);
        let is_empty = flight.run();
        let read = flight.into_read();
        (read, is_empty.then_some(self))
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").finish_non_exhaustive()
    }
}
