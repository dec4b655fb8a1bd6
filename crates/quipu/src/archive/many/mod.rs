//! Many items at once: read in the order of their places, but for few keys, and many of them side by side.
//!
//! Where the storage has several reads under way at a time, and not all is in memory, one thread asks for
//! what dozens of items need [ahead](ahead) of their look-ups. Otherwise several threads look for a part of them each, from
//! a number on that is worth starting them.

mod ahead;

use bytes::Bytes;

use super::entry::EntryBuf;
use super::lookup::By;
use super::shared::Shared;
use crate::error::Result;

/// A thread for fewer reads would take longer to start than it saves.
const READS_PER_THREAD: usize = 64;

/// A value, and of which id.
type Value = (usize, Option<Bytes>);

/// An id, which it was of those asked for, and where its item probably stands.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    at: usize,
    id: By<'a>,
    place: (u64, Option<u64>),
}

impl Shared {
    /// The values of several ids, in their order.
    pub(in crate::archive) fn find_many(&self, ids: &[By<'_>]) -> Result<Vec<Option<Bytes>>> {
        self.find_at_once(ids, |ahead| self.find_many_so(ids, ahead))
    }

    fn find_many_so(&self, ids: &[By<'_>], ahead: bool) -> Result<Vec<Option<Bytes>>> {
        if ahead {
            self.know_places(ids);
        }
        // To know where a key stands is half of a look-up, which few reads of what is mostly in memory do not make up for.
        let is_known = ahead || ids.len() >= READS_PER_THREAD;
        let wanted = |at, id| {
            let place = match id {
                By::Key(_) if !is_known => (0, None),
                _ => self.place(id),
            };
            Wanted { at, id, place }
        };
        let ids_at = ids.iter().copied().enumerate();
        let mut order: Vec<_> = ids_at.map(|(at, id)| wanted(at, id)).collect();
        order.sort_by_key(|wanted| wanted.place);
        let parts = match ahead {
            true => self.side_by_side(&order, ahead::PER_THREAD, |part| self.find_ahead(part)),
            false => self.side_by_side(&order, READS_PER_THREAD, |part| self.find_each(part)),
        };
        let mut values = vec![None; ids.len()];
        for part in parts {
            for (at, value) in part? {
                if let Some(place) = values.get_mut(at) {
                    *place = value;
                }
            }
        }
        Ok(values)
    }

    fn find_each(&self, part: &[Wanted<'_>]) -> Result<Vec<Value>> {
        let mut entry = EntryBuf::new(self.entry);
        let values = part
            .iter()
            .map(|wanted| Ok((wanted.at, self.get(wanted.id, &mut entry)?)));
        values.collect()
    }
}
