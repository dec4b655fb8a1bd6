//! One batch: which items come next, and where they are.
//!
//! Entries of items that were put in the order of their indices stand side by side: such a stretch is read at
//! once, page by page. What is not so, or does not check, is looked at index by index, so that damage is found
//! and told as anywhere else.

use std::sync::Arc;

use super::Direction;
use crate::archive::entry::EntryBuf;
use crate::archive::lookup::By;
use crate::archive::section::Section;
use crate::archive::shared::Shared;
use crate::canary::Canary;
use crate::error::Result;
use crate::index::Runs;
use crate::sync::atomic::Ordering;

/// Bytes of values that one batch gathers, and that one read takes: they stay in the cache of a core between the copy and
/// the checksum.
pub(super) const BATCH_BYTES: u64 = 96 << 10;
/// Items that one batch gathers.
const BATCH_ITEMS: usize = 1024;
/// Entries of a stretch that are read first, before it is known how large its values are.
const FIRST_ENTRIES: u64 = 64;

/// Where one item is.
pub(super) struct Place {
    /// Of the sections of the batch.
    pub(super) section: usize,
    pub(super) position: u64,
    pub(super) index: u64,
    /// Where its entry begins in the entries of the batch.
    pub(super) entry: usize,
    pub(super) offset: u64,
    pub(super) size: u32,
}

/// The places of items in the order of the direction. Its memory serves one batch after the other.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) sections: Vec<Arc<Section>>,
    pub(super) entries: Vec<u8>,
    /// A place, or the error of the index that has none.
    pub(super) places: Vec<Result<Place>>,
    bytes: u64,
    /// Bytes of a value as they were in the batch before; 0 when there was none.
    usual_bytes: u64,
    positions: Vec<u64>,
}

impl Batch {
    /// Gathers the items nearest to one end of the indices `first..=last`, in place of what it has; the indices
    /// that are left.
    pub(super) fn gather(
        &mut self,
        shared: &Shared,
        first: u64,
        last: u64,
        direction: Direction,
    ) -> Option<(u64, u64)> {
        self.clear();
        let first = first.max(shared.floor());
        let mut rest = (first <= last).then_some((first, last));
        while let Some((first, last)) = rest.filter(|_| !self.is_full()) {
            let Some(run) = next_run(shared, first, last, direction) else {
                // The writer may go on behind what is stored until the next look.
                if self.places.is_empty() {
                    rest = None;
                }
                break;
            };
            let done = self.add(shared, run, direction);
            rest = match direction {
                Direction::Forwards => done.checked_add(1).map(|first| (first, last)),
                Direction::Backwards => done.checked_sub(1).map(|last| (first, last)),
            };
            rest = rest.filter(|(first, last)| first <= last);
        }
        if let Some(usual) = self.bytes.checked_div(self.places.len() as u64) {
            self.usual_bytes = usual;
        }
        rest
    }

    fn clear(&mut self) {
        self.bytes = 0;
        self.sections.clear();
        self.entries.clear();
        self.places.clear();
    }

    fn is_full(&self) -> bool {
        self.bytes >= BATCH_BYTES || self.places.len() >= BATCH_ITEMS
    }

    /// Adds items of a run, from the end on that the direction begins with; the last index that was looked at.
    fn add(&mut self, shared: &Shared, run: (u64, u64), direction: Direction) -> u64 {
        let nearest = direction.nearest(run);
        match self.add_stretch(shared, run, direction) {
            Some(done) => done,
            None => {
                self.add_index(shared, nearest, direction);
                nearest
            }
        }
    }

    /// Adds items whose entries stand side by side; the last one's index. None where there are no such, or
    /// not all of their entries are what they are taken for.
    fn add_stretch(
        &mut self,
        shared: &Shared,
        run: (u64, u64),
        direction: Direction,
    ) -> Option<u64> {
        let nearest = direction.nearest(run);
        // What goes wrong here is told by the look at the one index.
        let section = shared.section(shared.number_of(nearest)).ok()??;
        let stretch = section.stretch_with(nearest)?;
        let count = self.entries_to_read();
        let (first, last) = match direction {
            Direction::Forwards => (nearest, nearest.saturating_add(count - 1)),
            Direction::Backwards => (nearest.saturating_sub(count - 1), nearest),
        };
        let first = first.max(run.0).max(stretch.first);
        let last = last.min(run.1).min(stretch.last());
        let position = stretch.position + (first - stretch.first);
        let entry = self.entries.len();
        if !self.read_entries(shared, &section, position, first..=last) {
            self.entries.truncate(entry);
            return None;
        }
        let number = self.number_of(&section);
        let size = shared.entry.size();
        let mut done = nearest;
        for nth in 0..=last - first {
            let index = match direction {
                Direction::Forwards => first + nth,
                Direction::Backwards => last - nth,
            };
            let behind = (index - first) as usize;
            let entry = entry + behind * size;
            let place = Place {
                section: number,
                position: position + behind as u64,
                index,
                entry,
                offset: 0,
                size: 0,
            };
            self.push(shared, place);
            done = index;
            if self.is_full() {
                break;
            }
        }
        Some(done)
    }

    /// How many entries are likely to fill the batch.
    fn entries_to_read(&self) -> u64 {
        let items = (BATCH_ITEMS - self.places.len().min(BATCH_ITEMS - 1)) as u64;
        let bytes = BATCH_BYTES.saturating_sub(self.bytes);
        let by_bytes = bytes
            .checked_div(self.usual_bytes)
            .map_or(FIRST_ENTRIES, |by_bytes| by_bytes + 1);
        by_bytes.min(items)
    }

