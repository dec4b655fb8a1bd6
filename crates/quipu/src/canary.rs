//! Defects that can be switched on, one at a time, to see whether a test would catch them.
//!
//! Without the feature `canaries`, `Canary::sings` is `false` for the compiler, and nothing of this
//! is left in the library. With it, [`select`] switches one defect on, for the thread that asks; none
//! is on before. Each stands for a mistake that storage engines have really made.

/// A defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Canary {
    /// A sync writes entries before the values they name are flushed.
    IndexBeforeValues,
    /// The values of a sync are written, but not flushed.
    ValuesNotFlushed,
    /// The entries of a sync are written, but not flushed.
    EntriesNotFlushed,
    /// The folder of the values is not flushed after a file was made in it.
    NoValueFolderFlush,
    /// The folder of the index files is not flushed after a file was made in it.
    NoIndexFolderFlush,
    /// What a recovery cut from an index file is not flushed before new entries take its place.
    CutNotFlushed,
    /// The checksum of a page is not compared.
    PageUnchecked,
    /// The checksum of a value is not compared.
    ValueUnchecked,
    /// A page that grows is written over the slot that speaks for what it held.
    SlotReused,
    /// A failed flush is tried again, and believed.
    FlushRetried,
    /// A writer goes on after a write failed.
    NotPoisoned,
    /// A prune removes files before the floor is durable.
    FloorAfterRemoval,
    /// The manifest is written over, not replaced by a rename.
    ManifestInPlace,
    /// A recovery keeps entries whose value lies beyond the value file.
    ShortValueKept,
    /// Marks are not lowered before a rewind cuts what they protect.
    MarksNotLowered,
    /// A new section file gets its name before its header is durable.
    HeaderNotFlushed,
    /// A rewind cuts the value file too, and later values are written over its bytes.
    ValueBytesReused,
    /// A recovery leaves value bytes that no entry names, and appends behind their start.
    UnnamedValuesKept,
    /// A prune removes one section too many.
    PruneTooFar,
    /// A look-up by key takes the first candidate, without a look at its whole key.
    KeyUnchecked,
    /// A range leaves out the last index of each section.
    RangeSkips,
    /// The removals of a prune, a rewind or a destruction are not made durable.
    RemovalNotFlushed,
    /// A rewind does not say in the manifest what it is about to do.
    RewindUnannounced,
    /// An index file that is written anew is renamed before it is flushed.
    RewriteNotFlushed,
    /// What an open read beyond the marks is taken for durable without a flush.
    LoadedNotFlushed,
    /// A destruction removes files before the manifest says so.
    DestroyUnannounced,
    /// A section that is compressed is read as if it were not once the setting changed.
    CompressionForgotten,
    /// A put of an index that is taken stores the item all the same.
    TakenIndexOverwritten,
    /// A key table claims an entry that it has no slot for.
    TableClaimsMore,
    /// A key table from before a section was written anew is believed.
    TableEpochIgnored,
    /// The checksum of a page of a key table is not compared.
    TableUnchecked,
    /// A sync that goes into the commit log does not flush it.
    CommitLogNotFlushed,
    /// The commit log still holds what a checkpoint made durable, when the section files go on.
    CommitLogNotCleared,
    /// A commit log is cleared before what it holds is flushed in the section files.
    CommitLogClearedFirst,
    /// An open begins the commit log anew before what it holds is flushed in the section files.
    CommitLogSettledFirst,
    /// A commit log of another size is made, and syncs go to the file that had its name before.
    CommitLogOfOldName,
    /// What is in the commit log is not brought to the section files after a crash.
    NothingRedone,
    /// Of what is in the commit log, the entries alone are brought to the section files.
    ValuesNotRedone,
    /// What the disk cannot read at the end of an index file is taken for torn, and cut.
    UnreadableTorn,
    /// An open takes every end of a writer for a clean one, and leaves the look at the files for later.
    CleanEndAssumed,
}

impl Canary {
    /// Every defect.
    pub const ALL: &[Self] = &[
        Self::IndexBeforeValues,
        Self::ValuesNotFlushed,
        Self::EntriesNotFlushed,
        Self::NoValueFolderFlush,
        Self::NoIndexFolderFlush,
        Self::CutNotFlushed,
        Self::PageUnchecked,
        Self::ValueUnchecked,
        Self::SlotReused,
        Self::FlushRetried,
        Self::NotPoisoned,
        Self::FloorAfterRemoval,
        Self::ManifestInPlace,
        Self::ShortValueKept,
        Self::MarksNotLowered,
        Self::HeaderNotFlushed,
        Self::ValueBytesReused,
        Self::UnnamedValuesKept,
        Self::PruneTooFar,
        Self::KeyUnchecked,
        Self::RangeSkips,
        Self::RemovalNotFlushed,
        Self::RewindUnannounced,
        Self::RewriteNotFlushed,
        Self::LoadedNotFlushed,
        Self::DestroyUnannounced,
        Self::CompressionForgotten,
        Self::TakenIndexOverwritten,
        Self::TableClaimsMore,
        Self::TableEpochIgnored,
        Self::TableUnchecked,
        Self::CommitLogNotFlushed,
        Self::CommitLogNotCleared,
        Self::CommitLogClearedFirst,
        Self::CommitLogSettledFirst,
        Self::CommitLogOfOldName,
        Self::NothingRedone,
        Self::ValuesNotRedone,
        Self::UnreadableTorn,
        Self::CleanEndAssumed,
    ];

    /// Whether the defect is switched on.
    #[inline]
    pub(crate) fn sings(self) -> bool {
        #[cfg(feature = "canaries")]
        return selected::is(self);
        #[cfg(not(feature = "canaries"))]
        false
    }
}

#[cfg(feature = "canaries")]
pub use selected::select;

#[cfg(feature = "canaries")]
mod selected {
    use std::cell::Cell;

    use super::Canary;

    thread_local!(static SELECTED: Cell<Option<Canary>> = const { Cell::new(None) });

    /// Switches one defect on for everything that this thread does from now on, or none.
    pub fn select(canary: Option<Canary>) {
        SELECTED.set(canary);
    }

    #[inline]
    pub(super) fn is(canary: Canary) -> bool {
        SELECTED.get() == Some(canary)
    }
}
