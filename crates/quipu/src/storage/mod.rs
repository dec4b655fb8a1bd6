//! Where bytes live: partitions of named blobs, behind a trait.
//!
//! Everything that this crate reads or writes goes through [`Storage`] and [`Blob`], so that an
//! archive runs on a disk ([`Disk`]), in memory ([`Memory`]), or on a storage of your own. The
//! feature `simulated` adds one that crashes and fails as a seed says, for tests.
//!
//! ```text
//! storage root
//! ├── index/                 a partition
//! │   ├── 0000000000000000   a blob
//! │   └── 0000000000010000
//! └── values/
//!     └── 0000000000000000
//! ```
//!
//! # What a storage promises
//!
//! - A read that returns `Ok` has filled the whole buffer. Where the bytes are gone it fails as a disk does, with an
//!   [`Error::Io`] that has the system's number for that (`EIO`), or with [`Error::Unreadable`]: they count as damaged.
//!   Any other error tells nothing of them.
//! - A write that returns `Ok` is seen by every later read, also through other handles.
//! - Bytes are durable after [`Blob::sync`]; the blob's name is durable after
//!   [`Storage::sync_partition`]. Until then a crash may keep any part of what was done.
//! - [`Storage::rename`] replaces its target at once: a crash leaves the old blob or the new one.
//! - All calls may come from several threads at a time.
//! - A read that is made with others ([`Storage::read_many`]) finds, and fails as, the same one alone.
//!
//! [`suite`] checks these and the rest for any storage.
//!
//! # Offsets
//!
//! A blob has at most `i64::MAX` bytes, because no file can have more. A call that would reach
//! beyond is [`Error::OutOfBounds`], also when it moves no bytes; else
//! a read or write of no bytes is fine at any offset and does nothing.

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};

mod around;
mod data_blob;
#[cfg(unix)]
mod disk;
mod handle;
mod memory;
mod name;
mod open_files;
mod read;
mod reserve;
#[cfg(feature = "simulated")]
pub mod simulated;
pub mod suite;
mod window;

pub(crate) use around::{ReadInto, SECTOR_BYTES, read_around};
pub(crate) use data_blob::{Access, DataBlob, read_header};
#[cfg(unix)]
pub use disk::Disk;
#[cfg(unix)]
pub(crate) use disk::{DEFAULT_FILE_MODE, are_bytes_lost, check_file_mode};
pub use memory::Memory;
pub use name::{MAX_NAME_LEN, check_blob_name, check_partition_name};
pub(crate) use open_files::{BlobFile, OpenFiles};
pub use read::Read;
pub(crate) use reserve::{Reserve, Reserved};
pub use window::Window;

#[cfg(not(unix))]
compile_error!("quipu keeps its files through the system calls of unix; this target has none");

/// Bytes of a block of [`Storage::open_for_blocks`].
pub const BLOCK_BYTES: usize = 4096;

/// How [`Storage::open`] treats a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// For reading; it must be there.
    Read,
    /// For reading and writing; it must be there.
    Write,
    /// For reading and writing; an empty one is created where there is none, and so is the
    /// partition.
    Create,
}

