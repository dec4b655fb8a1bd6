//! A slot that holds a part of a page, read without a lock.
//!
//! ```text
//! head    version | stream | part | bytes | used | -      a line of the cache
//! slot    the bytes, 8 to a word
//! ```
//!
//! A version is odd while a writer changes a frame. A reader looks at it before and after: what it read in between
//! counts if the version was even, and still is the same. It changes nothing itself, so that readers do not wait
//! for each other's lines. All words are atomics: what is read beside a writer is any mix of old and new, never
//! undefined, and is thrown away. The order of the accesses is the one of Boehm, "Can seqlocks get along with
//! programming language memory models?" (2012).
//!
//! There is one writer at a time; who calls sees to that.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::slabs::{HEAD_WORDS, SLOT_BYTES, Slot};

const WORD: usize = 8;
/// A copy of so many bytes has a loop of its own where they begin with a word.
const LONG: usize = 256;

/// A frame, in use or free.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    head: Head<'a>,
    words: &'a [AtomicU64],
}

#[derive(Clone, Copy)]
struct Head<'a> {
    version: &'a AtomicU64,
    stream: &'a AtomicU64,
    part: &'a AtomicU64,
    /// 0 while the frame is free.
    bytes: &'a AtomicU64,
    /// Whether it was read since the hand came by.
    used: &'a AtomicU64,
}

impl<'a> From<Slot<'a>> for Frame<'a> {
    #[inline]
    fn from(slot: Slot<'a>) -> Self {
        const _: () = assert!(HEAD_WORDS >= 5);
        let [version, stream, part, bytes, used, ..] = slot.head;
        let head = Head {
            version,
            stream,
            part,
            bytes,
            used,
        };
        let words = slot.words;
        Self { head, words }
    }
}

