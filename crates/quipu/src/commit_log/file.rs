//! The log's file: made once, written over from its start after each checkpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IoSlice;
use std::sync::Arc;

use super::record::{self, HEAD_BYTES, Head, RECORDS_AT, Records};
use crate::canary::Canary;
use crate::error::{Error, Result};
use crate::format::NEW_SUFFIX;
use crate::journal::Pair;
use crate::manifest::{COMMIT_LOG, PARTITION, replace_whole};
use crate::storage::{BLOCK_BYTES, Blob, OpenMode, Storage, read_around};

/// A sync of one section that has more than this part of the log goes to its files: it would gain little, and soon fill
/// the log.
const MAX_PART: u64 = 16;
/// One of several sections would flush two files of each. It may have so many times as much for each but one, as long as it
/// has no more than this part of the longest log,
const MAX_TIMES: u64 = 4;
const MAX_SCATTERED_PART: u64 = 4;
/// which is so many times as long. For fewer sections it is as many times as long as there are sections, in powers of two.
const MAX_SCATTERED: u64 = 16;
/// No log is shorter,
pub(crate) const MIN_BYTES: u64 = 16 << 10;
/// or longer.
pub(crate) const MAX_BYTES: u64 = 64 << 20;

/// How large a log is, and when it is used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes that the file gets, where syncs are of few sections; 0 for none.
    pub(crate) bytes: u64,
    /// So many small syncs come one after the other before it is used; one of several sections counts for as many.
    pub(crate) after: u32,
}

impl Limits {
    /// The longest file, for syncs of many sections.
    fn longest(self) -> u64 {
        self.bytes.saturating_mul(MAX_SCATTERED).min(MAX_BYTES)
    }

    /// So many bytes a sync of one section can have.
    fn of_section(self) -> u64 {
        self.bytes / MAX_PART
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 1 << 20,
            after: 8,
        }
    }
}

/// What the log of an archive holds, and how long its file is; none where there is no file.
///
/// # Errors
/// Where the disk cannot read a block that may hold a sync: what it holds may be had another time, so nothing is to
/// be done without it. Not where the log is closed, or ends before.
fn read(storage: &dyn Storage, archive: u64) -> Result<(Records, Option<u64>)> {
    let blob = match storage.open(PARTITION, COMMIT_LOG, OpenMode::Read) {
        Err(Error::NotFound { .. }) => return Ok((Records::default(), None)),
        opened => opened.map_err(|error| error.of_read(0))?,
    };
    let len = blob.len().map_err(|error| error.of_read(0))?;
    let read = |buf: &mut Vec<u8>, at, len| blob.read_into(buf, at, len);
    let mut bytes = Vec::new();
    let mut bad = BTreeMap::new();
    for wanted in [RECORDS_AT as u64, MAX_BYTES] {
        let from = bytes.len() as u64;
        let range = from..wanted.min(len).max(from);
        read_around(&read, &mut bytes, range, BLOCK_BYTES, &mut |gap, error| {
            bad.insert(gap.start as usize, error);
        })?;
        if record::is_closed(&bytes) {
            let records = Records::parse(bytes, len, archive);
            // Whose it is that block says; it holds nothing whosever it is.
            return Ok((records.of_closed(bad.contains_key(&0)), Some(len)));
        }
    }
    let records = Records::parse(bytes, len, archive).without(bad)?;
    Ok((records, Some(len)))
}

/// Removes the log, durably.
pub(crate) fn remove(storage: &dyn Storage) -> Result<()> {
    match storage.remove(PARTITION, COMMIT_LOG) {
        Err(Error::NotFound { .. }) => Ok(()),
        removed => removed.and_then(|()| storage.sync_partition(PARTITION)),
    }
}

/// Makes what was read of the log durable: who wrote it may have been killed before it did.
pub(crate) fn flush(storage: &dyn Storage) -> Result<()> {
    storage.open(PARTITION, COMMIT_LOG, OpenMode::Read)?.sync()
}

impl Records {
    /// The syncs in the log of an archive.
    pub(crate) fn read(storage: &dyn Storage, archive: u64) -> Result<Self> {
        read(storage, archive).map(|(records, _)| records)
    }
}

