//! Locks, conditions, atomics and threads: the one place that says which are used.
//!
//! Built with `--cfg shuttle` they are those of the crate `shuttle`, so that the tests in
//! `tests/shuttle` can run the whole library, on a storage in memory, in orders of their choice.

#[cfg(shuttle)]
mod checked;
#[cfg(not(shuttle))]
mod condvar;
pub(crate) mod striped;

#[cfg(not(shuttle))]
pub(crate) use self::condvar::Condvar;
#[cfg(not(shuttle))]
pub(crate) use arc_swap::{ArcSwap, ArcSwapOption, Guard};
#[cfg(not(shuttle))]
pub(crate) use parking_lot::{Mutex, MutexGuard, RwLock};
#[cfg(not(shuttle))]
pub(crate) use std::{
    sync::{OnceLock, atomic},
    thread, thread_local,
};

#[cfg(shuttle)]
pub(crate) use self::checked::{
    ArcSwap, ArcSwapOption, Condvar, Guard, Mutex, MutexGuard, OnceLock, RwLock, thread,
};
#[cfg(shuttle)]
pub(crate) use shuttle::{sync::atomic, thread_local};

/// Numbers that are given out once each.
///
/// Always of the standard library: it outlives an order of steps that `shuttle` tries.
#[derive(Debug)]
pub(crate) struct Unique(std::sync::atomic::AtomicU64);

impl Unique {
    /// Begins with 1.
    pub(crate) const fn new() -> Self {
        Self(std::sync::atomic::AtomicU64::new(1))
    }

    /// One that nobody else has.
    pub(crate) fn next(&self) -> u64 {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }
}
