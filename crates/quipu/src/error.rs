//! What can go wrong, as data: every error names what was asked, where, and what was found.

use std::io;
use std::path::{Path, PathBuf};

use crate::storage::are_bytes_lost;

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that a call of this crate can refuse or report.
///
/// Paths are those of the storage that was used: real ones on disk, `memory/…` in memory.
/// Offsets of blobs count from the first byte after the blob's header, as everywhere in this crate.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A call of the storage failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: `read`, `write`, `flush`, …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },

    /// The disk (or a quota) has no room. What was durable stays durable and readable; free some
    /// space and open the archive again.
    #[error("cannot {action} {}: no space left on the device; free some space and open again", path.display())]
    StorageFull {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
    },

    /// The file, partition or archive is not there.
    #[error("{} does not exist", path.display())]
    NotFound {
        /// What was looked for.
        path: PathBuf,
    },

    /// A partition or blob name that is not allowed.
    #[error("{name:?} is not a valid name: {reason}")]
    InvalidName {
        /// The name.
        name: String,
        /// Which rule it breaks.
        reason: &'static str,
    },

    /// Something in a partition that is no blob of it: a folder, a link, a stranger's file.
    #[error("{} does not belong in this folder: {reason}; move it away", path.display())]
    NotABlob {
        /// What was found.
        path: PathBuf,
        /// Why it is not taken for a blob.
        reason: &'static str,
    },

    /// A file whose header is not one of a blob.
    #[error("{} has no valid header: {reason}", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the bytes found.
        reason: String,
    },

    /// Bytes on disk do not match their checksum.
    #[error(
        "{} at offset {offset}: checksum mismatch, expected {expected:08x}, found {found:08x}",
        path.display()
    )]
    Checksum {
        /// The file.
        path: PathBuf,
        /// Where the checked bytes begin.
        offset: u64,
        /// The checksum that is stored.
        expected: u32,
        /// The checksum of the bytes that are there.
        found: u32,
    },

    /// The disk cannot read bytes of a file: a bad sector, say. They count as damaged as long as it cannot.
    #[error("{} at offset {offset}: the disk cannot read it: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Where the bytes that were asked for begin.
        offset: u64,
        /// What the system says.
        reason: String,
    },

    /// A read went past the end of a blob, or past `u64::MAX`.
    #[error("{} at offset {offset}: {wanted} bytes asked for, the blob has {len}", path.display())]
    OutOfBounds {
        /// The file.
        path: PathBuf,
        /// Where the read began.
        offset: u64,
        /// How many bytes were asked for.
        wanted: u64,
        /// How many bytes the blob has.
        len: u64,
    },

    /// The size asked for is not one that a stored value can have.
    #[error("{} at offset {offset}: {size} is no size of a stored value: {reason}", path.display())]
    ValueSize {
        /// The file.
        path: PathBuf,
        /// Where the value was said to begin.
        offset: u64,
        /// The size asked for, checksum included.
        size: u32,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// The section was pruned.
    #[error("section {section} is pruned, the oldest kept is {oldest}")]
    SectionPruned {
        /// The section asked for.
        section: u64,
        /// The oldest section that is kept.
        oldest: u64,
    },

    /// No section of that number is stored.
    #[error("section {section} does not exist")]
    SectionOutOfRange {
        /// The section asked for.
        section: u64,
    },

    /// The section has fewer items.
    #[error("section {section} has {len} items, there is none at position {position}")]
    ItemOutOfRange {
        /// The section asked for.
        section: u64,
        /// The position asked for.
        position: u64,
        /// How many items the section has.
        len: u64,
    },

    /// A value is larger than can be stored, or than an option allows.
    #[error("a value of {size} bytes is too large, at most {max} are allowed")]
    ValueTooLarge {
        /// Its encoded size in bytes.
        size: u64,
        /// The most that is allowed, in bytes.
        max: u64,
    },

    /// A key of another length than the archive's.
    #[error("a key of {found} bytes, but the keys of this archive have {expected}")]
    KeySize {
        /// The archive's key size, in bytes.
        expected: usize,
        /// The size of the key given, in bytes.
        found: usize,
    },

    /// A value's bytes are not of the type that was asked for.
    #[error("cannot decode the value: {0}")]
    Codec(String),

    /// A value could not be compressed.
    #[error("cannot compress the value: {0}")]
    Compression(String),

    /// A value's checksum is right, but it does not decompress.
    #[error("cannot decompress the value: {0}")]
    Decompression(String),

    /// The index lies below the floor: it was pruned and is not accepted again.
    #[error("index {index} is below the floor {floor}")]
    BelowFloor {
        /// The index given.
        index: u64,
        /// The first index that is not pruned.
        floor: u64,
    },

    /// A setting differs from the one the archive was created with.
    #[error("{setting} is {stored} at {}, but {given} was asked for", path.display())]
    Settings {
        /// The archive.
        path: PathBuf,
        /// Which setting.
        setting: &'static str,
        /// The value the archive has.
        stored: String,
        /// The value given.
        given: String,
    },

    /// An option whose value is not allowed.
    #[error("{option}: {reason}")]
    InvalidOption {
        /// Which option.
        option: &'static str,
        /// What is allowed.
        reason: String,
    },

    /// There is no archive at the path, or what is there is none.
    #[error("{} is not an archive: {reason}", path.display())]
    NotAnArchive {
        /// The path.
        path: PathBuf,
        /// What is missing or in the way.
        reason: String,
    },

    /// What is at the path cannot be turned into an archive.
    #[error("{} cannot be adopted: {reason}", path.display())]
    NotAStore {
        /// The path.
        path: PathBuf,
        /// Why not.
        reason: String,
    },

    /// The manifest, or another file that only this crate writes, is damaged.
    #[error("{} is damaged at offset {offset}: {reason}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What is wrong.
        reason: String,
    },

    /// The archive was written by a newer version of this crate.
    #[error(
        "{} has format version {found}, this program reads up to {supported}; use a newer one",
        path.display()
    )]
    NewerVersion {
        /// The file that says so.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version that this program reads.
        supported: u32,
    },

    /// Another writer has the archive open.
    #[error("{} is in use by {holder}", path.display())]
    Locked {
        /// The archive.
        path: PathBuf,
        /// Who holds it: process id and program, as far as known.
        holder: String,
    },

    /// An earlier write or flush failed; the handle refuses writes until it is opened again.
    #[error("an earlier write failed ({cause}); open the archive again before writing")]
    Poisoned {
        /// The first failure, in words.
        cause: String,
    },

    /// A rewind was begun and could not be ended, because a file of its section cannot be read. Until that is
    /// [repaired](crate::Archive::repair), or is back when the archive is opened, nothing is put: the rewind would
    /// drop it as well.
    #[error(
        "a rewind to {index} waits for a section that cannot be read ({cause}); repair the archive before putting"
    )]
    RewindPending {
        /// The last index that is to stay.
        index: u64,
        /// What cannot be read, in words.
        cause: String,
    },

    /// The archive was closed, and what belonged to it has ended: a scrub, or a reader once another
    /// writer has opened the archive.
    #[error("{} was closed; open it again", path.display())]
    Closed {
        /// The archive.
        path: PathBuf,
    },

    /// The place of an item that was durable cannot be told any more, because the entries there
    /// are damaged.
    #[error("{} at offset {offset}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the damage begins.
        offset: u64,
        /// What was expected and found.
        reason: String,
    },

    /// A reader beside the writer needs a file of an archive that was rewound, or made anew, since
    /// the reader looked last.
    #[error("{} was rewound or made anew since it was opened for reading; refresh the reader", path.display())]
    Stale {
        /// The archive.
        path: PathBuf,
    },

    /// The storage has no such operation, or was opened for reading only.
    #[error("{} is open for reading only", path.display())]
    ReadOnly {
        /// The file or archive.
        path: PathBuf,
    },

    /// More items than the index has locations for (2^36).
    #[error("the index is full: it holds at most {max} locations")]
    IndexFull {
        /// How many locations the index can tell apart.
        max: u64,
    },
}

