//! What is stored, missing or damaged: answers that combine the stored runs with known damage.

use std::iter;
use std::ops::RangeInclusive;

use super::entry::EntryBuf;
use super::lookup::By;
use super::reader::Status;
use super::section_table::Known;
use super::shared::Shared;
use super::stats::SectionInfo;
use crate::error::Result;
use crate::index::{Candidates, Gaps, RunsInPieces, cut_below};

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

    /// The stored runs, from the one on that holds or follows an index.
    pub(super) fn ranges_from(&self, index: u64) -> Vec<RangeInclusive<u64>> {
        RunsInPieces::new(&self.runs, index).into_ranges(|| self.floor())
    }

    /// Up to `max` missing indices from `start` on; fewer when there is no memory for them all. Allocates what it returns,
    /// and until then 24 bytes for each gap: they are gone over once, since a second time they may be others.
    pub(super) fn missing_items(&self, start: u64, max: usize) -> Vec<u64> {
        let gaps = self.above_floor(start, |start| {
            let mut more = max;
            let gaps = self.missing(start).map_while(|(first, last)| {
                let is_wanted = more > 0;
                more = more.saturating_sub(len(first, last));
                is_wanted.then_some(first..=last)
            });
            gaps.collect()
        });
        let lens = gaps.iter().map(|gap| len(*gap.start(), *gap.end()));
        let mut count = lens.fold(0, usize::saturating_add).min(max);
        let mut missing = Vec::new();
        while missing.try_reserve_exact(count).is_err() {
            count /= 2;
        }
        missing.extend(gaps.into_iter().flatten().take(count));
        missing
    }

    /// [`Self::missing_items`] as runs; `max` counts these.
    pub(super) fn missing_ranges(&self, start: u64, max: usize) -> Vec<RangeInclusive<u64>> {
        self.above_floor(start, |start| {
            let missing = self.missing(start).take(max);
            missing.map(|(first, last)| first..=last).collect()
        })
    }

    /// What is missing from `start` on, as runs, and the lock of the stored ones is held for few of them at a time.
    fn missing(&self, start: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        let mut gaps = Gaps::new(&self.runs, start);
        let mut is_over = false;
        iter::from_fn(move || {
            if is_over {
                return None;
            }
            gaps.next().or_else(|| {
                is_over = true;
                // What is damaged was stored once, so everything before it is known to be missing too.
                let last = self.damage.read().indices.last();
                gaps.behind().zip(last).filter(|(from, last)| from <= last)
            })
        })
    }

    /// The gaps that are found from `start` on, or from the floor on; nothing below that also where a prune raises it
    /// meanwhile.
    fn above_floor(
        &self,
        start: u64,
        find: impl Fn(u64) -> Vec<RangeInclusive<u64>>,
    ) -> Vec<RangeInclusive<u64>> {
        loop {
            let start = start.max(self.floor());
            let mut found = find(start);
            let was_empty = found.is_empty();
            cut_below(&mut found, self.floor());
            // None would mean that there is none further on either.
            if was_empty || !found.is_empty() {
                return found;
            }
        }
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

/// How many indices a run has, or as many as can be counted.
fn len(first: u64, last: u64) -> usize {
    usize::try_from(last - first).map_or(usize::MAX, |more| more.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::storage::Memory;
    use crate::sync::atomic::Ordering;
    use crate::{Archive, Options};

    /// A prune raises the floor while the gaps are gone over: what of them it took is not told, and where that is all,
    /// what lies behind is looked for.
    #[test]
    fn nothing_is_missing_below_a_floor_that_is_raised_meanwhile() {
        let storage = Arc::new(Memory::new());
        let archive: Archive<[u8; 8]> = Options::new().open_on(storage).unwrap();
        let shared = &archive.shared;
        for (floor, expected) in [
            (10, vec![10..=10, 12..=15]),
            (14, vec![14..=15]),
            (16, vec![18..=19]),
        ] {
            let find = |start| {
                shared.floor.store(floor, Ordering::Release);
                match start {
                    16.. => vec![18..=19],
                    _ => vec![3..=5, 8..=10, 12..=15],
                }
            };
            shared.floor.store(2, Ordering::Release);
            assert_eq!(shared.above_floor(0, find), expected);
        }
        assert_eq!(shared.above_floor(0, |_| vec![]), []);
    }
}
