//! One section: its records, the values they name, and the recovery between the two.

use super::report::{Reason, SectionReport};
use crate::canary::Canary;
use crate::error::Result;
use crate::format::{Layouts, VALUE_CHECKSUM_SIZE};
use crate::journal::config::{RecordConfig, ValueConfig};
use crate::journal::fixed::RecordFile;
use crate::journal::glob::ValueFile;
use crate::storage::{Access, BlobFile};
use crate::sync::Mutex;

/// How the two files of a section are kept.
#[derive(Clone, Debug)]
pub(crate) struct PairConfig {
    pub(crate) record: RecordConfig,
    pub(crate) value: ValueConfig,
    /// Where a record says that its value stands: offset and size.
    pub(crate) location: fn(&[u8]) -> (u64, u32),
}

/// What is known to be durable of a section. Nothing below is ever cut.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Durable {
    pub(crate) records: u64,
    pub(crate) value_bytes: u64,
}

/// Which of the two files are there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Present {
    pub(crate) records: bool,
    pub(crate) values: bool,
}

/// How the files were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Values were durable before the records that name them, so a record that is there has its
    /// value; and the first page that does not check, beyond what is durable, ends the file.
    Ordered,
    /// As `Ordered`, but what was durable is not known any more: only what is torn at the very end
    /// is cut.
    Unmarked,
    /// In no order that could be relied on: the values at the end are checked.
    Unordered,
}

/// One section. One writer, any number of readers beside it.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) records: RecordFile,
    pub(crate) values: ValueFile,
    /// Whether the files' names are not durable yet.
    unnamed: Mutex<bool>,
}

impl Pair {
    /// Creates both files, empty.
    pub(crate) fn create(records: BlobFile, values: BlobFile, config: &PairConfig) -> Result<Self> {
        let values = ValueFile::create(values, &config.value)?;
        let records = RecordFile::create(records, &config.record)?;
        Ok(Self {
            records,
            values,
            unnamed: Mutex::new(true),
        })
    }

    /// Opens the files and cuts what a crash tore off their ends. Ends in the same state however
    /// often a crash interrupts it: records are cut, durably, before the values they named.
    pub(crate) fn open(
        records: BlobFile,
        values: BlobFile,
        present: Present,
        config: &PairConfig,
        durable: Durable,
        trust: Trust,
    ) -> Result<(Self, SectionReport)> {
        let section = records.section();
        let writable = records.files().access() == Access::Write;
        if !present.records && writable {
            records.create()?;
        }
        if !present.values && writable {
            values.create()?;
        }
        // Records first: beside a writer, the values of every record seen now are there by then.
        let strict = trust == Trust::Ordered;
        let (records, cut) = RecordFile::open(records, &config.record, durable.records, strict)?;
        let values = ValueFile::open(values, &config.value, durable.value_bytes)?;
        let pair = Self {
            records,
            values,
            // Whoever made the files may have been killed before it flushed their folders; with
            // durable records in them it was not.
            unnamed: Mutex::new(!present.records || !present.values || durable.records == 0),
        };
        let mut report = SectionReport::new(section, &cut);
        pair.recover(config, durable, trust, &mut report)?;
        Ok((pair, report))
    }

    fn recover(
        &self,
        config: &PairConfig,
        durable: Durable,
        trust: Trust,
        report: &mut SectionReport,
    ) -> Result<()> {
        let whole = self.whole_records(config, durable, trust, report)?;
        let end = self.value_end(config, whole, durable)?;
        if self.records.file().files().access() == Access::Read {
            return Ok(());
        }
        // Each cut is durable when it returns: records before the values they named.
        report.records_cut = self.records.len() - whole;
        if report.records_cut > 0 {
            self.records.truncate(whole)?;
        }
        let value_bytes = self.values.len();
        if end < value_bytes && !Canary::UnnamedValuesKept.sings() {
            report.value_bytes_cut = value_bytes - end;
            report.add(Reason::UnnamedValues);
            self.values.truncate(end)?;
        }
        Ok(())
    }

    /// How many records stay: back from the end until one has its whole value.
    fn whole_records(
        &self,
        config: &PairConfig,
        durable: Durable,
        trust: Trust,
        report: &mut SectionReport,
    ) -> Result<u64> {
        let mut whole = self.records.len();
        if self.records.ends_damaged() {
            // What is behind the mark there is the rest of a damaged page, not a torn end.
            return Ok(whole);
        }
        // Values do not overlap, so a file's own length is all that there is to check. Entries that
        // name the same bytes again and again are no torn end.
        let mut unchecked = self.values.len();
        let mut record = vec![0; config.record.record_size];
        while whole > durable.records {
            match self.records.read(whole - 1, &mut record) {
                Ok(()) => {
                    match self.check_value((config.location)(&record), trust, &mut unchecked)? {
                        None => break,
                        Some(reason) => report.add(reason),
                    }
                }
                // It may be whole: no torn end.
                Err(error) if error.is_unreadable() => break,
                Err(error) if error.is_corruption() => report.add(Reason::TornPages),
                Err(error) => return Err(error),
            }
            whole -= 1;
        }
        Ok(whole)
    }

