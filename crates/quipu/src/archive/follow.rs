//! A reader beside the writer of another process: following what that one does.

use super::listing::Listing;
use super::load;
use super::recovery::trust_in;
use super::section::Section;
use super::section_table::Known;
use super::shared::Shared;
use crate::error::{Error, Result};
use crate::journal::Trust;
use crate::manifest::{Manifest, Mark, Marks, MarksLog};
use crate::storage::Access;
use crate::sync::atomic::Ordering;

impl Shared {
    /// Whether a section was dropped while something was read of it: what was read does not count
    /// then. What another process drops shows by a file that is gone.
    pub(super) fn is_dropped<T>(&self, section: &Section, read: &Result<T>) -> bool {
        let is_pruned = self.is_pruned(section.number, read);
        section.is_retired() || is_pruned
    }

    /// Whether a section was pruned while something was read of it.
    pub(super) fn is_pruned<T>(&self, number: u64, read: &Result<T>) -> bool {
        let gone = matches!(read, Err(Error::NotFound { .. }));
        if gone && self.files.access() == Access::Read {
            // Where the floor cannot be told, the file is simply missing.
            let _ = catch_up(self);
        }
        number < self.floor()
    }
}

/// Raises the floor to the one that the writer has raised it to.
pub(super) fn catch_up(shared: &Shared) -> Result<()> {
    let manifest = Manifest::load(&*shared.storage)?;
    if let Some(manifest) = manifest.filter(|manifest| manifest.id == shared.id) {
        floor(shared, manifest.floor);
    }
    Ok(())
}

/// Whether a section is compressed whose files are open and hold entries. A reader beside looks into the manifest
/// again for it: the one that it has may be from before the section was made, by a writer of another setting.
pub(super) fn is_compressed(shared: &Shared, number: u64) -> Result<bool> {
    let Some(opened) = shared.shown_as.get() else {
        return Ok(shared.compression.read().is_compressed(number));
    };
    let now = opened.continued(&*shared.storage)?;
    // First: the compression of sections below the floor is forgotten.
    floor(shared, now.floor);
    Ok(now.compression.is_compressed(number))
}

/// Raises the floor and forgets what lies below it.
pub(super) fn floor(shared: &Shared, floor: u64) {
    let _one_at_a_time = shared.following.lock();
    if floor <= shared.floor() {
        return;
    }
    shared.floor.store(floor, Ordering::Release);
    forget_below(shared, floor);
}

/// Forgets a section that was taken in while the floor was raised above it.
pub(super) fn forget_pruned(shared: &Shared, number: u64) {
    if number >= shared.floor() {
        return;
    }
    let _one_at_a_time = shared.following.lock();
    shared.locations.release(number);
    forget_below(shared, shared.floor());
}

/// Forgets what lies below the floor. Called by one at a time.
fn forget_below(shared: &Shared, floor: u64) {
    shared.runs.write().remove_below(floor);
    for (number, pruned) in shared.sections.remove_below(floor) {
        shared.locations.release(number);
        if let Known::Open(section) = pruned {
            section.retire();
            section.pair.records.forget();
            section.pair.values.file().forget();
        }
    }
    // Now that readers note nothing of these sections any more.
    shared.damage.write().indices.remove_below(floor);
    let mut unreadable = shared.unreadable.write();
    *unreadable = unreadable.split_off(&floor);
    drop(unreadable);
    shared
        .keys
        .retain(&|location| shared.locations.resolve(location).is_some());
    shared.locations.reclaim();
}

/// Takes in what the writer has made durable since.
pub(super) fn sections(shared: &Shared, manifest: &Manifest) -> Result<()> {
    let (marks, wholeness) = MarksLog::open(&shared.storage, manifest)?;
    let trust = trust_in(wholeness);
    let listing = Listing::read(shared)?;
    for number in listing.numbers_from(shared.floor()) {
        match shared.section(number)? {
            Some(section) => {
                let followed = follow_section(shared, &section);
                // Pruned since the folder was listed.
                if !shared.is_dropped(&section, &followed) {
                    followed?;
                }
            }
            None => load_section(shared, number, &listing, marks.marks(), trust)?,
        }
        forget_pruned(shared, number);
    }
    Ok(())
}

/// Reads a section that a listing had.
pub(super) fn load_section(
    shared: &Shared,
    number: u64,
    listing: &Listing,
    marks: &Marks,
    trust: Trust,
) -> Result<()> {
    let present = listing.present(number);
    let mark = marks.of(number);
    if !present.records && mark.is_none_or(|mark| mark.records == 0) {
        // It is being created.
        return Ok(());
    }
    if mark.is_some_and(Mark::is_dropped) {
        // Files that came back; the next writer removes them.
        return Ok(());
    }
    match load::load(shared, number, present, marks, trust) {
        Ok(_) => Ok(()),
        Err(Error::NotFound { .. }) => {
            catch_up(shared)?;
            // Pruned since the folder was listed, made ahead and not needed, or lost.
            if number >= shared.floor() && mark.is_some_and(|mark| mark.records > 0) {
                load::note_unreadable(shared, number, mark);
            }
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn follow_section(shared: &Shared, section: &Section) -> Result<()> {
    let known = section.followed.load(Ordering::Acquire);
    // Entries first: the values of every entry that is seen now were durable before it.
    section.pair.records.refresh()?;
    section.pair.values.refresh()?;
    let now = section.pair.records.len();
    if now <= known {
        return Ok(());
    }
    // Its positions are those that were read before, and no more.
    shared.settle(section)?;
    flush(section)?;
    load::replay(shared, section, known)?;
    section.followed.store(now, Ordering::Release);
    Ok(())
}

/// As [`flush`], if a reader of another process has found more in a section than its mark tells of.
pub(super) fn flush_beyond(shared: &Shared, section: &Section, mark: Option<&Mark>) -> Result<()> {
    let marked = mark.map_or(0, |mark| mark.records);
    match shared.files.access() == Access::Read && section.pair.records.len() > marked {
        true => flush(section),
        false => Ok(()),
    }
}

/// Makes what a reader found in a section durable, so that nothing it has seen is lost with the
/// power: the writer may have written it and not have flushed it yet, nor the name of a new file.
/// The values, in their file or in the commit log, and their file's name were durable before.
fn flush(section: &Section) -> Result<()> {
    let records = section.pair.records.file();
    records.get()?.sync()?;
    records
        .files()
        .storage()
        .sync_partition(records.partition())
}