/// A place that keeps partitions of named blobs.
///
/// Names are checked by [`check_partition_name`] and [`check_blob_name`]: every call returns
/// [`Error::InvalidName`] for a name that is not allowed.
pub trait Storage: Debug + Send + Sync + 'static {
    /// Opens one blob. A folder, a link or a special file in its place is
    /// [`Error::NotABlob`], a missing one (unless it is to be created)
    /// [`Error::NotFound`].
    ///
    /// A blob that this call creates is durable only after `sync` of the blob and
    /// [`sync_partition`](Self::sync_partition). A partition that it creates is durable at once.
    fn open(&self, partition: &str, name: &str, mode: OpenMode) -> Result<Arc<dyn Blob>>;

    /// As [`open`](Self::open), for a blob that was open before and left a [window](Blob::window). Where it is still the
    /// same blob, a storage that can goes on with what the window knows of it.
    fn open_again(
        &self,
        partition: &str,
        name: &str,
        mode: OpenMode,
        _window: &Arc<dyn Window>,
    ) -> Result<Arc<dyn Blob>> {
        self.open(partition, name, mode)
    }

    /// Opens a blob, which must be there, for writes of whole blocks: [`BLOCK_BYTES`] or several times as many, at a
    /// multiple of them, from one buffer. A storage that can may take such writes past its caches, so that the flush
    /// behind them is quick. Otherwise as [`open`](Self::open) for writing.
    fn open_for_blocks(&self, partition: &str, name: &str) -> Result<Arc<dyn Blob>> {
        self.open(partition, name, OpenMode::Write)
    }

    /// Removes a blob; durable after [`sync_partition`](Self::sync_partition). Handles that are
    /// still open keep reading the removed bytes. A missing one is
    /// [`Error::NotFound`].
    fn remove(&self, partition: &str, name: &str) -> Result<()>;

    /// Renames a blob within its partition, replacing the target where there is one. Handles that
    /// are open on either keep the bytes they have; [`Blob::path`] of the moved one stays what it
    /// was. Durable after [`sync_partition`](Self::sync_partition).
    fn rename(&self, partition: &str, from: &str, to: &str) -> Result<()>;

    /// The names of all blobs of a partition, sorted; none when the partition does not exist.
    /// Anything in it that is no blob is an error that names it.
    fn list(&self, partition: &str) -> Result<Vec<String>>;

    /// The names and lengths of all blobs of a partition, sorted by name; one that is removed meanwhile is
    /// left out. Errors as [`list`](Self::list).
    fn lengths(&self, partition: &str) -> Result<Vec<(String, u64)>> {
        let mut lengths = Vec::new();
        for name in self.list(partition)? {
            match self.open(partition, &name, OpenMode::Read) {
                Err(Error::NotFound { .. }) => {}
                opened => lengths.push((name, opened?.len()?)),
            }
        }
        Ok(lengths)
    }

    /// Makes creations, removals and renames in the partition durable. A missing partition is
    /// [`Error::NotFound`]: whatever was to be made durable is not there.
    fn sync_partition(&self, partition: &str) -> Result<()>;

    /// Removes a partition that holds nothing; durable when it returns. `Ok` when there is none,
    /// an error when it holds something, which then stays.
    fn remove_partition(&self, partition: &str) -> Result<()>;

    /// Takes the lock of that name, for as long as the returned value lives. When somebody else
    /// holds it, in this process or another: [`Error::Locked`], at once.
    /// `holder` (one line, up to 500 bytes) is what others are then told. The lock ends with its
    /// process, however that ends.
    ///
    /// [`Disk`] and [`Memory`] keep the lock in a blob of that name, created with its partition
    /// where it is missing, which [`list`](Self::list) shows and which stays when the lock is let
    /// go.
    fn lock(&self, partition: &str, name: &str, holder: &str) -> Result<Box<dyn Lock>>;

    /// Whether calls of several threads are served at the same time, so that it is worth making them: reads of
    /// many items, and flushes of several sections, are then. By default they come one after the other.
    fn serves_side_by_side(&self) -> bool {
        false
    }

    /// Whether [`read_many`](Self::read_many) has several reads under way at a time, so that it is worth gathering
    /// them. By default it has not.
    fn reads_at_once(&self) -> bool {
        false
    }

    /// Makes several reads, in any order; what each has read, or why it could not, in the order they were asked
    /// for. The blobs are this storage's, or those of a storage in front of it: what is asked of a blob here is
    /// what its trait has. By default the reads are made one after the other.
    fn read_many(&self, reads: &[Read<'_>]) -> Vec<Result<Vec<u8>>> {
        reads.iter().map(Read::alone).collect()
    }

    /// What errors call a blob, a partition (`name` empty) or the root (both empty).
    fn path(&self, partition: &str, name: &str) -> PathBuf;
}

/// A lock that is held; dropping it lets go.
pub trait Lock: Debug + Send + Sync {}