    /// Reads entries that stand side by side; false where not all can be read and are of these indices.
    fn read_entries(
        &mut self,
        shared: &Shared,
        section: &Section,
        position: u64,
        indices: std::ops::RangeInclusive<u64>,
    ) -> bool {
        let size = shared.entry.size();
        let count = (indices.end() - indices.start()) as usize + 1;
        let from = self.entries.len();
        self.entries.resize(from + count * size, 0);
        let entries = self.entries.get_mut(from..).unwrap_or_default();
        section.pair.records.read_all(position, entries).is_ok()
            && indices
                .zip(entries.chunks_exact(size))
                .all(|(index, entry)| shared.entry.index(entry) == index)
    }

    fn number_of(&mut self, section: &Arc<Section>) -> usize {
        let is_last = self
            .sections
            .last()
            .is_some_and(|last| Arc::ptr_eq(last, section));
        if !is_last {
            self.sections.push(Arc::clone(section));
        }
        self.sections.len() - 1
    }

    /// Adds a place whose entry is there.
    fn push(&mut self, shared: &Shared, mut place: Place) {
        let is_last = place.index % shared.items_per_section == shared.items_per_section - 1;
        if is_last && Canary::RangeSkips.sings() {
            return;
        }
        let entry = self.entries.get(place.entry..).unwrap_or_default();
        (place.offset, place.size) = shared.entry.location(entry);
        self.bytes += u64::from(place.size);
        self.places.push(Ok(place));
    }

    /// Adds all items of an index.
    fn add_index(&mut self, shared: &Shared, index: u64, direction: Direction) {
        let section = match self.find(shared, index) {
            Ok(Some(section)) => section,
            // Dropped meanwhile.
            Ok(None) => return,
            Err(error) => return self.places.push(Err(error)),
        };
        let mut positions = std::mem::take(&mut self.positions);
        if direction == Direction::Backwards {
            positions.reverse();
        }
        for &position in &positions {
            self.add_position(shared, &section, position, index);
        }
        self.positions = positions;
    }

    fn add_position(&mut self, shared: &Shared, section: &Arc<Section>, position: u64, index: u64) {
        let mut entry = EntryBuf::new(shared.entry);
        match section.entry(position, Some(index), &mut entry) {
            Ok(()) => {
                let place = Place {
                    section: self.number_of(section),
                    position,
                    index,
                    entry: self.entries.len(),
                    offset: 0,
                    size: 0,
                };
                self.entries.extend_from_slice(entry.bytes());
                self.push(shared, place);
            }
            // An item that was dropped meanwhile is skipped.
            read if shared.is_dropped(section, &read) => {}
            Err(error) => {
                if error.is_corruption() {
                    shared.note_damage(section, position, index, !error.is_unreadable());
                }
                self.places.push(Err(error));
            }
        }
    }

    /// The section of an index, whose positions are noted.
    fn find(&mut self, shared: &Shared, index: u64) -> Result<Option<Arc<Section>>> {
        if let Some(section) = self.look(shared, index)? {
            return Ok(Some(section));
        }
        // Known damaged, or dropped meanwhile: which, a look for it tells.
        let mut entry = EntryBuf::new(shared.entry);
        if shared.find(By::Index(index), &mut entry)?.is_none() {
            return Ok(None);
        }
        // Put again since, or damage that can be read again.
        if let Some(section) = self.look(shared, index)? {
            return Ok(Some(section));
        }
        let section = shared.section(shared.number_of(index))?;
        Ok(section.filter(|section| {
            self.positions.extend(section.damaged_position_of(index));
            !self.positions.is_empty()
        }))
    }

    fn look(&mut self, shared: &Shared, index: u64) -> Result<Option<Arc<Section>>> {
        self.positions.clear();
        let section = shared.settled_section(shared.number_of(index))?;
        Ok(section.filter(|section| {
            section.positions_of(index, &mut self.positions);
            !self.positions.is_empty()
        }))
    }
}

/// The nearest indices that are stored, as far as they follow each other; or one that is known damaged.
fn next_run(shared: &Shared, first: u64, last: u64, direction: Direction) -> Option<(u64, u64)> {
    let nearest = |runs: &Runs| {
        let run = match direction {
            Direction::Forwards => runs.run_from(first),
            Direction::Backwards => runs.run_to(last),
        };
        run.map(|(from, to)| (from.max(first), to.min(last)))
            .filter(|(from, to)| from <= to)
    };
    // Both at once: an index that is found damaged, or put again, is in one of them at any time.
    let runs = shared.runs.read();
    let stored = nearest(&runs);
    if !shared.has_damage.load(Ordering::Acquire) {
        return stored;
    }
    let lost = nearest(&shared.damage.read().indices);
    let is_stored = |lost: &(u64, u64)| match (direction, stored) {
        (_, None) => false,
        (Direction::Forwards, Some(stored)) => stored.0 <= lost.0,
        (Direction::Backwards, Some(stored)) => stored.1 >= lost.1,
    };
    match lost.filter(|lost| !is_stored(lost)) {
        Some(lost) => {
            let index = direction.nearest(lost);
            Some((index, index))
        }
        None => stored,
    }
}
