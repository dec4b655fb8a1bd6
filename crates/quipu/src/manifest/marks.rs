//! The marks: what is known durable of each section, and which entries are known damaged.
//!
//! ```text
//! file:    "QUIPUMRK" version u32 | archive id u64 | rewinds u64 | CRC-32C of these u32, then records
//! record:  length u32 | CRC-32C of the payload u32 | payload
//! payload: 1, section, records, value bytes, layouts, runs…   the section's durable mark, and the
//!                                                             runs of indices that came with it
//!          2, section, position, index                        an entry whose item cannot be read
//! ```
//!
//! The last mark of a section counts, with the runs of all. The first record that does not check ends the file: what a
//! crash tore off there only protected less. A file that cannot be read at all is reported, and
//! leaves the archive without protection against silent cuts, but whole.
//!
//! Marks of another archive, or from before a rewind, tell of files that are gone: they are not
//! believed at all. The manifest's version stands for both files: another version here is damage.
//!
//! Cost: a mark takes about 60 bytes for a section that was filled in order. The file is written
//! anew once it is mostly made of marks that others have replaced.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IoSlice;
use std::sync::Arc;

use super::codec::{Decoder, Encoder};
use super::{MARKS, Manifest, PARTITION, State, read_whole, replace_whole};
use crate::error::Result;
use crate::format::{Layout, Layouts, crc32c};
use crate::index::Runs;
use crate::storage::{Blob, OpenMode, Storage};

pub(crate) const MAGIC: &[u8; 8] = b"QUIPUMRK";
pub(crate) const VERSION: u32 = 2;
/// Bytes that the file may have beyond twice what is needed before it is written anew.
const SLACK: usize = 64 * 1024;
const HEADER_SIZE: usize = 32;
/// Bytes of a record without its runs, of a run, of a record of damage.
const MARK_SIZE: usize = 8 + 26;
const RUN_SIZE: usize = 16;
const DAMAGE_SIZE: usize = 8 + 25;

/// What is durable of a section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// So many entries, and
    pub(crate) records: u64,
    /// so many bytes of values.
    pub(crate) value_bytes: u64,
    /// The headers of its two files, so that these can be read where a header is damaged.
    pub(crate) layouts: Layouts,
    /// The indices these entries hold.
    pub(crate) runs: Runs,
}

/// Which state of which archive the marks belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Owner {
    id: u64,
    rewinds: u64,
}

impl Owner {
    fn of(manifest: &Manifest) -> Self {
        Self {
            id: manifest.id,
            rewinds: manifest.rewinds,
        }
    }

    /// Whether marks of this owner tell of the files of a manifest. While files are being replaced
    /// they may be those from before it.
    fn fits(self, manifest: &Manifest) -> bool {
        let replacing = matches!(manifest.state, State::Rewinding(_) | State::Repairing(_));
        let before = replacing && self.rewinds.checked_add(1) == Some(manifest.rewinds);
        self.id == manifest.id && (before || self.rewinds == manifest.rewinds)
    }

    fn header(self) -> Vec<u8> {
        let mut out = Encoder(MAGIC.to_vec());
        out.u32(VERSION);
        out.u64(self.id);
        out.u64(self.rewinds);
        let crc = crc32c(&out.0);
        out.u32(crc);
        out.0
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Decoder::new(bytes.get(MAGIC.len() + 4..)?);
        let owner = Self {
            id: from.u64()?,
            rewinds: from.u64()?,
        };
        bytes.starts_with(&owner.header()).then_some(owner)
    }
}

/// All marks of an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) sections: BTreeMap<u64, Mark>,
    /// (section, position, index) of entries that are known damaged.
    pub(crate) damaged: BTreeSet<(u64, u64, u64)>,
}

impl Marks {
    /// The positions of a section that are known damaged, with the indices they held.
    pub(crate) fn damaged_in(&self, section: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        let span = (section, 0, 0)..=(section, u64::MAX, u64::MAX);
        self.damaged
            .range(span)
            .map(|&(_, position, index)| (position, index))
    }

