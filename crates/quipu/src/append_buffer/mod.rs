//! The end of a stream, in memory: one thread appends to it, any number read what is there, without a lock.
//!
//! ```text
//! stream   0 ......................... start ................. end
//!          what is elsewhere, in a file | the bytes of the buffer
//! ```
//!
//! Bytes lie in a chunk, which only ever fills: a reader sees how full it is, and what it sees never changes. Whatever else
//! becomes of the buffer (it begins further on, is cut, needs more room) makes another chunk, to which a pointer is swapped;
//! who reads the old one goes on. Two chunks take turns, so that a buffer that is filled and emptied again and again asks for
//! no memory.

mod raw;

use std::ops::Deref;
use std::sync::Arc;

use self::raw::{Chunk, Filling};
use crate::sync::ArcSwap;
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The buffer of whoever appends.
pub(crate) struct AppendBuffer {
    filling: Filling,
    /// The chunk before, to be used again.
    spare: Option<Filling>,
    shown: Arc<Shown>,
}

struct Shown {
    chunk: ArcSwap<Chunk>,
    memory: AtomicUsize,
}

/// The same for readers.
pub(crate) struct AppendView(Arc<Shown>);

impl AppendBuffer {
    /// An empty one, of the bytes from `start` on. Takes no memory for them yet.
    pub(crate) fn new(start: u64) -> Self {
        let filling = Filling::new(start, 0);
        let shown = Arc::new(Shown {
            chunk: ArcSwap::new(Arc::clone(filling.chunk())),
            memory: AtomicUsize::new(0),
        });
        Self {
            filling,
            spare: None,
            shown,
        }
    }

    pub(crate) fn view(&self) -> AppendView {
        AppendView(Arc::clone(&self.shown))
    }

    /// Where in the stream its bytes begin.
    pub(crate) fn start(&self) -> u64 {
        self.filling.chunk().start()
    }

    /// Where the stream ends.
    pub(crate) fn end(&self) -> u64 {
        self.start().saturating_add(self.len() as u64)
    }

    /// Adds bytes, all of which readers see at once.
    #[inline]
    pub(crate) fn append<const N: usize>(&mut self, parts: [&[u8]; N]) {
        if !self.filling.append(parts) {
            self.grow(parts);
        }
    }

    #[cold]
    fn grow<const N: usize>(&mut self, parts: [&[u8]; N]) {
        let more = parts.iter().map(|part| part.len()).sum::<usize>();
        let needed = self.len().saturating_add(more);
        let capacity = needed.max(self.filling.capacity().saturating_mul(2));
        let mut larger = Filling::new(self.start(), capacity);
        larger.append([self]);
        larger.append(parts);
        self.show(larger);
        self.drop_spare(); // smaller than what the next chunk will need
    }

    /// Begins anew: empty, from `start` on.
    pub(crate) fn restart(&mut self, start: u64) {
        if self.is_empty() && self.start() == start {
            return;
        }
        let next = self.next(start, 0);
        self.show(next);
    }

    /// Takes the first `len` bytes out, which are elsewhere from now on.
    pub(crate) fn drop_front(&mut self, len: usize) {
        let stays = self.get(len..).unwrap_or_default();
        let start = self.end() - stays.len() as u64;
        let (from, needed) = (self.len() - stays.len(), stays.len());
        let mut next = self.next(start, needed);
        next.append([&self[from..]]);
        self.show(next);
    }

    /// Keeps the first `len` bytes.
    pub(crate) fn truncate(&mut self, len: usize) {
        if len < self.len() {
            let mut next = self.next(self.start(), len);
            next.append([&self[..len]]);
            self.show(next);
        }
    }

    /// Takes these bytes in place of all before.
    pub(crate) fn replace(&mut self, start: u64, bytes: &[u8]) {
        let mut next = self.next(start, bytes.len());
        next.append([bytes]);
        self.show(next);
    }

    /// Gives back the memory that it does not need, where it has more than so many bytes.
    pub(crate) fn shrink_to(&mut self, capacity: usize) {
        if self.shown.memory.load(Relaxed) > capacity.max(self.len()) {
            let mut small = Filling::new(self.start(), self.len());
            small.append([self]);
            self.show(small);
            self.drop_spare();
        }
    }

    /// An empty chunk with room for `len` bytes: the one before, where that has it and nobody reads it any more.
    fn next(&mut self, start: u64, len: usize) -> Filling {
        let capacity = self.filling.capacity().max(len);
        if let Some(mut spare) = self.spare.take()
            && spare.capacity() >= capacity
            && spare.restart(start)
        {
            return spare;
        }
        Filling::new(start, capacity)
    }

    /// Lets readers have another chunk.
    fn show(&mut self, next: Filling) {
        self.shown.chunk.store(Arc::clone(next.chunk()));
        self.spare = Some(std::mem::replace(&mut self.filling, next));
        self.count_memory();
    }

    fn drop_spare(&mut self) {
        self.spare = None;
        self.count_memory();
    }

    fn count_memory(&self) {
        let spare = self.spare.as_ref().map_or(0, Filling::capacity);
        let memory = self.filling.capacity().saturating_add(spare);
        self.shown.memory.store(memory, Relaxed);
    }
}

impl Deref for AppendBuffer {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.filling.chunk().bytes()
    }
}

