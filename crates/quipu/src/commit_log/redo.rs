//! From the records of a log to what section files lack.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IoSlice;
use std::ops::Range;

use super::record::{Part, Records};
use crate::canary::Canary;
use crate::error::{Error, Result};
use crate::format::{Layout, Layouts, PageState, SLOTS_SIZE, crc32c, section_name};
use crate::paged::PageGrowth;
use crate::storage::{Access, DataBlob, OpenMode, Storage};

/// Where the section files are, and what is known of them.
pub(crate) struct Files<'a> {
    pub(crate) storage: &'a dyn Storage,
    pub(crate) index: &'a str,
    pub(crate) values: &'a str,
    pub(crate) page_size: usize,
    /// Sections below are pruned.
    pub(crate) floor: u64,
    /// The headers that a section's files are known to have.
    pub(crate) layouts: &'a dyn Fn(u64) -> Layouts,
}

/// A file of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Which {
    Values,
    Index,
}

/// Bytes that a file lacks, and where in the blob they go.
#[derive(Clone, Debug)]
pub(super) struct Patch {
    pub(super) at: u64,
    pub(super) bytes: Vec<u8>,
}

/// What section files lack of a log.
#[derive(Debug, Default)]
pub(crate) struct Redo {
    pub(super) patches: BTreeMap<(Which, u64), Vec<Patch>>,
    /// Sections of which a file is away, or has no header that could be read.
    pub(crate) away: BTreeSet<u64>,
    /// Sections whose files are not those that the log was written for.
    pub(crate) foreign: BTreeSet<u64>,
}

/// The pages of one index file, as they are and as they are to be.
struct Pages {
    blob: DataBlob,
    pages: BTreeMap<u64, Page>,
}

#[derive(Default)]
struct Page {
    raw: Vec<u8>,
    /// What of it differs from the file.
    changed: Option<Range<usize>>,
}

impl Redo {
    /// Compares; changes nothing.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub(crate) fn find(records: &Records, files: &Files<'_>) -> Result<Self> {
        let mut redo = Self::default();
        let mut index_files = BTreeMap::new();
        for part in records.parts() {
            let section = part.section;
            let is_left_out = redo.away.contains(&section) || redo.foreign.contains(&section);
            if section < files.floor || is_left_out {
                continue;
            }
            let pages = match index_files.entry(section) {
                std::collections::btree_map::Entry::Occupied(of) => of.into_mut(),
                std::collections::btree_map::Entry::Vacant(free) => {
                    match files.open(Which::Index, section)? {
                        Some(blob) => free.insert(Pages {
                            blob,
                            pages: BTreeMap::new(),
                        }),
                        None => {
                            redo.away.insert(section);
                            continue;
                        }
                    }
                }
            };
            if pages.grow(&part.pages, files.page_size)? {
                redo.values(&part, files)?;
            } else {
                redo.foreign.insert(section);
            }
        }
        for (section, pages) in index_files {
            redo.add(Which::Index, section, pages.patches(files.page_size));
        }
        Ok(redo)
    }

    /// Whether the files have all.
    pub(crate) fn is_empty(&self) -> bool {
        self.patches.is_empty()
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

    fn add(&mut self, which: Which, section: u64, patches: Vec<Patch>) {
        if !patches.is_empty() {
            self.patches
                .entry((which, section))
                .or_default()
                .extend(patches);
        }
    }

    /// The values of a part, where the file has others in their place, or none.
    fn values(&mut self, part: &Part<'_>, files: &Files<'_>) -> Result<()> {
        if part.values.is_empty() || Canary::ValuesNotRedone.sings() {
            return Ok(());
        }
        let Some(blob) = files.open(Which::Values, part.section)? else {
            self.away.insert(part.section);
            return Ok(());
        };
        let end = blob.len()?;
        let there = end
            .saturating_sub(part.value_offset)
            .min(part.values.len() as u64);
        let mut found = Vec::new();
        blob.read_into(&mut found, part.value_offset.min(end), there as usize)?;
        if found != part.values {
            let at = part
                .value_offset
                .saturating_add(blob.layout().header_size());
            let bytes = part.values.to_vec();
            self.add(Which::Values, part.section, vec![Patch { at, bytes }]);
        }
        Ok(())
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
        let known = (self.layouts)(section);
        let known = match which {
            Which::Values => known.values,
            Which::Index => known.records,
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
            Err(error) if error.is_corruption() => Ok(None),
            opened => opened.map(Some),
        }
    }
}