/// The log of the one writer.
#[derive(Debug)]
pub(crate) struct CommitLog {
    /// Without the disk reserve: there need be no log.
    storage: Arc<dyn Storage>,
    /// With it.
    reserved: Arc<dyn Storage>,
    archive: u64,
    limits: Limits,
    /// Bytes that the file may have.
    longest: u64,
    /// Bytes that the file has; 0 where there is none that could be used.
    len: u64,
    blob: Option<Arc<dyn Blob>>,
    generation: u64,
    /// How many syncs are in it.
    records: u64,
    /// Small syncs one after the other.
    streak: u32,
    /// Sections for which something was found in it when it was opened.
    found: BTreeSet<u64>,
    /// Those of them whose files are away, or cannot be read; what it holds for these stays for when they can.
    kept: BTreeSet<u64>,
    /// It still holds something for others, which is durable in their files.
    has_more: bool,
    /// There is a file that cannot be used, or is damaged.
    is_strange: bool,
    /// Where the block begins into which the next record goes,
    start: u64,
    /// the bytes from there on,
    buffer: Vec<u8>,
    /// of which so many are there already.
    written: usize,
}

impl CommitLog {
    /// The log of an archive, and what it holds. To be [settled](Self::settle) once that is in the section files.
    pub(crate) fn open(
        storage: &Arc<dyn Storage>,
        reserved: &Arc<dyn Storage>,
        archive: u64,
        limits: Limits,
    ) -> Result<(Self, Records)> {
        let (records, len) = read(&**storage, archive)?;
        let is_usable = records.is_of_archive && len.is_some_and(|len| len <= MAX_BYTES);
        let log = Self {
            storage: Arc::clone(storage),
            reserved: Arc::clone(reserved),
            archive,
            limits,
            longest: limits.longest(),
            len: len.filter(|_| is_usable).unwrap_or(0),
            blob: None,
            generation: records.generation,
            records: records.len(),
            streak: 0,
            found: records.parts().map(|part| part.section).collect(),
            kept: BTreeSet::new(),
            has_more: false,
            is_strange: len.is_some() && (records.is_damaged || !is_usable),
            start: RECORDS_AT as u64,
            buffer: Vec::new(),
            written: 0,
        };
        Ok((log, records))
    }

    /// What was found for such sections did not come to their files, or is not durable there: they are away, or the disk
    /// cannot read them.
    pub(crate) fn keep_for(&mut self, is_of: impl Fn(u64) -> bool) {
        self.kept.extend(self.found.iter().filter(|&&of| is_of(of)));
        self.has_more = self.kept.len() < self.found.len();
    }

    /// Whether something of it waits for files of such sections.
    pub(crate) fn keeps_for(&self, is_of: &dyn Fn(u64) -> bool) -> bool {
        self.kept.iter().any(|&section| is_of(section))
    }

    fn is_kept(&self) -> bool {
        !self.kept.is_empty()
    }

    /// To be called once an open has made what it held durable in the section files. Also where it seems to hold
    /// nothing: an earlier process may have failed to flush that.
    pub(crate) fn settle(&mut self) -> Result<()> {
        if self.is_kept() {
            return match self.keep_alone() {
                // Whoever cannot go on with it so does it again.
                Err(Error::StorageFull { .. }) => Ok(()),
                kept => kept,
            };
        }
        // Damage is told once, and not again; and nobody knows which old records such a file has. One of another length than is
        // wanted is made anew when it is needed.
        if self.is_strange || (self.len > 0 && self.len != self.limits.bytes) {
            self.is_strange = false;
            return self.remove();
        }
        match self.len {
            0 => Ok(()),
            _ => self.begin_in_both(),
        }
    }

    /// Whether it holds what the section files may not have durably.
    pub(crate) fn holds_syncs(&self) -> bool {
        self.records > 0
    }

