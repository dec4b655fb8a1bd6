//! The oversized journal: records of one size, each naming a value of any size.
//!
//! ```text
//! record partition/0000000000000007   records: … offset, size …   ──┐
//! value partition/0000000000000007    values, back to back       <──┘
//! ```
//!
//! # Invariants
//!
//! A record reaches its file only after the value that it names is durable, name of the value file
//! included. So a crash leaves no record without its value.
//!
//! # Recovery
//!
//! Opening cuts the records back to the last one whose value is whole, then the values to where
//! that one ends. A value file without records is removed, records without a value file are an
//! empty section.
//!
//! # Cost
//!
//! An append is two copies and a checksum. A sync is two flushes for a section.

mod pair;
mod report;

use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;

pub(crate) use pair::{Durable, Pair, PairConfig, Present, Trust};
pub use report::{Reason, SectionReport};

use super::config::{Config, RecordConfig, ValueConfig};
use super::fixed::Record;
use super::sections::Sections;
use crate::error::{Error, Result};
use crate::storage::Storage;

/// Bytes that a replay reads at a time.
const READ_AHEAD_BYTES: usize = 1 << 20;

/// A record that names where its value stands.
pub trait Located: Record {
    /// The value's offset, and its size with the checksum.
    fn location(&self) -> (u64, u32);

    /// Takes the place that the value was given.
    fn locate(&mut self, offset: u64, size: u32);
}

/// A journal of records with values, usable on its own.
///
/// Used alone it keeps no account of what was durable: whatever is not whole at the end of a
/// section counts as torn off by a crash. [`Archive`](crate::Archive) keeps one.
///
/// ```
/// use std::sync::Arc;
/// use quipu::journal::{Config, Located, Oversized, Record};
/// use quipu::storage::Memory;
///
/// #[derive(Default)]
/// struct Entry { id: u32, offset: u64, size: u32 }
///
/// impl Record for Entry {
///     const SIZE: usize = 16;
///     fn encode(&self, out: &mut [u8]) {
///         out[..4].copy_from_slice(&self.id.to_be_bytes());
///         out[4..12].copy_from_slice(&self.offset.to_be_bytes());
///         out[12..].copy_from_slice(&self.size.to_be_bytes());
///     }
///     fn decode(bytes: &[u8]) -> quipu::Result<Self> {
///         let part = |at: usize, len: usize| bytes[at..at + len].iter().fold(0, |n, &b| n << 8 | u64::from(b));
///         Ok(Self { id: part(0, 4) as u32, offset: part(4, 8), size: part(12, 4) as u32 })
///     }
/// }
/// impl Located for Entry {
///     fn location(&self) -> (u64, u32) { (self.offset, self.size) }
///     fn locate(&mut self, offset: u64, size: u32) { (self.offset, self.size) = (offset, size); }
/// }
///
/// let mut journal: Oversized<Entry> =
///     Oversized::open(Arc::new(Memory::new()), "records", "values", Config::default())?;
/// let (position, offset, size) = journal.append(1, Entry { id: 9, ..Entry::default() }, b"value")?;
/// journal.sync(1)?;
/// assert_eq!(journal.get(1, position)?.id, 9);
/// assert_eq!(journal.get_value(1, offset, size)?, "value");
/// # Ok::<(), quipu::Error>(())
/// ```
#[derive(Debug)]
pub struct Oversized<R> {
    sections: Sections<Pair>,
    /// The names of the value files; each section's own stands in its pair.
    values: Sections<()>,
    config: PairConfig,
    reports: Vec<SectionReport>,
    types: PhantomData<fn() -> R>,
}

impl<R: Located> Oversized<R> {
    /// Opens the journal in two partitions; creates it where there is none, and recovers it.
    pub fn open(
        storage: Arc<dyn Storage>,
        record_partition: &str,
        value_partition: &str,
        config: Config,
    ) -> Result<Self> {
        if record_partition == value_partition {
            return Err(Error::InvalidOption {
                option: "value_partition",
                reason: format!("records and values cannot both be in {value_partition:?}"),
            });
        }
        let sections = Sections::new(Arc::clone(&storage), record_partition, &config)?;
        let mut values = Sections::new(storage, value_partition, &config)?;
        // One bounded set for both.
        values.files = Arc::clone(&sections.files);
        let config = PairConfig {
            record: RecordConfig {
                record_size: R::SIZE,
                page_size: config.page_size,
                cache: config.page_cache,
            },
            value: ValueConfig {
                write_buffer: config.write_buffer,
            },
            location: location_of::<R>,
        };
        let mut journal = Self {
            sections,
            values,
            config,
            reports: Vec::new(),
            types: PhantomData,
        };
        journal.recover()?;
        Ok(journal)
    }

