//! The log's file: made once, written over from its start after each checkpoint.

use std::io::IoSlice;
use std::sync::Arc;

use super::record::{self, FIRST_RECORD, HEAD_BYTES, HEADER_BYTES, Records};
use crate::canary::Canary;
use crate::entropy;
use crate::error::{Error, Result};
use crate::format::NEW_SUFFIX;
use crate::journal::Pair;
use crate::manifest::{COMMIT_LOG, PARTITION, replace_whole};
use crate::storage::{BLOCK_BYTES, Blob, OpenMode, Storage};

/// A sync of more than this part of the log goes to the section files: it would gain little, and soon fill the log.
const MAX_PART: u64 = 16;
/// Bytes that tell whether anything is in a log.
const FIRST_BYTES: u64 = (FIRST_RECORD + HEAD_BYTES) as u64;
/// No log is longer.
pub(crate) const MAX_BYTES: u64 = 1 << 30;

/// How large a log is, and when it is used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes that the file gets; 0 for none.
    pub(crate) bytes: u64,
    /// So many small syncs come one after the other before it is used.
    pub(crate) after: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 1 << 20,
            after: 8,
        }
    }
}

/// The log of the one writer.
#[derive(Debug)]
pub(crate) struct CommitLog {
    storage: Arc<dyn Storage>,
    archive: u64,
    limits: Limits,
    /// Bytes that the file has; 0 where there is none that could be used.
    len: u64,
    blob: Option<Arc<dyn Blob>>,
    generation: u64,
    /// How many records there are, the first one included; 0 where that is from an earlier process, which may have
    /// failed to flush it.
    records: u64,
    /// Where the block begins into which the next one goes.
    start: u64,
    /// Small syncs one after the other.
    streak: u32,
    /// What it holds belongs to files that are away; it stays for when they come back.
    is_kept: bool,
    /// The bytes to write, from the start of a block on,
    buffer: Vec<u8>,
    /// of which so many are there already.
    written: usize,
}

/// Reads the log of an archive.
pub(super) fn read(storage: &dyn Storage, archive: u64) -> Result<(Records, u64)> {
    let blob = match storage.open(PARTITION, COMMIT_LOG, OpenMode::Read) {
        Err(Error::NotFound { .. }) => return Ok((Records::default(), 0)),
        opened => opened?,
    };
    let len = blob.len()?;
    let mut bytes = Vec::new();
    for wanted in [FIRST_BYTES, MAX_BYTES] {
        let more = wanted.min(len).saturating_sub(bytes.len() as u64);
        let from = bytes.len() as u64;
        blob.read_into(&mut bytes, from, more as usize)?;
        if !may_hold_syncs(&bytes) {
            break;
        }
    }
    Ok((Records::parse(bytes, archive), len))
}

/// Whether there may be more than the first record: a checkpoint leaves zeros behind it.
fn may_hold_syncs(bytes: &[u8]) -> bool {
    let behind = bytes.get(FIRST_RECORD..).unwrap_or_default();
    record::check(bytes, HEADER_BYTES, 0).is_none() || behind.iter().any(|&byte| byte != 0)
}

/// Removes the log, durably.
pub(crate) fn remove(storage: &dyn Storage) -> Result<()> {
    match storage.remove(PARTITION, COMMIT_LOG) {
        Err(Error::NotFound { .. }) => Ok(()),
        removed => removed.and_then(|()| storage.sync_partition(PARTITION)),
    }
}

impl Records {
    /// Whether these are what was read before, and maybe more.
    pub(crate) fn continues(&self, before: &Self) -> bool {
        self.generation == before.generation
    }

    /// The syncs in the log of an archive.
    pub(crate) fn read(storage: &dyn Storage, archive: u64) -> Result<Self> {
        read(storage, archive).map(|(records, _)| records)
    }
}

impl CommitLog {
    /// The log of an archive, and what it holds.
    pub(crate) fn open(
        storage: &Arc<dyn Storage>,
        archive: u64,
        limits: Limits,
    ) -> Result<(Self, Records)> {
        let (records, len) = read(&**storage, archive)?;
        let log = Self {
            storage: Arc::clone(storage),
            archive,
            limits,
            len: match records.is_of_archive {
                true => len,
                false => 0,
            },
            blob: None,
            generation: records.generation.unwrap_or_default(),
            records: match records.is_empty() {
                true => 0,
                false => records.len(),
            },
            start: HEADER_BYTES as u64,
            streak: 0,
            is_kept: false,
            buffer: Vec::new(),
            written: 0,
        };
        Ok((log, records))
    }

