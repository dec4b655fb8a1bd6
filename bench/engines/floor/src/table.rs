//! Where items are, in memory.

use std::collections::VecDeque;

use hashbrown::HashTable;
use quipu_bench::Key;

use crate::files::Entry;

#[derive(Clone, Copy, Default)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    /// 0 where there is no item.
    pub(crate) size: u32,
    pub(crate) position: u32,
}

/// The start of a key, which is its own hash, and the position of its entry.
struct Slot {
    prefix: u64,
    position: u32,
}

#[derive(Default)]
pub(crate) struct Table {
    floor: u64,
    places: VecDeque<Place>,
    slots: HashTable<Slot>,
    /// Slots of pruned items; they go once they are more than the rest.
    dead: usize,
}

fn prefix(key: &Key) -> u64 {
    key.first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

impl Table {
    pub(crate) fn insert(&mut self, entry: &Entry, position: u32) {
        let Some(at) = entry.index.checked_sub(self.floor) else {
            return;
        };
        if self.places.len() <= at as usize {
            self.places.resize(at as usize + 1, Place::default());
        }
        self.places[at as usize] = Place {
            offset: entry.offset,
            size: entry.size,
            position,
        };
        let prefix = prefix(&entry.key);
        self.slots
            .insert_unique(prefix, Slot { prefix, position }, |slot| slot.prefix);
    }

    pub(crate) fn place(&self, index: u64) -> Option<Place> {
        let place = *self.places.get(index.checked_sub(self.floor)? as usize)?;
        (place.size > 0).then_some(place)
    }

    pub(crate) fn position(&self, key: &Key) -> Option<u32> {
        let prefix = prefix(key);
        let slot = self.slots.find(prefix, |slot| slot.prefix == prefix)?;
        Some(slot.position)
    }

    /// The first that stays, where items lie in order.
    pub(crate) fn prune(&mut self, min: u64) -> Option<Place> {
        let count = min.saturating_sub(self.floor).min(self.places.len() as u64);
        if count == 0 {
            return None;
        }
        self.places.drain(..count as usize);
        self.floor += count;
        self.dead += count as usize;
        let first = *self.places.front()?;
        if self.dead > self.slots.len() / 2 {
            self.slots.retain(|slot| slot.position >= first.position);
            self.slots.shrink_to(self.places.len(), |slot| slot.prefix);
            self.dead = 0;
        }
        Some(first)
    }
}
