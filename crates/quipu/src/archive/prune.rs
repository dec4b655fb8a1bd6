//! Dropping items: from the front in whole sections, from the end one by one.
//!
//! Both say first, durably, what they are about to do, so that a crash in between is finished by
//! the next open: a prune raises the floor in the manifest, a rewind notes its index there. Only
//! then do files go. Marks are lowered before the bytes they protect are cut, since what is
//! missing below a mark is damage.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::section::Section;
use super::shared::Shared;
use super::writer::Writer;
use crate::error::Result;
use crate::format::section_name;
use crate::manifest::{Mark, State};

impl Writer {
    /// Drops the sections below the one of `min`; how many.
    pub(super) fn prune(&mut self, min: u64) -> Result<u64> {
        self.check_usable()?;
        let floor = self.shared.number_of(min);
        if floor <= self.shared.floor() {
            return Ok(0);
        }
        self.manifest.floor = floor;
        self.keep_compression(floor..=u64::MAX);
        let stored = self.manifest.store(&self.shared.storage);
        self.poison_on_error(stored)?;
        self.forget_below(floor);
        let below = self.shared.all_sections();
        let below: Vec<_> = below
            .into_iter()
            .filter(|section| section.number < floor)
            .collect();
        let dropped = self.drop_sections(&below);
        self.poison_on_error(dropped)?;
        let marks = self.marks.rewrite(|marks| marks.prune(floor));
        self.poison_on_error(marks)?;
        Ok(below.len() as u64)
    }

    /// Of sections that go, the compression is forgotten.
    fn keep_compression(&mut self, sections: RangeInclusive<u64>) {
        self.manifest.compression.keep(sections);
        *self.shared.compression.write() = self.manifest.compression.clone();
    }

    /// Raises the floor for readers and forgets the indices below it.
    fn forget_below(&mut self, floor: u64) {
        let shared = &self.shared;
        shared.floor.store(floor, Ordering::Release);
        let mut runs = shared.runs.write();
        let before = runs.count();
        runs.remove_below(floor);
        let pruned = before.saturating_sub(runs.count());
        drop(runs);
        shared
            .counters
            .indices_pruned
            .fetch_add(u64::try_from(pruned).unwrap_or(u64::MAX), Ordering::Relaxed);
        let mut damage = shared.damage.write();
        damage.indices.remove_below(floor);
        damage.found.retain(|&(section, _, _)| section >= floor);
    }

    /// Removes sections from memory and their files from the disk; the space is free when it
    /// returns.
    fn drop_sections(&mut self, sections: &[Arc<Section>]) -> Result<()> {
        if sections.is_empty() {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        self.forget_current();
        for section in sections {
            shared.sections.write().remove(&section.number);
            shared.locations.release(section.number);
            self.dirty.remove(&section.number);
            self.unmarked.sections.remove(&section.number);
        }
        remove_files(&shared, sections.iter().map(|section| section.number))?;
        for section in sections {
            section.pair.records.file().forget();
            section.pair.values.file().forget();
        }
        self.sweep.start(&shared);
        Ok(())
    }

    /// Drops every item above `index`.
    pub(super) fn rewind(&mut self, index: u64) -> Result<()> {
        self.sync()?;
        let result = self.rewind_synced(index);
        self.poison_on_error(result)
    }

    fn rewind_synced(&mut self, index: u64) -> Result<()> {
        self.manifest.state = State::Rewinding(index);
        self.manifest.rewinds += 1;
        self.manifest.store(&self.shared.storage)?;
        let boundary = self.shared.number_of(index);
        let above = self.shared.all_sections();
        let above: Vec<_> = above
            .into_iter()
            .filter(|section| section.number > boundary)
            .collect();
        if let Some(first) = index.checked_add(1) {
            self.shared.runs.write().remove_above(index);
            let mut damage = self.shared.damage.write();
            damage.indices.remove_above(index);
            damage.found.retain(|&(_, _, found)| found < first);
        }
        self.marks.rewrite(|marks| {
            for section in &above {
                marks.forget(section.number);
            }
            marks.sections.retain(|&section, _| section <= boundary);
        })?;
        self.drop_sections(&above)?;
        if let Some(section) = self.shared.section(boundary) {
            self.rewind_section(&section, index)?;
        }
        self.keep_compression(0..=boundary);
        self.manifest.state = State::Open;
        self.manifest.store(&self.shared.storage)
    }

    /// Drops the items above `index` from its own section: by a cut where they are the last
    /// entries, otherwise by writing the index file anew without them.
    fn rewind_section(&mut self, section: &Arc<Section>, index: u64) -> Result<()> {
        let kept = super::rewrite::Kept::read(&self.shared, section, &|of| of <= index)?;
        if kept.dropped.is_empty() {
            return Ok(());
        }
        self.forget_current();
        self.lower_mark(section, &kept)?;
        if kept.is_prefix() {
            self.forget_keys(section, &kept.dropped);
            section.positions.write().remove_from(kept.len());
            return section.pair.truncate(kept.len(), kept.value_bytes);
        }
        self.rewrite_section(section, &kept)
    }

    /// What stays of a section is marked, durably, before anything is cut.
    pub(super) fn lower_mark(
        &mut self,
        section: &Section,
        kept: &super::rewrite::Kept,
    ) -> Result<()> {
        let mark = Mark {
            records: kept.len(),
            value_bytes: kept.value_bytes,
            ..self.mark_of(section)
        };
        let number = section.number;
        self.marks.rewrite(|marks| {
            marks.forget(number);
            marks.sections.insert(number, mark);
        })
    }

    /// Removes the keys of entries that are about to go: (position, key).
    pub(super) fn forget_keys(&self, section: &Section, entries: &[(u64, Vec<u8>)]) {
        for (position, key) in entries {
            if let Ok(location) = self.shared.locations.locate(section.number, *position) {
                self.shared
                    .keys
                    .remove(self.shared.translator.translate(key), location);
            }
        }
    }
}

/// Removes the files of sections, entries before values, and makes that durable.
pub(super) fn remove_files(shared: &Shared, sections: impl Iterator<Item = u64>) -> Result<()> {
    let names: Vec<String> = sections.map(section_name).collect();
    for partition in [&shared.partitions.index, &shared.partitions.values] {
        for name in &names {
            match shared.storage.remove(partition, name) {
                // One of the two may not be there; the other still has to go.
                Err(crate::Error::NotFound { .. }) => {}
                other => other?,
            }
        }
        shared.storage.sync_partition(partition)?;
    }
    Ok(())
}
