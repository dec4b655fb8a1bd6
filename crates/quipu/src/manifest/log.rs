//! The file of the marks: read at open, appended to, written anew when it has grown.

use std::io::IoSlice;
use std::sync::Arc;

use super::marks::{
    Mark, Marks, Wholeness, encode_damage, encode_mark, ends_within, push_record, record_checksums,
};
use super::owner::{Header, NO_END, Owner};
use super::{MARKS, Manifest, PARTITION, replace_whole};
use crate::error::{Error, Result};
use crate::storage::{Blob, OpenMode, SECTOR_BYTES, Storage, read_around};

/// Bytes that the file may have beyond twice what is needed before it is written anew.
const SLACK: usize = 64 * 1024;
/// Bytes that are read first; then twice as many, as long as the records go on.
const FIRST_READ_BYTES: u64 = 1 << 20;

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
    /// How much of it was made durable at once.
    durable: u64,
    /// As [`Header::ended`].
    ended: u64,
    /// Whether anything was appended since the last flush.
    is_dirty: bool,
    /// Why the disk could not read all of it, until it is written anew.
    unreadable: Option<Error>,
}

impl MarksLog {
    /// Writes the first marks of an archive.
    pub(crate) fn create(
        storage: &Arc<dyn Storage>,
        manifest: &Manifest,
        marks: &Marks,
    ) -> Result<()> {
        let bytes = marks.encode(Owner::of(manifest), NO_END);
        replace_whole(storage, MARKS, &bytes)
    }

    /// Reads the marks and says how much of them was there, and of this archive.
    pub(crate) fn open(
        storage: &Arc<dyn Storage>,
        manifest: &Manifest,
    ) -> Result<(Self, Wholeness)> {
        let read = read(&**storage)?;
        let (bytes, file_len) = (&read.bytes, read.len);
        let (marks, good, wholeness) = Marks::decode(bytes, file_len, manifest);
        let wholeness = match read.unreadable {
            // No crash tore it, and nobody knows what stands there.
            Some(_) => Wholeness::Lost,
            None => wholeness,
        };
        let header = Header::decode(bytes);
        let durable = header.map_or(0, |header| header.durable);
        let needed = marks.encoded_len();
        let log = Self {
            needed,
            durable,
            ended: header.map_or(NO_END, |header| header.ended),
            storage: Arc::clone(storage),
            owner: Owner::of(manifest),
            blob: None,
            // What an earlier process appended may be in the system's memory alone.
            is_dirty: wholeness == Wholeness::Whole && file_len > durable,
            marks,
            // A file with a bad end is written anew before anything is appended.
            len: match wholeness {
                Wholeness::Whole => good,
                Wholeness::Torn | Wholeness::Lost => usize::MAX,
            },
            unreadable: read.unreadable,
        };
        Ok((log, wholeness))
    }

    /// To be asked before something is done that marks could forbid which the disk cannot read now, and may another time.
    ///
    /// # Errors
    /// Where there may be such marks; `why` says what they are for.
    pub(crate) fn check_readable(&self, why: &str) -> Result<()> {
        Error::unless_read(self.unreadable.as_ref(), why)
    }

    pub(crate) fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Whether everything that is in the file checks.
    pub(crate) fn is_whole(&self) -> bool {
        self.len != usize::MAX
    }

