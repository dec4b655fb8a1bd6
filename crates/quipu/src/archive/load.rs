//! Reading one section into memory: recovery of its ends, then one pass over its entries.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::fingerprint::Foreign;
use super::section::Section;
use super::shared::Shared;
use crate::error::{Error, Result};
use crate::index::Runs;
use crate::journal::{Durable, Pair, Present, SectionReport, Trust};
use crate::manifest::{Mark, Marks};
use crate::storage::Access;

/// Bytes of an index file that are read at a time.
const READ_AHEAD_BYTES: usize = 1 << 20;

/// A section that was read into memory.
pub(super) struct Loaded {
    pub(super) section: Arc<Section>,
    pub(super) report: SectionReport,
}

/// Recovers a section and makes its items known. None when a file of it has a header that is not
/// one: nothing of the section can be read then, nor written, and nothing of it is changed.
pub(super) fn load(
    shared: &Shared,
    number: u64,
    present: Present,
    marks: &Marks,
    trust: Trust,
) -> Result<Option<Loaded>> {
    let mark = marks.sections.get(&number);
    let durable = Durable {
        records: mark.map_or(0, |mark| mark.records),
        value_bytes: mark.map_or(0, |mark| mark.value_bytes),
    };
    let layouts = mark.map(|mark| mark.layouts).unwrap_or_default();
    let (records, values) = shared.files_of(number, layouts);
    if shared.files.access() == Access::Read && shared.being_rewritten == Some(number) {
        // Its pages and those of the file that takes its place must not be mixed.
        records.pin()?;
    }
    let opened = Pair::open(records, values, present, &shared.pair, durable, trust);
    let (pair, report) = match opened {
        // Of an archive, the other sections can still be read.
        Err(Error::Header { .. }) => {
            note_unreadable(shared, number, mark);
            return Ok(None);
        }
        opened => opened?,
    };
    let foreign = find_foreign(shared, &pair, mark)?;
    let compressed = shared.compression.read().is_compressed(number);
    let section = Arc::new(Section::found(number, pair, compressed, foreign));
    // Where the end was lost, its positions are given out again.
    let end = section.pair.records.next_position();
    for (position, index) in marks.damaged_in(number).filter(|&(at, _)| at < end) {
        section.know_damage(position, index);
    }
    shared.sections.write().insert(number, Arc::clone(&section));
    replay(shared, &section, 0)?;
    note_lost(shared, &section, mark);
    Ok(Some(Loaded { section, report }))
}

/// Compares the files with the mark. Where they were being written anew and differ, they are those
/// from after that, of which the mark knows nothing.
fn find_foreign(shared: &Shared, pair: &Pair, mark: Option<&Mark>) -> Result<Foreign> {
    let number = pair.records.file().section();
    match mark {
        None => Ok(Foreign::default()),
        Some(mark) => {
            let found = Foreign::find(pair, shared.entry, &mark.fingerprint)?;
            let is_new = shared.being_rewritten == Some(number) && found.is_stale();
            Ok(if is_new { Foreign::unknown() } else { found })
        }
    }
}

/// Notes a section of which nothing can be read, nor written.
pub(super) fn note_unreadable(shared: &Shared, number: u64, mark: Option<&Mark>) {
    shared.unreadable.write().insert(number);
    if let Some(mark) = mark {
        note_lost_runs(shared, number, &mark.runs);
    }
}

/// Makes the entries from a position on known.
pub(super) fn replay(shared: &Shared, section: &Section, from: u64) -> Result<()> {
    let mut failed = None;
    let value_bytes = section.pair.values.found_len();
    section
        .pair
        .records
        .replay(from, READ_AHEAD_BYTES, &mut |position, entry| {
            let added = match entry {
                Ok(entry) => add(shared, section, position, entry, value_bytes),
                Err(error) if error.is_corruption() => Ok(()),
                Err(error) => Err(error),
            };
            match added {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
    failed.map_or(Ok(()), Err)
}

/// Makes one entry known, if it can be one of this section's.
fn add(
    shared: &Shared,
    section: &Section,
    position: u64,
    entry: &[u8],
    value_bytes: u64,
) -> Result<()> {
    let index = shared.entry.index(entry);
    if shared.number_of(index) != section.number || section.foreign.is_entry(position) {
        return Ok(());
    }
    section.forget_damage_of_another(position, index);
    let (offset, size) = shared.entry.location(entry);
    let end = offset.checked_add(size.into());
    let in_bounds = end.is_some_and(|end| end <= value_bytes);
    // What is known damaged claims nothing: others were put since where it says that its value is.
    if !section.is_damaged(position) {
        let is_whole = in_bounds && !section.foreign.is_value(position);
        if !(is_whole && section.claim(offset, size)) {
            shared.note_damage(section, position, index);
        }
    }
    section.positions.write().insert(index, position);
    // A damaged item is found by its key as well, so that the damage is told.
    if !section.is_damaged(position) {
        shared.runs.write().insert(index);
        if shared.is_damaged(index) {
            // Put again by the writer that is followed.
            shared.damage.write().indices.remove(index);
        }
    }
    let location = shared.locations.locate(section.number, position)?;
    let translated = shared.translator.translate(shared.entry.key(entry));
    let is_dead = |location| shared.locations.resolve(location).is_none();
    shared.keys.insert(translated, location, &is_dead)?;
    Ok(())
}

/// Notes which indices of a section were durable and are not readable any more.
fn note_lost(shared: &Shared, section: &Section, mark: Option<&Mark>) {
    for index in section.damaged_indices() {
        if !shared.runs.read().contains(index) {
            shared.note_lost(index);
        }
    }
    if let Some(mark) = mark {
        note_lost_runs(shared, section.number, &mark.runs);
    }
}

/// Of indices of a section that were durable, those that are not stored are damaged.
pub(super) fn note_lost_runs(shared: &Shared, number: u64, runs: &Runs) {
    let end = number.saturating_add(shared.items_per_section - 1);
    for run in runs.ranges() {
        let (first, last) = run.into_inner();
        let (first, last) = (first.max(number), last.min(end));
        if first <= last {
            let lost = shared.runs.read().not_stored(first, last);
            shared.note_lost_runs(&lost);
        }
    }
}

/// What a section must be for its files to be taken for those of an archive with these settings.
pub(super) fn refuse_foreign(shared: &Shared, section: &Section) -> Result<()> {
    let mut wrong = None;
    section
        .pair
        .records
        .replay(0, READ_AHEAD_BYTES, &mut |position, entry| {
            let index = entry.map(|entry| shared.entry.index(entry)).ok();
            match index.filter(|&index| shared.number_of(index) != section.number) {
                None => ControlFlow::Continue(()),
                Some(index) => {
                    wrong = Some((position, index));
                    ControlFlow::Break(())
                }
            }
        })?;
    match wrong {
        None => Ok(()),
        Some((position, index)) => Err(Error::NotAnArchive {
            path: section.pair.records.file().path(),
            reason: format!(
                "its entry {position} says index {index}, which is not of section {}; \
                 key size, page size and items per section must be those the store was written with",
                section.number
            ),
        }),
    }
}
