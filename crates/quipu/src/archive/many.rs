//! Many items at once: read in the order of their places, side by side where there are enough of them.

use bytes::Bytes;

use super::entry::EntryBuf;
use super::lookup::By;
use super::shared::Shared;
use crate::error::Result;

/// A thread for fewer reads would take longer to start than it saves.
const READS_PER_THREAD: usize = 64;

/// A value, and of which id.
type Value = (usize, Option<Bytes>);

impl Shared {
    /// The values of several ids, in their order.
    pub(super) fn find_many(&self, ids: &[By<'_>]) -> Result<Vec<Option<Bytes>>> {
        let mut order: Vec<(usize, By<'_>)> = ids.iter().copied().enumerate().collect();
        order.sort_by_cached_key(|&(_, id)| self.place(id));
        let read = |part: &[(usize, By<'_>)]| -> Result<Vec<Value>> {
            let mut entry = EntryBuf::new(self.entry);
            let values = part
                .iter()
                .map(|&(at, id)| Ok((at, self.get(id, &mut entry)?)));
            values.collect()
        };
        let mut values = vec![None; ids.len()];
        for part in self.side_by_side(&order, READS_PER_THREAD, read) {
            for (at, value) in part? {
                if let Some(place) = values.get_mut(at) {
                    *place = value;
                }
            }
        }
        Ok(values)
    }
}