    /// Appends the marks of some sections, each with the runs that are new to it. They count once
    /// they are durable: by a [`flush`](Self::flush), or because the system wrote them.
    pub(crate) fn mark(&mut self, marks: Vec<(u64, Mark)>) -> Result<()> {
        let mut out = Vec::new();
        for (section, mark) in marks {
            push_record(&mut out, &encode_mark(section, &mark));
            self.marks.merge(section, mark);
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
        self.write_anew(NO_END)
    }

    fn write_anew(&mut self, ended: u64) -> Result<()> {
        let bytes = self.marks.encode(self.owner, ended);
        self.blob = None;
        replace_whole(&self.storage, MARKS, &bytes)?;
        (self.len, self.needed) = (bytes.len(), bytes.len());
        self.durable = bytes.len() as u64;
        self.ended = ended;
        self.is_dirty = false;
        self.unreadable = None;
        Ok(())
    }

    /// Makes what was appended durable, so that a loss of power does not take it.
    pub(crate) fn flush(&mut self) -> Result<()> {
        if self.is_dirty {
            self.open_blob()?.sync()?;
            self.is_dirty = false;
        }
        Ok(())
    }

    fn open_blob(&mut self) -> Result<Arc<dyn Blob>> {
        let blob = match &self.blob {
            Some(blob) => Arc::clone(blob),
            None => self.storage.open(PARTITION, MARKS, OpenMode::Write)?,
        };
        self.blob = Some(Arc::clone(&blob));
        Ok(blob)
    }

    /// Makes everything durable at once, what an earlier process appended included: what does not
    /// check from here on is damaged, and was not torn by a crash.
    pub(crate) fn settle(&mut self) -> Result<()> {
        match self.len as u64 == self.durable {
            true => Ok(()),
            false => self.rewrite(|_| {}),
        }
    }

    /// As [`settle`](Self::settle), at a clean end: everything that the marks tell of is durable, and nothing is in section
    /// files that they do not tell of.
    pub(crate) fn settle_end(&mut self, manifest: &Manifest) -> Result<()> {
        let is_told = self.tell_end_of(manifest) && self.len as u64 == self.durable;
        match is_told {
            true => Ok(()),
            false => self.write_anew(manifest.announced),
        }
    }

    /// Whether they are all there, and of a clean end since which nobody has announced another writer.
    pub(crate) fn tell_end_of(&self, manifest: &Manifest) -> bool {
        // The last number is given to every writer that comes after it.
        self.is_whole() && self.ended == manifest.announced && self.ended != NO_END
    }

    fn append(&mut self, records: &[u8]) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        if self.len.saturating_add(records.len()) > self.allowed() {
            return self.rewrite(|_| {});
        }
        let blob = self.open_blob()?;
        blob.write_at(&[IoSlice::new(records)], self.len as u64)?;
        self.is_dirty = true;
        self.len += records.len();
        Ok(())
    }

    /// How long the file may get: twice what its marks needed, and some slack.
    fn allowed(&self) -> usize {
        self.needed.saturating_mul(2).saturating_add(SLACK)
    }
}

/// Reads the marks and says what is wrong with their file: nothing where only a crash can have torn its end.
pub(crate) fn examine_marks(
    storage: &dyn Storage,
    manifest: &Manifest,
) -> Result<(Marks, Option<Error>)> {
    let path = || storage.path(PARTITION, MARKS);
    let Found {
        bytes,
        len: file_len,
        unreadable,
    } = read(storage)?;
    let (marks, good, wholeness) = Marks::decode(&bytes, file_len, manifest);
    if unreadable.is_some() || wholeness != Wholeness::Lost {
        return Ok((marks, unreadable));
    }
    let durable = Header::decode(&bytes).map_or(0, |header| header.durable);
    let record = bytes.get(good..).unwrap_or_default();
    let damage = match (good, record_checksums(record)) {
        (0, _) => Error::Damaged {
            path: path(),
            offset: 0,
            reason: match file_len {
                0 => "the file is gone, or empty".to_owned(),
                _ => "its header does not check, or is of another archive or time".to_owned(),
            },
        },
        (_, Some((expected, found))) => Error::Checksum {
            path: path(),
            offset: good as u64,
            expected,
            found,
        },
        _ => Error::Damaged {
            path: path(),
            offset: good as u64,
            reason: format!("{durable} bytes were durable, and {good} are whole"),
        },
    };
    Ok((marks, Some(damage)))
}

/// What was read of the marks.
#[derive(Default)]
struct Found {
    /// The bytes of the file up to its first record that does not check, or more, or up to what the disk cannot read.
    bytes: Vec<u8>,
    /// The length of the file.
    len: u64,
    /// Why the rest could not be read.
    unreadable: Option<Error>,
}