impl Frame<'_> {
    /// What `look` makes of the words and of how many bytes count, if the frame has this part and no writer
    /// came in between. `look` may see anything: it is to end, and what it says is then thrown away.
    #[inline]
    pub(super) fn read<T>(
        &self,
        stream: u64,
        part: u64,
        look: impl FnOnce(&[AtomicU64], usize) -> T,
    ) -> Option<T> {
        let version = self.head.version.load(Ordering::Acquire);
        let is_it = self.is(stream, part);
        let bytes = self.head.bytes.load(Ordering::Relaxed) as usize;
        if !version.is_multiple_of(2) || !is_it || bytes == 0 {
            return None;
        }
        let found = look(self.words, bytes);
        // With the fence of the writer whose words were read, if any: then its odd version is seen.
        fence(Ordering::Acquire);
        (self.head.version.load(Ordering::Relaxed) == version).then_some(found)
    }

    #[inline]
    fn is(&self, stream: u64, part: u64) -> bool {
        let load = |of: &AtomicU64| of.load(Ordering::Relaxed);
        load(self.head.stream) == stream && load(self.head.part) == part
    }

    #[inline]
    pub(super) fn mark(&self) {
        // Read first: readers that find the mark set then share the line.
        if !self.is_used() {
            self.head.used.store(1, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(super) fn is_used(&self) -> bool {
        self.head.used.load(Ordering::Relaxed) != 0
    }
}

/// For the writer.
impl Frame<'_> {
    /// Which part of which stream it has.
    pub(super) fn content(&self) -> Option<(u64, u64)> {
        let load = |of: &AtomicU64| of.load(Ordering::Relaxed);
        (load(self.head.bytes) != 0).then(|| (load(self.head.stream), load(self.head.part)))
    }

    /// Takes the mark away; whether it was there.
    pub(super) fn unmark(&self) -> bool {
        let was = self.is_used();
        self.head.used.store(0, Ordering::Relaxed);
        was
    }

    /// Puts a part in, of at least a byte and as many as fit.
    pub(super) fn fill(&self, stream: u64, part: u64, bytes: &[u8]) {
        self.change(|| {
            self.head.stream.store(stream, Ordering::Relaxed);
            self.head.part.store(part, Ordering::Relaxed);
            let len = bytes.len().min(SLOT_BYTES) as u64;
            self.head.bytes.store(len, Ordering::Relaxed);
            store(self.words, bytes);
        });
        self.head.used.store(0, Ordering::Relaxed);
    }

    pub(super) fn clear(&self) {
        self.change(|| self.head.bytes.store(0, Ordering::Relaxed));
    }

    fn change(&self, change: impl FnOnce()) {
        let version = self.head.version.load(Ordering::Relaxed);
        self.head.version.store(version + 1, Ordering::Relaxed);
        // Whoever reads what comes reads the odd version as well, behind a fence of its own.
        fence(Ordering::Release);
        change();
        self.head.version.store(version + 2, Ordering::Release);
    }
}

/// Puts bytes into words, as many as fit.
fn store(words: &[AtomicU64], bytes: &[u8]) {
    let (whole, rest) = bytes.as_chunks::<WORD>();
    let mut last = [0; WORD];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    for (word, bytes) in words.iter().zip(whole) {
        word.store(u64::from_le_bytes(*bytes), Ordering::Relaxed);
    }
    if let Some(word) = words.get(whole.len()) {
        word.store(u64::from_le_bytes(last), Ordering::Relaxed);
    }
}

/// Copies bytes that begin `at` out of words, which have so many.
// A function of its own: among what a look-up has to remember, little of it would be in registers.
#[inline(never)]
pub(super) fn copy_out(words: &[AtomicU64], at: usize, out: &mut [u8]) {
    let behind = at.saturating_add(out.len());
    let from = words.get(at / WORD..).unwrap_or_default();
    // Short copies begin anywhere: to tell them apart would cost more than it saves.
    match at.is_multiple_of(WORD) && out.len() >= LONG {
        true => copy_aligned(from, out),
        false => copy_shifted(from, at % WORD, out),
    }
    // What is left is copied with bytes before it that are there already, as a word.
    match out.last_chunk_mut::<WORD>() {
        Some(last) => *last = word_at(words, behind - WORD),
        None => {
            let bytes = word_at(words, at);
            out.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        }
    }
}

#[inline]
fn copy_aligned(words: &[AtomicU64], out: &mut [u8]) {
    for (whole, word) in out.as_chunks_mut::<WORD>().0.iter_mut().zip(words) {
        *whole = word.load(Ordering::Relaxed).to_le_bytes();
    }
}

/// Copies from byte `at` of the first word on.
#[inline]
fn copy_shifted(words: &[AtomicU64], at: usize, out: &mut [u8]) {
    let Some((first, next)) = words.split_first() else {
        return;
    };
    let mut low = first.load(Ordering::Relaxed);
    for (whole, next) in out.as_chunks_mut::<WORD>().0.iter_mut().zip(next) {
        let high = next.load(Ordering::Relaxed);
        *whole = joined(low, high, at);
        low = high;
    }
}

#[inline]
fn word_at(words: &[AtomicU64], at: usize) -> [u8; WORD] {
    let word = |at: usize| words.get(at).map_or(0, |word| word.load(Ordering::Relaxed));
    joined(word(at / WORD), word(at / WORD + 1), at % WORD)
}

/// The bytes of two words from `at` of the first on.
#[inline]
fn joined(low: u64, high: u64, at: usize) -> [u8; WORD] {
    let both = u128::from(high) << 64 | u128::from(low);
    ((both >> (at % WORD * 8)) as u64).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slabs::{Free, Slabs};

    fn page(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at * 31 + at / 251 + 1) as u8).collect()
    }

    #[test]
    fn any_part_of_any_size_is_copied() {
        let slabs = Slabs::new(1);
        let frame = Frame::from(Free::default().take(&slabs).unwrap().1);
        for len in (1..200).chain([4083, 4084, 4085, 4095, 4096]) {
            let bytes = page(len);
            frame.fill(1, 2, &bytes);
            for at in (0..len.min(60)).chain(len.saturating_sub(60)..len) {
                for wanted in (0..=(len - at).min(70)).chain([len - at]) {
                    let mut out = vec![0xEE; wanted];
                    let of = frame.read(1, 2, |words, of| {
                        copy_out(words, at, &mut out);
                        of
                    });
                    assert_eq!(of, Some(len));
                    assert_eq!(out, bytes[at..at + wanted], "{len}: {wanted} at {at}");
                }
            }
        }
    }

    #[test]
    fn nothing_is_read_behind_the_words() {
        let words = [AtomicU64::new(u64::MAX)];
        for at in [0, 1, 7, 8, 9, 100, usize::MAX] {
            for wanted in [0, 3, 8, 9, 30] {
                let mut out = vec![0; wanted];
                copy_out(&words, at, &mut out);
                let there = 8_usize.saturating_sub(at).min(wanted);
                assert!(
                    out[there..].iter().all(|&byte| byte == 0),
                    "{wanted} at {at}"
                );
            }
        }
    }

    #[test]
    fn a_frame_has_one_part_until_it_is_cleared() {
        let slabs = Slabs::new(1);
        let frame = Frame::from(Free::default().take(&slabs).unwrap().1);
        let read = |stream, part| frame.read(stream, part, |_, bytes| bytes);
        assert_eq!((read(0, 0), frame.content()), (None, None));
        frame.fill(3, 4, b"bytes");
        assert_eq!((read(3, 4), read(3, 5), read(2, 4)), (Some(5), None, None));
        assert_eq!(frame.content(), Some((3, 4)));
        frame.clear();
        assert_eq!((read(3, 4), frame.content()), (None, None));
    }

    /// What is read while the frame changes does not count.
    #[test]
    fn a_writer_in_between_is_noticed() {
        let slabs = Slabs::new(1);
        let frame = Frame::from(Free::default().take(&slabs).unwrap().1);
        frame.fill(1, 1, &[1; 100]);
        assert_eq!(frame.read(1, 1, |_, _| frame.clear()), None);
        frame.fill(1, 1, &[1; 100]);
        assert_eq!(frame.read(1, 1, |_, _| frame.fill(1, 1, &[2; 100])), None);
        frame.change(|| assert_eq!(frame.read(1, 1, |_, _| ()), None));
        assert_eq!(frame.read(1, 1, |_, _| ()), Some(()));
    }
}
