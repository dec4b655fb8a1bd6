//! What can be read of a blob that is not open.

use std::any::Any;
use std::fmt::Debug;

/// Bytes of a blob that can be read while it is not open, so that few blobs need to be: [`Disk`](super::Disk) lends its
/// memory maps, which outlive the files' descriptors.
///
/// It shows the bytes of the blob that it is of, as a handle to it would: those written later, through other handles,
/// too; and those of a blob that was removed or replaced, until it is dropped.
pub trait Window: Any + Debug + Send + Sync {
    /// Appends `len` bytes from `offset` on to `buf`. False, with `buf` as it was, where the blob must be open for that:
    /// the bytes are not in reach, do not exist, or cannot be read.
    fn read_into(&self, buf: &mut Vec<u8>, offset: u64, len: usize) -> bool;

    /// As [`Blob::mapped_at`](super::Blob::mapped_at).
    fn mapped_at(&self, _offset: u64) -> Option<usize> {
        None
    }

    /// About how many bytes of memory it takes, what it shares with others apart.
    fn memory(&self) -> usize;
}
