//! What the writer does beside puts: marks of what is durable, and the removal of pruned keys.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::section::Section;
use super::shared::Shared;
use super::writer::Writer;
use crate::canary::Canary;
use crate::error::{Error, Result};
use crate::format::Layouts;
use crate::index::{GatheredRuns, Runs, RunsInPieces};
use crate::journal::Pair;
use crate::manifest::{Fingerprint, Manifest, Mark, PARTITION};
use crate::storage::{DataBlob, SECTOR_BYTES, Storage, read_around};
use crate::sync::atomic::Ordering;

/// So many syncs may pass before the marks of what they made durable are durable too.
const SYNCS_PER_FLUSH: u32 = 16;
/// Bytes that are written again with one call.
const REWRITE_BYTES: u64 = 1 << 20;
/// Shards of the key index that one put, and one sync, clean while a sweep is under way.
const SHARDS_PER_PUT: usize = 4;
const SHARDS_PER_SYNC: usize = 256;
/// An index of at most so many keys is cleaned at once.
const SMALL_INDEX: usize = 1 << 22;

/// What was synced since the last marks.
#[derive(Debug, Default)]
pub(super) struct Unmarked {
    /// The sections, and which indices came to each.
    sections: BTreeMap<u64, GatheredRuns>,
    pub(super) rolled: bool,
    syncs: u32,
}

impl Unmarked {
    /// Notes indices that came to a section.
    pub(super) fn add(&mut self, section: u64, runs: &[(u64, u64)]) {
        let of_section = self.sections.entry(section).or_default();
        for &(first, last) in runs {
            of_section.add(first, last);
        }
    }

    /// Whether everything that is durable is marked.
    pub(super) fn is_empty(&self) -> bool {
        self.sections.is_empty()
    }

    /// The section is gone.
    pub(super) fn forget(&mut self, section: u64) {
        self.sections.remove(&section);
    }
}

/// What is said of a file that could not be read at the open.
pub(super) const BACK: &str =
    "it could not be read when the archive was opened, and can now; open the archive again";

impl Writer {
    /// Marks what a sync has made durable. The marks are flushed on a section's roll and every few syncs:
    /// the end of the process alone takes none of them.
    pub(super) fn mark_sync(&mut self) -> Result<()> {
        self.unmarked.syncs += 1;
        self.mark_synced()?;
        if self.unmarked.rolled || self.unmarked.syncs >= SYNCS_PER_FLUSH {
            self.marks.flush()?;
            self.unmarked.rolled = false;
            self.unmarked.syncs = 0;
        }
        Ok(())
    }

    /// Marks what is durable now, and damage that was found.
    pub(super) fn mark_synced(&mut self) -> Result<()> {
        self.mark_damage()?;
        self.forget_current();
        let sections = std::mem::take(&mut self.unmarked.sections);
        let (dirty, clean): (BTreeMap<_, _>, BTreeMap<_, _>) = sections
            .into_iter()
            .partition(|(number, _)| self.dirty.contains(number));
        let (mut marks, mut marked) = (Vec::new(), Vec::new());
        for (number, runs) in clean {
            if let Some(section) = self.shared.open_section(number) {
                marks.push((number, self.mark(&section, runs.into_runs())));
                marked.push(section);
            }
        }
        self.marks.mark(marks)?;
        for section in marked {
            section.foreign.is_marked();
            self.keeper.note(&section);
        }
        // A section that was put to again stays unmarked until it is synced.
        self.unmarked.sections = dirty;
        Ok(())
    }

    /// Marks damage that was found since the last time; no call of the storage where there is none.
    pub(super) fn mark_damage(&mut self) -> Result<()> {
        if self.shared.damage.read().unmarked.is_empty() {
            return Ok(());
        }
        // Or the mark of a section that was woken before would lack what others have of it.
        self.look()?;
        let sections = std::mem::take(&mut self.shared.damage.write().unmarked);
        for number in sections {
            if let Some(section) = self.shared.open_section(number) {
                let found = section.take_unmarked_damage();
                let found = found.into_iter().map(|(at, index)| (number, at, index));
                self.marks.damage(&found.collect::<Vec<_>>())?;
                if self.is_worse_than_marked(&section) {
                    self.unmarked.add(number, &[]);
                }
            }
        }
        Ok(())
    }

