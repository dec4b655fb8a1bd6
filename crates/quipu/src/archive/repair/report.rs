//! What a repair did, or would do.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use crate::error::Error;

/// What a repair did, or a dry run of one would do: one part for each section that has damage,
/// ascending.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct RepairReport {
    /// The sections.
    pub sections: Vec<SectionRepair>,
}

/// What a repair did to one section.
#[derive(Debug)]
#[non_exhaustive]
pub struct SectionRepair {
    /// Its number.
    pub section: u64,
    /// Its index file, which is written anew.
    pub path: PathBuf,
    /// What was found damaged: file, offset, expected, found. The first 16 of the section.
    pub why: Vec<Error>,
    /// Entries that stay.
    pub entries_kept: u64,
    /// Entries that go, because they or their values are damaged. Of a page of entries that is gone as a whole
    /// each place counts, whether it was used or not; `lost` tells what was.
    pub entries_lost: u64,
    /// Indices of the section that were durable and hold nothing that can be read any more, also
    /// those that were lost before. Each waits to be put again.
    pub lost: Vec<RangeInclusive<u64>>,
    /// Where the old bytes are kept.
    pub quarantine: Vec<Quarantined>,
}

/// Old bytes that a repair keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quarantined {
    /// The blob they are in.
    pub path: PathBuf,
    /// How many they are.
    pub bytes: u64,
    /// For how many of them zeros stand, because the disk could not read them; 0 in a dry run, which copies nothing.
    pub unreadable: u64,
}

impl RepairReport {
    /// Whether there was nothing to repair.
    pub fn is_empty(&self) -> bool {
        self.sections.is_empty()
    }

    /// Entries that stay in the sections that were written anew.
    pub fn entries_kept(&self) -> u64 {
        self.sections.iter().map(|of| of.entries_kept).sum()
    }

    /// Entries that were damaged.
    pub fn entries_lost(&self) -> u64 {
        self.sections.iter().map(|of| of.entries_lost).sum()
    }

    /// How many indices of these sections wait to be put again.
    pub fn lost_indices(&self) -> u128 {
        let runs = self.sections.iter().flat_map(|of| &of.lost);
        runs.map(|run| u128::from(*run.end()) - u128::from(*run.start()) + 1)
            .sum()
    }

    /// Bytes that went into quarantine.
    pub fn quarantined_bytes(&self) -> u64 {
        let blobs = self.sections.iter().flat_map(|of| &of.quarantine);
        blobs.map(|blob| blob.bytes).sum()
    }

    /// How many of these the disk could not read: zeros stand for them.
    pub fn unreadable_bytes(&self) -> u64 {
        let blobs = self.sections.iter().flat_map(|of| &of.quarantine);
        blobs.map(|blob| blob.unreadable).sum()
    }
}
