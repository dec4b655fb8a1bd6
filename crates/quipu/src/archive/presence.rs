//! What is stored, missing or damaged: answers that combine the stored runs with known damage.

use std::ops::RangeInclusive;

use super::entry::EntryBuf;
use super::lookup::By;
use super::reader::Status;
use super::section_table::Known;
use super::shared::Shared;
use super::stats::SectionInfo;
use crate::error::Result;
use crate::index::Candidates;

impl Shared {
    pub(super) fn status(&self, index: u64) -> Result<Status> {
        self.look()?;
        if index < self.floor() {
            return Ok(Status::Pruned);
        }
        if self.is_damaged(index) {
            return Ok(Status::Damaged);
        }
        // Nothing of such a section can be read, but its marks tell what it held.
        if self.unreadable.read().contains(&self.number_of(index)) {
            return Ok(Status::Missing);
        }
        match self.find(By::Index(index), &mut EntryBuf::new(self.entry)) {
            Ok(Some(_)) => Ok(Status::Present),
            Ok(None) if index < self.floor() => Ok(Status::Pruned),
            Ok(None) => Ok(Status::Missing),
            Err(error) if error.is_corruption() => Ok(Status::Damaged),
            Err(error) => Err(error),
        }
    }

    pub(super) fn missing_items(&self, start: u64, max: usize) -> Vec<u64> {
        let start = start.max(self.floor());
        let (mut missing, last_stored) = {
            let runs = self.runs.read();
            (runs.missing_items(start, max), runs.last())
        };
        // What is damaged was stored once, so everything before it is known to be missing too.
        let last_damaged = self.damage.read().indices.last();
        let after_last = match last_stored {
            Some(last) => last.checked_add(1),
            None => Some(0),
        };
        if let (Some(last), Some(after_last)) = (last_damaged, after_last) {
            let first = after_last.max(start);
            let behind = last
                .checked_sub(first)
                .map_or(0, |more| more.saturating_add(1));
            let rest = max.saturating_sub(missing.len());
            let mut rest = usize::try_from(behind).map_or(rest, |behind| rest.min(behind));
            // As many as there is memory for.
            while missing.try_reserve_exact(rest).is_err() {
                rest /= 2;
            }
            missing.extend((first..=last).take(rest));
        }
        missing
    }

    /// [`Self::missing_items`] as runs; `max` counts these.
    pub(super) fn missing_ranges(&self, start: u64, max: usize) -> Vec<RangeInclusive<u64>> {
        let mut missing = Vec::new();
        let mut from = Some(start.max(self.floor()));
        let runs = self.runs.read();
        while let Some(first) = from.filter(|_| missing.len() < max) {
            let (end, next) = runs.next_gap(first);
            from = match (end, next) {
                (Some(end), _) => end.checked_add(1),
                (None, Some(next)) => {
                    missing.push(first..=next - 1);
                    Some(next)
                }
                (None, None) => break,
            };
        }
        drop(runs);
        let last_damaged = self.damage.read().indices.last();
        let behind = from.zip(last_damaged).filter(|(from, last)| from <= last);
        missing.extend(behind.map(|(from, last)| from..=last));
        missing.truncate(max);
        missing
    }

    /// Where an item probably stands, to read several in the order of their places: its section, and its position as
    /// far as that is known without a look at the files.
    pub(super) fn place(&self, by: By<'_>) -> (u64, Option<u64>) {
        match by {
            By::Index(index) => {
                let number = self.number_of(index);
                let position = self
                    .open_section(number)
                    .and_then(|section| section.positions.first(index));
                (number, position)
            }
            By::Key(key) => {
                let translated = self.translator.translate(key);
                let mut candidates = Candidates::default();
                self.keys.lookup(translated, &mut candidates);
                let first = candidates.first();
                first
                    .and_then(|&location| self.locations.resolve(location))
                    .or_else(|| self.place_in_tables(translated))
                    .map_or((0, None), |(number, position)| (number, Some(position)))
            }
        }
    }

    pub(super) fn section_infos(&self) -> Vec<SectionInfo> {
        let compression = self.compression.read().clone();
        let info = |known: Known| {
            let (index_bytes, value_bytes) = known.disk_len();
            let (section, entries, damaged) = match &known {
                Known::Open(section) => {
                    let entries = section.pair.records.len();
                    (section.number, entries, section.damaged_len())
                }
                Known::Resting(resting) => (resting.number, resting.mark.records, 0),
            };
            SectionInfo {
                section,
                entries,
                damaged,
                index_bytes,
                value_bytes,
                compressed: compression.is_compressed(section),
            }
        };
        self.sections.all().into_iter().map(info).collect()
    }
}