    /// Forgets the damage of positions that were lost with the end of their section: other items
    /// will get them.
    pub(super) fn forget_lost_positions(&mut self) -> Result<()> {
        let shared = &self.shared;
        let is_lost = |&(number, position, _): &(u64, u64, u64)| {
            let section = shared.open_section(number);
            section.is_some_and(|section| position >= section.pair.records.next_position())
        };
        if !self.marks.marks().damaged.iter().any(is_lost) {
            return Ok(());
        }
        self.marks
            .rewrite(|marks| marks.damaged.retain(|damage| !is_lost(damage)))
    }

    /// A section is about to be created. Where one was lost whose files are there again, they would be replaced.
    pub(super) fn check_still_lost(&self, number: u64) -> Result<()> {
        let mark = self.marks.marks().of(number);
        if mark.is_none_or(|mark| mark.records == 0) {
            return Ok(());
        }
        let (records, values) = self.shared.files_of(number, Layouts::default());
        for file in [records, values] {
            if !self.shared.is_gone(&file)? {
                return Err(Error::Damaged {
                    path: file.path(),
                    offset: 0,
                    reason: BACK.to_owned(),
                });
            }
        }
        Ok(())
    }

    /// A section is about to be created. Where one was lost, the marks still know that one's samples and
    /// damage, which mean nothing in the new one. The indices that it held stay lost until they are put.
    pub(super) fn forget_lost_files(&mut self, number: u64) -> Result<()> {
        let marks = self.marks.marks();
        let mark = marks.of(number);
        if !mark.is_some_and(Mark::knows_files) && marks.damaged_in(number).next().is_none() {
            return Ok(());
        }
        self.marks.rewrite(|marks| {
            marks.damaged.retain(|&(section, _, _)| section != number);
            if let Some(mark) = marks.sections.get_mut(&number) {
                let mark = Arc::make_mut(mark);
                mark.fingerprint = Fingerprint::default();
                mark.epoch = 0;
            }
        })
    }

    /// Writes again, flushes and marks what the last open read beyond the marks: it may be in the
    /// system's memory alone, left there by a process that was killed. Where a flush of that process
    /// failed, the system takes those pages for clean, and only a write makes it try again.
    pub(super) fn mark_loaded(&mut self) -> Result<()> {
        let marked = |section: &Section| {
            let mark = self.marks.marks().of(section.number);
            // Of what took the place of lost files nothing is known durable.
            let mark = mark.filter(|mark| mark.knows_files());
            mark.map_or((0, 0), |mark| (mark.records, mark.value_bytes))
        };
        let lens = |section: &Section| (self.entries(section), section.pair.values.len());
        let mut sections = self.shared.sections.all_open();
        let is_stale =
            |section: &Section| section.foreign.is_stale() || self.is_of_past_life(section);
        sections.retain(|section| is_stale(section) || lens(section) != marked(section));
        if sections.is_empty() {
            return self.mark_known(false);
        }
        let is_stale = sections.iter().any(|section| is_stale(section));
        for section in &sections {
            if !Canary::LoadedNotFlushed.sings() {
                rewrite_section(section, marked(section))?;
            }
            let runs = self.shared.known_indices(section.number);
            let runs = GatheredRuns::from(&runs);
            self.unmarked.sections.insert(section.number, runs);
        }
        self.mark_known(is_stale)
    }

    /// Marks what an open found. Behind damage the section goes on only as long as its mark says so:
    /// were that lost in a crash, what was synced behind it would be cut as a torn end.
    /// So it is where the old marks would take for foreign what is put. Marks that a crash tore are
    /// whole again at once, or every reader would tell of it until something is put.
    fn mark_known(&mut self, is_stale: bool) -> Result<()> {
        self.mark_synced()?;
        let has_damage = self.shared.has_damage.load(Ordering::Acquire);
        match is_stale || has_damage || !self.marks.is_whole() {
            true => self.marks.settle(),
            false => self.marks.flush(),
        }
    }

