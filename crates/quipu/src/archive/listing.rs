//! The section files that are there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::options::Options;
use super::shared::Shared;
use crate::entropy;
use crate::error::{Error, Result};
use crate::format::{is_unfinished, section_name, section_number};
use crate::journal::Present;
use crate::manifest::{Mark, MarksLog};
use crate::storage::Storage;
use crate::sync::thread;

/// Of fewer sections, one thread looks both partitions up.
const SECTIONS_OF_A_THREAD: usize = 64;
/// Of fewer sections, the names are listed sooner than a thread is there for them.
const SECTIONS_OF_A_LISTING: usize = 256;

/// Bytes of index files and of value files, by section.
#[derive(Debug, Default)]
pub(super) struct Lengths {
    index: BTreeMap<u64, u64>,
    values: BTreeMap<u64, u64>,
}

impl Lengths {
    /// Those of the files that are there by now, of about so many sections. Of files that are no section's nothing is said.
    pub(super) fn read(shared: &Shared, sections: usize) -> Result<Self> {
        let mut lengths = Self::default();
        for (is_index, name, len) in look_up(shared, sections)? {
            if let Some(number) = section_number(&name) {
                lengths.add(is_index, number, len);
            }
        }
        Ok(lengths)
    }

    fn add(&mut self, is_index: bool, number: u64, len: u64) {
        let of = if is_index {
            &mut self.index
        } else {
            &mut self.values
        };
        of.insert(number, len);
    }

    /// Those of a section; none where a file of it is not there.
    pub(super) fn of(&self, number: u64) -> Option<(u64, u64)> {
        let of = |lengths: &BTreeMap<u64, u64>| lengths.get(&number).copied();
        of(&self.index).zip(of(&self.values))
    }
}

/// All files of both partitions: whether of the index's, name, bytes; by two threads where there are so many sections, about.
fn look_up(shared: &Shared, sections: usize) -> Result<Vec<(bool, String, u64)>> {
    let least = if sections < SECTIONS_OF_A_THREAD {
        2
    } else {
        1
    };
    let look = |part: &[bool]| -> Result<Vec<_>> {
        let mut files = Vec::new();
        for &is_index in part {
            let found = shared.storage.lengths(partition(shared, is_index))?;
            files.extend(found.into_iter().map(|(name, len)| (is_index, name, len)));
        }
        Ok(files)
    };
    let parts = shared.side_by_side(&[true, false], least, look);
    let parts: Vec<_> = parts.into_iter().collect::<Result<_>>()?;
    Ok(parts.into_iter().flatten().collect())
}

/// The section files of an archive.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Sections that have an index file, and those that have a value file, ascending.
    pub(super) index: Vec<u64>,
    pub(super) values: Vec<u64>,
    /// (partition is the index's, name): blobs whose creation was interrupted.
    pub(super) unfinished: Vec<(bool, String)>,
}

impl Listing {
    /// Lists both partitions; a name that is no section's, or of a section that the settings do
    /// not allow, is an error.
    pub(super) fn read(shared: &Shared) -> Result<Self> {
        Ok(Self::of_partition(shared, true)?.with(Self::of_partition(shared, false)?))
    }

    fn of_partition(shared: &Shared, is_index: bool) -> Result<Self> {
        let mut listing = Self::default();
        let names = shared.storage.list(partition(shared, is_index))?;
        let mut numbers = Vec::with_capacity(names.len());
        for name in names {
            numbers.extend(listing.take(shared, is_index, name)?);
        }
        numbers.sort_unstable();
        match is_index {
            true => listing.index = numbers,
            false => listing.values = numbers,
        }
        Ok(listing)
    }

    /// That of the index's partition, with that of the values'.
    fn with(self, values: Self) -> Self {
        Self {
            index: self.index,
            values: values.values,
            unfinished: [self.unfinished, values.unfinished].concat(),
        }
    }

    /// The same with the lengths of the files, of about so many sections.
    pub(super) fn with_lengths(shared: &Shared, sections: usize) -> Result<(Self, Lengths)> {
        let mut listing = Self::default();
        let mut lengths = Lengths::default();
        for (is_index, name, len) in look_up(shared, sections)? {
            if let Some(number) = listing.take(shared, is_index, name)? {
                match is_index {
                    true => listing.index.push(number),
                    false => listing.values.push(number),
                }
                lengths.add(is_index, number, len);
            }
        }
        listing.index.sort_unstable();
        listing.values.sort_unstable();
        Ok((listing, lengths))
    }

