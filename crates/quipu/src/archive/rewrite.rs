//! Writing a section's index file anew without some of its entries.
//!
//! The value file stays as it is: the entries that are kept point where they pointed, and values
//! that nobody points to any more are dead bytes until the section is pruned. So one rename switches
//! from the old section to the new one, and a crash leaves either.
//!
//! The mark is lowered after the rename. Before it, a crash leaves a file that is shorter than its
//! mark: damage, never a torn end, so nothing of it is cut, and what the manifest announces is done
//! again. (The other way round, whole entries behind damage would lie above the mark.) What is noted
//! damaged goes by position and index, so notes that would mean another item of the new file are
//! forgotten first; of an entry of another index, see [`Section::forget_damage_of_another`].
//!
//! A reader that still has an old entry, here or in another process, finds the old value or none, never
//! the bytes of a later one: no byte of a value file is written twice.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::entry::EntryBuf;
use super::fingerprint;
use super::section::Section;
use super::shared::Shared;
use super::writer::Writer;
use crate::entropy;
use crate::error::Result;
use crate::journal::{Durable, Pair, Present, RecordFile, Trust};
use crate::manifest::Mark;
use crate::sync::atomic::Ordering;

const READ_AHEAD_BYTES: usize = 1 << 20;

/// Which entries of a section stay.
#[derive(Default)]
pub(super) struct Kept {
    /// Their positions today, ascending.
    pub(super) positions: Vec<u64>,
    /// (position, key) of the readable entries that go.
    pub(super) dropped: Vec<(u64, Vec<u8>)>,
    /// How many are damaged; they go too.
    pub(super) damaged: u64,
}

impl Kept {
    /// Sorts the entries of a section by their index.
    ///
    /// # Errors
    /// Where the disk cannot read some: it may another time, so they are not left out.
    pub(super) fn read(
        shared: &Shared,
        section: &Section,
        keep: &dyn Fn(u64) -> bool,
    ) -> Result<Self> {
        let mut kept = Self::default();
        let mut failed = None;
        section
            .pair
            .records
            .replay(0, READ_AHEAD_BYTES, &mut |position, entry| {
                match entry {
                    Ok(entry)
                        if keep(shared.entry.index(entry))
                            && !section.foreign.is_entry(position) =>
                    {
                        kept.positions.push(position);
                    }
                    Ok(entry) => kept
                        .dropped
                        .push((position, shared.entry.key(entry).to_vec())),
                    Err(error) if error.is_unreadable() => {
                        failed = Some(error);
                        return ControlFlow::Break(());
                    }
                    Err(_) => kept.damaged += 1,
                }
                ControlFlow::Continue(())
            })?;
        failed.map_or(Ok(kept), Err)
    }

    /// A defect: cuts the values behind the last one that is kept.
    pub(super) fn cut_values(&self, shared: &Shared, section: &Section) -> Result<()> {
        let mut entry = EntryBuf::new(shared.entry);
        let end = match self.positions.last() {
            Some(&last) => {
                section.entry(last, None, &mut entry)?;
                let (offset, size) = entry.location();
                offset.saturating_add(size.into())
            }
            None => 0,
        };
        section.pair.values.truncate(end)
    }

    /// The first position at which another entry will stand, or none.
    pub(super) fn first_moved(&self) -> u64 {
        let stays = (0..)
            .zip(&self.positions)
            .take_while(|(to, from)| to == *from);
        stays.count() as u64
    }

    /// How many entries stay.
    pub(super) fn len(&self) -> u64 {
        self.positions.len() as u64
    }
}

impl Writer {
    /// Puts a new index file with the kept entries in place of the old one, and marks it. The manifest
    /// says that this is under way.
    pub(super) fn replace_entries(&mut self, section: &Arc<Section>, kept: &Kept) -> Result<()> {
        self.forget_current();
        self.forget_ambiguous_notes(section, kept)?;
        self.rewrite_section(section, kept)?;
        let Some(new) = self.shared.open_section(section.number) else {
            return Ok(());
        };
        let moved = self.fingerprint(section).moved_from(kept.first_moved());
        let mark = Mark {
            // The old mark tells of more, and the disk may not read what was written just now.
            records: kept.len(),
            fingerprint: fingerprint::take(&new.pair, self.shared.entry, moved),
            ..self.mark_of(&new)
        };
        self.set_mark(section.number, mark)
    }

    /// Replaces what the marks say of a section, durably.
    pub(super) fn set_mark(&mut self, number: u64, mark: Mark) -> Result<()> {
        // All of its runs are in this mark.
        self.unmarked.forget(number);
        self.marks.rewrite_for(&self.manifest, |marks| {
            marks.forget(number);
            if mark != Mark::default() {
                marks.sections.insert(number, Arc::new(mark));
            }
        })
    }

