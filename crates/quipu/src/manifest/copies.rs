//! The two copies of the manifest.
//!
//! ```text
//! quipu/manifest        generation 7     the newer of the two that can be read counts
//! quipu/manifest-copy   generation 7
//! ```
//!
//! # Invariants
//!
//! - Nothing that a manifest announces is done before both copies say so, durably. So whichever
//!   copy is left after a crash or damage describes the files that are there.
//! - A generation is given once: of two copies the greater one was written later.
//!
//! # Recovery
//!
//! A copy that is missing, damaged or behind is written again when the archive is opened for
//! writing. Only where neither can be read is the archive refused.

use std::io::IoSlice;
use std::sync::Arc;

use super::record::Manifest;
use super::{MANIFEST, MANIFEST_COPY, PARTITION, read_whole, temporary, write_beside};
use crate::canary::Canary;
use crate::error::{Error, Result};
use crate::storage::{OpenMode, Storage};

const NAMES: [&str; 2] = [MANIFEST, MANIFEST_COPY];

/// How the two copies were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Copies {
    /// The same.
    Same,
    /// One behind the other: a crash came between them.
    OneBehind,
    /// One of them missing, damaged, or not to be read.
    OneLost,
}

/// Reads both copies: the manifest that counts, and how they were found; none when neither is there.
///
/// Where neither can be read, the error is that of the first that is there. A copy of a newer
/// version is [`Error::NewerVersion`], a stranger in its place [`Error::NotABlob`], and one that cannot be read for a reason
/// that may pass [`Error::Io`], whatever the other says.
pub(crate) fn load(storage: &dyn Storage) -> Result<Option<(Manifest, Copies)>> {
    let [first, second] = NAMES.map(|name| read(storage, name));
    match (first, second) {
        (Err(error), _) | (_, Err(error)) if !is_loss(&error) => Err(error),
        (Ok(Some(first)), Ok(Some(second))) => Ok(Some(newer(first, second))),
        (Ok(Some(manifest)), _) | (_, Ok(Some(manifest))) => Ok(Some((manifest, Copies::OneLost))),
        (Err(error), _) | (_, Err(error)) => Err(error),
        (Ok(None), Ok(None)) => Ok(None),
    }
}

/// What is wrong with each copy that is missing or damaged.
pub(crate) fn damaged_copies(storage: &dyn Storage) -> Result<Vec<Error>> {
    let mut damaged = Vec::new();
    for name in NAMES {
        match read(storage, name) {
            Ok(Some(_)) => {}
            Ok(None) => damaged.push(Error::NotFound {
                path: storage.path(PARTITION, name),
            }),
            Err(error @ (Error::Manifest { .. } | Error::Unreadable { .. })) => damaged.push(error),
            Err(error) => return Err(error),
        }
    }
    Ok(damaged)
}

/// Whether a copy is lost, so that the other may stand in for it: not where somebody has put another
/// thing in its place, a newer program has written it, or a call has failed for a reason that may pass. The other may be
/// one behind.
fn is_loss(error: &Error) -> bool {
    matches!(error, Error::Manifest { .. }) || error.is_corruption()
}

fn read(storage: &dyn Storage, name: &str) -> Result<Option<Manifest>> {
    let bytes = read_whole(storage, name).map_err(|error| error.of_read(0));
    let Some(bytes) = bytes? else {
        return Ok(None);
    };
    Manifest::decode(&bytes, &storage.path(PARTITION, name)).map(Some)
}

fn newer(first: Manifest, second: Manifest) -> (Manifest, Copies) {
    let copies = match first == second {
        true => Copies::Same,
        false => Copies::OneBehind,
    };
    match second.generation > first.generation {
        true => (second, copies),
        false => (first, copies),
    }
}

/// Replaces both copies, durably; each at once, one after the other.
pub(crate) fn store(storage: &Arc<dyn Storage>, bytes: &[u8]) -> Result<()> {
    if Canary::ManifestInPlace.sings() {
        return write_in_place(storage, bytes);
    }
    for name in NAMES {
        write_beside(&**storage, name, bytes)?;
    }
    for name in NAMES {
        storage.rename(PARTITION, &temporary(name), name)?;
    }
    storage.sync_partition(PARTITION)
}

/// A defect: a crash may damage both.
fn write_in_place(storage: &Arc<dyn Storage>, bytes: &[u8]) -> Result<()> {
    let open = |name| storage.open(PARTITION, name, OpenMode::Create);
    let blobs = [open(MANIFEST)?, open(MANIFEST_COPY)?];
    for blob in &blobs {
        blob.resize(0)?;
        blob.write_at(&[IoSlice::new(bytes)], 0)?;
    }
    blobs.iter().try_for_each(|blob| blob.sync())?;
    storage.sync_partition(PARTITION)
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::sample;
    use super::*;
    use crate::storage::Memory;

    fn stored() -> (Arc<dyn Storage>, Manifest) {
        let storage: Arc<dyn Storage> = Arc::new(Memory::new());
        let mut manifest = sample();
        manifest.store(&storage).unwrap();
        (storage, manifest)
    }

    fn replace(storage: &Arc<dyn Storage>, name: &str, bytes: &[u8]) {
        let blob = storage.open(PARTITION, name, OpenMode::Write).unwrap();
        blob.resize(0).unwrap();
        blob.write_at(&[IoSlice::new(bytes)], 0).unwrap();
    }

    #[test]
    fn either_copy_is_enough_however_the_other_is_damaged() {
        for name in NAMES {
            let (storage, manifest) = stored();
            let bytes = read_whole(&*storage, name).unwrap().unwrap();
            for at in 0..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[at] ^= 0x20;
                replace(&storage, name, &damaged);
                assert_eq!(
                    load(&*storage).unwrap().unwrap(),
                    (manifest.clone(), Copies::OneLost)
                );
                replace(&storage, name, &bytes[..at]);
                assert_eq!(load(&*storage).unwrap().unwrap().0, manifest);
            }
            storage.remove(PARTITION, name).unwrap();
            assert_eq!(load(&*storage).unwrap().unwrap().1, Copies::OneLost);
            assert_eq!(damaged_copies(&*storage).unwrap().len(), 1);
        }
    }

    #[test]
    fn the_later_of_two_counts_whichever_it_is() {
        for name in NAMES {
            let (storage, mut manifest) = stored();
            let before = read_whole(&*storage, name).unwrap().unwrap();
            manifest.floor += manifest.items_per_section;
            manifest.store(&storage).unwrap();
            assert_eq!(
                load(&*storage).unwrap().unwrap(),
                (manifest.clone(), Copies::Same)
            );
            replace(&storage, name, &before);
            assert_eq!(
                load(&*storage).unwrap().unwrap(),
                (manifest, Copies::OneBehind)
            );
        }
    }

    #[test]
    fn two_damaged_copies_are_an_error_and_none_is_none() {
        let (storage, _) = stored();
        for name in NAMES {
            replace(&storage, name, b"QUIPU");
        }
        assert!(matches!(load(&*storage), Err(Error::Manifest { .. })));
        storage.remove(PARTITION, MANIFEST).unwrap();
        assert!(matches!(load(&*storage), Err(Error::Manifest { .. })));
        storage.remove(PARTITION, MANIFEST_COPY).unwrap();
        assert_eq!(load(&*storage).unwrap(), None);
    }
}