/// One open blob: bytes from 0 to its length.
pub trait Blob: Debug + Send + Sync + 'static {
    /// Fills the whole buffer from `offset` on. Past the end, or past what an offset can be:
    /// [`Error::OutOfBounds`], and the buffer's content is undefined.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()>;

    /// Appends `len` bytes from `offset` on to `buf`, which costs no zeroing where the backend
    /// can help it. Errors as [`read_at`](Self::read_at); `buf` is then as it was.
    fn read_into(&self, buf: &mut Vec<u8>, offset: u64, len: usize) -> Result<()> {
        let blob_len = self.len()?;
        let fits = |end| len == 0 || end <= blob_len;
        if !checked_end(offset, len as u64).is_some_and(fits) {
            return Err(Error::OutOfBounds {
                path: self.path().to_path_buf(),
                offset,
                wanted: len as u64,
                len: blob_len,
            });
        }
        reserve(buf, len, self.path())?;
        let start = buf.len();
        buf.resize(start + len, 0);
        self.read_at(buf.split_at_mut(start).1, offset)
            .inspect_err(|_| buf.truncate(start))
    }

    /// Whether a read is likely to find these bytes in memory, as far as that can be told without waiting for a
    /// disk: what is not there is worth gathering for [`Storage::read_many`]. False where the blob cannot tell.
    fn is_in_memory(&self, _offset: u64, _len: usize) -> bool {
        false
    }

    /// The address of a byte that is mapped into memory, for a hint to the processor that it is read soon. Nobody reads
    /// there, and the byte need not exist. None, as by default, where nothing is mapped, or a call would be needed to
    /// tell.
    fn mapped_at(&self, _offset: u64) -> Option<usize> {
        None
    }

    /// The open file that has these bytes at the same offsets, where there is one, for
    /// [`Storage::read_many`] to read. Others must not: a blob in front of another gives the other's only where
    /// a read of it does nothing else.
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Writes the buffers one after the other from `offset` on; a blob that is shorter grows, the
    /// hole reads as zeros. After an error any part of the bytes may have been written. Through a
    /// handle that is open for reading: [`Error::ReadOnly`].
    fn write_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> Result<()>;

    /// Cuts the blob or fills it up with zeros; errors as [`write_at`](Self::write_at).
    fn resize(&self, len: u64) -> Result<()>;

    /// Makes all bytes written so far, and the length, durable.
    fn sync(&self) -> Result<()>;

    /// Begins to make `len` bytes from `offset` on durable, where a storage can do so without waiting: a
    /// [`sync`](Self::sync) comes later. By default, and in doubt, does nothing.
    fn begin_sync(&self, _offset: u64, _len: u64) {}

    /// The blob's length in bytes.
    fn len(&self) -> Result<u64>;

    /// Where, from `offset` on, there are bytes again that may have been written: what lies before reads as
    /// zeros. The blob's length where there are none; `offset` where the storage cannot tell.
    fn next_written(&self, offset: u64) -> Result<u64> {
        Ok(offset)
    }

    /// What can be read of the blob once it is closed; none where nothing can, as by default.
    fn window(&self) -> Option<Arc<dyn Window>> {
        None
    }

    /// Whether the blob has no bytes.
    fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// What errors call this blob.
    fn path(&self) -> &Path;
}

/// The most bytes that a blob can have.
pub(crate) const MAX_BLOB_LEN: u64 = i64::MAX as u64;

/// Where `wanted` bytes from `offset` on end; none when no blob can reach that far.
pub(crate) fn checked_end(offset: u64, wanted: u64) -> Option<u64> {
    offset
        .checked_add(wanted)
        .filter(|&end| end <= MAX_BLOB_LEN)
}

/// Makes room for `len` more bytes, or says that there is no memory for them.
fn reserve(buf: &mut Vec<u8>, len: usize, path: &Path) -> Result<()> {
    buf.try_reserve(len)
        .map_err(|_| Error::io("read", path, io::ErrorKind::OutOfMemory.into()))
}