    /// Whether the next sync may go into the log, of so many bytes for so many sections, if it can at all. Asked once for
    /// each.
    pub(crate) fn takes(&mut self, bytes: usize, sections: usize) -> bool {
        let bytes = bytes as u64;
        let of_one = self.limits.of_section();
        let others = sections.saturating_sub(1) as u64;
        let of_several = of_one.saturating_mul(MAX_TIMES).saturating_mul(others);
        let is_small = bytes <= of_one.max(of_several.min(self.longest / MAX_SCATTERED_PART));
        self.streak = match is_small && !self.is_kept() {
            true => self.streak.saturating_add(sections as u32),
            false => 0,
        };
        self.streak > self.limits.after
    }

    /// Makes what sections lack durable, so many bytes, with one flush: number, epoch and files of each. False where there
    /// is no room for it.
    pub(crate) fn append<'a>(
        &mut self,
        bytes: usize,
        sections: impl ExactSizeIterator<Item = (u64, u64, &'a Pair)>,
    ) -> Result<bool> {
        if !self.is_made_for(bytes, sections.len())? {
            return Ok(false);
        }
        self.buffer.truncate(self.written);
        let at = record::begin(&mut self.buffer);
        for (number, epoch, pair) in sections {
            record::push_section(&mut self.buffer, number, epoch, pair);
        }
        let head = self.head();
        record::end(&mut self.buffer, at, head);
        if self.start.saturating_add(self.buffer.len() as u64) > self.len {
            return Ok(false);
        }
        self.write()?;
        self.records += 1;
        Ok(true)
    }

    /// Forgets, durably, what waits for files of such sections: others are about to take their place. That of the
    /// rest goes to a file of its own, as long as it has to be, which the disk reserve has room for.
    pub(crate) fn forget(&mut self, goes: &dyn Fn(u64) -> bool) -> Result<()> {
        if !self.keeps_for(goes) {
            return Ok(());
        }
        self.kept.retain(|&section| !goes(section));
        match self.is_kept() {
            true => self.write_kept(),
            false => self.settle(),
        }
    }

    /// Where it is kept for files that are away, forgets what it holds for others, durably: that is in their files, which
    /// may have to lose it. To be called before they do.
    pub(crate) fn keep_alone(&mut self) -> Result<()> {
        match self.is_kept() && self.has_more {
            true => self.write_kept(),
            false => Ok(()),
        }
    }

    fn write_kept(&mut self) -> Result<()> {
        let (records, _) = read(&*self.storage, self.archive)?;
        // Those of sections that are there have been durable in their files since the open.
        let stays = records.of(&|section| self.kept.contains(&section));
        self.generation += 1;
        let len = RECORDS_AT + HEAD_BYTES + stays.len();
        self.len = len.next_multiple_of(BLOCK_BYTES) as u64;
        let mut bytes = self.empty();
        bytes.truncate(RECORDS_AT);
        let at = record::begin(&mut bytes);
        bytes.extend_from_slice(&stays);
        let head = Head {
            generation: self.generation,
            sequence: 0,
        };
        record::end(&mut bytes, at, head);
        bytes.resize(self.len as usize, 0);
        self.blob = None;
        replace_whole(&self.reserved, COMMIT_LOG, &bytes)?;
        self.go_to_start();
        self.records = 1;
        self.has_more = false;
        Ok(())
    }

    /// Forgets what it holds, durably: everything of it is durable in the section files. What waits for files that are
    /// away stays.
    pub(crate) fn clear(&mut self) -> Result<()> {
        if self.is_kept() || !self.holds_syncs() || Canary::CommitLogNotCleared.sings() {
            return Ok(());
        }
        self.begin_anew()
    }

    /// All is durable in the section files, and nothing comes any more: the next open has nothing to read. What was made
    /// for syncs of many sections goes.
    pub(crate) fn close(&mut self) -> Result<()> {
        if self.is_kept() || self.len == 0 {
            return Ok(());
        }
        match self.len > self.limits.bytes {
            true => self.remove(),
            false => self.begin(true),
        }
    }

    fn remove(&mut self) -> Result<()> {
        (self.len, self.blob) = (0, None);
        self.go_to_start();
        remove(&*self.storage)
    }

    fn head(&self) -> Head {
        Head {
            generation: self.generation,
            sequence: self.records,
        }
    }