    /// Of which section a file is; it is added where it is of none.
    fn take(&mut self, shared: &Shared, is_index: bool, name: String) -> Result<Option<u64>> {
        let number = Self::classify(shared, &name).map_err(|reason| Error::NotABlob {
            path: shared.storage.path(partition(shared, is_index), &name),
            reason,
        })?;
        if number.is_none() {
            self.unfinished.push((is_index, name));
        }
        Ok(number)
    }

    /// Takes out what an interrupted prune or creation left, and what a rewind has dropped: whether it is of the index's
    /// partition, and its name.
    ///
    /// # Errors
    /// Where there are values without entries, and marks may tell of them that the disk cannot read.
    pub(super) fn take_leftovers(
        &mut self,
        shared: &Shared,
        marks: &MarksLog,
    ) -> Result<Vec<(bool, String)>> {
        let floor = shared.floor();
        let mut leftovers = std::mem::take(&mut self.unfinished);
        let (mut entries, mut orphans) = (BTreeSet::new(), BTreeSet::new());
        for number in self.numbers_from(0) {
            let mark = marks.marks().of(number);
            let is_gone = number < floor || mark.is_some_and(Mark::is_dropped);
            let is_unknown = mark.is_none_or(|mark| mark.records == 0);
            if !is_gone && !is_unknown {
                continue;
            }
            let present = self.present(number);
            if is_gone && present.records {
                entries.insert(number);
            }
            if present.values && (is_gone || !present.records) {
                if !is_gone {
                    marks
                        .check_readable("a section may be in it of which there are only values")?;
                }
                orphans.insert(number);
            }
        }
        self.index.retain(|of| !entries.contains(of));
        self.values.retain(|of| !orphans.contains(of));
        leftovers.extend(entries.into_iter().map(|of| (true, section_name(of))));
        leftovers.extend(orphans.into_iter().map(|of| (false, section_name(of))));
        Ok(leftovers)
    }

    fn classify(shared: &Shared, name: &str) -> Result<Option<u64>, &'static str> {
        match section_number(name) {
            Some(number) if shared.number_of(number) == number => Ok(Some(number)),
            Some(_) => Err("its number is no multiple of the archive's items per section"),
            None if is_unfinished(name) => Ok(None),
            None => Err("its name is not that of a section, 16 hex digits"),
        }
    }

    /// The sections of which there is a file, from a number on, ascending. One that has values alone was
    /// damaged, or is being created.
    pub(super) fn numbers_from(&self, first: u64) -> Vec<u64> {
        let all = self.index.iter().chain(&self.values).copied();
        let mut numbers: Vec<u64> = all.filter(|&number| number >= first).collect();
        // Two ascending runs.
        numbers.sort();
        numbers.dedup();
        numbers
    }

    pub(super) fn present(&self, number: u64) -> Present {
        Present {
            records: self.index.binary_search(&number).is_ok(),
            values: self.values.binary_search(&number).is_ok(),
        }
    }
}

/// A listing of which a thread makes the half while an open waits for the disk.
pub(super) struct Ahead(thread::JoinHandle<Result<Listing>>);

impl Ahead {
    /// None where there are too few sections, about, or the storage serves one thread alone.
    pub(super) fn begin(shared: &Arc<Shared>, sections: usize) -> Option<Self> {
        let serves = shared.storage.serves_side_by_side() && !entropy::is_simulated();
        if !serves || sections < SECTIONS_OF_A_LISTING {
            return None;
        }
        let shared = Arc::clone(shared);
        let job = move || Listing::of_partition(&shared, false);
        // There may be no more threads to be had.
        thread::Builder::new().spawn(job).ok().map(Self)
    }

    /// Makes the other half, and waits for the first.
    pub(super) fn end(self, shared: &Shared) -> Result<Listing> {
        let index = Listing::of_partition(shared, true);
        let values = self.0.join();
        let values = values.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok(index?.with(values?))
    }
}

fn partition(shared: &Shared, is_index: bool) -> &str {
    match is_index {
        true => &shared.partitions.index,
        false => &shared.partitions.values,
    }
}

/// Whether there is any file of a section.
pub(super) fn has_sections(storage: &dyn Storage, options: &Options) -> Result<bool> {
    let (index, values) = &options.partitions;
    let mut names = storage.list(index.as_deref().unwrap_or("index"))?;
    names.extend(storage.list(values.as_deref().unwrap_or("values"))?);
    // What a creation left that a crash cut off holds nothing; the open removes it.
    Ok(!names.iter().all(|name| is_unfinished(name)))
}
