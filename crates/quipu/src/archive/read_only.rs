//! Reading an archive that another process writes.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

use super::follow;
use super::options::Options;
use super::reader::Reader;
use super::recovery;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::manifest::Manifest;
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
    storage: Arc<dyn Storage>,
    manifest: Manifest,
    options: Options,
}

impl<K: Key, V: Value> ReadOnly<K, V> {
    pub(super) fn open_on(storage: Arc<dyn Storage>, options: Options) -> Result<Self> {
        let (shared, manifest) = recovery::open_reader(Arc::clone(&storage), &options, K::SIZE)?;
        Ok(Self {
            reader: Reader::new(shared),
            storage,
            manifest,
            options,
        })
    }

    /// Looks what the writer has made durable since: new items, a higher floor.
    ///
    /// Clones of the reader see it too. After a rewind by the writer, when another archive was
    /// made at the path, or where the reader was opened behind a loss of power and before the next writer, it is read
    /// anew. Clones from before then answer from the files they have
    /// open, and with [`Error::Stale`] where they would need another.
    ///
    /// Costs a list of the folders, a look at the end of each section, and the new entries.
    pub fn refresh(&mut self) -> Result<()> {
        let shared = &self.reader.shared;
        let manifest = Manifest::load(&*shared.storage)?.ok_or_else(|| Error::NotAnArchive {
            path: shared.path(),
            reason: "its manifest is gone; the archive was destroyed".to_owned(),
        })?;
        // What the commit log had and the files lacked may be in them by now.
        let is_redone = !Arc::ptr_eq(&self.storage, &shared.storage);
        if is_redone || !self.manifest.is_continued_by(&manifest) {
            return self.reopen();
        }
        shared.settings.write().compression = manifest.compression.current;
        follow::floor(shared, manifest.floor);
        self.manifest = manifest;
        match follow::sections(shared, &self.manifest) {
            Err(Error::Stale { .. } | Error::NotFound { .. }) => self.reopen(),
            other => other,
        }
    }

    fn reopen(&mut self) -> Result<()> {
        let storage = Arc::clone(&self.storage);
        *self = Self::open_on(storage, self.options.clone())?;
        Ok(())
    }

    /// A reader of its own, for another thread.
    pub fn reader(&self) -> Reader<K, V> {
        self.reader.clone()
    }
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
