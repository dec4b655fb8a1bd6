//! Reading one section into memory: recovery of its ends, then one pass over its entries.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::fingerprint::Foreign;
use super::follow;
use super::listing::Listing;
use super::rest;
use super::section::Section;
use super::shared::Shared;
use crate::entropy;
use crate::error::{Error, Result};
use crate::index::Runs;
use crate::journal::{Durable, Pair, Present, SectionReport, Trust};
use crate::manifest::{Mark, Marks};
use crate::storage::Access;
use crate::sync::atomic::Ordering;

/// Bytes of an index file that are read at a time.
pub(super) const READ_AHEAD_BYTES: usize = 1 << 20;

/// A section that was read into memory.
pub(super) struct Loaded {
    pub(super) section: Arc<Section>,
    pub(super) report: SectionReport,
}

/// Recovers a section and makes its items known. None when a file of it has a header that is not
/// one: nothing of the section can be read then, nor written, and nothing of it is changed; and for a
/// reader beside also as long as the section holds nothing.
pub(super) fn load(
    shared: &Shared,
    number: u64,
    present: Present,
    marks: &Marks,
    trust: Trust,
) -> Result<Option<Loaded>> {
    let mark = marks.of(number);
    let known_damage: Vec<_> = marks.damaged_in(number).collect();
    let Some(loaded) = open(shared, number, present, mark, &known_damage, trust)? else {
        note_unreadable(shared, number, mark);
        return Ok(None);
    };
    let section = &loaded.section;
    let is_new = mark.is_none() && section.pair.records.len() == 0;
    if is_new && shared.files.access() == Access::Read {
        // Its files may have been made ahead, be removed again, and made by another writer.
        return Ok(None);
    }
    // Before anything of it is shown.
    follow::flush_beyond(shared, section, mark)?;
    let in_order = mark.and_then(|mark| Some((mark, rest::first_in_order(shared, section, mark)?)));
    if let Some((_, first)) = in_order {
        section.presume_order(first);
    }
    shared.sections.insert(Arc::clone(section));
    match in_order {
        Some((mark, _)) => shared.know_runs(&mark.runs),
        None => {
            // Or a reader would take what it has not read for known.
            replay(shared, section, 0).inspect_err(|_| drop(shared.sections.remove(number)))?;
            note_lost(shared, section, mark);
        }
    }
    Ok(Some(loaded))
}

/// Opens the files of a section and cuts what a crash tore off their ends; nothing of it is known
/// yet but its damage. None when a file of it has a header that is not one.
pub(super) fn open(
    shared: &Shared,
    number: u64,
    present: Present,
    mark: Option<&Mark>,
    known_damage: &[(u64, u64)],
    trust: Trust,
) -> Result<Option<Loaded>> {
    let durable = Durable {
        records: mark.map_or(0, |mark| mark.records),
        value_bytes: mark.map_or(0, |mark| mark.value_bytes),
    };
    let layouts = mark.map(|mark| mark.layouts).unwrap_or_default();
    let (records, values) = shared.files_of(number, layouts);
    if shared.files.access() == Access::Read && shared.being_rewritten == Some(number) {
        // Its pages and those of the file that takes its place must not be mixed.
        match records.pin() {
            Err(error) if tells_of_file(&error) => return Ok(None),
            pinned => pinned?,
        }
    }
    let opened = Pair::open(records, values, present, &shared.pair, durable, trust);
    let (pair, report) = match opened {
        // Of an archive, the other sections can still be read.
        Err(error) if tells_of_file(&error) => return Ok(None),
        opened => opened?,
    };
    let foreign = find_foreign(shared, &pair, mark)?;
    let is_doubtful = trust != Trust::Ordered
        || shared.being_rewritten == Some(number)
        || foreign.is_stale()
        || foreign.has_any()
        || !known_damage.is_empty();
    let mark = mark.filter(|_| !is_doubtful);
    let (epoch, covered) = life(shared, number, mark, pair.records.len())?;
    let compressed = follow::is_compressed(shared, number)?;
    let section = Section::new(number, pair, compressed, epoch).with_foreign(foreign);
    section.covered.store(covered, Ordering::Relaxed);
    // Where the end was lost, its positions are given out again.
    let end = section.pair.records.next_position();
    for &(position, index) in known_damage.iter().filter(|&&(at, _)| at < end) {
        section.know_damage(position, index);
    }
    let section = Arc::new(section);
    Ok(Some(Loaded { section, report }))
}

/// Whether nothing of a file can be read.
fn tells_of_file(error: &Error) -> bool {
    matches!(error, Error::Header { .. }) || error.is_unreadable()
}

/// Which life a section is in, and how many of its entries key tables have. What is doubtful begins a
/// new one, in which they have none, and so does a section that has fewer entries than they: its
/// positions are given out again.
fn life(shared: &Shared, number: u64, mark: Option<&Mark>, entries: u64) -> Result<(u64, u64)> {
    let marked = mark.map(|mark| mark.epoch).filter(|&epoch| epoch != 0);
    match marked.filter(|&epoch| shared.tables.claimed(number, epoch) <= entries) {
        Some(epoch) => Ok((epoch, shared.tables.covered(number, epoch))),
        None => Ok((entropy::number()?, 0)),
    }
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
                Err(error) if error.is_corruption() => {
                    section.know_unread_entry();
                    Ok(())
                }
                Err(error) => Err(error),
            };
            match added {
                Ok(()) => {
                    section.followed.store(position + 1, Ordering::Release);
                    ControlFlow::Continue(())
                }
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
    // What is known damaged claims nothing: others were put since where it says that its value is.
    if !section.is_damaged(position) {
        let is_own = !section.foreign.is_value(position);
        if !(is_own && has_value(shared, section, entry, value_bytes)) {
            shared.note_damage(section, position, index, true);
        }
    }
    section.positions.add(std::iter::once((index, position)));
    // A damaged item is found by its key as well, so that the damage is told.
    if !section.is_damaged(position) {
        shared.runs.write().insert(index);
        if shared.is_damaged(index) {
            // Put again by the writer that is followed.
            shared.damage.write().indices.remove(index);
        }
    }
    if position < section.covered.load(Ordering::Relaxed) {
        return Ok(());
    }
    let location = shared.locations.locate(section.number, position)?;
    let translated = shared.translator.translate(shared.entry.key(entry));
    let is_dead = |location| shared.locations.resolve(location).is_none();
    shared.keys.insert(translated, location, &is_dead)?;
    Ok(())
}

/// Whether the value that an entry names lies within so many bytes, and is no other entry's.
pub(super) fn has_value(shared: &Shared, section: &Section, entry: &[u8], bytes: u64) -> bool {
    let (offset, size) = shared.entry.location(entry);
    let end = offset.checked_add(size.into());
    end.is_some_and(|end| end <= bytes) && section.claim(offset, size)
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

/// Sections that were durable and of which no file is left: all their indices are damaged.
pub(super) fn note_lost_sections(shared: &Shared, listing: &Listing, marks: &Marks) {
    let floor = shared.floor();
    for (&number, mark) in marks.sections.range(floor..) {
        let is_section = shared.number_of(number) == number;
        let present = listing.present(number);
        let has_files = present.records || present.values;
        if is_section && (!has_files || mark.is_dropped()) {
            note_lost_runs(shared, number, &mark.runs);
        }
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
