//! The threads of a build for `shuttle`: those of the test's scheduler.
//!
//! A wait with a limit is one without: time does not pass here, so who parks must be woken, and a
//! wake-up that gets lost is told as a deadlock.

use std::sync::Arc;

use super::super::atomic::{AtomicBool, Ordering};

pub(crate) use shuttle::thread::{Thread, current, park_timeout, sleep, yield_now};

/// As `std::thread::Builder`.
pub(crate) struct Builder(shuttle::thread::Builder);

/// As `std::thread::JoinHandle`.
#[derive(Debug)]
pub(crate) struct JoinHandle<T> {
    inner: shuttle::thread::JoinHandle<T>,
    finished: Arc<AtomicBool>,
}

/// Says that a thread has ended, also where it panicked.
struct Finish(Arc<AtomicBool>);

impl Builder {
    pub(crate) fn new() -> Self {
        Self(shuttle::thread::Builder::new())
    }

    pub(crate) fn name(self, name: String) -> Self {
        Self(self.0.name(name))
    }

    pub(crate) fn spawn<T: Send + 'static>(
        self,
        run: impl FnOnce() -> T + Send + 'static,
    ) -> std::io::Result<JoinHandle<T>> {
        let finished = Arc::new(AtomicBool::new(false));
        let finish = Finish(Arc::clone(&finished));
        let inner = self.0.spawn(move || {
            let _finish = finish;
            run()
        })?;
        Ok(JoinHandle { inner, finished })
    }
}

impl<T> JoinHandle<T> {
    pub(crate) fn thread(&self) -> &Thread {
        self.inner.thread()
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.finished.load(Ordering::SeqCst)
    }

    pub(crate) fn join(self) -> shuttle::thread::Result<T> {
        self.inner.join()
    }
}

impl Drop for Finish {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
