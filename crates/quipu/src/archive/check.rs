//! Checking one section: the headers of its files, each entry, each value.
//!
//! Verification, repair and scrubbing find the same, because they all ask here.

use std::ops::ControlFlow;
use std::path::PathBuf;

use super::entry::EntryBuf;
use super::section::Section;
use super::shared::Shared;
use crate::error::{Error, Result};
use crate::format::{HeaderState, section_name};
use crate::storage::{Access, BlobFile, OpenMode, read_header};

/// An entry and its value, checked.
pub(super) struct Checked<'a> {
    /// Its position in the section.
    pub(super) position: u64,
    /// The entry, where its page is right.
    pub(super) entry: Option<&'a [u8]>,
    /// Its index, where that is one of the section's.
    pub(super) index: Option<u64>,
    /// What of it is damaged: page, index or value.
    pub(super) damage: Option<Error>,
}

impl Shared {
    /// Hands over the entries of a section from a position on, each checked with its value; so
    /// many bytes of the index file are read at a time. Ends early where the section is dropped.
    ///
    /// Errors that tell nothing of the bytes (a read that fails, a limit of this open) end it.
    pub(super) fn check_entries(
        &self,
        section: &Section,
        from: u64,
        read_ahead_bytes: usize,
        on: &mut dyn FnMut(Checked<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        self.settle(section)?;
        let mut failed = None;
        section
            .pair
            .records
            .replay(from, read_ahead_bytes, &mut |position, entry| {
                let checked = self.check_entry(section, position, entry);
                match checked.damage {
                    Some(_) if section.is_retired() => ControlFlow::Break(()),
                    Some(error) if !error.is_corruption() => {
                        failed = Some(error);
                        ControlFlow::Break(())
                    }
                    _ => on(checked),
                }
            })?;
        failed.map_or(Ok(()), Err)
    }

    fn check_entry<'a>(
        &self,
        section: &Section,
        position: u64,
        entry: Result<&'a [u8]>,
    ) -> Checked<'a> {
        let bytes = match entry {
            Ok(bytes) => bytes,
            Err(error) => {
                return Checked {
                    position,
                    entry: None,
                    index: None,
                    damage: Some(error),
                };
            }
        };
        let index = self.entry.index(bytes);
        let is_of_section = self.number_of(index) == section.number;
        let is_own = is_of_section && !section.foreign.is_entry(position);
        let damage = match is_own {
            true => self
                .check_value(section, bytes)
                .and_then(|()| self.check_trusted(section, position))
                .err(),
            false if is_of_section => Some(self.disbelieved(section, position)),
            false => Some(Error::Damaged {
                path: section.pair.records.file().path(),
                offset: self.offset_of(position),
                reason: format!(
                    "entry {position} says index {index}, which is not of section {}",
                    section.number
                ),
            }),
        };
        Checked {
            position,
            entry: Some(bytes),
            index: is_own.then_some(index),
            damage,
        }
    }

    fn check_value(&self, section: &Section, bytes: &[u8]) -> Result<()> {
        let mut entry = EntryBuf::new(self.entry);
        entry.bytes_mut().copy_from_slice(bytes);
        section.value(&entry, self.max_value_size).map(drop)
    }

    /// What was found damaged is never read again, whole as it may look: it can be another item's.
    pub(super) fn check_believed(&self, section: &Section, position: u64) -> Result<()> {
        match section.is_damaged(position) {
            false => Ok(()),
            true => Err(self.disbelieved(section, position)),
        }
    }

    /// The same where nobody saw damage but the disk could not read it: what it reads now is what was put.
    fn check_trusted(&self, section: &Section, position: u64) -> Result<()> {
        match section.is_unreadable(position) {
            true => Ok(()),
            false => self.check_believed(section, position),
        }
    }

    fn disbelieved(&self, section: &Section, position: u64) -> Error {
        Error::Damaged {
            path: section.pair.records.file().path(),
            offset: self.offset_of(position),
            reason: format!(
                "entry {position}, or its value in {}, is whole, but was found damaged, or that of \
                 another item, before",
                section.pair.values.file().path().display()
            ),
        }
    }

    /// Where the entry at a position stands, in bytes of entries.
    fn offset_of(&self, position: u64) -> u64 {
        position.saturating_mul(self.entry.size() as u64)
    }

    /// All that is wrong with the files of a section as such: one is gone, has no right header, or is
    /// not the section's.
    pub(super) fn damage_of_files(&self, section: &Section) -> Result<Vec<Error>> {
        let bad = self.check_files(section)?.into_iter().flatten();
        Ok(bad.chain(section.foreign.errors(&section.pair)).collect())
    }

    /// What is wrong with the files of a section as such, entries before values: one is gone, or
    /// its header is not one.
    pub(super) fn check_files(&self, section: &Section) -> Result<[Option<Error>; 2]> {
        let pair = &section.pair;
        let found = |file: &BlobFile, is_empty| match self.check_file(file, is_empty) {
            Ok(()) => Ok(None),
            Err(error) if error.is_corruption() => Ok(Some(error)),
            Err(error) => Err(error),
        };
        Ok([
            found(pair.records.file(), pair.records.len() == 0)?,
            found(pair.values.file(), pair.values.len() == 0)?,
        ])
    }

    /// Reads the header of a file as it is on disk now; `is_empty` says that it needs no data.
    fn check_file(&self, file: &BlobFile, is_empty: bool) -> Result<()> {
        let name = section_name(file.section());
        let blob = match self.storage.open(file.partition(), &name, OpenMode::Read) {
            Err(Error::NotFound { path }) if self.files.access() == Access::Write => {
                return Err(gone(path));
            }
            opened => opened.map_err(|error| error.of_read(0))?,
        };
        let (header, len) = read_header(&*blob)?;
        match header {
            HeaderState::Valid(_) => Ok(()),
            HeaderState::Interrupted if is_empty => Ok(()),
            HeaderState::Interrupted => Err(Error::Header {
                path: blob.path().to_path_buf(),
                reason: format!("the section has data, but the file is cut to {len} bytes"),
            }),
            HeaderState::Invalid(reason) => Err(Error::Header {
                path: blob.path().to_path_buf(),
                reason,
            }),
        }
    }
}

/// The error of a file that should be there.
pub(super) fn gone(path: PathBuf) -> Error {
    Error::Damaged {
        path,
        offset: 0,
        reason: "the file is gone".to_owned(),
    }
}
