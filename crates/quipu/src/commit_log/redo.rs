//! From the records of a log to what section files lack.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IoSlice;

use super::record::Records;
use crate::canary::Canary;
use crate::error::{Error, Result};
use crate::format::{Layout, PageState, SLOTS_SIZE, crc32c, section_name};
use crate::manifest::Mark;
use crate::paged::PageGrowth;
use crate::storage::{Access, DataBlob, OpenMode, Storage};

/// Where the section files are, and what is known of them.
pub(crate) struct Files<'a> {
    pub(crate) storage: &'a dyn Storage,
    pub(crate) index: &'a str,
    pub(crate) values: &'a str,
    pub(crate) page_size: usize,
    /// Bytes of an entry.
    pub(crate) entry_size: usize,
    /// Sections below are pruned.
    pub(crate) floor: u64,
    /// What is known durable of a section.
    pub(crate) mark: &'a dyn Fn(u64) -> Option<&'a Mark>,
}

/// A file of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Which {
    Values,
    Index,
}

/// Bytes of a file, and where in the blob they go.
#[derive(Clone, Debug)]
pub(super) struct Patch {
    pub(super) at: u64,
    pub(super) bytes: Vec<u8>,
}

impl Patch {
    pub(super) fn end(&self) -> u64 {
        self.at.saturating_add(self.bytes.len() as u64)
    }
}

/// How many bytes of a page count.
pub(super) fn page_len(raw: &[u8]) -> u16 {
    match PageState::of(raw) {
        PageState::Valid { len, .. } => len,
        PageState::Invalid { .. } => 0,
    }
}

/// What section files lack of a log.
#[derive(Debug, Default)]
pub(crate) struct Redo {
    pub(super) patches: BTreeMap<(Which, u64), Vec<Patch>>,
    /// By section, the pages of its index file that lack something, as they are with it: whole, with their slots.
    pub(super) pages: BTreeMap<u64, Vec<Patch>>,
    /// Sections of which a file is away, has no header that could be read, or is an empty one in the place of that.
    pub(crate) away: BTreeSet<u64>,
    /// Sections that do not get all that the log has: a page of them is damaged, or they are others.
    pub(crate) incomplete: BTreeSet<u64>,
    /// Sections that lack something, and of which nobody knows whether the log is for the life that they are in.
    unknown: BTreeSet<u64>,
    /// The indices of entries that damaged pages do not get, or files that are away,
    pub(crate) lost: Vec<u64>,
    /// and those of all others.
    pub(crate) held: Vec<u64>,
}

/// What a log says of one section.
#[derive(Default)]
struct OfSection<'a> {
    epochs: BTreeSet<u64>,
    /// Where they begin, and they themselves; one behind the other.
    values: Vec<(u64, &'a [u8])>,
    pages: BTreeMap<u64, Vec<PageGrowth<'a>>>,
}

impl OfSection<'_> {
    /// The indices of the entries that begin in what a page gets, or reach into it, as far as the log has them.
    fn indices(&self, page: u64, files: &Files<'_>) -> Vec<u64> {
        let entry = files.entry_size.max(1) as u64;
        let page_begin = page.saturating_mul(files.page_size as u64);
        let growths = self.pages.get(&page).map_or(&[][..], Vec::as_slice);
        let begins = growths.iter().flat_map(|growth| {
            let begin = page_begin.saturating_add(growth.from.into());
            let end = begin.saturating_add(growth.bytes.len() as u64);
            (begin - begin % entry..end).step_by(entry as usize)
        });
        begins.filter_map(|at| self.index_at(at, files)).collect()
    }

    /// The first eight bytes of an entry, over the pages that have them.
    fn index_at(&self, at: u64, files: &Files<'_>) -> Option<u64> {
        let page_size = files.page_size.max(1) as u64;
        let mut index = [0; 8];
        for (ahead, byte) in (0..).zip(&mut index) {
            let at = at.checked_add(ahead)?;
            let growths = self.pages.get(&(at / page_size))?;
            let at = (at % page_size) as usize;
            // Each begins where the one before ends.
            let behind = growths.partition_point(|of| usize::from(of.from) <= at);
            let growth = growths.get(behind.checked_sub(1)?)?;
            *byte = *growth.bytes.get(at.checked_sub(growth.from.into())?)?;
        }
        Some(u64::from_be_bytes(index))
    }
}

