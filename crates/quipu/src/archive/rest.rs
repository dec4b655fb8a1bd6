//! Sections at rest: which may rest, how they wake, and positions that were presumed.
//!
//! A section wakes when it is asked for: its two files are opened and compared with its mark's samples. Its
//! entries are not read then. Its keys are in key tables; its positions are taken for those of a section that
//! was filled in order, one item an index, if the mark allows that. Each entry says its own index, so a
//! presumption that is wrong shows at the first look, and the positions are read.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::follow;
use super::listing::{Lengths, Listing};
use super::load::{self, Loaded, READ_AHEAD_BYTES};
use super::section::Section;
use super::section_table::{Known, Resting};
use super::shared::Shared;
use crate::error::{Error, Result};
use crate::index::{Positions, Runs};
use crate::journal::{Present, Trust};
use crate::manifest::{Mark, Marks};
use crate::paged;
use crate::storage::Access;
use crate::sync::atomic::Ordering;

/// By what it is told which sections may rest.
#[derive(Debug)]
pub(super) enum AtRest {
    /// None may.
    Nothing,
    /// By the lengths of their files.
    AsLong(Lengths),
    /// By their names: a clean end has left the files as the marks say. The [look](super::look) at their lengths
    /// is still to come.
    AsNamed,
}

impl AtRest {
    /// Lists the section files, with what tells which may rest: none where nobody knows what the marks knew, or where
    /// there is no key table. Those are open by now.
    pub(super) fn list(
        shared: &Shared,
        trust: Trust,
        marks: &Marks,
        after_clean_end: Option<Listing>,
    ) -> Result<(Listing, Self)> {
        let some_may = trust == Trust::Ordered && shared.tables.len() > 0;
        match after_clean_end {
            Some(listing) if some_may => return Ok((listing, Self::AsNamed)),
            Some(listing) => return Ok((listing, Self::Nothing)),
            None if !some_may => return Ok((Listing::read(shared)?, Self::Nothing)),
            None => {}
        }
        let listing = Listing::with_lengths(shared, marks.sections.len());
        match listing.map_err(|error| error.of_read(0)) {
            // Not even the length of some file: who opens it tells.
            Err(error) if error.is_unreadable() => Ok((Listing::read(shared)?, Self::Nothing)),
            listing => listing.map(|(listing, lengths)| (listing, Self::AsLong(lengths))),
        }
    }

    /// A section, if the marks tell all of it that an open would, so that it may rest.
    pub(super) fn find(
        &self,
        shared: &Shared,
        number: u64,
        listing: &Listing,
        marks: &Marks,
    ) -> Option<Resting> {
        let resting = resting(shared, number, marks)?;
        let may_rest = match self {
            Self::Nothing => false,
            Self::AsLong(lengths) => lengths.of(number) == Some(resting.bytes()),
            Self::AsNamed => {
                let present = listing.present(number);
                present.records && present.values
            }
        };
        may_rest.then_some(resting)
    }
}

/// The section, if nothing of it is damaged, and all its keys are in key tables, as it is where its files have the lengths
/// that its mark says. Every entry has a value of four bytes at least, which is durable before it: where the
/// value file has no byte more than the mark says, there is no entry more either.
fn resting(shared: &Shared, number: u64, marks: &Marks) -> Option<Resting> {
    let mark = marks.sections.get(&number)?;
    let is_whole = mark.epoch != 0
        && has_own_runs(shared, number, mark)
        && shared.being_rewritten != Some(number)
        && marks.damaged_in(number).next().is_none()
        && shared.tables.covered(number, mark.epoch) == mark.records;
    let (index_bytes, value_bytes) = files_len(shared, mark).filter(|_| is_whole)?;
    Some(Resting {
        number,
        mark: Arc::clone(mark),
        index_bytes,
        value_bytes,
    })
}

/// Whether a mark tells of no other indices than its section's, and of no more than it has entries: nobody reads
/// these before the indices count as stored.
fn has_own_runs(shared: &Shared, number: u64, mark: &Mark) -> bool {
    let ends = mark.runs.first().zip(mark.runs.last());
    let is_own = |index| shared.number_of(index) == number;
    ends.is_none_or(|(first, last)| is_own(first) && is_own(last))
        && mark.runs.count() <= u128::from(mark.records)
}

/// How many bytes the files of a section have that has nothing beyond its mark.
fn files_len(shared: &Shared, mark: &Mark) -> Option<(u64, u64)> {
    let entries = mark.records.checked_mul(shared.entry.size() as u64)?;
    let page_size = usize::from(shared.pair.record.page_size);
    let index = paged::disk_len(entries, page_size, mark.layouts.records?);
    let values = mark.layouts.values?.header_size();
    Some((index, values.checked_add(mark.value_bytes)?))
}

