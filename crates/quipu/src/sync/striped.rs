//! Counters that threads do not wait for each other to add to.

use std::cell::Cell;

use super::Unique;

/// Threads count on so many lines of a cache: on one, each would wait for the core that counted before.
const LINES: usize = 16;

#[derive(Debug, Default)]
#[repr(align(64))]
struct Line<T>(T);

/// A counter, or some that are added to together, as often as there are lines.
#[derive(Debug, Default)]
pub(crate) struct Striped<T> {
    lines: [Line<T>; LINES],
}

/// Which line a thread counts on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OfThread(usize);

static THREADS: Unique = Unique::new();

// Always of the standard library: which line it is decides nothing.
std::thread_local!(static LINE: Cell<usize> = const { Cell::new(UNKNOWN) });

const UNKNOWN: usize = usize::MAX;

impl OfThread {
    #[inline]
    pub(crate) fn get() -> Self {
        match LINE.get() {
            UNKNOWN => Self::first(),
            line => Self(line),
        }
    }

    #[cold]
    fn first() -> Self {
        let line = THREADS.next() as usize % LINES;
        LINE.set(line);
        Self(line)
    }
}

impl<T> Striped<T> {
    /// Those of a thread.
    #[inline]
    pub(crate) fn of(&self, thread: OfThread) -> &T {
        &self.lines[thread.0 % LINES].0
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.lines.iter().map(|line| &line.0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn nothing_is_lost_among_threads() {
        let striped = Striped::<AtomicU64>::default();
        std::thread::scope(|scope| {
            for _ in 0..2 * LINES {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        striped.of(OfThread::get()).fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        let sum: u64 = striped.iter().map(|of| of.load(Ordering::Relaxed)).sum();
        assert_eq!(sum, 2 * LINES as u64 * 1000);
    }
}
