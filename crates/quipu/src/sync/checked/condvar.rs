//! A condition to wait for that the test's scheduler knows.

use std::fmt;
use std::sync::PoisonError;
use std::time::Instant;

use super::MutexGuard;

#[derive(Default)]
pub(crate) struct Condvar(shuttle::sync::Condvar);

impl Condvar {
    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        let MutexGuard { inner, lock, held } = guard;
        let inner = self.0.wait(inner);
        MutexGuard {
            inner: inner.unwrap_or_else(PoisonError::into_inner),
            lock,
            held,
        }
    }

    /// The time is always over, once others have had their turn: time does not pass here, and a wait without
    /// end would be told as a deadlock.
    pub(crate) fn wait_until<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        _until: Instant,
    ) -> (MutexGuard<'a, T>, bool) {
        let MutexGuard { inner, lock, held } = guard;
        drop(inner);
        shuttle::thread::yield_now();
        let inner = lock.lock().unwrap_or_else(PoisonError::into_inner);
        (MutexGuard { inner, lock, held }, true)
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}
