//! What the look-ups of many items are going to read, read ahead of them: all at once, step by step.
//!
//! ```text
//! pages of key tables     of all keys
//!                                    then, for up to 1,024 items at a time
//! pages of index files    each once, into the page cache
//! values                  up to 4 MiB of them
//!                                    then each item is looked for as any other
//! ```
//!
//! The look-ups find the pages in their caches, and are handed the values. Nothing of this decides what is found: a
//! value is only used where the entry that the look-up came to names these bytes of that file, and its checksum is
//! checked then. What could not be read, or is elsewhere by now, the look-up reads itself, and tells what is wrong.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Value, Wanted};
use crate::archive::entry::{EntryBuf, ValueAhead};
use crate::archive::lookup::By;
use crate::archive::section::Section;
use crate::archive::shared::Shared;
use crate::archive::tables::TablePage;
use crate::error::Result;
use crate::index::Candidates;
use crate::storage::{DataBlob, Read};
use crate::sync::atomic::Ordering;

/// Fewer ids are looked for one after the other.
const LEAST: usize = 4;
/// Of so many ids one is looked at, whether it is in memory.
const SAMPLE: usize = 8;
const MAX_SAMPLES: usize = 16;
/// A look-up that took longer has waited for a disk, or was of a value so long that the look does not matter.
const IN_MEMORY: Duration = Duration::from_micros(10);
/// Ids of one thread, at the least: one thread keeps a disk busy, but not with what comes between.
pub(super) const PER_THREAD: usize = 1024;
/// Items, and sections, whose entries are read at once, at most: so many files are open at a time.
const ITEMS: usize = 1024;
const SECTIONS: usize = 32;
/// Bytes of values that are read at once, but for the last of them.
const VALUE_BYTES: u64 = 4 << 20;

/// A read that is made ahead, of what `of` says.
struct Ahead<T> {
    blob: Arc<DataBlob>,
    offset: u64,
    len: usize,
    of: T,
}

/// Where an item is expected.
type Place = Option<(Arc<Section>, u64)>;