    fn recover(&mut self) -> Result<()> {
        let records = self.sections.list()?;
        let values = self.values.list()?;
        for &section in &values {
            if records.binary_search(&section).is_err() {
                self.values.remove_file(section)?;
            }
        }
        self.values.sync_names()?;
        for section in records {
            let present = Present {
                records: true,
                values: values.binary_search(&section).is_ok(),
            };
            let (record_file, value_file) =
                (self.sections.file(section), self.values.file(section));
            let (durable, trust) = (Durable::default(), Trust::Unordered);
            let (pair, report) = Pair::open(
                record_file,
                value_file,
                present,
                &self.config,
                durable,
                trust,
            )?;
            self.sections.map.insert(section, pair);
            if !report.is_clean() {
                self.reports.push(report);
            }
        }
        Ok(())
    }

    /// What opening cut, and why.
    pub fn recovery(&self) -> &[SectionReport] {
        &self.reports
    }

    /// Appends a value and the record that names it to a section, which is created where there is
    /// none; the record's position, the value's offset and size. Not durable until a sync.
    pub fn append(&mut self, section: u64, record: R, value: &[u8]) -> Result<(u64, u64, u32)> {
        self.sections.check_writable(section)?;
        let max = crate::format::MAX_VALUE_SIZE;
        if value.len() as u64 > u64::from(max) {
            return Err(Error::ValueTooLarge {
                size: value.len() as u64,
                max: max.into(),
            });
        }
        let appended = self.append_to(section, record, value);
        self.sections.poison_on_error(appended)
    }

    fn append_to(&mut self, section: u64, mut record: R, value: &[u8]) -> Result<(u64, u64, u32)> {
        if !self.sections.map.contains_key(&section) {
            let (records, values) = (self.sections.file(section), self.values.file(section));
            let pair = Pair::create(records, values, &self.config)?;
            self.sections.map.insert(section, pair);
        }
        let pair = self.sections.get(section)?;
        let (offset, size) = pair.values.append(value)?;
        record.locate(offset, size);
        let mut bytes = vec![0; R::SIZE];
        record.encode(&mut bytes);
        let position = pair.records.append(&bytes)?;
        if pair.records.buffered() >= self.config.value.write_buffer.max(R::SIZE) {
            pair.sync()?;
        }
        Ok((position, offset, size))
    }

    /// The record at a position.
    ///
    /// # Errors
    ///
    /// [`Error::SectionPruned`], [`Error::SectionOutOfRange`], [`Error::ItemOutOfRange`], and
    /// [`Error::Checksum`] where its page is damaged.
    pub fn get(&self, section: u64, position: u64) -> Result<R> {
        let mut bytes = vec![0; R::SIZE];
        self.sections
            .get(section)?
            .records
            .read(position, &mut bytes)?;
        R::decode(&bytes)
    }

    /// The last record of a section; none when it is empty.
    pub fn last(&self, section: u64) -> Result<Option<R>> {
        let len = self.sections.get(section)?.records.len();
        len.checked_sub(1)
            .map(|position| self.get(section, position))
            .transpose()
    }

    /// The value at an offset, by its size with the checksum.
    ///
    /// # Errors
    ///
    /// [`Error::ValueSize`] for a size of 0 to 3, [`Error::OutOfBounds`] past the end,
    /// [`Error::Checksum`] where there is no value of that size, or it is damaged.
    pub fn get_value(&self, section: u64, offset: u64, size: u32) -> Result<Bytes> {
        self.sections.get(section)?.values.read(offset, size)
    }