    /// Of damage that is noted in the marks, what would be taken for that of another item of the
    /// same index, once the entries have moved up.
    fn forget_ambiguous_notes(&mut self, section: &Section, kept: &Kept) -> Result<()> {
        let number = section.number;
        let mut ambiguous = Vec::new();
        for (position, index) in self.marks.marks().damaged_in(number) {
            let moved = usize::try_from(position).ok();
            let moved = moved.and_then(|at| kept.positions.get(at));
            if let Some(&from) = moved
                && self.shared.index_at(section, from)? == index
            {
                ambiguous.push((number, position, index));
            }
        }
        match ambiguous.is_empty() {
            true => Ok(()),
            false => self.marks.rewrite(|marks| {
                for note in &ambiguous {
                    marks.damaged.remove(note);
                }
            }),
        }
    }

    /// Puts a new index file with the kept entries in place of the old one. Nothing of the
    /// section waits to be written. Readers find every kept item at any time: its new place is
    /// known before the switch, its old one until after it, and who has looked up the old one
    /// alone and finds the new section looks again.
    fn rewrite_section(&mut self, section: &Arc<Section>, kept: &Kept) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        // Who reads the old section goes on with the old file.
        section.pair.records.file().pin()?;
        let keys = write_index_file(&shared, section, kept)?;
        // Key tables do not speak for the new file.
        let in_tables = shared.tables.claimed(section.number, section.epoch);
        let of_kept = keys.iter().map(|(from, _, key)| (*from, key));
        let of_dropped = kept.dropped.iter().map(|(position, key)| (*position, key));
        for (position, key) in of_kept.chain(of_dropped) {
            if position < in_tables {
                shared.know_key(section.number, position, key)?;
            }
        }
        let (records, values) = shared.files_of(section.number, section.pair.layouts());
        let durable = Durable {
            records: kept.len(),
            value_bytes: section.pair.values.len(),
        };
        let present = Present {
            records: true,
            values: true,
        };
        let (pair, _) = Pair::open(
            records,
            values,
            present,
            &shared.pair,
            durable,
            Trust::Ordered,
        )?;
        pair.inherit_names(&section.pair);
        let new = section.successor(pair, entropy::number()?);
        let mut moved = Vec::new();
        section.close();
        // Before any new place is known: it may be the old one of another item with the same key.
        self.forget_keys(section, &kept.dropped);
        for (to, (from, index, key)) in (0..).zip(keys) {
            new.positions.add(std::iter::once((index, to)));
            if section.is_damaged(from) {
                new.note_damage(to, index, !section.is_unreadable(from), |_| {});
            }
            if to != from {
                let location = shared.locations.locate(section.number, to)?;
                let translated = shared.translator.translate(&key);
                shared.keys.insert(translated, location, &|_| false)?;
                moved.push((from, key));
            }
        }
        if new.damaged_len() > 0 {
            shared.damage.write().unmarked.insert(section.number);
        }
        let new = Arc::new(new);
        // Before the switch: who sees the new section sees this as well.
        shared.rewrites.fetch_add(1, Ordering::SeqCst);
        shared.sections.insert(new);
        self.keeper.forget(section.number);
        self.forget_keys(section, &moved);
        section.pair.records.file().forget();
        Ok(())
    }

    /// Removes the keys of entries that are about to go: (position, key).
    fn forget_keys(&self, section: &Section, entries: &[(u64, Vec<u8>)]) {
        for (position, key) in entries {
            if let Ok(location) = self.shared.locations.locate(section.number, *position) {
                self.shared
                    .keys
                    .remove(self.shared.translator.translate(key), location);
            }
        }
    }
}

impl Shared {
    /// The index of the entry at a position.
    fn index_at(&self, section: &Section, position: u64) -> Result<u64> {
        let mut entry = EntryBuf::new(self.entry);
        section.entry(position, None, &mut entry)?;
        Ok(entry.index())
    }
}

/// Writes the kept entries into a new index file and switches to it; (old position, index, key)
/// of each.
fn write_index_file(
    shared: &Shared,
    section: &Section,
    kept: &Kept,
) -> Result<Vec<(u64, u64, Vec<u8>)>> {
    let (records, _) = shared.files_of(section.number, section.pair.layouts());
    let mut keys = Vec::with_capacity(kept.positions.len());
    let mut next = kept.positions.iter().copied();
    RecordFile::replace(&records, &shared.pair.record, &mut |out| {
        let Some(position) = next.next() else {
            return Ok(false);
        };
        section.pair.records.read(position, out)?;
        keys.push((
            position,
            shared.entry.index(out),
            shared.entry.key(out).to_vec(),
        ));
        Ok(true)
    })?;
    Ok(keys)
}