    /// Whether the marks are of another life of the section: what claims its entries of then must not be
    /// believed again after a crash.
    fn is_of_past_life(&self, section: &Section) -> bool {
        let mark = self.marks.marks().of(section.number);
        mark.is_some_and(|mark| mark.epoch != 0 && mark.epoch != section.epoch)
    }

    /// The mark of a section whose every byte is durable. What is damaged was durable too.
    pub(super) fn mark_of(&self, section: &Section) -> Mark {
        self.mark(section, self.shared.known_indices(section.number))
    }

    /// How many entries a section has. A page at its end that is damaged, or away, is not known to have been full.
    fn entries(&self, section: &Section) -> u64 {
        let records = &section.pair.records;
        let marked = self.marks.marks().of(section.number);
        match marked.filter(|_| records.ends_damaged()) {
            Some(mark) => records.len().min(mark.records),
            None => records.len(),
        }
    }

    fn mark(&self, section: &Section, runs: Runs) -> Mark {
        Mark {
            records: self.entries(section),
            value_bytes: section.pair.values.len(),
            layouts: section.pair.layouts(),
            epoch: self.epoch_to_mark(section),
            fingerprint: self.fingerprint(section),
            runs,
        }
    }
}

impl Writer {
    /// Whether the marks let a section rest of which something is damaged.
    fn is_worse_than_marked(&self, section: &Section) -> bool {
        let mark = self.marks.marks().of(section.number);
        let marked = mark.map_or(0, |mark| mark.epoch);
        marked != 0 && marked != self.epoch_to_mark(section)
    }

    /// Which life of a section its mark tells of; none where something of it is damaged or doubtful.
    fn epoch_to_mark(&self, section: &Section) -> u64 {
        let last = section
            .number
            .saturating_add(self.shared.items_per_section - 1);
        let damage = self.shared.damage.read();
        let lost = damage.indices.at_or_after(section.number);
        let is_whole = section.is_sound() && lost.is_none_or(|index| index > last);
        if is_whole { section.epoch } else { 0 }
    }
}

impl Shared {
    /// The indices of a section that are stored or lost.
    pub(super) fn known_indices(&self, section: u64) -> Runs {
        let last = section.saturating_add(self.items_per_section - 1);
        let mut known = Runs::default();
        let mut add = |runs: &mut dyn Iterator<Item = (u64, u64)>| {
            let runs = runs.take_while(|&(first, _)| first <= last);
            runs.for_each(|(first, end)| known.insert_run(first.max(section), end.min(last)));
        };
        add(&mut RunsInPieces::new(&self.runs, section));
        let damage = self.damage.read();
        let lost = damage.indices.ranges_from(section);
        add(&mut lost.map(RangeInclusive::into_inner));
        known
    }
}

/// Makes what a section has beyond so many records and bytes of values durable.
pub(super) fn rewrite_section(section: &Section, (records, value_bytes): (u64, u64)) -> Result<()> {
    let Pair {
        records: of_records,
        values,
        ..
    } = &section.pair;
    rewrite_from(&*values.file().get()?, value_bytes, u64::MAX)?;
    let grows = match of_records.ends_damaged() {
        true => u64::MAX,
        false => of_records.page_of(of_records.len())?,
    };
    let page = of_records.page_of(records)?;
    rewrite_from(&*of_records.file().get()?, page, grows)
}

