//! Dropping items: from the front in whole sections, from the end one by one.
//!
//! Both say first, durably, what they are about to do, so that a crash in between is finished by
//! the next open: a prune raises the floor in the manifest, a rewind notes its index there. Only
//! then do files go. Marks of sections that go whole are lowered first, since what is missing below a
//! mark is damage; for the one that is written anew, see [`rewrite`](super::rewrite).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::check::gone;
use super::rewrite::Kept;
use super::section::Section;
use super::section_table::Known;
use super::shared::Shared;
use super::upkeep::BACK;
use super::writer::Writer;
use crate::canary::Canary;
use crate::error::{Error, Result};
use crate::format::{Layouts, section_name};
use crate::index::Runs;
use crate::manifest::{Mark, State};
use crate::sync::atomic::Ordering;

/// Sections that nobody finds any more, and whose files are to go.
struct Taken {
    numbers: Vec<u64>,
    /// Those of which files may be open.
    open: Vec<Arc<Section>>,
}

impl Writer {
    /// Drops the sections below the one of `min`; how many.
    pub(super) fn prune(&mut self, min: u64) -> Result<u64> {
        let dropped = self.prune_files(min);
        self.refill();
        let dropped = dropped?;
        // What a rewind waited for may be gone.
        match self.end_pending_rewind() {
            Err(Error::RewindPending { .. }) => Ok(dropped),
            ended => ended.map(|()| dropped),
        }
    }

    fn prune_files(&mut self, min: u64) -> Result<u64> {
        self.check_usable()?;
        let floor = self.shared.number_of(min);
        if floor <= self.shared.floor() {
            return Ok(0);
        }
        self.look()?;
        if Canary::FloorAfterRemoval.sings() {
            let all = self.shared.sections.numbers().into_iter();
            remove_files(&self.shared, all.filter(|&number| number < floor))?;
        }
        self.manifest.floor = floor;
        self.manifest.compression.keep(floor..=u64::MAX);
        let stored = self.manifest.store(&self.shared.storage);
        self.poison_on_error(stored)?;
        self.forget_below(floor);
        self.show_compression();
        let mut below = self.shared.sections.numbers();
        below.retain(|&number| number < floor || (Canary::PruneTooFar.sings() && number == floor));
        let taken = self.take_sections(&below, |number| number < floor);
        // Beside the removal of the files, which mostly waits for the disk, so that what the tables have of them goes
        // by its end too.
        self.rewrite_tables();
        let dropped = self
            .remove_sections(taken)
            .and_then(|_| self.discard_prepared(|number| number < floor));
        // What readers have noted of the sections until they were closed.
        self.forget_damage_below(floor);
        self.poison_on_error(dropped)?;
        match self.log.forget(&|number| number < floor) {
            // The next open does not ask for these.
            Err(Error::StorageFull { .. }) => {}
            forgotten => self.poison_on_error(forgotten)?,
        }
        let marks = self.marks.rewrite(|marks| marks.prune(floor));
        self.poison_on_error(marks)?;
        // The disk may have been too full for it before.
        self.rewrite_tables();
        Ok(below.len() as u64)
    }

    /// Which sections are compressed, for readers, of which the compression of those that go is forgotten: to be
    /// called once no reader can come to these, or one that wakes would be taken for what it is not.
    fn show_compression(&self) {
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
        self.forget_damage_below(floor);
    }

    fn forget_damage_below(&self, floor: u64) {
        let mut damage = self.shared.damage.write();
        damage.indices.remove_below(floor);
        damage.unmarked = damage.unmarked.split_off(&floor);
    }

    /// Removes sections from memory and their files from the disk, and those of unreadable ones
    /// whose number is to go; the space is free when it returns. Tells which had files.
    fn drop_sections(
        &mut self,
        sections: &[u64],
        goes: impl Fn(u64) -> bool,
    ) -> Result<BTreeSet<u64>> {
        let taken = self.take_sections(sections, goes);
        self.remove_sections(taken)
    }

