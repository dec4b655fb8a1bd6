//! Removing an archive: every file of it, and nothing else.

use std::sync::Arc;

use super::listing::Listing;
use super::options::Options;
use super::prune::remove_files;
use super::repair::is_exhibit;
use super::settings;
use super::shared::Shared;
use super::tables;
use super::writer::Writer;
use crate::canary::Canary;
use crate::commit_log;
use crate::error::{Error, Result};
use crate::format::NEW_SUFFIX;
use crate::manifest::{
    COMMIT_LOG, LOCK, MANIFEST, MANIFEST_COPY, MARKS, Manifest, Marks, MarksLog, PARTITION,
    QUARANTINE, RESERVE, SCRUB, State,
};
use crate::storage::{Access, Storage};

/// Removes the archive of a writer. The manifest says so first and goes last, so that an open
/// after a crash in between finishes the removal instead of finding damage.
pub(super) fn destroy(mut writer: Writer) -> Result<()> {
    // What is made ahead goes with the rest, or never came to be.
    let _ = writer.settle_prepared();
    // What does not belong into a folder is refused while nothing is changed.
    Listing::read(&writer.shared)?;
    for partition in [PARTITION, QUARANTINE] {
        writer.shared.storage.list(partition)?;
    }
    writer.shared.scrub.close();
    writer.keeper.stop(&writer.shared);
    writer.take_manifest();
    writer.manifest.state = State::Destroying;
    if !Canary::DestroyUnannounced.sings() {
        writer.manifest.store(&writer.shared.storage)?;
    }
    let shared = std::sync::Arc::clone(&writer.shared);
    remove_sections(&shared)?;
    writer.abandon();
    let storage = &shared.storage;
    for name in [
        RESERVE,
        COMMIT_LOG,
        MARKS,
        SCRUB,
        MANIFEST,
        MANIFEST_COPY,
        LOCK,
    ] {
        for name in [format!("{name}{NEW_SUFFIX}"), name.to_owned()] {
            match storage.remove(PARTITION, &name) {
                Err(Error::NotFound { .. }) => {}
                other => other?,
            }
        }
        storage.sync_partition(PARTITION)?;
    }
    drop(writer);
    for partition in [
        &*shared.partitions.index,
        &*shared.partitions.values,
        QUARANTINE,
        PARTITION,
    ] {
        // What is not ours stays, and its folder with it.
        if storage.list(partition).is_ok_and(|names| names.is_empty()) {
            storage.remove_partition(partition)?;
        }
    }
    Ok(())
}

/// Ends a destruction that was cut off; what is there then is a new archive, of this manifest.
pub(super) fn finish(
    storage: &Arc<dyn Storage>,
    options: &Options,
    manifest: &Manifest,
) -> Result<Manifest> {
    let shared = Shared::new(Arc::clone(storage), options, manifest, Access::Write);
    remove_sections(&shared)?;
    let mut fresh = Manifest {
        generation: manifest.generation,
        opens: manifest.opens,
        ..settings::new_manifest(options, manifest.key_size as usize)?
    };
    MarksLog::create(storage, &fresh, &Marks::default())?;
    commit_log::remove(&**storage)?;
    fresh.store(storage)?;
    Ok(fresh)
}

/// Removes the section files of an archive, and what repairs kept of earlier ones.
pub(super) fn remove_sections(shared: &Shared) -> Result<()> {
    let listing = Listing::read(shared)?;
    remove_files(shared, listing.numbers_from(0).into_iter())?;
    for (is_index, name) in &listing.unfinished {
        let partition = if *is_index {
            &shared.partitions.index
        } else {
            &shared.partitions.values
        };
        shared.storage.remove(partition, name)?;
    }
    tables::remove_all(shared)?;
    remove_quarantine(shared)
}

/// Removes the old bytes that repairs kept.
fn remove_quarantine(shared: &Shared) -> Result<()> {
    let mut names = shared.storage.list(QUARANTINE)?;
    names.retain(|name| is_exhibit(name));
    for name in &names {
        shared.storage.remove(QUARANTINE, name)?;
    }
    match names.is_empty() {
        true => Ok(()),
        false => shared.storage.sync_partition(QUARANTINE),
    }
}
