//! Reads that are under way in a ring, and the memory that they fill.

use std::io;
use std::mem;
use std::ops::Range;
use std::os::fd::AsRawFd;

use io_uring::{EnterFlags, opcode, types};
use rustix::io::Errno;

use super::ring::{DEPTH, Request, Ring};

/// The reads of one call. While any of them is under way the system may write to the room of its buffer.
pub(super) struct Flight<'a> {
    ring: &'a mut Ring,
    requests: &'a [Option<Request<'a>>],
    /// What was read of each so far, with room for the rest; none before it begins, and where it failed.
    buffers: Vec<Option<Vec<u8>>>,
    /// Those that have not begun.
    rest: Range<usize>,
    /// Those that have read a part.
    unfinished: Vec<usize>,
    /// How many are queued, or with the system.
    under_way: usize,
}

impl<'a> Flight<'a> {
    pub(super) fn new(ring: &'a mut Ring, requests: &'a [Option<Request<'a>>]) -> Self {
        Self {
            ring,
            requests,
            buffers: vec![None; requests.len()],
            rest: 0..requests.len(),
            unfinished: Vec::new(),
            under_way: 0,
        }
    }

    /// Makes all reads; false where the ring gave up, and some of them are left in it.
    pub(super) fn run(&mut self) -> bool {
        loop {
            while self.under_way < DEPTH
                && let Some(at) = self.unfinished.pop().or_else(|| self.rest.next())
            {
                self.begin(at);
            }
            if self.under_way == 0 {
                return true;
            }
            if self.wait().is_err() {
                return false;
            }
            self.reap();
        }
    }

    /// What was read, where that is all that was asked for.
    pub(super) fn into_read(mut self) -> Vec<Option<Vec<u8>>> {
        self.land();
        let mut read = mem::take(&mut self.buffers);
        read.resize(self.requests.len(), None);
        for (read, request) in read.iter_mut().zip(self.requests) {
            let wanted = request.map_or(0, |request| request.len);
            read.take_if(|read| read.len() < wanted);
        }
        read
    }

    /// Queues a read, or what is left of it. None where it is to be made with a call.
    fn begin(&mut self, at: usize) -> Option<()> {
        let Request { file, offset, len } = (*self.requests.get(at)?)?;
        let buffer = self.buffers.get_mut(at)?;
        if buffer.is_none() {
            let mut room = Vec::new();
            room.try_reserve_exact(len).ok()?;
            *buffer = Some(room);
        }
        let buffer = buffer.as_mut()?;
        let done = buffer.len();
        let part = (len - done).min(self.ring.most);
        let room = buffer.spare_capacity_mut().get_mut(..part)?;
        let read = opcode::Read::new(
            types::Fd(file.as_raw_fd()),
            room.as_mut_ptr().cast(),
            part as u32,
        );
        let read = read.offset(offset + done as u64).build();
        // SAFETY: the room is the buffer's, which is not touched before the read is reaped, nor freed while it is
        // under way: `land` sees to that, also where this is dropped. The file is borrowed for longer.
        unsafe { self.ring.ring.submission().push(&read.user_data(at as u64)) }.ok()?;
        self.under_way += 1;
        Some(())
    }

    /// Hands over what is queued, and waits until some read has ended.
    fn wait(&mut self) -> io::Result<()> {
        #[cfg(test)]
        {
            let left = self.ring.waits.checked_sub(1);
            self.ring.waits = left.ok_or(io::ErrorKind::Other)?;
        }
        loop {
            match self.ring.ring.submit_and_wait(1) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                waited => return waited.map(drop),
            }
        }
    }

    /// Takes in the reads that have ended.
    fn reap(&mut self) {
        for completion in self.ring.ring.completion() {
            self.under_way = self.under_way.saturating_sub(1);
            let at = completion.user_data() as usize;
            let request = self.requests.get(at).copied().flatten();
            let (Some(slot), Some(Request { len, .. })) = (self.buffers.get_mut(at), request)
            else {
                continue;
            };
            match (usize::try_from(completion.result()), slot) {
                (Ok(read @ 1..), Some(buffer)) => {
                    let done = buffer.len().saturating_add(read).min(len);
                    // SAFETY: there is room for `len`, and the system has just filled it so far.
                    unsafe { buffer.set_len(done) };
                    if done < len {
                        self.unfinished.push(at);
                    }
                }
                // An error, or the end of the file.
                (_, slot) => *slot = None,
            }
        }
    }

    /// Waits until the system has none of the reads any more. What is only queued it never gets: the ring is not
    /// used again.
    fn land(&mut self) {
        loop {
            self.reap();
            let queued = self.ring.ring.submission().len();
            if self.under_way <= queued {
                return;
            }
            let submitter = self.ring.ring.submitter();
            // SAFETY: nothing is submitted, and no pointer handed over.
            let waited = unsafe { submitter.enter::<()>(0, 1, EnterFlags::GETEVENTS.bits(), None) };
            let failed = waited.err().and_then(|error| Errno::from_io_error(&error));
            if failed.is_some_and(|errno| !can_be_waited_again(errno)) {
                // Better lost than written to when it is another's.
                return mem::forget(mem::take(&mut self.buffers));
            }
        }
    }
}

fn can_be_waited_again(errno: Errno) -> bool {
    [Errno::INTR, Errno::AGAIN, Errno::BUSY].contains(&errno)
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.land();
    }
}