/// Which index stands first in a section, if everything known of it says that it was filled in order,
/// one item an index.
pub(super) fn first_in_order(shared: &Shared, section: &Section, mark: &Mark) -> Option<u64> {
    let entries = section.pair.records.len();
    let is_known = section.epoch == mark.epoch
        && has_own_runs(shared, section.number, mark)
        && section.covered.load(Ordering::Relaxed) == entries
        && mark.records == entries;
    let one_each = mark.runs.run_count() == 1 && mark.runs.count() == u128::from(entries);
    mark.runs.first().filter(|_| is_known && one_each)
}

impl Shared {
    /// What `look` makes of the section of a number, if there is one; it wakes where it rests. Costs no
    /// memory that other threads read where the section was asked for lately.
    #[inline]
    pub(super) fn with_section<T>(
        &self,
        number: u64,
        look: impl FnOnce(&Arc<Section>) -> T,
    ) -> Result<Option<T>> {
        if let Some(recent) = self.sections.recent(number)
            && let Some(section) = recent.as_ref()
            && section.number == number
        {
            return Ok(Some(look(section)));
        }
        Ok(self.section(number)?.as_ref().map(look))
    }

    /// The section of a number; it wakes where it rests.
    pub(super) fn section(&self, number: u64) -> Result<Option<Arc<Section>>> {
        match self.sections.get(number) {
            None => Ok(None),
            Some(Known::Open(section)) => Ok(Some(section)),
            Some(Known::Resting(_)) => self.wake(number),
        }
    }

    /// The section of a number, if it does not rest.
    pub(super) fn open_section(&self, number: u64) -> Option<Arc<Section>> {
        match self.sections.get(number) {
            Some(Known::Open(section)) => Some(section),
            _ => None,
        }
    }

    /// The section of a number, with its positions as they are.
    pub(super) fn settled_section(&self, number: u64) -> Result<Option<Arc<Section>>> {
        match self.section(number)? {
            Some(section) => Ok(self.settle_live(&section)?.then_some(section)),
            None => Ok(None),
        }
    }

    /// Reads the positions of a section where they are only presumed; false where it was dropped meanwhile.
    pub(super) fn settle_live(&self, section: &Section) -> Result<bool> {
        let settled = self.settle(section);
        match self.is_dropped(section, &settled) {
            true => Ok(false),
            false => settled.map(|()| true),
        }
    }

    #[cold]
    fn wake(&self, number: u64) -> Result<Option<Arc<Section>>> {
        let _one_at_a_time = self.waking.lock();
        let resting = match self.sections.get(number) {
            Some(Known::Resting(resting)) => resting,
            Some(Known::Open(section)) => return Ok(Some(section)),
            None => return Ok(None),
        };
        match self.wake_resting(&resting) {
            Err(Error::NotFound { .. }) if self.files.access() == Access::Read => {
                // Pruned by the writer of another process, or lost.
                follow::catch_up(self)?;
                match number < self.floor() {
                    true => Ok(None),
                    false => self.forget_resting(&resting),
                }
            }
            // Its files go only once it is not among the sections.
            Err(_) if !self.sections.contains(number) => Ok(None),
            woken => woken,
        }
    }

    /// To be called with `waking` held.
    pub(super) fn wake_resting(&self, resting: &Resting) -> Result<Option<Arc<Section>>> {
        let Resting { number, mark, .. } = resting;
        let opened = match self.look.is_due() {
            true => self.open_unseen(resting),
            false => self.open_resting(resting),
        };
        let Some(Loaded { section, .. }) = opened? else {
            return self.forget_resting(resting);
        };
        follow::flush_beyond(self, &section, Some(mark))?;
        match first_in_order(self, &section, mark) {
            Some(first) => section.presume_order(first),
            None => {
                load::replay(self, &section, 0)?;
                self.note_unplaced(&section, &mark.runs);
            }
        }
        if section.epoch != mark.epoch {
            // The next open is not to find it anew.
            self.damage.write().unmarked.insert(*number);
            // No table speaks for it any more, and its keys are in the key index, where a look-up that woke it
            // has looked before.
            self.rewrites.fetch_add(1, Ordering::SeqCst);
        }
        Ok(self.sections.wake(&section).then_some(section))
    }

    /// Opens the files of a section at rest, and compares them with its mark.
    pub(super) fn open_resting(&self, resting: &Resting) -> Result<Option<Loaded>> {
        let Resting { number, mark, .. } = resting;
        let present = Present {
            records: true,
            values: true,
        };
        load::open(self, *number, present, Some(mark), &[], Trust::Ordered)
    }

