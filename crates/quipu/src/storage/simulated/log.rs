//! What was called, and one value over all of it.

use std::fmt;
use std::sync::Arc;

use super::faults::Fault;
use super::random::mix;
use crate::error::Error;
use crate::format::crc32c;

/// The kind of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum CallKind {
    /// [`Storage::open`](crate::storage::Storage::open) for reading.
    OpenRead,
    /// `open` for writing what is there.
    OpenWrite,
    /// `open` that creates what is missing.
    Create,
    /// [`Storage::remove`](crate::storage::Storage::remove).
    Remove,
    /// [`Storage::rename`](crate::storage::Storage::rename).
    Rename,
    /// [`Storage::list`](crate::storage::Storage::list).
    List,
    /// [`Storage::sync_partition`](crate::storage::Storage::sync_partition).
    SyncPartition,
    /// [`Storage::remove_partition`](crate::storage::Storage::remove_partition).
    RemovePartition,
    /// [`Storage::lock`](crate::storage::Storage::lock).
    Lock,
    /// [`Blob::read_at`](crate::storage::Blob::read_at) or `read_into`.
    Read,
    /// [`Blob::write_at`](crate::storage::Blob::write_at).
    Write,
    /// [`Blob::resize`](crate::storage::Blob::resize).
    Resize,
    /// [`Blob::sync`](crate::storage::Blob::sync).
    Sync,
    /// [`Blob::len`](crate::storage::Blob::len).
    Len,
}

impl CallKind {
    /// The call in words, as errors say it.
    pub(super) fn action(self) -> &'static str {
        match self {
            Self::OpenRead => "open",
            Self::OpenWrite => "open for writing",
            Self::Create => "create",
            Self::Remove | Self::RemovePartition => "remove",
            Self::Rename => "rename",
            Self::List => "list",
            Self::SyncPartition | Self::Sync => "flush",
            Self::Lock => "lock",
            Self::Read => "read",
            Self::Write => "write",
            Self::Resize => "resize",
            Self::Len => "look at",
        }
    }

    /// Whether `offset` and `len` say something about this kind.
    fn has_range(self) -> bool {
        matches!(self, Self::Read | Self::Write)
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It did what it was asked for.
    Done,
    /// It returned an error that any storage would: a missing blob, a read past the end, a disk
    /// that is full.
    Refused(&'static str),
    /// A fault made it fail.
    Failed(Fault),
    /// It was done, on a disk that a fault had changed in silence before.
    Damaged(Fault),
    /// The machine has stopped.
    Stopped,
}

impl Outcome {
    pub(super) fn of(error: &Error) -> Self {
        Self::Refused(match error {
            Error::NotFound { .. } => "not found",
            Error::InvalidName { .. } => "invalid name",
            Error::OutOfBounds { .. } => "out of bounds",
            Error::ReadOnly { .. } => "read only",
            Error::Locked { .. } => "locked",
            Error::StorageFull { .. } => "no space",
            _ => "error",
        })
    }

    fn digest(self) -> u64 {
        match self {
            Self::Done => 1,
            Self::Stopped => 2,
            Self::Refused(why) => 3 << 32 | u64::from(crc32c(why.as_bytes())),
            Self::Failed(fault) => 4 << 32 | fault as u64,
            Self::Damaged(fault) => 5 << 32 | fault as u64,
        }
    }
}

/// One call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call {
    /// Its number, from 0.
    pub number: u64,
    /// Its kind.
    pub kind: CallKind,
    /// The partition.
    pub partition: Arc<str>,
    /// The blob, under the name it was opened by; empty for a call on a partition.
    pub name: Arc<str>,
    /// The new name that a rename gives.
    pub target: Option<Arc<str>>,
    /// Where a read or write begins, in bytes; 0 for other calls.
    pub offset: u64,
    /// Bytes to read or write, the new length of a resize; 0 for other calls.
    pub len: u64,
    /// How it ended.
    pub outcome: Outcome,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {}",
            self.number,
            self.kind.action(),
            self.partition
        )?;
        if !self.name.is_empty() {
            write!(f, "/{}", self.name)?;
        }
        if let Some(target) = &self.target {
            write!(f, " to {target}")?;
        }
        if self.kind.has_range() {
            write!(f, " {} bytes at {}", self.len, self.offset)?;
        }
        if self.kind == CallKind::Resize {
            write!(f, " to {} bytes", self.len)?;
        }
        match self.outcome {
            Outcome::Done => write!(f, ": done"),
            Outcome::Refused(why) => write!(f, ": {why}"),
            Outcome::Failed(fault) => write!(f, ": failed by {fault:?}"),
            Outcome::Damaged(fault) => write!(f, ": done, after {fault:?}"),
            Outcome::Stopped => write!(f, ": the machine has stopped"),
        }
    }
}

/// All calls, in order, and a hash that every one of them went into.
#[derive(Debug, Default)]
pub(super) struct Log {
    calls: Vec<Call>,
    hash: u64,
}

impl Log {
    /// How many calls there were: the number of the next one.
    pub(super) fn len(&self) -> u64 {
        self.calls.len() as u64
    }

    pub(super) fn calls(&self) -> &[Call] {
        &self.calls
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    /// Adds a call; `digest` stands for the bytes that it moved and what it returned.
    pub(super) fn add(&mut self, call: Call, digest: u64) {
        let target = call.target.as_deref().unwrap_or_default();
        let names = digest_of(call.partition.as_bytes()) << 32 | digest_of(call.name.as_bytes());
        for part in [
            (call.kind as u64) << 32 | digest_of(target.as_bytes()),
            names,
            call.offset,
            call.len,
            digest,
            call.outcome.digest(),
        ] {
            self.hash = mix(self.hash ^ part);
        }
        self.calls.push(call);
    }
}

/// What stands for some bytes in the hash of the log.
pub(super) fn digest_of(bytes: &[u8]) -> u64 {
    u64::from(crc32c(bytes))
}