    /// Removes sections from memory, and the unreadable ones whose number is to go.
    fn take_sections(&mut self, sections: &[u64], goes: impl Fn(u64) -> bool) -> Taken {
        let shared = Arc::clone(&self.shared);
        let unreadable: BTreeSet<u64> = {
            let mut all = shared.unreadable.write();
            let (gone, kept) = all.iter().partition(|&&number| goes(number));
            *all = kept;
            gone
        };
        let mut open = Vec::new();
        if !sections.is_empty() || !unreadable.is_empty() {
            self.forget_current();
        }
        for &number in sections {
            if let Some(Known::Open(section)) = shared.sections.remove(number) {
                section.retire();
                open.push(section);
            }
            shared.locations.release(number);
            self.dirty.remove(&number);
            self.unmarked.forget(number);
            self.keeper.forget(number);
        }
        let numbers = sections.iter().copied().chain(unreadable).collect();
        Taken { numbers, open }
    }

    /// Removes what is left of sections that were taken from memory.
    fn remove_sections(&mut self, taken: Taken) -> Result<BTreeSet<u64>> {
        if taken.numbers.is_empty() {
            return Ok(BTreeSet::new());
        }
        let shared = Arc::clone(&self.shared);
        let removed = remove_files(&shared, taken.numbers.into_iter())?;
        // Of a file that is open the bytes go with its close.
        shared.side_by_side(&taken.open, 1, |part| {
            for section in part {
                section.pair.records.forget();
                section.pair.values.file().forget();
            }
        });
        shared.drop_void_tables();
        self.sweep.start(&shared);
        Ok(removed)
    }

    #[inline]
    pub(super) fn has_pending_rewind(&self) -> bool {
        matches!(self.manifest.state, State::Rewinding(_))
    }

    /// Ends a rewind that waits for a file of its section, before anything is put: it would drop that as well.
    #[cold]
    pub(super) fn end_pending_rewind(&mut self) -> Result<()> {
        let State::Rewinding(index) = self.manifest.state else {
            return Ok(());
        };
        match self.check_boundary(index) {
            Err(error) if error.is_corruption() => Err(Error::RewindPending {
                index,
                cause: error.to_string(),
            }),
            checked => checked.and_then(|()| self.rewind(index)),
        }
    }

    /// Checks that the section of an index can be read: its index file is to be written anew.
    fn check_boundary(&self, index: u64) -> Result<()> {
        let boundary = self.shared.number_of(index);
        let section = self.shared.settled_section(boundary)?;
        self.shared.check_readable(boundary)?;
        if let Some(section) = &section {
            // What the disk cannot read of it would be left out.
            Kept::read(&self.shared, section, &|_| true)?;
        }
        let mark = self.marks.marks().of(boundary);
        // Where a prune was cut off, marks tell of sections below the floor.
        let mark = mark.filter(|_| boundary >= self.shared.floor());
        let is_away = self.log.keeps_for(&|number| number == boundary);
        if section.is_none() && (is_away || mark.is_some_and(|mark| mark.records > 0)) {
            // Files that come back would bring what was dropped.
            let (records, _) = self.shared.files_of(boundary, Layouts::default());
            return Err(gone(records.path()));
        }
        match self.shared.unreadable.read().contains(&boundary) {
            // It can be read again; the next open loads it.
            true => Err(Error::Damaged {
                path: self.shared.files_of(boundary, Layouts::default()).0.path(),
                offset: 0,
                reason: BACK.to_owned(),
            }),
            false => Ok(()),
        }
    }

    /// Drops every item above `index`.
    pub(super) fn rewind(&mut self, index: u64) -> Result<()> {
        self.checkpoint()?;
        self.look()?;
        self.keeper.stop(&self.shared);
        // One that could not be finished goes on with this one.
        let pending = match self.manifest.state {
            State::Rewinding(pending) => Some(pending),
            _ => None,
        };
        let index = pending.map_or(index, |pending| pending.min(index));
        self.check_boundary(index)?;
        if pending.is_none() {
            self.manifest.rewinds = self.manifest.rewinds.saturating_add(1);
        }
        let result = self.rewind_synced(index);
        let result = self.poison_on_error(result);
        self.refill();
        result
    }

