//! The section files that are there.

use std::collections::{BTreeMap, BTreeSet};

use super::options::Options;
use super::shared::Shared;
use crate::error::{Error, Result};
use crate::format::{is_unfinished, section_name, section_number};
use crate::journal::Present;
use crate::manifest::{Mark, MarksLog};
use crate::storage::Storage;

/// Of fewer sections, one thread looks both partitions up,
const SECTIONS_OF_A_THREAD: usize = 64;
/// and where only names are asked for, of fewer than these.
const NAMES_OF_A_THREAD: usize = 256;

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

/// All files of both partitions: whether of the index's, name, bytes.
fn look_up(shared: &Shared, sections: usize) -> Result<Vec<(bool, String, u64)>> {
    let files = of_both(shared, sections, SECTIONS_OF_A_THREAD, |partition| {
        shared.storage.lengths(partition)
    });
    let files = files?.into_iter().flat_map(|(is_index, files)| {
        let told = files.into_iter();
        told.map(move |(name, len)| (is_index, name, len))
    });
    Ok(files.collect())
}

/// What there is to tell of each partition, the index's first: by two threads where there are so many sections, about.
fn of_both<T: Send>(
    shared: &Shared,
    sections: usize,
    sections_of_a_thread: usize,
    look: impl Fn(&str) -> Result<T> + Sync,
) -> Result<Vec<(bool, T)>> {
    let least = if sections < sections_of_a_thread {
        2
    } else {
        1
    };
    let look = |part: &[bool]| -> Result<Vec<_>> {
        let of = |&is_index| Ok((is_index, look(partition(shared, is_index))?));
        part.iter().map(of).collect()
    };
    let parts = shared.side_by_side(&[true, false], least, look);
    let parts: Vec<_> = parts.into_iter().collect::<Result<_>>()?;
    Ok(parts.into_iter().flatten().collect())
}

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
        Self::named(shared, 0)
    }

    /// The same, of about so many sections.
    pub(super) fn named(shared: &Shared, sections: usize) -> Result<Self> {
        let mut listing = Self::default();
        let names = of_both(shared, sections, NAMES_OF_A_THREAD, |partition| {
            shared.storage.list(partition)
        });
        for (is_index, names) in names? {
            let mut numbers = Vec::with_capacity(names.len());
            for name in names {
                numbers.extend(listing.take(shared, is_index, name)?);
            }
            // In their order, as the names are: at once.
            match is_index {
                true => listing.index = numbers.into_iter().collect(),
                false => listing.values = numbers.into_iter().collect(),
            }
        }
        Ok(listing)
    }

    /// The same with the lengths of the files, of about so many sections.
    pub(super) fn with_lengths(shared: &Shared, sections: usize) -> Result<(Self, Lengths)> {
        let mut listing = Self::default();
        let mut lengths = Lengths::default();
        for (is_index, name, len) in look_up(shared, sections)? {
            if let Some(number) = listing.take(shared, is_index, name)? {
                match is_index {
                    true => listing.index.insert(number),
                    false => listing.values.insert(number),
                };
                lengths.add(is_index, number, len);
            }
        }
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
        let is_gone =
            |number: u64, mark: Option<&Mark>| number < floor || mark.is_some_and(Mark::is_dropped);
        let (mut entries, mut orphans) = (BTreeSet::new(), BTreeSet::new());
        for &number in &self.index {
            if is_gone(number, marks.marks().of(number)) {
                entries.insert(number);
            }
        }
        for &number in &self.values {
            let mark = marks.marks().of(number);
            let is_unknown = mark.is_none_or(|mark| mark.records == 0);
            let is_orphan = is_unknown && !self.index.contains(&number);
            if is_gone(number, mark) {
                orphans.insert(number);
            } else if is_orphan {
                marks.check_readable("a section may be in it of which there are only values")?;
                orphans.insert(number);
            }
        }
        if !entries.is_empty() {
            self.index.retain(|of| !entries.contains(of));
        }
        if !orphans.is_empty() {
            self.values.retain(|of| !orphans.contains(of));
        }
        let mut leftovers = std::mem::take(&mut self.unfinished);
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