impl Redo {
    /// Compares; changes nothing.
    ///
    /// # Errors
    /// Where a file cannot be read, or the block that may say that the log was cleared.
    pub(crate) fn find(records: &Records, files: &Files<'_>) -> Result<Self> {
        let mut sections = BTreeMap::<u64, OfSection<'_>>::new();
        for part in records.parts().filter(|part| part.section >= files.floor) {
            let of = sections.entry(part.section).or_default();
            of.epochs.insert(part.epoch);
            of.values.push((part.value_offset, part.values));
            for growth in part.pages {
                of.pages.entry(growth.page).or_default().push(growth);
            }
        }
        let mut redo = Self::default();
        for (number, of) in sections {
            redo.section(number, &of, files)?;
        }
        records.check_sure(redo.is_whole() && redo.unknown.is_empty())?;
        Ok(redo)
    }

    /// Whether the files have all.
    pub(crate) fn is_empty(&self) -> bool {
        self.patches.is_empty()
    }

    /// Whether the files have all once they have got what they lack.
    pub(crate) fn is_whole(&self) -> bool {
        self.away.is_empty() && self.incomplete.is_empty()
    }

    /// The sections whose files lack something.
    pub(crate) fn sections(&self) -> BTreeSet<u64> {
        self.patches.keys().map(|&(_, section)| section).collect()
    }

    /// Gives the files what they lack, durably.
    pub(crate) fn apply(&self, files: &Files<'_>) -> Result<()> {
        for (&(which, section), patches) in &self.patches {
            let partition = files.partition(which);
            let name = section_name(section);
            let blob = files.storage.open(partition, &name, OpenMode::Write)?;
            for patch in patches {
                blob.write_at(&[IoSlice::new(&patch.bytes)], patch.at)?;
            }
            blob.sync()?;
        }
        Ok(())
    }

    fn section(&mut self, number: u64, of: &OfSection<'_>, files: &Files<'_>) -> Result<()> {
        let mark = (files.mark)(number);
        let known = mark.map_or(0, |mark| mark.epoch);
        if known != 0 && of.epochs.iter().any(|&epoch| epoch != known) {
            self.incomplete.insert(number);
            return Ok(());
        }
        let index = files.open(Which::Index, number)?;
        let (Some(index), Some(values)) = (index, files.open(Which::Values, number)?) else {
            self.is_away(number, mark, of, files);
            return Ok(());
        };
        // The log goes on behind a flush of the files, which are others then.
        if index.len()? == 0 && !mark.is_some_and(Mark::knows_files) {
            self.is_away(number, mark, of, files);
            return Ok(());
        }
        if self.index(number, &index, of, files)? {
            let pages = of.pages.keys();
            self.held
                .extend(pages.flat_map(|&page| of.indices(page, files)));
            if !Canary::ValuesNotRedone.sings() {
                self.values(number, &values, of, files)?;
            }
        }
        let mut files = [Which::Index, Which::Values].into_iter();
        if known == 0 && files.any(|which| self.patches.contains_key(&(which, number))) {
            self.unknown.insert(number);
        }
        Ok(())
    }

    /// Nothing comes to a section as long as its files are away; a rewind may have dropped it meanwhile.
    fn is_away(&mut self, number: u64, mark: Option<&Mark>, of: &OfSection<'_>, files: &Files<'_>) {
        self.away.insert(number);
        if !mark.is_some_and(Mark::is_dropped) {
            let pages = of.pages.keys();
            self.lost
                .extend(pages.flat_map(|&page| of.indices(page, files)));
        }
    }

