//! The records of one section: a paged blob, read and written in records of one size.

use super::super::config::RecordConfig;
use crate::canary::Canary;
use crate::error::{Error, Result};
use crate::format::{Layout, NEW_SUFFIX, section_name};
use crate::paged::{Cut, Durable, OnRecord, PageAhead, PageGrowth, PagedFile, encode_pages};
use crate::storage::{Access, BlobFile, OpenMode};

/// Bytes of records that are gathered before a new file is written on.
const REPLACE_BYTES: usize = 1 << 20;

/// One section of a fixed journal. One writer, any number of readers beside it.
#[derive(Debug)]
pub(crate) struct RecordFile {
    pages: PagedFile,
    record_size: usize,
}

/// What was cut from the end of a record file when it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RecordCut {
    /// Bytes of the blob.
    pub(crate) bytes: u64,
    /// Whether these were a part of a page or pages that are not valid.
    pub(crate) torn_pages: bool,
    /// Whether a part of a record was among them.
    pub(crate) torn_record: bool,
}

impl RecordFile {
    /// Creates an empty file; its name is durable after the partition is flushed.
    pub(crate) fn create(file: BlobFile, config: &RecordConfig) -> Result<Self> {
        let pages = PagedFile::create(file, config.page_size, config.cache.clone())?;
        Ok(Self {
            pages,
            record_size: config.record_size.max(1),
        })
    }

    /// Opens a file of which `durable` records are known durable: below, nothing is ever cut, and
    /// pages that do not check are damage. What is torn behind is cut; with `strict`, from the
    /// first page on that does not check, otherwise only at the very end.
    pub(crate) fn open(
        file: BlobFile,
        config: &RecordConfig,
        durable: u64,
        strict: bool,
    ) -> Result<(Self, RecordCut)> {
        let record_size = config.record_size.max(1);
        let record = record_size as u64;
        let durable = Durable {
            bytes: durable.saturating_mul(record),
            record,
        };
        let (pages, cut) = PagedFile::open(
            file,
            config.page_size,
            config.cache.clone(),
            durable,
            strict,
        )?;
        let opened = Self { pages, record_size };
        let cut = opened.settle_on_grid(cut)?;
        Ok((opened, cut))
    }

    /// The stream ends with a whole record, unless it ends with a damaged page: what is torn is cut.
    fn settle_on_grid(&self, cut: Cut) -> Result<RecordCut> {
        let torn = self.pages.len() % self.record_size as u64;
        if self.pages.ends_damaged() {
            return Ok(RecordCut {
                bytes: cut.bytes,
                torn_pages: cut.torn,
                torn_record: false,
            });
        }
        if torn > 0 && self.pages.file().files().access() == Access::Write {
            self.pages.truncate(self.pages.len() - torn)?;
        }
        Ok(RecordCut {
            bytes: cut.bytes + torn,
            torn_pages: cut.torn,
            torn_record: torn > 0,
        })
    }

    /// How many records there are, those that wait to be written included.
    #[inline]
    pub(crate) fn len(&self) -> u64 {
        self.pages.len() / self.record_size as u64
    }

    /// Whether the file ends with a damaged page: nothing behind what is durable is there then.
    pub(crate) fn ends_damaged(&self) -> bool {
        self.pages.ends_damaged()
    }

    /// As [`PagedFile::forget`].
    pub(crate) fn forget(&self) {
        self.pages.forget();
    }

    /// As [`PagedFile::is_behind_damage`].
    pub(crate) fn is_behind_damage(&self) -> bool {
        self.pages.is_behind_damage()
    }

    /// The position that the next record gets: behind a damaged end one is left out.
    #[inline]
    pub(crate) fn next_position(&self) -> u64 {
        match self.pages.ends_damaged() {
            true => self.pages.len().div_ceil(self.record_size as u64),
            false => self.len(),
        }
    }

    /// Appends a record in memory; its position.
    #[inline]
    pub(crate) fn append(&self, record: &[u8]) -> Result<u64> {
        if record.len() != self.record_size {
            return Err(Error::Codec(format!(
                "a record of {} bytes in a journal of {}",
                record.len(),
                self.record_size
            )));
        }
        Ok(self.pages.append(record) / self.record_size as u64)
    }

    /// Where in the blob the page begins in which the record at a position does.
    pub(crate) fn page_of(&self, position: u64) -> Result<u64> {
        let offset = position.saturating_mul(self.record_size as u64);
        self.pages.page_holding(offset)
    }

    /// Gives back what a large buffer has more than it needs.
    pub(crate) fn release_buffer(&self) {
        self.pages.release_buffer();
    }

    /// Bytes that wait to be written.
    #[inline]
    pub(crate) fn buffered(&self) -> usize {
        self.pages.waiting()
    }

    /// Where the page of the record at a position is mapped.
    #[inline]
    pub(crate) fn mapped_at(&self, position: u64) -> Option<usize> {
        let offset = position.checked_mul(self.record_size as u64)?;
        self.pages.mapped_at(offset)
    }

