//! Work that waits for the disk, or compresses, by several threads.
//!
//! What is in memory is read faster by as many cores as there are; of what is not, a disk serves several calls at
//! a time as fast as one, so the threads are more than that.

use std::thread;

use super::shared::Shared;

const MAX_THREADS: usize = 8;

impl Shared {
    /// What `work` makes of each part of the items, in their order. A part has `least` items at the least, if
    /// there are so many, and is a thread's, where the storage serves several.
    pub(super) fn side_by_side<T: Sync, R: Send>(
        &self,
        items: &[T],
        least: usize,
        work: impl Fn(&[T]) -> R + Sync,
    ) -> Vec<R> {
        let threads = match !cfg!(shuttle) && self.storage.serves_side_by_side() {
            true => (items.len() / least.max(1)).clamp(1, MAX_THREADS),
            false => 1,
        };
        let part = items.len().div_ceil(threads).max(1);
        let mut parts = items.chunks(part);
        // The last is for this thread.
        let own = parts.next_back().unwrap_or_default();
        let work = &work;
        thread::scope(|scope| {
            let started: Vec<_> = parts
                .map(|part| {
                    let thread = thread::Builder::new().spawn_scoped(scope, move || work(part));
                    // There may be no more threads to be had.
                    (part, thread)
                })
                .collect();
            let last = work(own);
            let mut done = Vec::with_capacity(started.len() + 1);
            for (part, thread) in started {
                done.push(match thread.map(thread::ScopedJoinHandle::join) {
                    Ok(Ok(done)) => done,
                    Ok(Err(panic)) => std::panic::resume_unwind(panic),
                    Err(_) => work(part),
                });
            }
            done.push(last);
            done
        })
    }
}