    /// A section's new mark, which adds its runs to those of the old one.
    fn merge(&mut self, section: u64, new: &Mark) {
        let mark = self.sections.entry(section).or_default();
        (mark.records, mark.value_bytes) = (new.records, new.value_bytes);
        mark.layouts = new.layouts;
        for run in new.runs.ranges() {
            mark.runs.insert_run(*run.start(), *run.end());
        }
    }

    /// How long a file with these marks alone is.
    fn encoded_len(&self) -> usize {
        let runs = self.sections.values().map(|mark| mark.runs.run_count());
        HEADER_SIZE
            + MARK_SIZE * self.sections.len()
            + RUN_SIZE * runs.sum::<usize>()
            + DAMAGE_SIZE * self.damaged.len()
    }

    /// Forgets what lies below a floor.
    pub(crate) fn prune(&mut self, floor: u64) {
        self.sections = self.sections.split_off(&floor);
        self.damaged = self.damaged.split_off(&(floor, 0, 0));
    }

    /// Forgets everything about one section.
    pub(crate) fn forget(&mut self, section: u64) {
        self.sections.remove(&section);
        self.damaged.retain(|&(of, _, _)| of != section);
    }

    fn encode(&self, owner: Owner) -> Vec<u8> {
        let mut out = owner.header();
        for (&section, mark) in &self.sections {
            push_record(&mut out, &encode_mark(section, mark));
        }
        for &damage in &self.damaged {
            push_record(&mut out, &encode_damage(damage));
        }
        out
    }

    /// The marks of a file and how many of its bytes are good; none where it does not belong to
    /// the manifest's archive as it is.
    fn decode(bytes: &[u8], manifest: &Manifest) -> (Self, usize) {
        let mut marks = Self::default();
        let owner = Owner::decode(bytes).filter(|owner| owner.fits(manifest));
        let Some(records) = bytes.get(HEADER_SIZE..).filter(|_| owner.is_some()) else {
            return (marks, 0);
        };
        let mut from = Decoder::new(records);
        let mut good = HEADER_SIZE;
        while marks.take_record(&mut from).is_some() {
            good = HEADER_SIZE + from.offset();
        }
        (marks, good)
    }

    fn take_record(&mut self, from: &mut Decoder<'_>) -> Option<()> {
        let (len, crc) = (from.u32()?, from.u32()?);
        let payload = from.bytes(len as usize)?;
        if crc32c(payload) != crc {
            return None;
        }
        let mut payload = Decoder::new(payload);
        match payload.u8()? {
            1 => {
                let section = payload.u64()?;
                let (records, value_bytes) = (payload.u64()?, payload.u64()?);
                let layouts = decode_layouts(payload.u8()?);
                let mut runs = Runs::default();
                while !payload.is_empty() {
                    let (first, last) = (payload.u64()?, payload.u64()?);
                    runs.insert_run(first, last.max(first));
                }
                let mark = Mark {
                    records,
                    value_bytes,
                    layouts,
                    runs,
                };
                self.merge(section, &mark);
            }
            2 => {
                self.damaged
                    .insert((payload.u64()?, payload.u64()?, payload.u64()?));
            }
            _ => return None,
        }
        Some(())
    }
}

fn push_record(out: &mut Vec<u8>, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    out.extend_from_slice(&crc32c(payload).to_be_bytes());
    out.extend_from_slice(payload);
}

fn encode_mark(section: u64, mark: &Mark) -> Vec<u8> {
    let mut out = Encoder::default();
    out.u8(1);
    out.u64(section);
    out.u64(mark.records);
    out.u64(mark.value_bytes);
    out.u8(encode_layouts(mark.layouts));
    for run in mark.runs.ranges() {
        out.u64(*run.start());
        out.u64(*run.end());
    }
    out.0
}

/// Two bits a file.
fn encode_layouts(layouts: Layouts) -> u8 {
    Layout::code(layouts.records) << 2 | Layout::code(layouts.values)
}

fn decode_layouts(byte: u8) -> Layouts {
    Layouts {
        records: Layout::of_code(byte >> 2),
        values: Layout::of_code(byte),
    }
}