    /// Why a value is not whole; none when it is.
    fn check_value(
        &self,
        (offset, size): (u64, u32),
        trust: Trust,
        unchecked: &mut u64,
    ) -> Result<Option<Reason>> {
        if Canary::ShortValueKept.sings() {
            return Ok(None);
        }
        let in_bounds = offset
            .checked_add(size.into())
            .is_some_and(|end| end <= self.values.len());
        if !in_bounds || size < VALUE_CHECKSUM_SIZE {
            return Ok(Some(Reason::ValueBeyondEnd));
        }
        match unchecked.checked_sub(size.into()) {
            Some(left) if trust == Trust::Unordered => *unchecked = left,
            _ => return Ok(None),
        }
        match self.values.read(offset, size) {
            Ok(_) => Ok(None),
            Err(error) if error.is_unreadable() => Ok(None),
            Err(error) if error.is_corruption() => Ok(Some(Reason::ValueChecksum)),
            Err(error) => Err(error),
        }
    }

    /// Where the values end that the first `records` records name. Where the last of them cannot
    /// be read, everything stays.
    fn value_end(&self, config: &PairConfig, records: u64, durable: Durable) -> Result<u64> {
        let Some(last) = records.checked_sub(1) else {
            return Ok(durable.value_bytes);
        };
        let mut record = vec![0; config.record.record_size];
        match self.records.read(last, &mut record) {
            Ok(()) => {
                let (offset, size) = (config.location)(&record);
                let end = offset
                    .checked_add(size.into())
                    .filter(|&end| end <= self.values.len());
                Ok(end
                    .unwrap_or_else(|| self.values.len())
                    .max(durable.value_bytes))
            }
            Err(error) if error.is_corruption() => Ok(self.values.len()),
            Err(error) => Err(error),
        }
    }

    /// Makes the section durable: values and their file's name first, so that no record ever names
    /// a value that a crash can take away.
    pub(crate) fn sync(&self) -> Result<()> {
        let unnamed = *self.unnamed.lock();
        if Canary::IndexBeforeValues.sings() {
            self.records.sync()?;
        }
        self.values.sync()?;
        if unnamed && !Canary::NoValueFolderFlush.sings() {
            sync_partition(self.values.file())?;
        }
        self.records.sync()?;
        if unnamed {
            if !Canary::NoIndexFolderFlush.sings() {
                sync_partition(self.records.file())?;
            }
            *self.unnamed.lock() = false;
        }
        Ok(())
    }

    /// Bytes since the last flush, or [`show`](Self::show), of both files; none where they cannot be kept elsewhere
    /// until the next: the files' names are not durable, some of the bytes are out of the buffers, or there is damage
    /// before them.
    pub(crate) fn unshown(&self) -> Option<usize> {
        let is_named = !*self.unnamed.lock();
        let (values, records) = (self.values.unshown()?, self.records.unshown()?);
        is_named.then_some(values + records)
    }

    /// Writes what [`unshown`](Self::unshown) counts, without a flush. Somebody else has made it durable.
    pub(crate) fn show(&self) -> Result<()> {
        self.values.show()?;
        self.records.show()
    }

    /// What is not durable of the names of the pair that this one takes the place of is not durable here.
    pub(crate) fn inherit_names(&self, before: &Self) {
        let unnamed = *before.unnamed.lock();
        *self.unnamed.lock() |= unnamed;
    }

    /// Keeps the first `records` records and the values they name; durable when it returns.
    /// Records go first: values without a record are cut by the next open, the reverse would be
    /// damage.
    pub(crate) fn truncate(&self, records: u64, value_bytes: u64) -> Result<()> {
        self.records.truncate(records)?;
        self.values.truncate(value_bytes)
    }

    /// Which headers the two files have.
    pub(crate) fn layouts(&self) -> Layouts {
        Layouts {
            records: self.records.file().layout(),
            values: self.values.file().layout(),
        }
    }

    /// Gives back what large buffers have more than they need, once puts go elsewhere.
    pub(crate) fn release_buffers(&self) {
        self.records.release_buffer();
        self.values.release_buffer();
    }

    pub(crate) fn memory(&self) -> usize {
        self.records.memory() + self.values.memory()
    }
}

fn sync_partition(file: &BlobFile) -> Result<()> {
    file.files().storage().sync_partition(file.partition())
}