    /// Looks at the pages of an index file; whether the values may be looked at, too.
    fn index(
        &mut self,
        number: u64,
        index: &DataBlob,
        of: &OfSection<'_>,
        files: &Files<'_>,
    ) -> Result<bool> {
        // Below a mark nothing is changed; and what comes goes behind it, also where the file is shorter.
        let entries = (files.mark)(number).map_or(0, |mark| mark.records);
        let durable = entries.saturating_mul(files.entry_size as u64);
        let physical = (files.page_size + SLOTS_SIZE) as u64;
        let marked = durable.div_ceil(files.page_size.max(1) as u64);
        let len = index.len()?;
        let mut end = len.max(marked.saturating_mul(physical));
        let (mut patches, mut pages) = (Vec::new(), Vec::new());
        for (&page, growths) in &of.pages {
            let at = page.saturating_mul(physical);
            if at > end {
                // Nothing was written so far behind the end.
                self.incomplete.insert(number);
                return Ok(false);
            }
            let found = redo_page(index, page, growths, files.page_size, durable)?;
            if at < len || matches!(found, Found::Lacking(..)) {
                end = end.max(at.saturating_add(physical));
            }
            match found {
                Found::Lacking(page, more) if !more.is_empty() => {
                    patches.extend(more);
                    pages.push(page);
                }
                Found::Lacking(..) => {}
                Found::Damaged => {
                    self.incomplete.insert(number);
                    self.lost.extend(of.indices(page, files));
                }
                Found::Foreign => {
                    self.incomplete.insert(number);
                    return Ok(false);
                }
            }
        }
        self.add(Which::Index, number, patches);
        if !pages.is_empty() {
            self.pages.insert(number, pages);
        }
        Ok(true)
    }

    /// As for the pages. What is below the mark and behind the end of the file is not there to be changed.
    fn values(
        &mut self,
        number: u64,
        values: &DataBlob,
        of: &OfSection<'_>,
        files: &Files<'_>,
    ) -> Result<()> {
        let durable = (files.mark)(number).map_or(0, |mark| mark.value_bytes);
        let len = values.len()?;
        let (unchanged, mut end) = (len.min(durable), len.max(durable));
        let mut patches = Vec::new();
        for &(at, bytes) in &of.values {
            if at > end {
                self.incomplete.insert(number);
                break;
            }
            end = end.max(at.saturating_add(bytes.len() as u64));
            let known = unchanged.saturating_sub(at).min(bytes.len() as u64);
            let rest = bytes.get(known as usize..).unwrap_or_default();
            patches.extend(redo_values(values, at.saturating_add(known), rest)?);
        }
        self.add(Which::Values, number, patches);
        Ok(())
    }

    fn add(&mut self, which: Which, section: u64, patches: Vec<Patch>) {
        if !patches.is_empty() {
            self.patches.insert((which, section), patches);
        }
    }
}

impl Files<'_> {
    pub(super) fn partition(&self, which: Which) -> &str {
        match which {
            Which::Values => self.values,
            Which::Index => self.index,
        }
    }

    /// A file of a section, if it is there and its header, or what is known of it, tells where its data is.
    fn open(&self, which: Which, section: u64) -> Result<Option<DataBlob>> {
        let known = (self.mark)(section).map(|mark| mark.layouts);
        let known = match which {
            Which::Values => known.and_then(|of| of.values),
            Which::Index => known.and_then(|of| of.records),
        };
        let (partition, name) = (self.partition(which), section_name(section));
        let opened = DataBlob::open(
            self.storage,
            partition,
            &name,
            Access::Read,
            Layout::V1,
            known,
        );
        match opened {
            Ok(blob) if blob.is_hollow() => Ok(None),
            Err(Error::NotFound { .. }) => Ok(None),
            // It may be read another time, and is not to go on without what the log has.
            Err(error) if error.is_unreadable() => Err(error),
            Err(error) if error.is_corruption() => Ok(None),
            opened => opened.map(Some),
        }
    }
}

/// Values, where the file has others in their place, or none.
fn redo_values(blob: &DataBlob, at: u64, values: &[u8]) -> Result<Option<Patch>> {
    let there = blob.len()?.saturating_sub(at).min(values.len() as u64);
    let mut found = Vec::new();
    if there > 0 {
        let read = blob.read_into(&mut found, at, there as usize);
        read.map_err(|error| error.of_read(at))?;
    }
    Ok((found != values).then(|| Patch {
        at: at.saturating_add(blob.layout().header_size()),
        bytes: values.to_vec(),
    }))
}