    /// A new generation, durably; the old one stays until it is.
    fn begin_anew(&mut self) -> Result<()> {
        self.begin(false)
    }

    /// Two of them: no place says then that the log is closed, nor what an earlier process wrote there. Whichever is
    /// damaged later, records are looked for.
    fn begin_in_both(&mut self) -> Result<()> {
        self.begin_anew()?;
        self.begin_anew()
    }

    fn begin(&mut self, is_closed: bool) -> Result<()> {
        self.generation += 1;
        let (block, at) = record::encode_generation(self.generation, is_closed);
        self.write_block(&block, at as u64)?;
        self.go_to_start();
        Ok(())
    }

    fn go_to_start(&mut self) {
        (self.records, self.start, self.written) = (0, RECORDS_AT as u64, 0);
        self.buffer.clear();
    }

    /// The bytes of a log of this generation without a record.
    fn empty(&self) -> Vec<u8> {
        let len = self.len.max(RECORDS_AT as u64);
        let mut bytes = record::encode_header(self.archive, len);
        bytes.resize(len as usize, 0);
        let (block, at) = record::encode_generation(self.generation, false);
        bytes[at..at + block.len()].copy_from_slice(&block);
        bytes
    }

    /// Whether the file is as long as syncs of so many bytes and sections need it, once it was made for them where it was not.
    fn is_made_for(&mut self, bytes: usize, sections: usize) -> Result<bool> {
        let needed = match bytes as u64 <= self.limits.of_section() {
            true => self.limits.bytes,
            false => {
                let times = sections.next_power_of_two() as u64;
                self.limits.bytes.saturating_mul(times).min(self.longest)
            }
        };
        if (needed..=self.longest).contains(&self.len) {
            return Ok(true);
        }
        // The section files are flushed first.
        if self.holds_syncs() {
            return Ok(false);
        }
        self.create(needed)
    }

    /// Makes the file: all of its blocks are written, so that no later flush has to note that they are. Where the disk
    /// has no room for it there is none, or no longer one, until the archive is opened again.
    fn create(&mut self, len: u64) -> Result<bool> {
        let before = (self.generation, self.len);
        (self.generation, self.len) = (self.generation + 1, len);
        match replace_whole(&self.storage, COMMIT_LOG, &self.empty()) {
            Err(Error::StorageFull { .. }) => {
                let left = format!("{COMMIT_LOG}{NEW_SUFFIX}");
                (self.generation, self.len) = before;
                // As long as that is there the name is not taken from the log of before.
                let is_there = self.storage.remove(PARTITION, &left).is_ok();
                if len == self.limits.bytes || !is_there {
                    (self.len, self.limits.bytes) = (0, 0);
                }
                self.longest = self.limits.bytes;
                return Ok(false);
            }
            created => created?,
        }
        if !Canary::CommitLogOfOldName.sings() {
            self.blob = None;
        }
        self.go_to_start();
        Ok(true)
    }

    /// Writes the buffer, with zeros up to the end of its last block, and flushes it. The next record goes behind it.
    fn write(&mut self) -> Result<()> {
        let len = self.buffer.len();
        let room = self.len.saturating_sub(self.start) as usize;
        self.buffer
            .resize(len.next_multiple_of(BLOCK_BYTES).min(room.max(len)), 0);
        let buffer = std::mem::take(&mut self.buffer);
        let written = self.write_block(&buffer, self.start);
        self.buffer = buffer;
        written?;
        let whole = len - len % BLOCK_BYTES;
        self.buffer.copy_within(whole..len, 0);
        self.start += whole as u64;
        self.written = len - whole;
        self.buffer.truncate(self.written);
        Ok(())
    }

    fn write_block(&mut self, bytes: &[u8], at: u64) -> Result<()> {
        let blob = match &self.blob {
            Some(blob) => Arc::clone(blob),
            None => self.storage.open_for_blocks(PARTITION, COMMIT_LOG)?,
        };
        self.blob = Some(Arc::clone(&blob));
        blob.write_at(&[IoSlice::new(bytes)], at)?;
        match Canary::CommitLogNotFlushed.sings() {
            true => Ok(()),
            false => blob.sync(),
        }
    }
}
