//! Reading an archive that another process writes.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::load;
use super::options::Options;
use super::reader::Reader;
use super::recovery::{self, Listing};
use super::shared::Shared;
use crate::error::{Error, Result};
use crate::journal::Trust;
use crate::key::Key;
use crate::manifest::{Manifest, MarksLog};
use crate::storage::Storage;
use crate::value::Value;

/// An archive that is open for reading, beside a writer in this or another process.
///
/// It holds no lock and changes no file. It sees what was durable when it was opened or last
/// [refreshed](Self::refresh). All reads of [`Reader`] work on it.
///
/// ```
/// use quipu::{Archive, Options, ReadOnly};
///
/// let folder = tempfile::tempdir()?;
/// let mut writer: Archive<[u8; 4]> = Archive::open(folder.path())?;
/// let mut beside: ReadOnly<[u8; 4]> = Options::new().open_read_only(folder.path())?;
/// let _ = writer.put_sync(7, b"key7", b"value")?;
/// assert_eq!(beside.get(7)?, None);
/// beside.refresh()?;
/// assert_eq!(beside.get(b"key7")?.as_deref(), Some(&b"value"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ReadOnly<K, V = Bytes> {
    reader: Reader<K, V>,
    manifest: Manifest,
    options: Options,
}

impl<K: Key, V: Value> ReadOnly<K, V> {
    pub(super) fn open_on(storage: Arc<dyn Storage>, options: Options) -> Result<Self> {
        let (shared, manifest) = recovery::open_reader(storage, &options, K::SIZE)?;
        Ok(Self {
            reader: Reader::new(shared),
            manifest,
            options,
        })
    }

    /// Looks what the writer has made durable since: new items, a higher floor.
    ///
    /// Clones of the reader see it too. After a rewind by the writer the archive is read anew;
    /// clones from before it then keep to what they had.
    ///
    /// Costs a list of the folders, a look at the end of each section, and the new entries.
    pub fn refresh(&mut self) -> Result<()> {
        let shared = &self.reader.shared;
        let manifest = Manifest::load(&*shared.storage)?.ok_or_else(|| Error::NotAnArchive {
            path: shared.path(),
            reason: "its manifest is gone; the archive was destroyed".to_owned(),
        })?;
        if !self.manifest.is_continued_by(&manifest) {
            let storage = Arc::clone(&shared.storage);
            *self = Self::open_on(storage, self.options.clone())?;
            return Ok(());
        }
        *shared.compression.write() = manifest.compression.clone();
        shared.settings.write().compression = manifest.compression.current;
        follow_floor(shared, manifest.floor);
        self.manifest = manifest;
        follow_sections(shared)
    }

    /// A reader of its own, for another thread.
    pub fn reader(&self) -> Reader<K, V> {
        self.reader.clone()
    }
}

fn follow_floor(shared: &Shared, floor: u64) {
    if floor <= shared.floor() {
        return;
    }
    shared.floor.store(floor, Ordering::Release);
    shared.runs.write().remove_below(floor);
    shared.damage.write().indices.remove_below(floor);
    let pruned: Vec<_> = {
        let mut sections = shared.sections.write();
        let kept = sections.split_off(&floor);
        std::mem::replace(&mut *sections, kept)
            .into_values()
            .collect()
    };
    for section in pruned {
        shared.locations.release(section.number);
        section.pair.records.file().forget();
        section.pair.values.file().forget();
    }
    shared
        .keys
        .retain(&|location| shared.locations.resolve(location).is_some());
    shared.locations.reclaim();
}

fn follow_sections(shared: &Shared) -> Result<()> {
    let (marks, _) = MarksLog::open(&shared.storage)?;
    let listing = Listing::read(shared)?;
    for &number in listing.index.range(shared.floor()..) {
        let followed = match shared.section(number) {
            Some(section) => follow_section(shared, &section),
            None => load::load(
                shared,
                number,
                listing.present(number),
                marks.marks(),
                Trust::Ordered,
            )
            .and_then(|loaded| load::flush(&loaded.section)),
        };
        match followed {
            // Pruned since the folder was listed.
            Err(Error::NotFound { .. }) => {}
            other => other?,
        }
    }
    Ok(())
}

fn follow_section(shared: &Shared, section: &super::section::Section) -> Result<()> {
    let known = section.pair.records.len();
    // Entries first: the values of every entry that is seen now were durable before it.
    section.pair.records.refresh()?;
    section.pair.values.refresh()?;
    if section.pair.records.len() == known {
        return Ok(());
    }
    load::flush(section)?;
    load::replay(shared, section, known).map(drop)
}

impl<K, V> Deref for ReadOnly<K, V> {
    type Target = Reader<K, V>;

    fn deref(&self) -> &Self::Target {
        &self.reader
    }
}

impl<K, V> fmt::Debug for ReadOnly<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadOnly")
            .field("reader", &self.reader)
            .finish_non_exhaustive()
    }
}