fn encode_damage((section, position, index): (u64, u64, u64)) -> Vec<u8> {
    let mut out = Encoder::default();
    out.u8(2);
    out.u64(section);
    out.u64(position);
    out.u64(index);
    out.0
}

/// The marks' file, open for appending.
#[derive(Debug)]
pub(crate) struct MarksLog {
    storage: Arc<dyn Storage>,
    owner: Owner,
    blob: Option<Arc<dyn Blob>>,
    marks: Marks,
    /// Length of the file; `usize::MAX` where it must be written anew.
    len: usize,
    /// What it needs at the least, as of when it was last written anew.
    needed: usize,
}

impl MarksLog {
    /// Writes the marks of an archive without sections.
    pub(crate) fn create(storage: &Arc<dyn Storage>, manifest: &Manifest) -> Result<()> {
        let bytes = Marks::default().encode(Owner::of(manifest));
        replace_whole(storage, MARKS, &bytes)
    }

    /// Reads the marks and says whether the file was there, whole, and of this archive.
    pub(crate) fn open(storage: &Arc<dyn Storage>, manifest: &Manifest) -> Result<(Self, bool)> {
        let bytes = read_whole(&**storage, MARKS)?;
        let bytes = bytes.unwrap_or_default();
        let (marks, good) = Marks::decode(&bytes, manifest);
        let whole = !bytes.is_empty() && bytes.len() == good;
        let needed = marks.encoded_len();
        let log = Self {
            needed,
            storage: Arc::clone(storage),
            owner: Owner::of(manifest),
            blob: None,
            marks,
            // A file with a bad end is written anew before anything is appended.
            len: if whole { good } else { usize::MAX },
        };
        Ok((log, whole))
    }

    pub(crate) fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Appends the marks of some sections, each with the runs that are new to it. They count once
    /// they happen to be durable.
    pub(crate) fn mark(&mut self, marks: Vec<(u64, Mark)>) -> Result<()> {
        let mut out = Vec::new();
        for (section, mark) in marks {
            push_record(&mut out, &encode_mark(section, &mark));
            self.marks.merge(section, &mark);
        }
        self.append(&out)
    }

    /// Appends damage that was found.
    pub(crate) fn damage(&mut self, found: &[(u64, u64, u64)]) -> Result<()> {
        let mut out = Vec::new();
        for &damage in found {
            if self.marks.damaged.insert(damage) {
                push_record(&mut out, &encode_damage(damage));
            }
        }
        self.append(&out)
    }

    /// As [`rewrite`](Self::rewrite), for a manifest that has been stored since: files are about to
    /// be replaced, and marks from before are not to be believed then.
    pub(crate) fn rewrite_for(
        &mut self,
        manifest: &Manifest,
        change: impl FnOnce(&mut Marks),
    ) -> Result<()> {
        self.owner = Owner::of(manifest);
        self.rewrite(change)
    }

    /// Changes the marks and makes the change durable before it returns: what lowers a mark must
    /// be known before the bytes above it go.
    pub(crate) fn rewrite(&mut self, change: impl FnOnce(&mut Marks)) -> Result<()> {
        change(&mut self.marks);
        let bytes = self.marks.encode(self.owner);
        self.blob = None;
        replace_whole(&self.storage, MARKS, &bytes)?;
        (self.len, self.needed) = (bytes.len(), bytes.len());
        Ok(())
    }