    /// What was read belongs, in part, to files that are away.
    pub(crate) fn keep(&mut self) {
        self.is_kept = true;
    }

    /// Whether it holds what the section files may not have durably.
    pub(crate) fn holds_syncs(&self) -> bool {
        self.records > 1
    }

    /// Whether the next sync, of so many bytes, may go into the log. Asked once for each.
    pub(crate) fn takes(&mut self, bytes: Option<usize>) -> bool {
        let is_small = bytes.is_some_and(|bytes| bytes as u64 <= self.limits.bytes / MAX_PART);
        self.streak = match is_small && !self.is_kept {
            true => self.streak.saturating_add(1),
            false => 0,
        };
        self.streak > self.limits.after
    }

    /// Makes what sections lack durable, with one flush; false where there is no room for it.
    pub(crate) fn append<'a>(
        &mut self,
        sections: impl Iterator<Item = (u64, &'a Pair)>,
    ) -> Result<bool> {
        if self.len != self.limits.bytes && !self.create()? {
            return Ok(false);
        }
        if self.records == 0 {
            self.begin()?;
        }
        self.buffer.truncate(self.written);
        let at = record::begin(&mut self.buffer);
        for (number, pair) in sections {
            record::push_section(&mut self.buffer, number, pair);
        }
        record::end(&mut self.buffer, at, self.generation, self.records.max(1));
        if self.start.saturating_add(self.buffer.len() as u64) > self.len {
            return Ok(false);
        }
        self.write()?;
        self.records = self.records.max(1) + 1;
        Ok(true)
    }

    /// Forgets what it holds, durably: everything of it is durable in the section files. What waits for files that are
    /// away stays.
    pub(crate) fn clear(&mut self) -> Result<()> {
        if self.is_kept || !self.holds_syncs() || Canary::CommitLogNotCleared.sings() {
            return Ok(());
        }
        self.begin()?;
        self.write()?;
        self.records = 1;
        Ok(())
    }

    /// As [`clear`](Self::clear), also of what waits: it is not to come back.
    pub(crate) fn discard(&mut self) -> Result<()> {
        self.is_kept = false;
        self.clear()
    }

    /// A new generation's first record, into the buffer.
    fn begin(&mut self) -> Result<()> {
        self.generation = entropy::number()?;
        self.start = HEADER_BYTES as u64;
        self.buffer.clear();
        record::push_first(&mut self.buffer, self.generation);
        self.written = self.buffer.len();
        Ok(())
    }

    /// To be called once an open has made what it held durable in the section files.
    pub(crate) fn settle(&mut self) -> Result<()> {
        self.clear()?;
        if self.limits.bytes == 0 && self.len > 0 && !self.is_kept {
            self.blob = None;
            self.len = 0;
            remove(&*self.storage)?;
        }
        Ok(())
    }

    /// Makes the file: all of its blocks are written, so that no later flush has to note that they are. Where the disk
    /// has no room for it there is none, until the archive is opened again.
    fn create(&mut self) -> Result<bool> {
        let mut bytes = record::encode_header(self.archive);
        bytes.resize(self.limits.bytes as usize, 0);
        self.blob = None;
        match replace_whole(&self.storage, COMMIT_LOG, &bytes) {
            Err(Error::StorageFull { .. }) => {
                let left = format!("{COMMIT_LOG}{NEW_SUFFIX}");
                let _ = self.storage.remove(PARTITION, &left);
                self.limits.bytes = 0;
                return Ok(false);
            }
            created => created?,
        }
        (self.len, self.records) = (self.limits.bytes, 0);
        Ok(true)
    }

    /// Writes the buffer, with zeros up to the end of its last block, and flushes it. The next record goes behind it.
    fn write(&mut self) -> Result<()> {
        let blob = match &self.blob {
            Some(blob) => Arc::clone(blob),
            None => self.storage.open_for_blocks(PARTITION, COMMIT_LOG)?,
        };
        self.blob = Some(Arc::clone(&blob));
        let len = self.buffer.len();
        let room = self.len.saturating_sub(self.start) as usize;
        self.buffer
            .resize(len.next_multiple_of(BLOCK_BYTES).min(room.max(len)), 0);
        blob.write_at(&[IoSlice::new(&self.buffer)], self.start)?;
        if !Canary::CommitLogNotFlushed.sings() {
            blob.sync()?;
        }
        let whole = len - len % BLOCK_BYTES;
        self.buffer.copy_within(whole..len, 0);
        self.start += whole as u64;
        self.written = len - whole;
        self.buffer.truncate(self.written);
        Ok(())
    }
}