impl Pages {
    /// Lets pages grow; false, and nothing changed, where one would not check then.
    fn grow(&mut self, growths: &[PageGrowth<'_>], page_size: usize) -> Result<bool> {
        let mut grown = Vec::new();
        for growth in growths {
            let (raw, there) = match self.pages.get(&growth.page) {
                Some(page) => (page.raw.clone(), page.raw.len()),
                None => read_page(&self.blob, growth.page, page_size)?,
            };
            match grow(raw, there, growth, page_size) {
                Some(page) => grown.push((growth.page, page)),
                None => return Ok(false),
            }
        }
        for (number, Page { raw, changed }) in grown {
            let page = self.pages.entry(number).or_default();
            page.raw = raw;
            page.changed = match (page.changed.take(), changed) {
                (Some(old), Some(new)) => Some(old.start.min(new.start)..old.end.max(new.end)),
                (old, new) => old.or(new),
            };
        }
        Ok(true)
    }

    fn patches(self, page_size: usize) -> Vec<Patch> {
        let header = self.blob.layout().header_size();
        let physical = (page_size + SLOTS_SIZE) as u64;
        let patches = self.pages.into_iter().filter_map(|(number, page)| {
            let changed = page.changed?;
            let at = number.saturating_mul(physical).saturating_add(header);
            Some(Patch {
                at: at.saturating_add(changed.start as u64),
                bytes: page.raw[changed].to_vec(),
            })
        });
        patches.collect()
    }
}

/// A page with its slots, and how much of it the file has; zeros take the place of the rest.
fn read_page(blob: &DataBlob, page: u64, page_size: usize) -> Result<(Vec<u8>, usize)> {
    let physical = page_size + SLOTS_SIZE;
    let at = page.saturating_mul(physical as u64);
    let there = blob.len()?.saturating_sub(at).min(physical as u64);
    let mut raw = Vec::new();
    if there > 0 {
        blob.read_into(&mut raw, at, there as usize)?;
    }
    raw.resize(physical, 0);
    Ok((raw, there as usize))
}

/// The page with a growth, of which the file has the first `there` bytes; none where it would not check.
fn grow(mut raw: Vec<u8>, there: usize, growth: &PageGrowth<'_>, page_size: usize) -> Option<Page> {
    let (from, len) = (usize::from(growth.from), usize::from(growth.len()));
    if len > page_size || len == 0 {
        return None;
    }
    let has = match PageState::of(&raw) {
        PageState::Valid { len, .. } => usize::from(len),
        PageState::Invalid { .. } => 0,
    };
    let known = has.min(len).saturating_sub(from);
    if raw[from..from + known] != growth.bytes[..known] {
        // Nothing that is committed is changed.
        return None;
    }
    if has >= len && crc32c(&raw[..len]) == growth.crc {
        // Whoever opens the file counts whole pages.
        let changed = (there < raw.len()).then_some(there..raw.len());
        return Some(Page { raw, changed });
    }
    raw[from..len].copy_from_slice(growth.bytes);
    growth
        .slot
        .write(&mut raw[page_size..], growth.len(), growth.crc);
    let checks = crc32c(&raw[..len]) == growth.crc;
    let changed = Some(from.min(there)..raw.len());
    checks.then_some(Page { raw, changed })
}