    fn rewind_synced(&mut self, index: u64) -> Result<()> {
        self.manifest.state = State::Rewinding(index);
        if !Canary::RewindUnannounced.sings() {
            self.manifest.store(&self.shared.storage)?;
        }
        let boundary = self.shared.number_of(index);
        // Of files that are away the log would bring back what is dropped here, and so of those that lose it.
        self.log.keep_alone()?;
        self.log.forget(&|number| number > boundary)?;
        let mut above = self.shared.sections.numbers();
        above.retain(|&number| number > boundary);
        self.forget_above(index);
        self.lower_marks(index, &above)?;
        let removed = self.drop_sections(&above, |number| number > boundary)?;
        if !removed.is_empty() {
            let is_gone =
                |section: &u64, mark: &Mark| mark.is_dropped() && removed.contains(section);
            self.marks.rewrite(|marks| {
                marks
                    .sections
                    .retain(|section, mark| !is_gone(section, mark))
            })?;
        }
        if let Some(section) = self.shared.section(boundary)? {
            self.rewind_section(&section, index)?;
        }
        // What readers have noted of the old sections until they were closed.
        self.forget_above(index);
        self.mark_synced()?;
        self.manifest.compression.keep(0..=boundary);
        self.show_compression();
        self.manifest.state = State::Open;
        self.manifest.store(&self.shared.storage)
    }

    /// Says in the marks that what lies above an index is dropped. Files that are away by then may come back.
    fn lower_marks(&mut self, index: u64, above: &[u64]) -> Result<()> {
        let boundary = self.shared.number_of(index);
        let is_there = self.shared.sections.contains(boundary);
        self.marks.rewrite_for(&self.manifest, |marks| {
            if Canary::MarksNotLowered.sings() {
                return;
            }
            for (_, mark) in marks.sections.iter_mut().filter(|(of, _)| **of > boundary) {
                *mark = Arc::new(Mark::dropped(Runs::default()));
            }
            for &number in above {
                let dropped = || Arc::new(Mark::dropped(Runs::default()));
                marks.sections.entry(number).or_insert_with(dropped);
            }
            if let Some(mark) = marks.sections.get_mut(&boundary) {
                let mark = Arc::make_mut(mark);
                mark.runs.remove_above(index);
                if !is_there {
                    // Nothing of it can be read: it was let go of by a repair.
                    *mark = Mark::dropped(std::mem::take(&mut mark.runs));
                }
            }
            marks.damaged.retain(|&(_, _, of)| of <= index);
        })
    }

    fn forget_above(&self, index: u64) {
        self.shared.runs.write().remove_above(index);
        self.shared.damage.write().indices.remove_above(index);
    }

    /// Drops the items above `index` from its own section.
    fn rewind_section(&mut self, section: &Arc<Section>, index: u64) -> Result<()> {
        let kept = Kept::read(&self.shared, section, &|of| of <= index)?;
        if kept.dropped.is_empty() && kept.damaged == 0 {
            return Ok(());
        }
        if kept.len() == 0 && self.shared.known_indices(section.number).count() == 0 {
            self.marks.rewrite(|marks| marks.forget(section.number))?;
            return self.drop_sections(&[section.number], |_| false).map(drop);
        }
        if Canary::ValueBytesReused.sings() {
            kept.cut_values(&self.shared, section)?;
        }
        self.replace_entries(section, &kept)
    }
}

/// Removes the files of sections, entries before values, and makes that durable. Tells which had files.
///
/// Those of one folder go side by side: what a removal takes is mostly that the system lets go of the file's bytes,
/// and where it tells the disk of that, it waits for each piece.
pub(super) fn remove_files(
    shared: &Shared,
    sections: impl Iterator<Item = u64>,
) -> Result<BTreeSet<u64>> {
    let sections: Vec<u64> = sections.collect();
    let mut all = BTreeSet::new();
    for partition in [&shared.partitions.index, &shared.partitions.values] {
        let remove = |part: &[u64]| remove_each(shared, partition, part);
        let mut removed = false;
        for part in shared.side_by_side(&sections, 1, remove) {
            let part = part?;
            removed |= !part.is_empty();
            all.extend(part);
        }
        if removed && !Canary::RemovalNotFlushed.sings() {
            shared.storage.sync_partition(partition)?;
        }
    }
    Ok(all)
}

/// Removes files of sections from one partition. Tells which were there.
fn remove_each(shared: &Shared, partition: &str, sections: &[u64]) -> Result<Vec<u64>> {
    let mut removed = Vec::new();
    for &number in sections {
        match shared.storage.remove(partition, &section_name(number)) {
            // One of the two may not be there; the other still has to go.
            Err(Error::NotFound { .. }) => {}
            other => {
                other?;
                removed.push(number);
            }
        }
    }
    Ok(removed)
}
