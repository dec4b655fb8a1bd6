//! The section files that are there.

use std::collections::BTreeSet;

use super::shared::Shared;
use crate::error::{Error, Result};
use crate::format::{is_unfinished, section_number};
use crate::journal::Present;

/// The section files of an archive.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) index: BTreeSet<u64>,
    pub(super) values: BTreeSet<u64>,
    /// (partition is the index's, name): blobs whose creation was interrupted.
    pub(super) unfinished: Vec<(bool, String)>,
}

impl Listing {
    /// Lists both partitions; a name that is no section's, or of a section that the settings do
    /// not allow, is an error.
    pub(super) fn read(shared: &Shared) -> Result<Self> {
        let mut listing = Self::default();
        for is_index in [true, false] {
            let partition = if is_index {
                &shared.partitions.index
            } else {
                &shared.partitions.values
            };
            for name in shared.storage.list(partition)? {
                match Self::classify(shared, &name) {
                    Ok(Some(number)) if is_index => drop(listing.index.insert(number)),
                    Ok(Some(number)) => drop(listing.values.insert(number)),
                    Ok(None) => listing.unfinished.push((is_index, name)),
                    Err(reason) => {
                        let path = shared.storage.path(partition, &name);
                        return Err(Error::NotABlob { path, reason });
                    }
                }
            }
        }
        Ok(listing)
    }

    fn classify(shared: &Shared, name: &str) -> Result<Option<u64>, &'static str> {
        match section_number(name) {
            Some(number) if shared.number_of(number) == number => Ok(Some(number)),
            Some(_) => Err("its number is no multiple of the archive's items per section"),
            None if is_unfinished(name) => Ok(None),
            None => Err("its name is not that of a section, 16 hex digits"),
        }
    }

    /// The sections of which there is a file, from a number on. One that has values alone was
    /// damaged, or is being created.
    pub(super) fn numbers_from(&self, first: u64) -> BTreeSet<u64> {
        let index = self.index.range(first..);
        index.chain(self.values.range(first..)).copied().collect()
    }

    pub(super) fn present(&self, number: u64) -> Present {
        Present {
            records: self.index.contains(&number),
            values: self.values.contains(&number),
        }
    }
}