/// Makes the bytes of a file from an offset on durable, also where an earlier flush of them failed.
///
/// # Errors
/// Where the disk cannot read what is to grow, from an offset on: what is put behind it would be lost with it. It was read
/// just now; an open that finds it so goes on elsewhere.
fn rewrite_from(blob: &DataBlob, from: u64, grows: u64) -> Result<()> {
    let (mut at, end) = (from, blob.len()?);
    let mut bytes = Vec::new();
    let mut is_end_done = at >= end;
    loop {
        // A hole of any size costs nothing.
        at = blob.next_written(at)?;
        if at >= end {
            break;
        }
        let len = (end - at).min(REWRITE_BYTES);
        bytes.clear();
        let end_of_piece = at + len;
        let read = |buf: &mut Vec<u8>, at, len| blob.read_into(buf, at, len);
        let (mut bad, mut failed) = (Vec::new(), Ok(()));
        let range = at..end_of_piece;
        read_around(&read, &mut bytes, range, SECTOR_BYTES, &mut |gap, error| {
            bad.push((gap.start, gap.end));
            if gap.end > grows {
                failed = Err(error);
            }
        })?;
        failed?;
        // What the disk cannot read nobody has seen, and it stays as it is.
        bad.push((end_of_piece, end_of_piece));
        let mut from = at;
        for (gap, behind) in bad {
            let piece = bytes.get((from - at) as usize..(gap - at) as usize);
            let is_written = write_again(blob, from, piece.unwrap_or_default())?;
            is_end_done |= gap == end && is_written || gap < end && behind == end;
            from = behind;
        }
        at += len;
    }
    if !is_end_done {
        // The length may be in the system's memory alone, too.
        blob.write_at(&[IoSlice::new(&[0])], end - 1)?;
    }
    blob.sync()
}

/// Writes bytes where they are, and says whether it did. Zeros are what a file has where nothing was written: a hole
/// stays one.
fn write_again(blob: &DataBlob, at: u64, bytes: &[u8]) -> Result<bool> {
    let has_bytes = bytes.iter().any(|&byte| byte != 0);
    if has_bytes {
        blob.write_at(&[IoSlice::new(bytes)], at)?;
    }
    Ok(has_bytes)
}

/// Makes the names in the folders of an archive durable: the process that made them may have been
/// killed, or its flush have failed, before they were.
pub(super) fn settle_names(storage: &dyn Storage, manifest: &Manifest) -> Result<()> {
    let (index, values) = (&manifest.index_partition, &manifest.value_partition);
    for partition in [PARTITION, values, index] {
        match storage.sync_partition(partition) {
            Err(Error::NotFound { .. }) => {}
            other => other?,
        }
    }
    Ok(())
}

/// The removal of pruned keys from the key index, shard after shard. Locations of pruned sections
/// are given out again only when no key points to them any more.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    under_way: Option<Pass>,
}

/// One pass over all shards.
#[derive(Clone, Copy, Debug)]
struct Pass {
    next_shard: usize,
    /// What was released before it began is not pointed to when it ends.
    released: u64,
}

impl Sweep {
    /// Sections were released: their keys are to go.
    pub(super) fn start(&mut self, shared: &Shared) {
        self.under_way.get_or_insert(Pass {
            next_shard: 0,
            released: shared.locations.released(),
        });
        while shared.keys.len() <= SMALL_INDEX && self.under_way.is_some() {
            self.step(shared, SHARDS_PER_SYNC);
        }
    }

    /// What a put does for it.
    #[inline]
    pub(super) fn step_at_put(&mut self, shared: &Shared) {
        self.step(shared, SHARDS_PER_PUT);
    }

    /// What a sync does for it.
    pub(super) fn step_at_sync(&mut self, shared: &Shared) {
        self.step(shared, SHARDS_PER_SYNC);
    }

    /// Cleans a few shards, if a sweep is under way.
    #[inline]
    fn step(&mut self, shared: &Shared, shards: usize) {
        if let Some(pass) = self.under_way {
            self.clean(shared, pass, shards);
        }
    }

    fn clean(&mut self, shared: &Shared, mut pass: Pass, shards: usize) {
        let end = shared.keys.shards().min(pass.next_shard + shards);
        let is_live = |location| shared.locations.resolve(location).is_some();
        for shard in pass.next_shard..end {
            let removed = shared.keys.retain_shard(shard, &is_live);
            shared
                .counters
                .pruned
                .fetch_add(removed as u64, Ordering::Relaxed);
        }
        pass.next_shard = end;
        self.under_way = Some(pass);
        if end == shared.keys.shards() {
            self.end(shared, pass.released);
        }
    }

    /// What was released while the pass was under way needs another.
    fn end(&mut self, shared: &Shared, released: u64) {
        shared.locations.reclaim_to(released);
        let since = shared.locations.released();
        self.under_way = (since != released).then_some(Pass {
            next_shard: 0,
            released: since,
        });
    }
}