impl Error {
    /// Wraps a failure of the operating system; "no space" becomes [`Error::StorageFull`],
    /// "not found" [`Error::NotFound`].
    pub fn io(action: &'static str, path: impl AsRef<Path>, source: io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::StorageFull { action, path }
            }
            io::ErrorKind::NotFound => Self::NotFound { path },
            _ => Self::Io {
                action,
                path,
                source,
            },
        }
    }

    /// What a read from an offset on, or an open, failed with: as [`Error::Unreadable`] where that tells of the file,
    /// whose bytes the disk cannot give; as it is where it tells of the call, or of the process, and may pass.
    pub(crate) fn of_read(self, offset: u64) -> Self {
        match self {
            Self::Io { path, source, .. } if are_bytes_lost(&source) => Self::Unreadable {
                path,
                offset,
                reason: source.to_string(),
            },
            other => other,
        }
    }

    /// Whether the disk cannot read the bytes. It may read them another time, so nothing durable is made of that.
    pub(crate) fn is_unreadable(&self) -> bool {
        matches!(self, Self::Unreadable { .. })
    }

    /// Fails once more where the disk could not read something, and says what that is needed for.
    pub(crate) fn unless_read(unreadable: Option<&Self>, why: &str) -> Result<()> {
        match unreadable {
            Some(Self::Unreadable {
                path,
                offset,
                reason,
            }) => Err(Self::Unreadable {
                path: path.clone(),
                offset: *offset,
                reason: format!("{reason}; {why}"),
            }),
            _ => Ok(()),
        }
    }

    /// Whether the bytes on disk are to blame: a checksum, a length or a code that does not fit, or that they cannot
    /// be read.
    pub fn is_corruption(&self) -> bool {
        matches!(
            self,
            Self::Checksum { .. }
                | Self::Unreadable { .. }
                | Self::OutOfBounds { .. }
                | Self::ValueSize { .. }
                | Self::Codec(_)
                | Self::Decompression(_)
                | Self::Header { .. }
                | Self::Damaged { .. }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tells_of_the_process_is_no_damage() {
        let read = |source| Error::io("read", "file", source).of_read(7);
        let lost = read(io::Error::from_raw_os_error(5));
        assert!(lost.is_unreadable() && lost.is_corruption());
        assert!(lost.to_string().starts_with("file at offset 7"));
        // EINTR, EAGAIN, ENOMEM, EACCES, ENODEV, ENFILE, EMFILE
        for number in [4, 11, 12, 13, 19, 23, 24] {
            let error = read(io::Error::from_raw_os_error(number));
            assert!(!error.is_corruption(), "{error}");
        }
    }
}
