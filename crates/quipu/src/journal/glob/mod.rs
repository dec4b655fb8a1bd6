//! The glob: values of any size, by section, offset and size.
//!
//! ```text
//! partition/0000000000000000   header | value | CRC | value | CRC …
//! ```
//!
//! # Invariants
//!
//! Nothing in the file says where a value begins: whoever appends one keeps its offset and size.
//! A value never changes, and its checksum is checked whenever it is read.
//!
//! # Recovery
//!
//! A glob cannot tell a torn value from a whole one before it is read. [`Oversized`](super::Oversized)
//! can, and cuts what no record points to.
//!
//! # Cost
//!
//! An append is a copy and a checksum; a value larger than the write buffer is written at once,
//! without a copy. A read is one read of the file and one checksum.

mod file;

use std::sync::Arc;

use bytes::Bytes;

pub(crate) use file::ValueFile;

use super::config::{Config, ValueConfig};
use super::sections::Sections;
use crate::error::{Error, Result};
use crate::storage::Storage;

/// A glob of values, usable on its own.
///
/// ```
/// use std::sync::Arc;
/// use quipu::journal::{Config, Glob};
/// use quipu::storage::Memory;
///
/// let mut glob = Glob::open(Arc::new(Memory::new()), "values", Config::default())?;
/// let (offset, size) = glob.append(3, b"a value")?;
/// glob.sync(3)?;
/// assert_eq!(glob.get(3, offset, size)?, "a value");
/// # Ok::<(), quipu::Error>(())
/// ```
#[derive(Debug)]
pub struct Glob {
    sections: Sections<ValueFile>,
    config: ValueConfig,
}

impl Glob {
    /// Opens the glob in a partition; creates it where there is none.
    pub fn open(storage: Arc<dyn Storage>, partition: &str, config: Config) -> Result<Self> {
        let mut sections = Sections::new(storage, partition, &config)?;
        let config = ValueConfig {
            write_buffer: config.write_buffer,
        };
        for section in sections.list()? {
            let file = ValueFile::open(sections.file(section), &config, 0)?;
            sections.map.insert(section, file);
            // Whoever made the file may have been killed before it flushed the folder.
            sections.names_changed = true;
        }
        Ok(Self { sections, config })
    }

    /// Appends a value to a section, which is created where there is none; its offset, and its
    /// size with the checksum. Not durable until a sync.
    pub fn append(&mut self, section: u64, value: &[u8]) -> Result<(u64, u32)> {
        self.sections.check_writable(section)?;
        let max = crate::format::MAX_VALUE_SIZE;
        if value.len() as u64 > u64::from(max) {
            return Err(Error::ValueTooLarge {
                size: value.len() as u64,
                max: max.into(),
            });
        }
        let appended = self.append_to(section, value);
        self.sections.poison_on_error(appended)
    }

    fn append_to(&mut self, section: u64, value: &[u8]) -> Result<(u64, u32)> {
        if !self.sections.map.contains_key(&section) {
            let file = ValueFile::create(self.sections.file(section), &self.config)?;
            self.sections.names_changed = true;
            self.sections.map.insert(section, file);
        }
        self.sections.get(section)?.append(value)
    }

    /// The value at an offset, by its size as [`append`](Self::append) gave it.
    ///
    /// # Errors
    ///
    /// [`Error::ValueSize`] for a size of 0 to 3, [`Error::OutOfBounds`] past the end,
    /// [`Error::Checksum`] where there is no value of that size, or it is damaged.
    pub fn get(&self, section: u64, offset: u64, size: u32) -> Result<Bytes> {
        self.sections.get(section)?.read(offset, size)
    }

    /// Makes a section durable. Nothing to do is no error.
    pub fn sync(&mut self, section: u64) -> Result<()> {
        self.sections.check_usable()?;
        let synced = self
            .sections
            .map
            .get(&section)
            .map_or(Ok(()), ValueFile::sync);
        let synced = synced.and_then(|()| self.sections.sync_names());
        self.sections.poison_on_error(synced)
    }

    /// Makes every section durable.
    pub fn sync_all(&mut self) -> Result<()> {
        self.sections.check_usable()?;
        let synced = self.sections.map.values().try_for_each(ValueFile::sync);
        let synced = synced.and_then(|()| self.sections.sync_names());
        self.sections.poison_on_error(synced)
    }

    /// The size of a section in bytes; 0 where there is none.
    pub fn size(&self, section: u64) -> Result<u64> {
        match self.sections.get(section) {
            Err(Error::SectionOutOfRange { .. }) => Ok(0),
            other => Ok(other?.len()),
        }
    }

    /// Keeps the first `size` bytes of a section and removes every later section; durable when it
    /// returns.
    pub fn rewind(&mut self, section: u64, size: u64) -> Result<()> {
        self.sections.check_writable(section)?;
        let later = self.sections.take_above(section);
        self.remove(later)?;
        self.rewind_section(section, size)
    }

    /// Keeps the first `size` bytes of a section; durable when it returns.
    pub fn rewind_section(&mut self, section: u64, size: u64) -> Result<()> {
        self.sections.check_writable(section)?;
        let cut = self
            .sections
            .map
            .get(&section)
            .map_or(Ok(()), |file| file.truncate(size));
        self.sections.poison_on_error(cut)
    }

    /// Removes the sections below `min`, durably; whether there were any.
    pub fn prune(&mut self, min: u64) -> Result<bool> {
        self.sections.check_usable()?;
        let pruned = self.sections.take_below(min);
        self.remove(pruned)
    }

    /// Removes one section, durably; whether there was one. It may be appended to again.
    pub fn remove_section(&mut self, section: u64) -> Result<bool> {
        self.sections.check_writable(section)?;
        let removed = self.sections.map.remove_entry(&section);
        self.remove(removed.into_iter().collect())
    }

    fn remove(&mut self, sections: Vec<(u64, ValueFile)>) -> Result<bool> {
        let any = !sections.is_empty();
        let mut removed = Ok(());
        for (section, file) in sections {
            file.file().forget();
            removed = removed.and_then(|()| self.sections.remove_file(section));
        }
        let removed = removed.and_then(|()| self.sections.sync_names());
        self.sections.poison_on_error(removed).map(|()| any)
    }

    /// The oldest section.
    pub fn oldest_section(&self) -> Option<u64> {
        self.sections.oldest()
    }

    /// The newest section.
    pub fn newest_section(&self) -> Option<u64> {
        self.sections.newest()
    }

    /// Every section, ascending.
    pub fn sections(&self) -> impl DoubleEndedIterator<Item = u64> + '_ {
        self.sections.map.keys().copied()
    }

    /// Removes every file of the glob, and its partition when nothing else is in it.
    pub fn destroy(mut self) -> Result<()> {
        self.sections.check_usable()?;
        let all = std::mem::take(&mut self.sections.map).into_iter().collect();
        self.remove(all)?;
        let storage = self.sections.storage();
        if storage.list(&self.sections.partition)?.is_empty() {
            storage.remove_partition(&self.sections.partition)?;
        }
        Ok(())
    }
}
