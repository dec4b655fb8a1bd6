//! The section that puts go to, and what a put in order needs to know of it.
//!
//! There is one writer, so what it remembers here needs no lock: the position that the next item
//! gets, the location that the key index will name it by, the bytes of entries that wait.

use std::sync::Arc;

use super::section::Section;
use crate::error::Result;
use crate::index::Locations;

/// An item in a section's buffers.
#[derive(Clone, Copy)]
pub(super) struct Appended {
    pub(super) index: u64,
    pub(super) position: u64,
    pub(super) location: u64,
    /// Its key as the key index knows it.
    pub(super) translated: u64,
}

/// Memory of a section that is current no longer.
#[derive(Default)]
pub(super) struct Spare {
    added: Vec<(u64, u64)>,
    unpublished: Vec<Appended>,
}

/// A section, from one put to the next.
pub(super) struct Current {
    pub(super) section: Arc<Section>,
    /// Bytes of entries that no sync has written.
    pub(super) waiting: usize,
    /// Indices that came to the section, as runs in the order of their puts.
    added: Vec<(u64, u64)>,
    /// Items that are in the section's buffers and that readers do not know of yet.
    pub(super) unpublished: Vec<Appended>,
    next_position: u64,
    /// The location of the next position, once it is known.
    next_location: Option<u64>,
}

impl Current {
    /// The current section, with the memory of another one that was.
    pub(super) fn new(section: Arc<Section>, spare: Spare) -> Self {
        Self {
            waiting: section.pair.records.buffered(),
            next_position: section.pair.records.next_position(),
            next_location: None,
            added: spare.added,
            unpublished: spare.unpublished,
            section,
        }
    }

    /// What the next current section can use.
    pub(super) fn into_spare(mut self) -> Spare {
        self.added.clear();
        self.unpublished.clear();
        Spare {
            added: self.added,
            unpublished: self.unpublished,
        }
    }

    /// The location of the next position.
    pub(super) fn location(&self, locations: &Locations) -> Result<u64> {
        match self.next_location {
            Some(location) => Ok(location),
            None => locations.locate(self.section.number, self.next_position),
        }
    }

    /// An item's entry, so many bytes, was appended.
    pub(super) fn advance(&mut self, item: Appended, entry_size: usize) {
        let index = item.index;
        self.next_position = item.position + 1;
        self.next_location = Locations::behind(item.location);
        self.waiting += entry_size;
        self.unpublished.push(item);
        match self.added.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(index) => *last = index,
            _ => self.added.push((index, index)),
        }
    }

    /// The indices that came to the section since it is the current one.
    pub(super) fn added(&self) -> &[(u64, u64)] {
        &self.added
    }
}
