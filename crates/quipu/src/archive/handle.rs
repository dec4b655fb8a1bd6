//! The archive as its users hold it: the writer, and a reader beside it.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::destroy;
use super::options::Options;
use super::reader::Reader;
use super::recovery::{self, Recovery};
use super::repair::RepairReport;
use super::scrub::{Scrub, ScrubOptions};
use super::writer::{Put, Writer};
use crate::error::Result;
use crate::key::Key;
use crate::storage::Storage;
use crate::sync::OnceLock;
use crate::value::{EncodeAs, Value};

/// An archive that is open for writing: the one writer of it.
///
/// It reads as well: every method of [`Reader`] can be called on it, and [`reader`](Self::reader)
/// gives readers to other threads.
///
/// Nothing is durable before [`sync`](Self::sync) has returned. Dropping an archive does not
/// sync; [`close`](Self::close) does.
///
/// # Errors
///
/// A put below the floor is [`Error::BelowFloor`](crate::Error::BelowFloor), a value above the
/// limit [`Error::ValueTooLarge`](crate::Error::ValueTooLarge), a full disk
/// [`Error::StorageFull`](crate::Error::StorageFull). After a write or flush failed, every further
/// write is [`Error::Poisoned`](crate::Error::Poisoned) until the archive is opened again; reads
/// go on.
pub struct Archive<K, V = Bytes> {
    reader: Reader<K, V>,
    writer: Writer,
    /// What the open has found; and that with what the look has, once it was asked for.
    recovery: (Recovery, OnceLock<Recovery>),
    scratch: Vec<u8>,
}

impl<K: Key, V: Value> Archive<K, V> {
    /// Opens the archive in a folder with the settings it has; creates it with the defaults where
    /// there is none. See [`Options`] for everything else.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Options::new().open(path)
    }

    pub(super) fn open_on(storage: Arc<dyn Storage>, options: Options) -> Result<Self> {
        let (writer, recovery) = recovery::open_writer(storage, &options, K::SIZE)?;
        Ok(Self {
            reader: Reader::new(Arc::clone(&writer.shared)),
            writer,
            recovery: (recovery, OnceLock::new()),
            scratch: Vec::new(),
        })
    }

    /// What opening found and put right. After a clean end an open does not look at the section files: the first call
    /// of this does, if no other has, and then costs a look at the length of each. Later calls tell the same, also where that could
    /// not look.
    pub fn recovery(&self) -> &Recovery {
        let (at_open, told) = &self.recovery;
        told.get_or_init(|| self.writer.shared.recovery(at_open))
    }

    /// A reader for another thread. It can be used for longer than this archive, until the next
    /// writer puts, prunes or rewinds something, or its open cuts what was never synced: from then on it answers with
    /// [`Error::Closed`](crate::Error::Closed).
    pub fn reader(&self) -> Reader<K, V> {
        self.reader.clone()
    }
}

/// Writing.
impl<K: Key, V: Value> Archive<K, V> {
    /// Stores an item. Where the index is taken nothing happens, and the result says so.
    pub fn put(&mut self, index: u64, key: &K, value: &(impl EncodeAs<V> + ?Sized)) -> Result<Put> {
        self.put_with(value, |writer, value| {
            writer.put(index, key.as_bytes(), value, false)
        })
    }

    /// As [`put`](Self::put), but adds another item where the index is taken.
    pub fn put_multi(
        &mut self,
        index: u64,
        key: &K,
        value: &(impl EncodeAs<V> + ?Sized),
    ) -> Result<Put> {
        self.put_with(value, |writer, value| {
            writer.put(index, key.as_bytes(), value, true)
        })
    }

    /// Stores many items, as [`put`](Self::put) one by one; how many were stored. At the first
    /// error it stops: what came before is stored, the rest is not.
    ///
    /// Readers learn of up to 512 items at once, which costs them and the writer fewer locks. Where values are
    /// compressed, that is done by several threads, on a storage that [serves](crate::storage::Storage::serves_side_by_side)
    /// them, for 1 MiB of values at a time; the items are put in their order.
    pub fn put_batch<I, Q, T>(&mut self, items: I) -> Result<u64>
    where
        I: IntoIterator<Item = (u64, Q, T)>,
        Q: Borrow<K>,
        T: EncodeAs<V>,
    {
        let mut stored = 0;
        let put = match self.writer.compresses() {
            true => self.writer.put_compressed(items.into_iter(), &mut stored),
            false => self.put_each(items, &mut stored),
        };
        self.writer.publish().and(put).map(|()| stored)
    }

    fn put_each<I, Q, T>(&mut self, items: I, stored: &mut u64) -> Result<()>
    where
        I: IntoIterator<Item = (u64, Q, T)>,
        Q: Borrow<K>,
        T: EncodeAs<V>,
    {
        for (index, key, value) in items {
            let key = key.borrow().as_bytes();
            let put = self.put_with(&value, |writer, value| {
                writer.put_of_batch(index, key, value, None)
            })?;
            *stored += u64::from(put == Put::Stored);
        }
        Ok(())
    }

