//! The fixed journal: records of one size, by section and position.
//!
//! ```text
//! partition/0000000000000000   header | page | page | page …     records 0, 1, 2 … of section 0
//! partition/0000000000000001   header | page …
//! ```
//!
//! # Invariants
//!
//! A record's position never changes. Records of a section are contiguous in one stream, cut into
//! pages; a record may straddle pages.
//!
//! # Recovery
//!
//! Opening cuts each file back to its last valid page and its last whole record.
//!
//! # Cost
//!
//! An append is a copy in memory, and a write whenever the buffer is full. A read is a look into
//! the page cache, or one read of the pages that the record spans.

mod file;

use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::sync::Arc;

pub(crate) use file::{RecordCut, RecordFile};

use super::config::{Config, RecordConfig};
use super::sections::Sections;
use crate::error::{Error, Result};
use crate::storage::Storage;

/// Bytes that a replay reads at a time.
const READ_AHEAD_BYTES: usize = 1 << 20;

/// A record of fixed size.
pub trait Record: Sized {
    /// Its size, in bytes; at least 1.
    const SIZE: usize;

    /// Writes the record into `out`, which has [`SIZE`](Self::SIZE) bytes.
    fn encode(&self, out: &mut [u8]);

    /// Reads a record from [`SIZE`](Self::SIZE) bytes.
    fn decode(bytes: &[u8]) -> Result<Self>;
}

/// A journal of records of one size, usable on its own.
///
/// ```
/// use std::sync::Arc;
/// use quipu::journal::{Config, Fixed, Record};
/// use quipu::storage::Memory;
///
/// struct Height(u64);
/// impl Record for Height {
///     const SIZE: usize = 8;
///     fn encode(&self, out: &mut [u8]) {
///         out.copy_from_slice(&self.0.to_be_bytes());
///     }
///     fn decode(bytes: &[u8]) -> quipu::Result<Self> {
///         Ok(Self(u64::from_be_bytes(bytes.try_into().map_err(|_| quipu::Error::Codec("8 bytes".into()))?)))
///     }
/// }
///
/// let mut journal: Fixed<Height> = Fixed::open(Arc::new(Memory::new()), "heights", Config::default())?;
/// assert_eq!(journal.append(7, &Height(42))?, 0);
/// journal.sync(7)?;
/// assert_eq!(journal.get(7, 0)?.0, 42);
/// # Ok::<(), quipu::Error>(())
/// ```
#[derive(Debug)]
pub struct Fixed<R> {
    sections: Sections<RecordFile>,
    record: RecordConfig,
    write_buffer: usize,
    records: PhantomData<fn() -> R>,
}

impl<R: Record> Fixed<R> {
    /// Opens the journal in a partition; creates it where there is none. What a crash tore off
    /// the ends of its files is cut.
    pub fn open(storage: Arc<dyn Storage>, partition: &str, config: Config) -> Result<Self> {
        let mut sections = Sections::new(storage, partition, &config)?;
        let record = RecordConfig {
            record_size: R::SIZE,
            page_size: config.page_size,
            cache: config.page_cache,
        };
        for section in sections.list()? {
            let (file, _) = RecordFile::open(sections.file(section), &record, 0, false)?;
            sections.map.insert(section, file);
            // Whoever made the file may have been killed before it flushed the folder.
            sections.names_changed = true;
        }
        Ok(Self {
            sections,
            record,
            write_buffer: config.write_buffer,
            records: PhantomData,
        })
    }

    /// Appends a record to a section, which is created where there is none; its position. Not
    /// durable until a sync.
    pub fn append(&mut self, section: u64, record: &R) -> Result<u64> {
        self.sections.check_writable(section)?;
        let mut bytes = vec![0; R::SIZE];
        record.encode(&mut bytes);
        let appended = self.append_bytes(section, &bytes);
        self.sections.poison_on_error(appended)
    }

    fn append_bytes(&mut self, section: u64, bytes: &[u8]) -> Result<u64> {
        if !self.sections.map.contains_key(&section) {
            let file = RecordFile::create(self.sections.file(section), &self.record)?;
            self.sections.names_changed = true;
            self.sections.map.insert(section, file);
        }
        let file = self.sections.get(section)?;
        let position = file.append(bytes)?;
        if file.buffered() >= self.write_buffer {
            file.write_out()?;
        }
        Ok(position)
    }

    /// The record at a position.
    ///
    /// # Errors
    ///
    /// [`Error::SectionPruned`], [`Error::SectionOutOfRange`], [`Error::ItemOutOfRange`], and
    /// [`Error::Checksum`] where its page is damaged.
    pub fn get(&self, section: u64, position: u64) -> Result<R> {
        let mut bytes = vec![0; R::SIZE];
        self.sections.get(section)?.read(position, &mut bytes)?;
        R::decode(&bytes)
    }

