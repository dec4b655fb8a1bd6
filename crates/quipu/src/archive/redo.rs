//! What the commit log does for an open: its bytes in the section files, or before them.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::options::Options;
use super::recovery::Recovery;
use super::shared::Shared;
use crate::canary::Canary;
use crate::commit_log::{self, CommitLog, Files, Records, Redo, Redone};
use crate::error::Result;
use crate::format::EntryLayout;
use crate::manifest::{Manifest, Mark, Marks, MarksLog};
use crate::storage::Storage;

/// A reader reads the log again so often when the writer began it anew meanwhile.
const MAX_TRIES: u32 = 10;

/// For so long a reader waits for a writer that is about to bring a sync from the log to the files, in milliseconds: that
/// takes a flush.
const WAITS: [u64; 5] = [1, 2, 4, 8, 16];

/// Brings the section files to where the last sync left them; the log of the writer, and the indices of all that it has.
pub(super) fn redo(
    storage: &Arc<dyn Storage>,
    for_derived: &Arc<dyn Storage>,
    options: &Options,
    manifest: &Manifest,
    marks: &MarksLog,
    recovery: &mut Recovery,
) -> Result<(CommitLog, Vec<u64>)> {
    let (mut log, records) =
        CommitLog::open(for_derived, storage, manifest.id, options.commit_log)?;
    recovery.commit_log_incomplete = records.is_damaged;
    if records.is_empty() || Canary::NothingRedone.sings() {
        return Ok((log, Vec::new()));
    }
    let mark = |section| marks.marks().of(section);
    let files = files(&**storage, manifest, &mark);
    let mut redo = Redo::find(&records, &files)?;
    if !redo.is_whole() {
        // Which files these are, and how long they were, the marks would tell.
        marks.check_readable(
            "the commit log has more than can be brought to the files without it",
        )?;
    }
    redo.apply(&files)?;
    recovery.redone.extend(redo.sections());
    recovery.commit_log_incomplete |= !redo.incomplete.is_empty();
    log.keep_for(|section| redo.away.contains(&section));
    // No mark may tell of what the files have got, should they not be read again.
    redo.lost.append(&mut redo.held);
    Ok((log, redo.lost))
}

/// The storage as a reader is to see it. Mostly the section files have all that the log has, and it is the same.
pub(super) fn read_through(
    storage: Arc<dyn Storage>,
    manifest: &Manifest,
    marks: &Marks,
) -> Result<Arc<dyn Storage>> {
    for _ in 0..MAX_TRIES {
        let records = Records::read(&*storage, manifest.id)?;
        if records.is_empty() {
            break;
        }
        let mark = |section| marks.of(section);
        let files = files(&*storage, manifest, &mark);
        let redo = Redo::find(&records, &files)?;
        if redo.is_empty() || are_shown_soon(&records, &files)? {
            break;
        }
        // The writer begins the log anew before it changes what is in the files.
        if Records::read(&*storage, manifest.id)?.continues(&records) {
            // What a reader shows stays: the writer may have been killed before it flushed that.
            commit_log::flush(&*storage)?;
            let inner = Arc::clone(&storage);
            return Ok(Arc::new(Redone::new(inner, redo, &files)));
        }
    }
    Ok(storage)
}

/// Whether the files have what was read of the log after a moment: beside a writer that goes on they do, and a reader
/// can follow it there. What that one syncs meanwhile is for the next look.
fn are_shown_soon(records: &Records, files: &Files<'_>) -> Result<bool> {
    if !files.storage.serves_side_by_side() {
        return Ok(false);
    }
    for millis in WAITS {
        thread::sleep(Duration::from_millis(millis));
        if Redo::find(records, files)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn files<'a>(
    storage: &'a dyn Storage,
    manifest: &'a Manifest,
    mark: &'a dyn Fn(u64) -> Option<&'a Mark>,
) -> Files<'a> {
    let key_size = manifest.key_size as usize;
    Files {
        storage,
        index: &manifest.index_partition,
        values: &manifest.value_partition,
        page_size: manifest.page_size.into(),
        entry_size: EntryLayout { key_size }.size(),
        floor: manifest.floor,
        mark,
    }
}

/// Notes indices that were durable, and that nothing holds now.
pub(super) fn note_lost(shared: &Shared, lost: &[u64]) {
    for &index in lost.iter().filter(|&&index| index >= shared.floor()) {
        if !shared.runs.read().contains(index) {
            shared.note_lost(index);
        }
    }
}
