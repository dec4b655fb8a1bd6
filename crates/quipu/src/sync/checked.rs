//! The locks of a build for `shuttle`: each taking and each look is a point at which another
//! thread may go on, and the order in which locks are taken is checked.
//!
//! They have the interface of `parking_lot` as far as the library uses it. An upgradable read is
//! made of a second lock that everyone takes who may change the value: between the end of such a
//! read and the write it becomes, others may read and nobody can write.
//!
//! Atomics behave as if all were sequentially consistent: `shuttle` cannot show what a weaker order
//! would allow.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;

use shuttle::sync::atomic::{AtomicBool, Ordering};

use self::order::{Class, Held};

mod condvar;
mod order;
mod pointer;
pub(crate) mod thread;

pub(crate) use self::condvar::Condvar;
pub(crate) use self::pointer::{ArcSwap, ArcSwapOption, Guard};

/// As `parking_lot::Mutex`.
pub(crate) struct Mutex<T> {
    class: Class,
    inner: shuttle::sync::Mutex<T>,
}

pub(crate) struct MutexGuard<'a, T> {
    inner: shuttle::sync::MutexGuard<'a, T>,
    lock: &'a shuttle::sync::Mutex<T>,
    held: Held,
}

impl<T> Mutex<T> {
    #[track_caller]
    pub(crate) fn new(value: T) -> Self {
        Self {
            class: Class::here(),
            inner: shuttle::sync::Mutex::new(value),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        let held = self.class.take(self);
        let inner = self.inner.lock();
        MutexGuard {
            inner: inner.unwrap_or_else(PoisonError::into_inner),
            lock: &self.inner,
            held,
        }
    }
}

impl<T> Mutex<T> {
    pub(crate) fn into_inner(self) -> T {
        let inner = self.inner.into_inner();
        inner.unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Default> Default for Mutex<T> {
    #[track_caller]
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").finish_non_exhaustive()
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

/// As `parking_lot::RwLock`.
pub(crate) struct RwLock<T> {
    class: Class,
    inner: shuttle::sync::RwLock<T>,
}

pub(crate) struct RwLockReadGuard<'a, T> {
    inner: shuttle::sync::RwLockReadGuard<'a, T>,
    _held: Held,
}

pub(crate) struct RwLockWriteGuard<'a, T> {
    inner: shuttle::sync::RwLockWriteGuard<'a, T>,
    _held: Held,
}

impl<T> RwLock<T> {
    #[track_caller]
    pub(crate) fn new(value: T) -> Self {
        Self {
            class: Class::here(),
            inner: shuttle::sync::RwLock::new(value),
        }
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
        let held = self.class.take(self);
        RwLockReadGuard {
            inner: self.inner.read().unwrap_or_else(PoisonError::into_inner),
            _held: held,
        }
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
        let held = self.class.take(self);
        RwLockWriteGuard {
            inner: self.inner.write().unwrap_or_else(PoisonError::into_inner),
            _held: held,
        }
    }
}

impl<T: Default> Default for RwLock<T> {
    #[track_caller]
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLock").finish_non_exhaustive()
    }
}

impl<T> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

/// As `std::sync::OnceLock`, with a point to go on with another thread before each use. What makes
/// the value must have none: the standard library's lock would block all threads.
#[derive(Debug, Default)]
pub(crate) struct OnceLock<T> {
    used: AtomicBool,
    inner: std::sync::OnceLock<T>,
}

impl<T> OnceLock<T> {
    pub(crate) const fn new() -> Self {
        Self {
            used: AtomicBool::new(false),
            inner: std::sync::OnceLock::new(),
        }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        self.used.load(Ordering::SeqCst);
        self.inner.get()
    }

    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        self.used.store(true, Ordering::SeqCst);
        self.inner.set(value)
    }

    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        self.used.store(true, Ordering::SeqCst);
        self.inner.get_or_init(make)
    }
}