    fn append(&mut self, records: &[u8]) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        if self.len.saturating_add(records.len()) > self.allowed() {
            return self.rewrite(|_| {});
        }
        let blob = match &self.blob {
            Some(blob) => Arc::clone(blob),
            None => self.storage.open(PARTITION, MARKS, OpenMode::Write)?,
        };
        blob.write_at(&[IoSlice::new(records)], self.len as u64)?;
        self.blob = Some(blob);
        self.len += records.len();
        Ok(())
    }

    /// How long the file may get: twice what its marks needed, and some slack.
    fn allowed(&self) -> usize {
        self.needed.saturating_mul(2).saturating_add(SLACK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::record::tests::sample as manifest;
    use crate::storage::Memory;

    fn run(first: u64, last: u64) -> Runs {
        let mut runs = Runs::default();
        runs.insert_run(first, last);
        runs
    }

    fn mark(records: u64) -> Mark {
        Mark {
            records,
            value_bytes: records * 20,
            layouts: Layouts {
                records: Some(Layout::V1),
                values: None,
            },
            runs: run(0, records - 1),
        }
    }

    fn reopen(storage: &Arc<dyn Storage>) -> (Marks, bool) {
        let (log, whole) = MarksLog::open(storage, &manifest()).unwrap();
        (log.marks().clone(), whole)
    }

    #[test]
    fn the_last_mark_counts_and_damage_stays() {
        let storage: Arc<dyn Storage> = Arc::new(Memory::new());
        let (mut log, _) = MarksLog::open(&storage, &manifest()).unwrap();
        log.mark(vec![(0, mark(3)), (10, mark(2))]).unwrap();
        let added = Mark {
            runs: run(3, 4),
            ..mark(5)
        };
        log.mark(vec![(0, added)]).unwrap();
        log.damage(&[(0, 1, 7), (10, 0, 10)]).unwrap();
        let (marks, whole) = reopen(&storage);
        assert!(whole);
        assert_eq!(marks.sections[&0], mark(5));
        assert_eq!(marks.damaged_in(0).collect::<Vec<_>>(), [(1, 7)]);
        log.rewrite(|marks| marks.prune(10)).unwrap();
        assert_eq!(
            reopen(&storage).0.sections.keys().collect::<Vec<_>>(),
            [&10]
        );
    }

    #[test]
    fn a_torn_end_loses_only_what_was_torn() {
        let storage: Arc<dyn Storage> = Arc::new(Memory::new());
        let (mut log, _) = MarksLog::open(&storage, &manifest()).unwrap();
        log.mark(vec![(0, mark(3))]).unwrap();
        let first = log.len as u64;
        log.mark(vec![(10, mark(2))]).unwrap();
        let blob = storage.open(PARTITION, MARKS, OpenMode::Write).unwrap();
        let end = blob.len().unwrap();
        for cut in (first + 1..end).rev() {
            blob.resize(cut).unwrap();
            let (marks, whole) = reopen(&storage);
            assert!(!whole);
            assert_eq!(marks.sections.len(), 1);
        }
        let (mut log, _) = MarksLog::open(&storage, &manifest()).unwrap();
        log.mark(vec![(20, mark(1))]).unwrap();
        let (marks, whole) = reopen(&storage);
        assert!(whole);
        assert_eq!(marks.sections.keys().collect::<Vec<_>>(), [&0, &20]);
    }

    #[test]
    fn the_file_stays_small_however_often_a_section_is_marked() {
        let storage: Arc<dyn Storage> = Arc::new(Memory::new());
        let (mut log, _) = MarksLog::open(&storage, &manifest()).unwrap();
        for records in 1..20_000 {
            log.mark(vec![(0, mark(records))]).unwrap();
        }
        let len = storage
            .open(PARTITION, MARKS, OpenMode::Read)
            .unwrap()
            .len()
            .unwrap();
        assert!(len < 2 * SLACK as u64, "{len}");
        assert_eq!(reopen(&storage).0.sections[&0], mark(19_999));
    }

    #[test]
    fn marks_from_before_a_rewind_or_of_another_archive_are_not_believed() {
        let storage: Arc<dyn Storage> = Arc::new(Memory::new());
        let mut of = manifest();
        of.state = State::Open;
        MarksLog::create(&storage, &of).unwrap();
        MarksLog::open(&storage, &of)
            .unwrap()
            .0
            .mark(vec![(0, mark(3))])
            .unwrap();
        let read = |manifest: &Manifest| {
            let (log, whole) = MarksLog::open(&storage, manifest).unwrap();
            (log.marks().sections.len(), whole)
        };
        assert_eq!(read(&of), (1, true));
        of.rewinds += 1;
        assert_eq!(read(&of), (0, false));
        of.state = State::Rewinding(2);
        assert_eq!(read(&of), (1, true));
        of.id += 1;
        assert_eq!(read(&of), (0, false));
    }
}