/// Reads the marks. A file with a hole at its end is not read whole.
fn read(storage: &dyn Storage) -> Result<Found> {
    let mut found = Found::default();
    let opened = match storage.open(PARTITION, MARKS, OpenMode::Read) {
        Err(Error::NotFound { .. }) => return Ok(found),
        opened => opened.and_then(|blob| Ok((blob.len()?, blob))),
    };
    let (len, blob) = match opened.map_err(|error| error.of_read(0)) {
        Err(error) if error.is_unreadable() => {
            found.unreadable = Some(error);
            return Ok(found);
        }
        opened => opened?,
    };
    found.len = len;
    let mut wanted = FIRST_READ_BYTES.min(len);
    loop {
        found.read_to(&*blob, wanted)?;
        if found.unreadable.is_some() || wanted == len || ends_within(&found.bytes, len) {
            return Ok(found);
        }
        wanted = wanted.saturating_mul(2).min(len);
    }
}

impl Found {
    /// Reads on, up to `end` or to what cannot be read.
    fn read_to(&mut self, blob: &dyn Blob, end: u64) -> Result<()> {
        let from = self.bytes.len() as u64;
        let read = |buf: &mut Vec<u8>, at, len| blob.read_into(buf, at, len);
        let mut first = None;
        read_around(
            &read,
            &mut self.bytes,
            from..end,
            SECTOR_BYTES,
            &mut |gap, error| {
                first.get_or_insert((gap.start, error));
            },
        )?;
        if let Some((start, error)) = first {
            self.bytes.truncate(start as usize);
            self.unreadable = Some(error);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Layout, Layouts};
    use crate::index::Runs;
    use crate::manifest::record::tests::sample as manifest;
    use crate::manifest::{Fingerprint, Sample, State};
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
            epoch: records * 7,
            fingerprint: Fingerprint {
                moved: vec![2, 7],
                samples: vec![
                    Sample {
                        position: 0,
                        entry: 1,
                        value: 2,
                    },
                    Sample {
                        position: records - 1,
                        entry: 3,
                        value: 4,
                    },
                ],
                foreign: vec![1..2, 7..9],
            },
            runs: run(0, records - 1),
        }
    }

    fn reopen(storage: &Arc<dyn Storage>) -> (Marks, bool) {
        let (log, wholeness) = MarksLog::open(storage, &manifest()).unwrap();
        (log.marks().clone(), wholeness == Wholeness::Whole)
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
        assert_eq!(*marks.sections[&0], mark(5));
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
        assert_eq!(*reopen(&storage).0.sections[&0], mark(19_999));
    }

    #[test]
    fn marks_from_before_a_rewind_or_of_another_archive_are_not_believed() {
        let storage: Arc<dyn Storage> = Arc::new(Memory::new());
        let mut of = manifest();
        of.state = State::Open;
        MarksLog::create(&storage, &of, &Marks::default()).unwrap();
        MarksLog::open(&storage, &of)
            .unwrap()
            .0
            .mark(vec![(0, mark(3))])
            .unwrap();
        let read = |manifest: &Manifest| {
            let (log, wholeness) = MarksLog::open(&storage, manifest).unwrap();
            (log.marks().sections.len(), wholeness == Wholeness::Whole)
        };
        assert_eq!(read(&of), (1, true));
        of.rewinds += 1;
        assert_eq!(read(&of), (0, false));
        of.state = State::Rewinding(2);
        assert_eq!(read(&of), (1, true));
        of.id += 1;
        assert_eq!(read(&of), (0, false));
    }

    #[test]
    fn what_was_durable_is_damaged_and_what_came_after_is_torn() {
        let storage: Arc<dyn Storage> = Arc::new(Memory::new());
        MarksLog::create(&storage, &manifest(), &Marks::default()).unwrap();
        let (mut log, _) = MarksLog::open(&storage, &manifest()).unwrap();
        log.mark(vec![(0, mark(3))]).unwrap();
        log.rewrite(|_| {}).unwrap();
        let durable = log.len;
        log.mark(vec![(10, mark(2))]).unwrap();
        let blob = storage.open(PARTITION, MARKS, OpenMode::Write).unwrap();
        for cut in (0..log.len as u64).rev() {
            blob.resize(cut).unwrap();
            let (_, wholeness) = MarksLog::open(&storage, &manifest()).unwrap();
            let expected = match cut {
                _ if cut == durable as u64 => Wholeness::Whole,
                _ if cut > durable as u64 => Wholeness::Torn,
                _ => Wholeness::Lost,
            };
            assert_eq!(wholeness, expected, "{cut}");
        }
    }
}
