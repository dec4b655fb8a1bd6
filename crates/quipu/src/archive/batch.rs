//! Reading many neighbouring items at once.
//!
//! Values of items that were put one after the other stand side by side, so a batch reads them
//! with one call and hands out slices of it: a scan costs a read of the file for every 256 KiB and
//! no copy for each value. What does not check in such a piece is read again on its own, so that
//! damage is found and told as anywhere else.

use std::sync::Arc;

use bytes::Bytes;

use super::entry::EntryBuf;
use super::lookup::{By, Found, Want};
use super::section::Section;
use super::shared::Shared;
use crate::canary::Canary;
use crate::error::Result;
use crate::index::Runs;
use crate::sync::atomic::Ordering;

/// Bytes of values that one batch gathers, and that one read takes.
const BATCH_BYTES: u64 = 256 << 10;
/// Items that one batch gathers.
const BATCH_ITEMS: usize = 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Forwards,
    Backwards,
}

/// Items that were read, in the order of the direction, and the indices that are left.
pub(super) struct Batch {
    pub(super) items: Vec<Result<Found>>,
    pub(super) rest: Option<(u64, u64)>,
}

/// One item's place.
struct Place {
    section: Arc<Section>,
    position: u64,
    entry: EntryBuf,
}

/// Reads the items nearest to one end of the indices `first..=last`.
pub(super) fn read(shared: &Shared, first: u64, last: u64, direction: Direction) -> Batch {
    let first = first.max(shared.floor());
    let mut gathered = Gathered::default();
    let mut rest = (first <= last).then_some((first, last));
    while let Some((first, last)) = rest.filter(|_| !gathered.is_full()) {
        let next = next(shared, first, last, direction);
        let Some(index) = next.filter(|index| (first..=last).contains(index)) else {
            // The writer may go on behind what is stored until the next look.
            if gathered.places.is_empty() {
                rest = None;
            }
            break;
        };
        let is_last =
            (index % shared.items_per_section).saturating_add(1) == shared.items_per_section;
        if !(is_last && Canary::RangeSkips.sings()) {
            gathered.add(shared, index, direction);
        }
        rest = match direction {
            Direction::Forwards => index.checked_add(1).map(|first| (first, last)),
            Direction::Backwards => index.checked_sub(1).map(|last| (first, last)),
        };
        rest = rest.filter(|(first, last)| first <= last);
    }
    Batch {
        items: gathered.read_values(shared),
        rest,
    }
}

/// The nearest index that is stored, or known damaged.
fn next(shared: &Shared, first: u64, last: u64, direction: Direction) -> Option<u64> {
    let nearest = |runs: &Runs| match direction {
        Direction::Forwards => runs.at_or_after(first),
        Direction::Backwards => runs.at_or_before(last),
    };
    // Both at once: an index that is found damaged, or put again, is in one of them at any time.
    let runs = shared.runs.read();
    let stored = nearest(&runs);
    if !shared.has_damage.load(Ordering::Acquire) {
        return stored;
    }
    let both = stored
        .into_iter()
        .chain(nearest(&shared.damage.read().indices));
    match direction {
        Direction::Forwards => both.min(),
        Direction::Backwards => both.max(),
    }
}

#[derive(Default)]
struct Gathered {
    /// A place, or the error of the index that has none.
    places: Vec<Result<Place>>,
    bytes: u64,
    positions: Vec<u64>,
}

impl Gathered {
    fn is_full(&self) -> bool {
        self.bytes >= BATCH_BYTES || self.places.len() >= BATCH_ITEMS
    }