    /// Returns when everything that was put before is durable: it survives a crash of the process
    /// and of the system, and a loss of power, as far as the disk honours a flush. Costs two
    /// flushes for each section that was put to since the last sync, a small write of marks, and one flush of
    /// these every 16 syncs; one flush in all where it has little to make durable, and those before it had
    /// ([`commit_log_bytes`](super::Options::commit_log_bytes)); nothing when no section was put to. Now and then it starts a thread that makes a key
    /// table.
    pub fn sync(&mut self) -> Result<()> {
        self.writer.sync()
    }

    /// [`put`](Self::put) and [`sync`](Self::sync).
    pub fn put_sync(
        &mut self,
        index: u64,
        key: &K,
        value: &(impl EncodeAs<V> + ?Sized),
    ) -> Result<Put> {
        let put = self.put(index, key, value)?;
        self.sync()?;
        Ok(put)
    }

    /// [`put_multi`](Self::put_multi) and [`sync`](Self::sync).
    pub fn put_multi_sync(
        &mut self,
        index: u64,
        key: &K,
        value: &(impl EncodeAs<V> + ?Sized),
    ) -> Result<Put> {
        let put = self.put_multi(index, key, value)?;
        self.sync()?;
        Ok(put)
    }

    /// Drops the sections below the one that `min` belongs to, and raises the floor to its start;
    /// how many were dropped. Their disk space is free when it returns. The floor never goes
    /// back, also across restarts; `min` at or below it does nothing.
    ///
    /// Costs the removal of two files a section.
    pub fn prune(&mut self, min: u64) -> Result<u64> {
        self.writer.prune(min)
    }

    /// Drops every item above `index`, durably: a chain that unwinds. Syncs first.
    ///
    /// Costs the removal of the sections above, and writing the index file of the section of `index` anew.
    pub fn rewind(&mut self, index: u64) -> Result<()> {
        self.writer.rewind(index)
    }

    /// Writes each section that has damage anew without it, and keeps the old bytes: the whole
    /// old index file, and the bytes of damaged values, go into the partition `quarantine` first.
    /// Syncs first; where nothing is damaged, nothing is changed.
    ///
    /// Every item that can be read stays, for readers too, all the time. The indices that hold
    /// nothing whole any more are told; they stay [`Status::Damaged`](super::Status::Damaged) and
    /// missing, also across restarts, until they are put again.
    /// [`plan_repair`](Reader::plan_repair) tells the same beforehand.
    ///
    /// A section of which nothing can be read goes into quarantine whole, and is empty then.
    ///
    /// # Errors
    ///
    /// Where a file cannot be read, or there is no room for the copies, the archive is left as it
    /// is. After a failure later on the writer is poisoned; the next open finds each section as
    /// it was or repaired, and a repair can be run again.
    ///
    /// Costs one read of all files, and for each section with damage a copy of its index file, a
    /// new one, and about eight flushes.
    pub fn repair(&mut self) -> Result<RepairReport> {
        self.writer.repair()
    }

    /// Verification in the background: what [`verify`](Reader::verify) does, in steps, the newest
    /// section first, going on where it was when the archive was open last. See [`Scrub`].
    ///
    /// There is one at a time: [`Error::Locked`](crate::Error::Locked) while another lives. It
    /// ends with the archive.
    ///
    /// ```
    /// use quipu::{Archive, ScrubOptions};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let mut archive: Archive<[u8; 4]> = Archive::open(folder.path())?;
    /// let _ = archive.put_sync(7, b"key7", b"value")?;
    /// let options = ScrubOptions::new().bytes_per_second(1 << 20).passes(1);
    /// archive.scrub(options)?.spawn()?.join()?;
    /// assert_eq!((archive.stats().scrub_passes, archive.stats().scrub_findings), (1, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn scrub(&self, options: ScrubOptions) -> Result<Scrub> {
        Scrub::new(&self.writer, options)
    }

    /// Syncs, makes a key table of what has none, and closes. The next open has less to read than after a drop, and need not look at
    /// the section files.
    pub fn close(mut self) -> Result<()> {
        self.writer.close()
    }

    /// Removes every file of the archive, what repairs have kept included, and nothing else.
    pub fn destroy(self) -> Result<()> {
        destroy::destroy(self.writer)
    }

    /// Stores an item of whose value these are the bytes.
    pub(super) fn put_bytes(
        &mut self,
        index: u64,
        key: &K,
        value: &[u8],
        multi: bool,
    ) -> Result<Put> {
        self.writer.put(index, key.as_bytes(), value, multi)
    }

    /// Hands the bytes of a value to the writer.
    fn put_with(
        &mut self,
        value: &(impl EncodeAs<V> + ?Sized),
        put: impl FnOnce(&mut Writer, &[u8]) -> Result<Put>,
    ) -> Result<Put> {
        if let Some(bytes) = value.as_bytes() {
            return put(&mut self.writer, bytes);
        }
        self.scratch.clear();
        value.encode(&mut self.scratch)?;
        put(&mut self.writer, &self.scratch)
    }
}

impl<K, V> Deref for Archive<K, V> {
    type Target = Reader<K, V>;

    fn deref(&self) -> &Self::Target {
        &self.reader
    }
}

impl<K, V> fmt::Debug for Archive<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive")
            .field("reader", &self.reader)
            .finish_non_exhaustive()
    }
}