    /// Nothing of a section at rest can be read any more.
    fn forget_resting<T>(&self, resting: &Resting) -> Result<Option<T>> {
        self.look.note_unreadable(resting.number);
        self.unreadable.write().insert(resting.number);
        self.sections.remove(resting.number);
        self.lose(&resting.mark.runs);
        Ok(None)
    }

    /// Reads the positions of a section where they are only presumed.
    #[inline]
    pub(super) fn settle(&self, section: &Section) -> Result<()> {
        match section.is_presumed() {
            true => self.read_positions(section),
            false => Ok(()),
        }
    }

    #[cold]
    fn read_positions(&self, section: &Section) -> Result<()> {
        let _one_at_a_time = self.waking.lock();
        if !section.is_presumed() {
            return Ok(());
        }
        let mut positions = Positions::default();
        let mut damaged = Vec::new();
        let mut failed = Ok(());
        let value_bytes = section.pair.values.found_len();
        // What a reader finds behind them it takes in as it follows the writer.
        let end = section.followed.load(Ordering::Acquire);
        section
            .pair
            .records
            .replay(0, READ_AHEAD_BYTES, &mut |position, entry| {
                if position >= end {
                    return ControlFlow::Break(());
                }
                match entry {
                    Ok(entry) => {
                        let index = self.entry.index(entry);
                        if self.number_of(index) == section.number {
                            positions.insert(index, position);
                            if !load::has_value(self, section, entry, value_bytes) {
                                damaged.push((position, index));
                            }
                        }
                    }
                    Err(error) if error.is_corruption() => section.know_unread_entry(),
                    Err(error) => {
                        failed = Err(error);
                        return ControlFlow::Break(());
                    }
                }
                ControlFlow::Continue(())
            })?;
        failed?;
        let known = self.known_indices(section.number);
        let placed = positions.indices();
        section.settle_positions(positions);
        self.know_runs(&placed.without(&known));
        self.lose_of(section.number, &known.without(&placed));
        for (position, index) in damaged {
            self.note_damage(section, position, index, true);
        }
        Ok(())
    }

    /// Of a section's indices that were taken for stored, those that no whole entry of it has are lost.
    fn note_unplaced(&self, section: &Section, runs: &Runs) {
        let placed = section.positions.look(Positions::indices);
        self.lose_of(section.number, &runs.without(&placed));
    }

    /// Loses indices of a section, and has its mark written again.
    fn lose_of(&self, number: u64, lost: &Runs) {
        self.lose(lost);
        if lost.run_count() > 0 {
            self.damage.write().unmarked.insert(number);
        }
    }

    /// Lets sections rest, ascending, that are not there yet.
    pub(super) fn let_rest(&self, resting: Vec<Resting>) {
        let mut known = self.runs.write();
        for run in resting
            .iter()
            .flat_map(|resting| resting.mark.runs.ranges())
        {
            known.insert_run(*run.start(), *run.end());
        }
        drop(known);
        self.sections.rest(resting);
    }

    /// Makes stored indices known.
    pub(super) fn know_runs(&self, runs: &Runs) {
        let mut known = self.runs.write();
        for run in runs.ranges() {
            known.insert_run(*run.start(), *run.end());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Manifest, MarksLog};
    use crate::storage::{Memory, Storage};
    use crate::{Archive, Options, Status};

    /// A stranger's marks can say anything under a right checksum; nobody has read the entries yet.
    #[test]
    fn marks_of_more_indices_than_entries_let_no_section_rest() {
        for (first, last) in [
            (0, 1 << 60),
            (3, 200),
            (100, 102),
            (97, 99),
            (1 << 40, u64::MAX),
        ] {
            let storage: Arc<dyn Storage> = Arc::new(Memory::new());
            let options = Options::new().items_per_section(100).keys_per_table(1);
            let open = || options.clone().open_on(Arc::clone(&storage)).unwrap();
            let mut archive: Archive<[u8; 8]> = open();
            for index in 0..3 {
                let _ = archive.put(index, &[index as u8; 8], b"value").unwrap();
            }
            archive.close().unwrap();
            let manifest = Manifest::load(&*storage).unwrap().unwrap();
            let (mut marks, _) = MarksLog::open(&storage, &manifest).unwrap();
            let lie = |mark: &mut Mark| {
                mark.runs = Runs::default();
                mark.runs.insert_run(first, last);
            };
            marks
                .rewrite(|marks| {
                    marks
                        .sections
                        .values_mut()
                        .for_each(|mark| lie(Arc::make_mut(mark)))
                })
                .unwrap();
            let archive: Archive<[u8; 8]> = open();
            assert!((0..3).all(|index| archive.status(index).unwrap() == Status::Present));
            assert_eq!(archive.ranges(), [0..=2], "{first} to {last}");
            assert!(!archive.has(1 << 50).unwrap());
        }
    }
}