    /// Hands over every record from a place on, in the order of sections and positions, until
    /// `on` breaks. Reads ahead; records that are damaged are handed over as errors.
    pub fn replay(
        &self,
        from_section: u64,
        from_position: u64,
        mut on: impl FnMut(u64, u64, Result<R>) -> ControlFlow<()>,
    ) -> Result<()> {
        for (&section, pair) in self.sections.map.range(from_section..) {
            let from = if section == from_section {
                from_position
            } else {
                0
            };
            let mut broken = false;
            pair.records
                .replay(from, READ_AHEAD_BYTES, &mut |position, record| {
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

    /// Makes a section durable, values first. Nothing to do is no error.
    pub fn sync(&mut self, section: u64) -> Result<()> {
        self.sections.check_usable()?;
        let synced = self.sections.map.get(&section).map_or(Ok(()), Pair::sync);
        self.sections.poison_on_error(synced)
    }

    /// Makes every section durable.
    pub fn sync_all(&mut self) -> Result<()> {
        self.sections.check_usable()?;
        let synced = self.sections.map.values().try_for_each(Pair::sync);
        self.sections.poison_on_error(synced)
    }

    /// Removes the sections below `min`, durably; whether there were any.
    pub fn prune(&mut self, min: u64) -> Result<bool> {
        self.sections.check_usable()?;
        let pruned = self.sections.take_below(min);
        self.remove(pruned)
    }

    /// Removes sections, records before values: values alone are removed by the next open.
    fn remove(&mut self, sections: Vec<(u64, Pair)>) -> Result<bool> {
        let removed = self.remove_files(&sections);
        for (_, pair) in &sections {
            pair.records.forget();
            pair.values.file().forget();
        }
        self.sections
            .poison_on_error(removed)
            .map(|()| !sections.is_empty())
    }

    fn remove_files(&mut self, sections: &[(u64, Pair)]) -> Result<()> {
        for &(section, _) in sections {
            self.sections.remove_file(section)?;
        }
        self.sections.sync_names()?;
        for &(section, _) in sections {
            self.values.remove_file(section)?;
        }
        self.values.sync_names()
    }

    /// Keeps the first `size` bytes of records of a section, rounded down to whole ones, with the
    /// values they name, and removes every later section; durable when it returns.
    pub fn rewind(&mut self, section: u64, size: u64) -> Result<()> {
        self.sections.check_writable(section)?;
        let later = self.sections.take_above(section);
        self.remove(later)?;
        self.rewind_section(section, size)
    }

    /// As [`rewind`](Self::rewind), but keeps later sections.
    pub fn rewind_section(&mut self, section: u64, size: u64) -> Result<()> {
        self.sections.check_writable(section)?;
        let Some(pair) = self.sections.map.get(&section) else {
            return Ok(());
        };
        let records = size / R::SIZE.max(1) as u64;
        let cut = match records.checked_sub(1) {
            _ if records >= pair.records.len() => Ok(()),
            None => pair.truncate(0, 0),
            Some(last) => self.get(section, last).and_then(|last| {
                let (offset, size) = last.location();
                pair.truncate(records, offset.saturating_add(size.into()))
            }),
        };
        self.sections.poison_on_error(cut)
    }

    /// The size of a section's records in bytes; 0 where there is none.
    pub fn size(&self, section: u64) -> Result<u64> {
        let len = self.of(section, |pair| pair.records.len())?;
        Ok(len.saturating_mul(R::SIZE as u64))
    }

    /// The size of a section's values in bytes, checksums included; 0 where there is none.
    pub fn value_size(&self, section: u64) -> Result<u64> {
        self.of(section, |pair| pair.values.len())
    }

    fn of(&self, section: u64, what: impl Fn(&Pair) -> u64) -> Result<u64> {
        match self.sections.get(section) {
            Err(Error::SectionOutOfRange { .. }) => Ok(0),
            other => other.map(what),
        }
    }

    /// The oldest section.
    pub fn oldest_section(&self) -> Option<u64> {
        self.sections.oldest()
    }

    /// The newest section.
    pub fn newest_section(&self) -> Option<u64> {
        self.sections.newest()
    }

    /// Removes every file of the journal, and its partitions when nothing else is in them.
    pub fn destroy(mut self) -> Result<()> {
        self.sections.check_usable()?;
        let all = std::mem::take(&mut self.sections.map).into_iter().collect();
        self.remove(all)?;
        let storage = self.sections.storage();
        for partition in [&self.sections.partition, &self.values.partition] {
            if storage.list(partition)?.is_empty() {
                storage.remove_partition(partition)?;
            }
        }
        Ok(())
    }
}

/// What the recovery reads of a record; one that does not decode names nothing that could be.
fn location_of<R: Located>(record: &[u8]) -> (u64, u32) {
    R::decode(record).map_or((u64::MAX, u32::MAX), |record| record.location())
}