    /// The last record of a section; none when it is empty.
    pub fn last(&self, section: u64) -> Result<Option<R>> {
        let len = self.section_len(section)?;
        len.checked_sub(1)
            .map(|position| self.get(section, position))
            .transpose()
    }

    /// Hands over every record from a place on, in the order of sections and positions, until
    /// `on` breaks. Reads ahead; records that are damaged are handed over as errors.
    pub fn replay(
        &self,
        from_section: u64,
        from_position: u64,
        mut on: impl FnMut(u64, u64, Result<R>) -> ControlFlow<()>,
    ) -> Result<()> {
        for (&section, file) in self.sections.map.range(from_section..) {
            let from = if section == from_section {
                from_position
            } else {
                0
            };
            let mut broken = false;
            file.replay(from, READ_AHEAD_BYTES, &mut |position, record| {
                let flow = on(section, position, record.and_then(R::decode));
                broken = flow.is_break();
                flow
            })?;
            if broken {
                break;
            }
        }
        Ok(())
    }

    /// Makes a section durable. Nothing to do is no error.
    pub fn sync(&mut self, section: u64) -> Result<()> {
        self.sections.check_usable()?;
        let synced = self
            .sections
            .map
            .get(&section)
            .map_or(Ok(()), RecordFile::sync);
        let synced = synced.and_then(|()| self.sections.sync_names());
        self.sections.poison_on_error(synced)
    }

    /// Makes every section durable.
    pub fn sync_all(&mut self) -> Result<()> {
        self.sections.check_usable()?;
        let synced = self.sections.map.values().try_for_each(RecordFile::sync);
        let synced = synced.and_then(|()| self.sections.sync_names());
        self.sections.poison_on_error(synced)
    }

    /// Removes the sections below `min`, durably; whether there were any.
    pub fn prune(&mut self, min: u64) -> Result<bool> {
        self.sections.check_usable()?;
        let pruned = self.sections.take_below(min);
        self.remove(pruned)
    }

    fn remove(&mut self, sections: Vec<(u64, RecordFile)>) -> Result<bool> {
        let any = !sections.is_empty();
        let mut removed = Ok(());
        for (section, file) in sections {
            file.forget();
            removed = removed.and_then(|()| self.sections.remove_file(section));
        }
        let removed = removed.and_then(|()| self.sections.sync_names());
        self.sections.poison_on_error(removed).map(|()| any)
    }

    /// Keeps the first `size` bytes of a section, rounded down to whole records, and removes
    /// every later section; durable when it returns.
    pub fn rewind(&mut self, section: u64, size: u64) -> Result<()> {
        self.sections.check_writable(section)?;
        let later = self.sections.take_above(section);
        self.remove(later)?;
        self.rewind_section(section, size)
    }

    /// Keeps the first `size` bytes of a section, rounded down to whole records; durable when it
    /// returns. Larger than the section is, it does nothing.
    pub fn rewind_section(&mut self, section: u64, size: u64) -> Result<()> {
        self.sections.check_writable(section)?;
        let Some(file) = self.sections.map.get(&section) else {
            return Ok(());
        };
        let cut = file.truncate(size / R::SIZE.max(1) as u64);
        self.sections.poison_on_error(cut)
    }

    /// The size of a section in bytes of records; 0 where there is none.
    pub fn size(&self, section: u64) -> Result<u64> {
        let len = match self.section_len(section) {
            Err(Error::SectionOutOfRange { .. }) => 0,
            other => other?,
        };
        Ok(len.saturating_mul(R::SIZE as u64))
    }

    /// How many records a section has.
    pub fn section_len(&self, section: u64) -> Result<u64> {
        Ok(self.sections.get(section)?.len())
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

    /// Removes every section, durably; the journal stays usable, and accepts any section again.
    pub fn clear(&mut self) -> Result<()> {
        self.sections.check_usable()?;
        let all = std::mem::take(&mut self.sections.map).into_iter().collect();
        self.remove(all)?;
        self.sections.oldest_allowed = 0;
        Ok(())
    }

    /// Removes every file of the journal, and its partition when nothing else is in it.
    pub fn destroy(mut self) -> Result<()> {
        self.clear()?;
        let storage = self.sections.storage();
        if storage.list(&self.sections.partition)?.is_empty() {
            storage.remove_partition(&self.sections.partition)?;
        }
        Ok(())
    }
}
