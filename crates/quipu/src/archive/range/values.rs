//! The values of a batch.
//!
//! Values of items that were put one after the other stand side by side, so a batch reads them
//! with one call and hands out slices of it: a scan costs a read of the file for every 96 KiB and
//! no copy for each value. What does not check in such a piece is read again on its own.

use bytes::Bytes;

use super::batch::{BATCH_BYTES, Batch, Place};
use crate::archive::entry::EntryBuf;
use crate::archive::section::Section;
use crate::archive::shared::Shared;
use crate::error::Result;

/// What is handed over of an item: its index, its key, its value as it was put.
pub(super) type OnItem<'a> = &'a mut dyn FnMut(Result<(u64, &[u8], Bytes)>);

/// The values of a group, read at once, and where they begin.
struct Piece {
    base: u64,
    bytes: Bytes,
}

impl Batch {
    /// Reads the values of what was gathered, and hands over the items.
    pub(super) fn read_values(&mut self, shared: &Shared, on: OnItem<'_>) {
        let mut places = std::mem::take(&mut self.places);
        let mut group: Vec<Place> = Vec::new();
        for place in places.drain(..) {
            match place {
                Ok(place) => {
                    if group.last().is_some_and(|last| !last.is_beside(&place)) {
                        self.read_group(shared, &mut group, on);
                    }
                    group.push(place);
                }
                Err(error) => {
                    self.read_group(shared, &mut group, on);
                    on(Err(error));
                }
            }
        }
        self.read_group(shared, &mut group, on);
        self.places = places;
        // Whoever iterates may take long: nothing is kept from going meanwhile.
        self.sections.clear();
    }

    /// Reads values that stand side by side, with one call where there are several.
    fn read_group(&self, shared: &Shared, group: &mut Vec<Place>, on: OnItem<'_>) {
        let section = group.first().and_then(|of| self.sections.get(of.section));
        let Some(section) = section else { return };
        let piece = Piece::read(section, group);
        if shared.is_dropped(section, &Ok(())) {
            // Its items are skipped.
            return group.clear();
        }
        for place in group.drain(..) {
            let value = piece
                .as_ref()
                .and_then(|piece| piece.value(shared, section, &place));
            if let Some(value) = value {
                let entry = self.entries.get(place.entry..).unwrap_or_default();
                on(Ok((place.index, shared.entry.key(entry), value)));
                continue;
            }
            let mut entry = EntryBuf::new(shared.entry);
            let read = read_alone(shared, section, &place, &mut entry);
            if !shared.is_dropped(section, &read) {
                on(read.map(|value| (place.index, entry.key(), value)));
            }
        }
    }
}

impl Place {
    fn span(&self) -> (u64, u64) {
        (self.offset, self.offset.saturating_add(self.size.into()))
    }

    /// Whether the two values touch, either way round.
    fn is_beside(&self, other: &Self) -> bool {
        let (a, b) = (self.span(), other.span());
        self.section == other.section && (a.1 == b.0 || b.1 == a.0)
    }
}

impl Piece {
    /// The bytes of a whole group; none where a single read serves as well.
    fn read(section: &Section, group: &[Place]) -> Option<Self> {
        let (first, last) = (group.first()?.span(), group.last()?.span());
        let (base, end) = (first.0.min(last.0), first.1.max(last.1));
        if group.len() < 2 || end - base > 2 * BATCH_BYTES {
            return None;
        }
        let bytes = section.pair.values.read_span(base, end - base).ok()?;
        Some(Self { base, bytes })
    }

    /// The value of a place as it was put; none where it is not in the piece, or does not check.
    fn value(&self, shared: &Shared, section: &Section, place: &Place) -> Option<Bytes> {
        let (start, end) = place.span();
        let from = usize::try_from(start.checked_sub(self.base)?).ok()?;
        let to = usize::try_from(end.checked_sub(self.base)?).ok()?;
        let stored = (from <= to && to <= self.bytes.len()).then(|| self.bytes.slice(from..to))?;
        let value = section.pair.values.checked(stored, start).ok()?;
        section.unpack(value, shared.max_value_size).ok()
    }
}

fn read_alone(
    shared: &Shared,
    section: &Section,
    place: &Place,
    entry: &mut EntryBuf,
) -> Result<Bytes> {
    let read = shared.read(section, place.position, Some(place.index), entry);
    if let Err(error) = &read
        && error.is_corruption()
    {
        shared.note_damage(section, place.position, place.index, !error.is_unreadable());
    }
    read
}