/// What became of the growths of one page of an index file.
enum Found {
    /// It would be the first, and lacks the others for it.
    Lacking(Patch, Vec<Patch>),
    /// It does not check, and would not with them.
    Damaged,
    /// It checks, and is not the one that they are for.
    Foreign,
}

/// Lets one page grow in memory; `durable` bytes of the stream are not to be changed.
fn redo_page(
    blob: &DataBlob,
    page: u64,
    growths: &[PageGrowth<'_>],
    page_size: usize,
    durable: u64,
) -> Result<Found> {
    let physical = page_size + SLOTS_SIZE;
    let begin = page.saturating_mul(page_size as u64);
    let at = page.saturating_mul(physical as u64);
    let (mut raw, there) = read_page(blob, at, physical)?;
    let mut changed: Option<(usize, usize)> = None;
    for growth in growths {
        let (from, len) = (usize::from(growth.from), usize::from(growth.len()));
        let has = usize::from(page_len(&raw));
        let no = || match has {
            0 => Found::Damaged,
            _ => Found::Foreign,
        };
        if len > page_size || len == from {
            return Ok(Found::Foreign);
        }
        let known = has.min(len).saturating_sub(from);
        if raw[from..from + known] != growth.bytes[..known] {
            return Ok(no());
        }
        if has >= len && crc32c(&raw[..len]) == growth.crc {
            continue;
        }
        if begin.saturating_add(len as u64) <= durable {
            // It is damaged: it was durable as a whole.
            return Ok(no());
        }
        raw[from..len].copy_from_slice(growth.bytes);
        growth
            .slot
            .write(&mut raw[page_size..], growth.len(), growth.crc);
        if crc32c(&raw[..len]) != growth.crc {
            return Ok(no());
        }
        changed = Some(changed.map_or((from, len), |(a, b)| (a.min(from), b.max(len))));
    }
    // Whoever opens the file counts whole pages.
    let is_short = there < physical && matches!(PageState::of(&raw), PageState::Valid { .. });
    let at = at.saturating_add(blob.layout().header_size());
    let patch = |from: usize, to: usize| Patch {
        at: at.saturating_add(from as u64),
        bytes: raw[from..to].to_vec(),
    };
    let mut patches = Vec::new();
    if let Some((from, to)) = changed {
        patches.push(patch(from, to));
    }
    if changed.is_some() || is_short {
        // What lies between, and is not there, is zeros then.
        patches.push(patch(page_size, physical));
    }
    Ok(Found::Lacking(Patch { at, bytes: raw }, patches))
}

/// A page with its slots, and how much of it the file has; zeros take the place of the rest.
fn read_page(blob: &DataBlob, at: u64, physical: usize) -> Result<(Vec<u8>, usize)> {
    let there = blob.len()?.saturating_sub(at).min(physical as u64);
    let mut raw = Vec::new();
    if there > 0 {
        let read = blob.read_into(&mut raw, at, there as usize);
        read.map_err(|error| error.of_read(at))?;
    }
    raw.resize(physical, 0);
    Ok((raw, there as usize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Slot;
    use crate::storage::Memory;

    /// A log can say so under a right checksum, of a section that has no files.
    #[test]
    fn a_page_at_the_end_of_u64_has_no_index() {
        let storage = Memory::new();
        let files = Files {
            storage: &storage,
            index: "index",
            values: "values",
            page_size: 100,
            entry_size: 23,
            floor: 0,
            mark: &|_| None,
        };
        let page = u64::MAX / 100;
        let growth = PageGrowth {
            page,
            from: 0,
            bytes: &[1; 100],
            crc: 0,
            slot: Slot::First,
        };
        let mut of = OfSection::default();
        of.pages.insert(page, vec![growth]);
        let mut redo = Redo::default();
        redo.section(0, &of, &files).unwrap();
        assert!(redo.away.contains(&0) && redo.lost.is_empty());
    }
}