impl AppendView {
    /// What there is now: where in the stream it begins, and the bytes.
    #[inline]
    pub(crate) fn read<T>(&self, read: impl FnOnce(u64, &[u8]) -> T) -> T {
        let chunk = self.0.chunk.load();
        read(chunk.start(), chunk.bytes())
    }

    /// Bytes of memory that the buffer takes.
    pub(crate) fn memory(&self) -> usize {
        self.0.memory.load(Relaxed)
    }

    /// Where the stream ends.
    #[inline]
    pub(crate) fn end(&self) -> u64 {
        self.read(|start, bytes| start.saturating_add(bytes.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sync::atomic::{
        AtomicBool, AtomicU64,
        Ordering::{Acquire, Release},
    };

    #[derive(Clone, Debug)]
    enum Step {
        Append(Vec<u8>),
        Restart(u64),
        DropFront(usize),
        Truncate(usize),
        Replace(u64, Vec<u8>),
        Shrink(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..40);
        prop_oneof![
            6 => bytes().prop_map(Step::Append),
            1 => (0..1_000_u64).prop_map(Step::Restart),
            2 => (0..60_usize).prop_map(Step::DropFront),
            2 => (0..60_usize).prop_map(Step::Truncate),
            1 => (0..1_000_u64, bytes()).prop_map(|(start, bytes)| Step::Replace(start, bytes)),
            1 => (0..60_usize).prop_map(Step::Shrink),
        ]
    }

    proptest! {
        #[test]
        fn does_what_a_vec_does(steps in prop::collection::vec(step(), 0..80)) {
            let mut buffer = AppendBuffer::new(7);
            let view = buffer.view();
            let (mut start, mut bytes) = (7, Vec::new());
            for step in steps {
                match step {
                    Step::Append(more) => {
                        let (one, other) = more.split_at(more.len() / 3);
                        buffer.append([one, other]);
                        bytes.extend(more);
                    }
                    Step::Restart(to) => {
                        buffer.restart(to);
                        (start, bytes) = (to, Vec::new());
                    }
                    Step::DropFront(len) => {
                        buffer.drop_front(len);
                        let dropped = len.min(bytes.len());
                        bytes.drain(..dropped);
                        start += dropped as u64;
                    }
                    Step::Truncate(len) => {
                        buffer.truncate(len);
                        bytes.truncate(len);
                    }
                    Step::Replace(to, new) => {
                        buffer.replace(to, &new);
                        (start, bytes) = (to, new);
                    }
                    Step::Shrink(to) => {
                        buffer.shrink_to(to);
                        prop_assert!(view.memory() <= to.max(bytes.len()));
                    }
                }
                prop_assert_eq!((buffer.start(), &*buffer), (start, &*bytes));
                let end = start + bytes.len() as u64;
                prop_assert_eq!((buffer.end(), view.end()), (end, end));
                view.read(|from, seen| assert_eq!((from, seen), (start, &*bytes)));
            }
        }
    }

    #[test]
    fn filled_and_emptied_it_keeps_its_two_chunks() {
        let mut buffer = AppendBuffer::new(0);
        let view = buffer.view();
        for round in 0..10 {
            (0..10).for_each(|_| buffer.append([&[1; 10]]));
            let memory = view.memory();
            let end = buffer.end();
            buffer.restart(end);
            assert!(round < 2 || view.memory() == memory);
        }
    }

    /// What a reader has stays as it is, though the chunk would be next.
    #[test]
    fn a_chunk_that_is_being_read_is_not_used_again() {
        let mut buffer = AppendBuffer::new(0);
        let view = buffer.view();
        buffer.append([&[7; 100]]);
        view.read(|start, bytes| {
            for round in 0..5 {
                buffer.restart(100 + round);
                buffer.append([&[8; 100]]);
            }
            assert_eq!((start, bytes), (0, &[7; 100][..]));
        });
    }

    /// Byte n of the stream is n; readers see nothing else, and at least what they were told of.
    #[test]
    fn readers_see_what_was_appended() {
        let steps = if cfg!(miri) { 120 } else { 20_000 };
        let mut buffer = AppendBuffer::new(0);
        let (view, told, done) = (buffer.view(), AtomicU64::new(0), AtomicBool::new(false));
        // Who reads what was told sees by that what was written before; the others have only what the buffer says.
        let check = |asks: bool| {
            while !done.load(Relaxed) {
                let least = if asks { told.load(Acquire) } else { 0 };
                view.read(|start, bytes| {
                    assert!(start + bytes.len() as u64 >= least);
                    assert!((start..).zip(bytes).all(|(at, &byte)| byte == at as u8));
                });
            }
        };
        std::thread::scope(|scope| {
            for asks in [true, false, false] {
                scope.spawn(move || check(asks));
            }
            for step in 0..steps {
                let from = buffer.end();
                let bytes: Vec<u8> = (from..from + step % 23).map(|at| at as u8).collect();
                let (one, other) = bytes.split_at(bytes.len() / 2);
                buffer.append([one, other]);
                told.store(buffer.end(), Release);
                match step % 50 {
                    7 => buffer.drop_front(buffer.len() / 2),
                    31 => buffer.restart(buffer.end()),
                    _ => {}
                }
            }
            done.store(true, Relaxed);
        });
    }
}
