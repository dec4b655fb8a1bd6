//! Where a repair keeps the old bytes: blobs of a partition of their own, never written twice.
//!
//! ```text
//! quarantine/0000000000000010-1.index        the whole index file, header included
//! quarantine/0000000000000010-1.value-4096   bytes of the value file from data offset 4096 on
//! quarantine/0000000000000010-1.values       the whole value file, header included
//!            section          ^ the first number that no blob of the section has
//! ```
//!
//! Zeros stand for what the disk cannot read; the report tells how many bytes of a blob these are.
//!
//! A blob gets its name once its bytes are flushed, and the partition is flushed before anything of
//! the section changes. Nothing of the archive reads these blobs.

use std::collections::BTreeSet;
use std::io::IoSlice;
use std::ops::Range;
use std::sync::Arc;

use super::super::shared::Shared;
use super::report::Quarantined;
use crate::error::{Error, Result};
use crate::format::{HeaderState, NEW_SUFFIX, section_name, section_number};
use crate::manifest::QUARANTINE;
use crate::storage::{
    Blob, DataBlob, OpenMode, ReadInto, SECTOR_BYTES, Storage, read_around, read_header,
};

/// Bytes that are copied at a time.
const COPY_BYTES: u64 = 1 << 20;

/// Bytes of a section file that are to be kept.
#[derive(Debug)]
pub(super) struct Exhibit {
    name: String,
    /// The file they are in, and which of its bytes, header included.
    partition: Arc<str>,
    section: u64,
    start: u64,
    bytes: u64,
    /// How many of them the disk could not read.
    unreadable: u64,
}

/// Names the blobs of one repair of one section.
pub(super) struct Cabinet<'a> {
    shared: &'a Shared,
    section: u64,
    number: u64,
}

impl<'a> Cabinet<'a> {
    /// Picks the first number that no blob of the section has.
    pub(super) fn of(shared: &'a Shared, section: u64) -> Result<Self> {
        let prefix = format!("{}-", section_name(section));
        let number = |name: &String| {
            let (number, kind) = name.strip_prefix(&prefix)?.split_once('.')?;
            let is_whole = !kind.ends_with(NEW_SUFFIX);
            number.parse::<u64>().ok().filter(|_| is_whole)
        };
        let names = shared.storage.list(QUARANTINE)?;
        let taken: BTreeSet<u64> = names.iter().filter_map(number).collect();
        let free = (1..=u64::MAX).find(|number| !taken.contains(number));
        Ok(Self {
            shared,
            section,
            number: free.unwrap_or_default(),
        })
    }

    /// The whole index file; none when it is not there or has no data.
    pub(super) fn index_file(&self) -> Result<Option<Exhibit>> {
        self.whole(&self.shared.partitions.index, "index")
    }

    /// The whole value file; none when it is not there or has no data.
    pub(super) fn value_file(&self) -> Result<Option<Exhibit>> {
        self.whole(&self.shared.partitions.values, "values")
    }

    fn whole(&self, partition: &Arc<str>, kind: &str) -> Result<Option<Exhibit>> {
        let bytes = file_len(self.shared, partition, self.section)?;
        Ok((bytes > 0).then(|| Exhibit {
            name: self.name(kind),
            partition: Arc::clone(partition),
            section: self.section,
            start: 0,
            bytes,
            unreadable: 0,
        }))
    }

    /// Bytes of the value file, whose data begins at `header_size`.
    pub(super) fn values(&self, offset: u64, bytes: u64, header_size: u64) -> Exhibit {
        Exhibit {
            name: self.name(&format!("value-{offset}")),
            partition: Arc::clone(&self.shared.partitions.values),
            section: self.section,
            start: offset.saturating_add(header_size),
            bytes,
            unreadable: 0,
        }
    }

    fn name(&self, kind: &str) -> String {
        format!("{}-{}.{kind}", section_name(self.section), self.number)
    }
}

/// Bytes of a section file, header included; 0 when it is not there or has a header alone.
pub(super) fn file_len(shared: &Shared, partition: &str, section: u64) -> Result<u64> {
    let name = section_name(section);
    let blob = match shared.storage.open(partition, &name, OpenMode::Read) {
        Err(Error::NotFound { .. }) => return Ok(0),
        opened => opened.map_err(|error| error.of_read(0)),
    };
    // Of a file that the disk cannot open nothing can be kept.
    let (header, len) = match blob.and_then(|blob| read_header(&*blob)) {
        Err(error) if error.is_unreadable() => return Ok(0),
        read => read?,
    };
    match header {
        HeaderState::Valid(layout) if len == layout.header_size() => Ok(0),
        HeaderState::Interrupted => Ok(0),
        _ => Ok(len),
    }
}

impl Exhibit {
    /// What a report says of it.
    pub(super) fn told(&self, shared: &Shared) -> Quarantined {
        Quarantined {
            path: shared.storage.path(QUARANTINE, &self.name),
            bytes: self.bytes,
            unreadable: self.unreadable,
        }
    }
}

