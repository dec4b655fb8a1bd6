//! Where bytes live: partitions of named blobs, behind a trait.
//!
//! Everything that this crate reads or writes goes through [`Storage`] and [`Blob`], so that an
//! archive runs on a disk ([`Disk`]), in memory ([`Memory`]), or on a storage of your own.
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
//! - A read that returns `Ok` has filled the whole buffer.
//! - A write that returns `Ok` is seen by every later read, also through other handles.
//! - Bytes are durable after [`Blob::sync`]; the blob's name is durable after
//!   [`Storage::sync_partition`]. Until then a crash may keep any part of what was done.
//! - [`Storage::rename`] replaces its target at once: a crash leaves the old blob or the new one.
//! - All calls may come from several threads at a time.

use std::fmt::Debug;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::Result;

mod name;

pub use name::{MAX_NAME_LEN, check_blob_name, check_partition_name};

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
/// [`Error::InvalidName`](crate::Error::InvalidName) for a name that is not allowed.
pub trait Storage: Debug + Send + Sync + 'static {
    /// Opens one blob. A folder, a link or a special file in its place is
    /// [`Error::NotABlob`](crate::Error::NotABlob), a missing one (unless it is to be created)
    /// [`Error::NotFound`](crate::Error::NotFound).
    ///
    /// A blob that this call creates is durable only after `sync` of the blob and
    /// [`sync_partition`](Self::sync_partition). A partition that it creates is durable at once.
    fn open(&self, partition: &str, name: &str, mode: OpenMode) -> Result<Arc<dyn Blob>>;

    /// Removes a blob; durable after [`sync_partition`](Self::sync_partition). Handles that are
    /// still open keep reading the removed bytes.
    fn remove(&self, partition: &str, name: &str) -> Result<()>;

    /// Renames a blob within its partition, replacing the target where there is one.
    fn rename(&self, partition: &str, from: &str, to: &str) -> Result<()>;

    /// The names of all blobs of a partition, sorted; none when the partition does not exist.
    /// Anything in it that is no blob is an error that names it.
    fn list(&self, partition: &str) -> Result<Vec<String>>;

    /// Makes creations, removals and renames in the partition durable.
    fn sync_partition(&self, partition: &str) -> Result<()>;

    /// Removes a partition that holds nothing; durable when it returns. `Ok` when there is none.
    fn remove_partition(&self, partition: &str) -> Result<()>;

    /// Takes the lock of that name, for as long as the returned value lives. When somebody else
    /// holds it: [`Error::Locked`](crate::Error::Locked), at once. `holder` is what others are
    /// then told. The lock ends with its process, however that ends.
    fn lock(&self, partition: &str, name: &str, holder: &str) -> Result<Box<dyn Lock>>;

    /// What errors call a blob, a partition (`name` empty) or the root (both empty).
    fn path(&self, partition: &str, name: &str) -> PathBuf;
}

/// A lock that is held; dropping it lets go.
pub trait Lock: Debug + Send + Sync {}

/// One open blob: bytes from 0 to its length.
pub trait Blob: Debug + Send + Sync + 'static {
    /// Fills the whole buffer from `offset` on. Past the end, or past `u64::MAX`:
    /// [`Error::OutOfBounds`](crate::Error::OutOfBounds), and the buffer's content is undefined.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()>;

    /// Appends `len` bytes from `offset` on to `buf`, which costs no zeroing where the backend
    /// can help it. Errors as [`read_at`](Self::read_at); `buf` is then as it was.
    fn read_into(&self, buf: &mut Vec<u8>, offset: u64, len: usize) -> Result<()> {
        let start = buf.len();
        buf.resize(start + len, 0);
        self.read_at(&mut buf[start..], offset)
            .inspect_err(|_| buf.truncate(start))
    }

    /// Writes the buffers one after the other from `offset` on; a blob that is shorter grows, the
    /// hole reads as zeros.
    fn write_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> Result<()>;

    /// Cuts the blob or fills it up with zeros.
    fn resize(&self, len: u64) -> Result<()>;

    /// Makes all bytes written so far, and the length, durable.
    fn sync(&self) -> Result<()>;

    /// The blob's length in bytes.
    fn len(&self) -> Result<u64>;

    /// Whether the blob has no bytes.
    fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// What errors call this blob.
    fn path(&self) -> &Path;
}