impl Shared {
    /// What `find` finds, which is told whether to read ahead: where the storage reads at once, and what these ids
    /// need is not all in memory. A sample of them tells; it costs a system call for each, so that it is only taken
    /// when the call before took as long as if it had waited.
    pub(super) fn find_at_once<T>(&self, ids: &[By<'_>], find: impl FnOnce(bool) -> T) -> T {
        if ids.len() < LEAST || !self.storage.reads_at_once() {
            return find(false);
        }
        let started = Instant::now();
        let ahead = self.waits.load(Ordering::Relaxed) && !self.are_in_memory(ids);
        let found = find(ahead);
        let in_memory = IN_MEMORY.saturating_mul(u32::try_from(ids.len()).unwrap_or(u32::MAX));
        let waits = ahead || started.elapsed() > in_memory;
        if waits != self.waits.load(Ordering::Relaxed) {
            self.waits.store(waits, Ordering::Relaxed);
        }
        found
    }

    /// Whether all that a sample of these ids needs is in memory.
    fn are_in_memory(&self, ids: &[By<'_>]) -> bool {
        let samples = (ids.len() / SAMPLE).clamp(1, MAX_SAMPLES);
        let step = ids.len() / samples;
        // Of the middle of each part: ids that come in order begin with what was read last.
        let mut samples = ids.iter().skip(step / 2).step_by(step);
        samples.all(|&id| self.is_in_memory(id))
    }

    /// Whether all that a look-up needs is in memory, as far as it is known what that is.
    fn is_in_memory(&self, id: By<'_>) -> bool {
        if let By::Key(key) = id {
            let pages = self.table_pages_of(key);
            let is_there = |(table, page): &TablePage| {
                let Read { blob, offset, len } = table.read_of(*page);
                blob.is_in_memory(offset, len)
            };
            // Where the entry stands, nobody knows yet.
            if !pages.is_empty() {
                return pages.iter().all(is_there);
            }
        }
        let (number, position) = self.place(id);
        match (self.open_section(number), position, id) {
            (Some(section), Some(position), _) => self.is_item_in_memory(&section, position),
            (Some(_), None, _) | (None, None, By::Key(_)) => true,
            // There is none, or it is at rest.
            (None, _, _) => !self.sections.contains(number),
        }
    }

    fn is_item_in_memory(&self, section: &Section, position: u64) -> bool {
        let mut entry = EntryBuf::new(self.entry);
        let records = &section.pair.records;
        if !records.peek(position, entry.bytes_mut()) {
            return records.pages_ahead(position).all(|page| {
                let look = |blob: &DataBlob| Ok(blob.is_in_memory(page.offset, page.len));
                records.file().with(look).unwrap_or(true)
            });
        }
        let (offset, size) = entry.location();
        let values = &section.pair.values;
        let look = |blob: &DataBlob| Ok(blob.is_in_memory(offset, size as usize));
        !values.is_settled(offset, size) || values.file().with(look).unwrap_or(true)
    }

    /// The pages of tables that a look for a key is going to read.
    fn table_pages_of(&self, key: &[u8]) -> Vec<TablePage> {
        let translated = self.translator.translate(key);
        let mut candidates = Candidates::default();
        self.keys.lookup(translated, &mut candidates);
        match candidates.is_empty() {
            true => self.table_pages_ahead(translated),
            false => Vec::new(),
        }
    }

    /// Reads what [`place`](Self::place) needs to know where items stand.
    pub(super) fn know_places(&self, ids: &[By<'_>]) {
        for part in ids.chunks(ITEMS) {
            let mut pages = Vec::new();
            for &id in part {
                match id {
                    By::Key(key) => pages.extend(self.table_pages_of(key)),
                    By::Index(index) if index >= self.floor() => {
                        let _ = self.section(self.number_of(index));
                    }
                    By::Index(_) => {}
                }
            }
            pages.sort_unstable_by_key(|(table, page)| (table.number(), *page));
            pages.dedup_by_key(|(table, page)| (table.number(), *page));
            let reads: Vec<Read<'_>> = pages
                .iter()
                .map(|(table, page)| table.read_of(*page))
                .collect();
            for ((table, page), read) in pages.iter().zip(self.storage.read_many(&reads)) {
                if let Ok(bytes) = read {
                    table.take_in(*page, bytes);
                }
            }
        }
    }

    /// Looks for items, in the order of their places, whose entries and values are read ahead.
    pub(super) fn find_ahead(&self, part: &[Wanted<'_>]) -> Result<Vec<Value>> {
        let mut found = Vec::with_capacity(part.len());
        let mut entry = EntryBuf::new(self.entry);
        let mut rest = part;
        while !rest.is_empty() {
            let places = self.places_of(rest);
            let (now, later) = rest.split_at(places.len());
            self.read_entries(&places, &mut entry);
            let mut done = 0;
            while let Some((now, places)) = now.get(done..).zip(places.get(done..))
                && !now.is_empty()
            {
                let values = self.read_values(now, places, &mut entry);
                for (wanted, value) in now.iter().zip(values) {
                    entry.set_ahead(value);
                    found.push((wanted.at, self.get(wanted.id, &mut entry)?));
                    done += 1;
                }
            }
            rest = later;
        }
        Ok(found)
    }

    /// Where the first of these items are expected.
    fn places_of(&self, items: &[Wanted<'_>]) -> Vec<Place> {
        let mut places: Vec<Place> = Vec::new();
        // No more of their files than the set may have open.
        let mut sections = SECTIONS.min(self.files.capacity()) + 1;
        let mut last: Option<Arc<Section>> = None;
        for &Wanted { place, .. } in items.iter().take(ITEMS) {
            let (number, position) = place;
            if last.as_ref().is_none_or(|last| last.number != number) {
                sections -= 1;
                if sections == 0 {
                    break;
                }
                last = self.section(number).ok().flatten();
            }
            places.push(last.clone().zip(position));
        }
        places
    }

    /// Reads the pages of index files that are not in memory into the cache.
    fn read_entries(&self, places: &[Place], entry: &mut EntryBuf) {
        let mut ahead = Vec::new();
        let mut last = None;
        for (section, position) in places.iter().flatten() {
            let records = &section.pair.records;
            if records.peek(*position, entry.bytes_mut()) {
                continue;
            }
            let Ok(blob) = records.file().get() else {
                continue;
            };
            for page in records.pages_ahead(*position) {
                // They come in order: what is not behind the last is that of an item before.
                let place = Some((section.number, page.page));
                if last < place {
                    last = place;
                    let (blob, offset, len) = (Arc::clone(&blob), page.offset, page.len);
                    let of = (records, page);
                    ahead.push(Ahead {
                        blob,
                        offset,
                        len,
                        of,
                    });
                }
            }
        }
        self.read_all(ahead, |(records, page), bytes| {
            records.take_in(&page, &bytes)
        });
    }

    /// Reads the values of the first of these items, as far as their entries are in memory.
    fn read_values(
        &self,
        items: &[Wanted<'_>],
        places: &[Place],
        entry: &mut EntryBuf,
    ) -> Vec<Option<ValueAhead>> {
        let (mut ahead, mut bytes) = (Vec::new(), 0);
        let mut values = Vec::new();
        for (wanted, place) in items.iter().zip(places) {
            if bytes >= VALUE_BYTES {
                break;
            }
            let place = place.as_ref();
            let value =
                place.and_then(|place| self.value_of(wanted.id, place, values.len(), entry));
            bytes += value.as_ref().map_or(0, |value| value.len as u64);
            ahead.extend(value);
            values.push(None);
        }
        self.read_all(ahead, |(nth, file, offset), bytes| {
            if let Some(value) = values.get_mut(nth) {
                *value = Some(ValueAhead {
                    file,
                    offset,
                    bytes,
                });
            }
        });
        values
    }

    /// The read of an item's value, if its entry is in memory and is that of the id.
    fn value_of(
        &self,
        id: By<'_>,
        (section, position): &(Arc<Section>, u64),
        nth: usize,
        entry: &mut EntryBuf,
    ) -> Option<Ahead<(usize, u64, u64)>> {
        let values = &section.pair.values;
        let is_there = section.pair.records.peek(*position, entry.bytes_mut());
        let is_it = match id {
            By::Index(index) => entry.index() == index,
            By::Key(key) => entry.key() == key,
        };
        let (offset, size) = section.value_place(entry, self.max_value_size).ok()?;
        if !is_there || !is_it || !values.is_settled(offset, size) {
            return None;
        }
        Some(Ahead {
            blob: values.file().get().ok()?,
            offset,
            len: size as usize,
            of: (nth, values.file().id(), offset),
        })
    }

    /// Makes the reads at once, and hands over what they have read.
    fn read_all<T>(&self, ahead: Vec<Ahead<T>>, mut on: impl FnMut(T, Vec<u8>)) {
        let reads: Vec<_> = ahead
            .iter()
            .map(|of| of.blob.read_of(of.offset, of.len))
            .collect();
        let read = self.storage.read_many(&reads);
        for (ahead, read) in ahead.into_iter().zip(read) {
            if let Ok(bytes) = read {
                on(ahead.of, bytes);
            }
        }
    }
}
