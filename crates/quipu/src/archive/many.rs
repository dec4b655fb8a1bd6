//! Many items at once: read in the order of their places, by several threads where there are enough of them.
//!
//! What is in memory is read faster by as many cores as there are; of what is not, a disk serves several reads at
//! a time as fast as one, so the threads are more than that.

use std::thread;

use bytes::Bytes;

use super::lookup::By;
use super::shared::Shared;
use crate::entropy;
use crate::error::Result;

/// A thread for fewer reads would take longer to start than it saves.
const READS_PER_THREAD: usize = 64;
const MAX_THREADS: usize = 8;

/// A value, and of which id.
type Value = (usize, Option<Bytes>);

impl Shared {
    /// The values of several ids, in their order.
    pub(super) fn find_many(&self, ids: &[By<'_>]) -> Result<Vec<Option<Bytes>>> {
        let mut order: Vec<usize> = (0..ids.len()).collect();
        order.sort_by_cached_key(|&at| ids.get(at).map(|&id| self.place(id)));
        let mut values = vec![None; ids.len()];
        for (at, value) in self.find_in_order(ids, &order)? {
            if let Some(place) = values.get_mut(at) {
                *place = value;
            }
        }
        Ok(values)
    }

    fn find_in_order(&self, ids: &[By<'_>], order: &[usize]) -> Result<Vec<Value>> {
        // A simulation's calls come from one thread, in one order.
        let threads = match cfg!(shuttle) || entropy::is_simulated() {
            true => 1,
            false => (order.len() / READS_PER_THREAD).clamp(1, MAX_THREADS),
        };
        let part = order.len().div_ceil(threads).max(1);
        let mut parts = order.chunks(part);
        // The last is for this thread.
        let own = parts.next_back().unwrap_or_default();
        thread::scope(|scope| {
            let mut started = Vec::new();
            let mut found = Vec::new();
            for part in parts {
                let find = move || self.find_each(ids, part);
                match thread::Builder::new().spawn_scoped(scope, find) {
                    Ok(thread) => started.push(thread),
                    // There are no more threads to be had.
                    Err(_) => found.push(self.find_each(ids, part)),
                }
            }
            found.push(self.find_each(ids, own));
            let ended = started.into_iter().map(|thread| match thread.join() {
                Ok(found) => found,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            found.extend(ended);
            let found: Result<Vec<_>> = found.into_iter().collect();
            Ok(found?.concat())
        })
    }

    fn find_each(&self, ids: &[By<'_>], part: &[usize]) -> Result<Vec<Value>> {
        let ids = part.iter().filter_map(|&at| Some((at, *ids.get(at)?)));
        ids.map(|(at, id)| Ok((at, self.get(id)?.map(|found| found.value))))
            .collect()
    }
}