    /// Adds all items of an index.
    fn add(&mut self, shared: &Shared, index: u64, direction: Direction) {
        let section = match self.find(shared, index) {
            Ok(Some(section)) => section,
            // Dropped meanwhile.
            Ok(None) => return,
            Err(error) => return self.places.push(Err(error)),
        };
        if direction == Direction::Backwards {
            self.positions.reverse();
        }
        for &position in &self.positions {
            let mut entry = EntryBuf::new(shared.entry);
            match section.entry(position, Some(index), &mut entry) {
                Ok(()) => {
                    self.bytes += u64::from(entry.location().1);
                    let section = Arc::clone(&section);
                    self.places.push(Ok(Place {
                        section,
                        position,
                        entry,
                    }));
                }
                // An item that was dropped meanwhile is skipped.
                read if shared.is_dropped(&section, &read) => {}
                Err(error) => {
                    if error.is_corruption() {
                        shared.note_damage(&section, position, index);
                    }
                    self.places.push(Err(error));
                }
            }
        }
    }

    /// The section of an index, whose positions are noted.
    fn find(&mut self, shared: &Shared, index: u64) -> Result<Option<Arc<Section>>> {
        if let Some(section) = self.look(shared, index)? {
            return Ok(Some(section));
        }
        // Known damaged, or dropped meanwhile: which, a look for it tells.
        if shared.find(By::Index(index), Want::Value)?.is_none() {
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

    fn read_values(self, shared: &Shared) -> Vec<Result<Found>> {
        let mut found = Vec::with_capacity(self.places.len());
        let mut group: Vec<Place> = Vec::new();
        for place in self.places {
            match place {
                Ok(place) => {
                    if group.last().is_some_and(|last| !last.is_beside(&place)) {
                        read_group(shared, &mut group, &mut found);
                    }
                    group.push(place);
                }
                Err(error) => {
                    read_group(shared, &mut group, &mut found);
                    found.push(Err(error));
                }
            }
        }
        read_group(shared, &mut group, &mut found);
        found
    }
}

impl Place {
    fn span(&self) -> (u64, u64) {
        let (offset, size) = self.entry.location();
        (offset, offset.saturating_add(size.into()))
    }

    /// Whether the two values touch, either way round.
    fn is_beside(&self, other: &Self) -> bool {
        let (a, b) = (self.span(), other.span());
        Arc::ptr_eq(&self.section, &other.section) && (a.1 == b.0 || b.1 == a.0)
    }
}

/// Reads values that stand side by side, with one call where there are several.
fn read_group(shared: &Shared, group: &mut Vec<Place>, found: &mut Vec<Result<Found>>) {
    let piece = read_piece(group);
    for place in group.drain(..) {
        let (start, end) = place.span();
        let stored = piece.as_ref().and_then(|(base, bytes)| {
            let from = usize::try_from(start.checked_sub(*base)?).ok()?;
            let to = usize::try_from(end.checked_sub(*base)?).ok()?;
            (from <= to && to <= bytes.len()).then(|| bytes.slice(from..to))
        });
        let checked =
            stored.and_then(|stored| place.section.pair.values.checked(stored, start).ok());
        let value = checked.map(|value| place.section.unpack(value, shared.max_value_size));
        let section = Arc::clone(&place.section);
        let item = match value {
            Some(Ok(value)) => Ok(Some(Found {
                entry: place.entry,
                value,
            })),
            _ => read_alone(shared, place),
        };
        // An item that was dropped meanwhile is skipped.
        if !shared.is_dropped(&section, &item) {
            found.extend(item.transpose());
        }
    }
}

/// The bytes of a whole group and where they begin; none where a single read serves as well.
fn read_piece(group: &[Place]) -> Option<(u64, Bytes)> {
    let (first, last) = (group.first()?.span(), group.last()?.span());
    let (start, end) = (first.0.min(last.0), first.1.max(last.1));
    if group.len() < 2 || end - start > 2 * BATCH_BYTES {
        return None;
    }
    let bytes = group
        .first()?
        .section
        .pair
        .values
        .read_span(start, end - start)
        .ok()?;
    Some((start, bytes))
}

fn read_alone(shared: &Shared, place: Place) -> Result<Option<Found>> {
    let index = place.entry.index();
    let found = shared.read(&place.section, place.position, Some(index), Want::Value);
    if found.as_ref().is_err_and(|error| error.is_corruption()) {
        shared.note_damage(&place.section, place.position, index);
    }
    found
}