    /// Reads the record at a position.
    #[inline]
    pub(crate) fn read(&self, position: u64, out: &mut [u8]) -> Result<()> {
        match out.len() == self.record_size {
            true => self.read_all(position, out),
            false => Err(self.no_such_item(position)),
        }
    }

    /// Reads the records from a position on that `out` has room for.
    pub(crate) fn read_all(&self, position: u64, out: &mut [u8]) -> Result<()> {
        let read = match position.checked_mul(self.record_size as u64) {
            Some(offset) => self.pages.read(offset, out)?,
            None => false,
        };
        match read {
            true => Ok(()),
            false => Err(self.no_such_item(position)),
        }
    }

    /// Reads the record at a position, if it is in memory.
    pub(crate) fn peek(&self, position: u64, out: &mut [u8]) -> bool {
        let offset = position.checked_mul(self.record_size as u64);
        out.len() == self.record_size && offset.is_some_and(|offset| self.pages.peek(offset, out))
    }

    /// The full pages on disk with the record at a position; as [`PagedFile::pages_ahead`].
    pub(crate) fn pages_ahead(&self, position: u64) -> impl Iterator<Item = PageAhead> {
        let offset = position.saturating_mul(self.record_size as u64);
        self.pages.pages_ahead(offset, self.record_size)
    }

    /// As [`PagedFile::take_in`].
    pub(crate) fn take_in(&self, of: &PageAhead, raw: &[u8]) {
        self.pages.take_in(of, raw);
    }

    fn no_such_item(&self, position: u64) -> Error {
        Error::ItemOutOfRange {
            section: self.pages.file().section(),
            position,
            len: self.len(),
        }
    }

    /// Hands over the records from a position on, in large pieces; damaged ones as errors.
    pub(crate) fn replay(
        &self,
        from: u64,
        read_ahead_bytes: usize,
        on: OnRecord<'_>,
    ) -> Result<()> {
        self.pages
            .replay(self.record_size, from, read_ahead_bytes, on)
    }

    /// Writes what waits, without flushing it.
    pub(crate) fn write_out(&self) -> Result<()> {
        self.pages.write_out()
    }

    /// Writes what waits and flushes the file.
    pub(crate) fn sync(&self) -> Result<()> {
        self.pages.sync()
    }

    /// As [`PagedFile::unshown`].
    pub(crate) fn unshown(&self) -> Option<usize> {
        self.pages.unshown()
    }

    /// As [`PagedFile::growth`].
    pub(crate) fn growth(&self, on: impl FnMut(&PageGrowth<'_>)) {
        self.pages.growth(on);
    }

    /// As [`PagedFile::show`].
    pub(crate) fn show(&self) -> Result<()> {
        self.pages.show()
    }

    /// Keeps the first `records` records; durable when it returns.
    pub(crate) fn truncate(&self, records: u64) -> Result<()> {
        self.pages
            .truncate(records.saturating_mul(self.record_size as u64))
    }

    /// Looks at the end of the file again, which another process writes.
    pub(crate) fn refresh(&self) -> Result<()> {
        self.pages.refresh()
    }

    pub(crate) fn memory(&self) -> usize {
        self.pages.memory()
    }

    pub(crate) fn file(&self) -> &BlobFile {
        self.pages.file()
    }

    /// The header that the file has.
    pub(crate) fn layout(&self) -> Layout {
        self.pages.layout()
    }

    /// Bytes of the blob, header included.
    pub(crate) fn disk_len(&self) -> u64 {
        self.pages.disk_len()
    }

    /// Writes a new file and puts it in the place of `file`, at once and durably. `next` fills a
    /// record, until it returns false.
    pub(crate) fn replace(
        file: &BlobFile,
        config: &RecordConfig,
        next: &mut dyn FnMut(&mut [u8]) -> Result<bool>,
    ) -> Result<()> {
        let storage = file.files().storage();
        let name = section_name(file.section());
        let temporary = format!("{name}{NEW_SUFFIX}");
        let layout = file.get()?.layout();
        let new = storage.open(file.partition(), &temporary, OpenMode::Create)?;
        new.resize(0)?;
        new.write_at(&[std::io::IoSlice::new(&layout.encode())], 0)?;
        let mut at = layout.header_size();
        let mut stream = Vec::new();
        let mut record = vec![0; config.record_size];
        let page_size = usize::from(config.page_size);
        loop {
            let more = next(&mut record)?;
            if more {
                stream.extend_from_slice(&record);
            }
            let full = stream.len() - stream.len() % page_size;
            let ready = if more { full } else { stream.len() };
            if ready >= REPLACE_BYTES || !more {
                let mut out = Vec::new();
                encode_pages(&stream[..ready], page_size, None, &mut out);
                new.write_at(&[std::io::IoSlice::new(&out)], at)?;
                at = at.saturating_add(out.len() as u64);
                stream.drain(..ready);
            }
            if !more {
                break;
            }
        }
        if !Canary::RewriteNotFlushed.sings() {
            new.sync()?;
        }
        storage.rename(file.partition(), &temporary, &name)?;
        storage.sync_partition(file.partition())
    }
}