/// Copies what the value file of a section holds into quarantine.
///
/// # Errors
/// Where the disk cannot read some of it, and nothing is copied: it may another time, and the file is about to go.
pub(in crate::archive) fn keep_values(shared: &Shared, section: u64) -> Result<()> {
    check_readable(shared, &shared.partitions.values, section)?;
    let mut exhibit = Cabinet::of(shared, section)?.value_file()?;
    keep(shared, exhibit.as_mut_slice())
}

/// Reads a section file; the error of the first byte that the disk cannot read.
fn check_readable(shared: &Shared, partition: &str, section: u64) -> Result<()> {
    let name = section_name(section);
    let blob = shared.storage.open(partition, &name, OpenMode::Read);
    let blob = blob.map_err(|error| error.of_read(0))?;
    let len = blob.len().map_err(|error| error.of_read(0))?;
    let (mut at, mut piece) = (0, Vec::new());
    while at < len {
        piece.clear();
        let bytes = COPY_BYTES.min(len - at);
        let read = blob.read_into(&mut piece, at, bytes as usize);
        read.map_err(|error| error.of_read(at))?;
        at += bytes;
    }
    Ok(())
}

/// Copies bytes into quarantine; all of it is durable when this returns.
pub(super) fn keep(shared: &Shared, exhibits: &mut [Exhibit]) -> Result<()> {
    if exhibits.is_empty() {
        return Ok(());
    }
    remove_unfinished(shared)?;
    for exhibit in exhibits {
        let name = section_name(exhibit.section);
        let from = shared
            .storage
            .open(&exhibit.partition, &name, OpenMode::Read)?;
        let temporary = format!("{}{NEW_SUFFIX}", exhibit.name);
        let to = shared
            .storage
            .open(QUARANTINE, &temporary, OpenMode::Create)?;
        exhibit.unreadable = copy(&*from, exhibit.start, exhibit.bytes, &*to)?;
        to.sync()?;
        shared
            .storage
            .rename(QUARANTINE, &temporary, &exhibit.name)?;
    }
    shared.storage.sync_partition(QUARANTINE)
}

/// Removes what a repair left that a crash or a full disk interrupted.
fn remove_unfinished(shared: &Shared) -> Result<()> {
    for name in shared.storage.list(QUARANTINE)? {
        if name.ends_with(NEW_SUFFIX) && is_exhibit(&name) {
            shared.storage.remove(QUARANTINE, &name)?;
        }
    }
    Ok(())
}

/// Copies all data of a section file, as far as the disk can read it.
pub(super) fn copy_data(from: &DataBlob, to: &dyn Blob, at: u64) -> Result<()> {
    let read = |piece: &mut Vec<u8>, start, len| from.read_into(piece, start, len);
    in_pieces(0..from.len()?, &read, to, at).map(drop)
}

/// Copies bytes of a blob; how many of them the disk cannot read.
fn copy(from: &dyn Blob, start: u64, bytes: u64, to: &dyn Blob) -> Result<u64> {
    let read = |piece: &mut Vec<u8>, at: u64, len| from.read_into(piece, at, len);
    in_pieces(start..start.saturating_add(bytes), &read, to, 0)
}

/// Zeros stand for what cannot be read.
fn in_pieces(range: Range<u64>, read: ReadInto<'_>, to: &dyn Blob, at: u64) -> Result<u64> {
    let mut piece = Vec::new();
    let (mut next, mut unreadable) = (range.start, 0);
    while next < range.end {
        let end = range.end.min(next.saturating_add(COPY_BYTES));
        piece.clear();
        read_around(read, &mut piece, next..end, SECTOR_BYTES, &mut |gap, _| {
            unreadable += gap.end - gap.start;
        })?;
        to.write_at(
            &[IoSlice::new(&piece)],
            at.saturating_add(next - range.start),
        )?;
        next = end;
    }
    Ok(unreadable)
}

/// Whether a blob's name is one of those that a repair gives.
pub(in crate::archive) fn is_exhibit(name: &str) -> bool {
    let name = name.strip_suffix(NEW_SUFFIX).unwrap_or(name);
    let is_number = |text: &str| text.parse::<u64>().is_ok();
    let parts = name.split_once('-').and_then(|(section, rest)| {
        let (number, kind) = rest.split_once('.')?;
        Some((section, number, kind))
    });
    parts.is_some_and(|(section, number, kind)| {
        let offset = kind.strip_prefix("value-");
        section_number(section).is_some()
            && is_number(number)
            && (["index", "values"].contains(&kind) || offset.is_some_and(is_number))
    })
}

/// Bytes in quarantine, as far as they can be told.
pub(in crate::archive) fn disk_len(storage: &dyn Storage) -> u64 {
    let names = storage.list(QUARANTINE).unwrap_or_default();
    let len = |name: &String| storage.open(QUARANTINE, name, OpenMode::Read)?.len();
    names.iter().filter_map(|name| len(name).ok()).sum()
}
