//! What an archive knows of itself, beside its sections: the manifest and the marks.
//!
//! ```text
//! quipu/manifest        settings, floor; replaced whole: written beside, flushed, renamed
//! quipu/manifest-copy   the same again, for when one of the two is damaged
//! quipu/marks           what is durable of each section, and known damage; appended to
//! quipu/scrub           how far scrubbing has come; replaced whole
//! quipu/commit-log      what small syncs made durable; see `commit_log`
//! quipu/lock            held by the writer
//! ```
//!
//! The two rest on different needs. The manifest changes rarely and must be right after every
//! crash, so it is replaced at once. A mark only protects (below it nothing is ever cut), may lag
//! where the power goes, and is written at each sync, so it is appended, and flushed now and then.

mod codec;
mod compression;
mod copies;
mod fingerprint;
mod log;
mod marks;
mod owner;
mod place;
mod record;

use std::sync::Arc;

pub(crate) use codec::{Decoder, Encoder};
pub(crate) use compression::CompressionMap;
pub(crate) use copies::{Copies, damaged_copies, load};
pub(crate) use fingerprint::{Fingerprint, Sample};
pub(crate) use log::{MarksLog, examine_marks};
pub(crate) use marks::{Mark, Marks, Wholeness};
pub(crate) use place::Place;
pub(crate) use record::{Manifest, State};
#[cfg(test)]
pub(crate) use {
    owner::{MAGIC as MARKS_MAGIC, VERSION as MARKS_VERSION},
    record::{MAGIC, VERSION},
};

use crate::error::{Error, Result};
use crate::format::NEW_SUFFIX;
use crate::storage::{OpenMode, Storage, check_partition_name};

/// The partition that holds what is ours alone.
pub(crate) const PARTITION: &str = "quipu";
/// The partition that keeps what repairs took out of sections.
pub(crate) const QUARANTINE: &str = "quarantine";
/// The manifest's blob.
pub(crate) const MANIFEST: &str = "manifest";
/// Its copy.
pub(crate) const MANIFEST_COPY: &str = "manifest-copy";
/// The marks' blob.
pub(crate) const MARKS: &str = "marks";
/// The blob that says how far scrubbing has come.
pub(crate) const SCRUB: &str = "scrub";
/// The blob that makes small syncs durable.
pub(crate) const COMMIT_LOG: &str = "commit-log";
/// The writer's lock.
pub(crate) const LOCK: &str = "lock";
/// The disk reserve, where there is one.
pub(crate) const RESERVE: &str = "reserve";

/// No small blob is longer: what is comes from a stranger, and may be a hole of any size.
const MAX_WHOLE_BYTES: u64 = 16 << 20;

/// The whole content of a small blob; none when it is not there.
fn read_whole(storage: &dyn Storage, name: &str) -> Result<Option<Vec<u8>>> {
    let blob = match storage.open(PARTITION, name, OpenMode::Read) {
        Ok(blob) => blob,
        Err(Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let len = blob.len()?;
    if len > MAX_WHOLE_BYTES {
        return Err(Error::Manifest {
            path: blob.path().to_path_buf(),
            offset: MAX_WHOLE_BYTES,
            reason: format!("it has {len} bytes, and none that is whole has so many"),
        });
    }
    let mut bytes = Vec::new();
    blob.read_into(&mut bytes, 0, len as usize)?;
    Ok(Some(bytes))
}

/// Replaces a blob at once: after a crash it has the old content or the new one.
pub(crate) fn replace_whole(storage: &Arc<dyn Storage>, name: &str, bytes: &[u8]) -> Result<()> {
    write_beside(&**storage, name, bytes)?;
    storage.rename(PARTITION, &temporary(name), name)?;
    storage.sync_partition(PARTITION)
}

/// Writes what is to take a blob's place, durably but for its name.
fn write_beside(storage: &dyn Storage, name: &str, bytes: &[u8]) -> Result<()> {
    let temporary = temporary(name);
    // What an interrupted one left may have been durable, and a disk that loses a write would bring
    // it back.
    match storage.remove(PARTITION, &temporary) {
        Ok(()) | Err(Error::NotFound { .. }) => {}
        Err(error) => return Err(error),
    }
    let blob = storage.open(PARTITION, &temporary, OpenMode::Create)?;
    blob.write_at(&[std::io::IoSlice::new(bytes)], 0)?;
    blob.sync()
}

/// What a blob is called until it takes its place.
fn temporary(name: &str) -> String {
    format!("{name}{NEW_SUFFIX}")
}

/// Bytes of the manifest, the marks and the rest beside the sections on disk, as far as they can be told.
pub(crate) fn disk_len(storage: &dyn Storage) -> u64 {
    let len = |name: &str| storage.open(PARTITION, name, OpenMode::Read)?.len();
    // The last is a reserve that is being filled.
    [
        MANIFEST,
        MANIFEST_COPY,
        MARKS,
        SCRUB,
        COMMIT_LOG,
        RESERVE,
        &temporary(RESERVE),
    ]
    .into_iter()
    .filter_map(|name| len(name).ok())
    .fold(0, u64::saturating_add)
}

/// Partition names must differ from each other and from those that are ours.
pub(crate) fn check_partitions(index: &str, values: &str) -> Result<()> {
    check_partition_name(index)?;
    check_partition_name(values)?;
    let is_ours = |name| [PARTITION, QUARANTINE].contains(&name);
    if index == values || is_ours(index) || is_ours(values) {
        return Err(Error::InvalidOption {
            option: "partitions",
            reason: format!(
                "{index:?} and {values:?} must differ from each other, from \"quipu\" and from \
                 \"quarantine\""
            ),
        });
    }
    Ok(())
}
