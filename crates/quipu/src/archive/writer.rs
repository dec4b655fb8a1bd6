//! The writer: what `put` and `sync` do.
//!
//! A put copies the value into its section's value buffer and the entry into its index buffer,
//! and publishes both in memory. Entries reach the index file only in [`Pair::sync`], after the
//! values they point to are durable (D3); when too many entries wait, the writer syncs their
//! section on its own. The first failed write or flush poisons the writer: what the system did
//! with the pages it could not write is unknown, so no later flush can be believed.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::compression::Compressor;
use super::current::{Appended, Current, Spare};
use super::one_writer::{self, BeforeCuts};
use super::options::Options;
use super::prepare::Ahead;
use super::section::Section;
use super::shared::Shared;
use super::stats::Durations;
use super::tables::Keeper;
use super::upkeep::{Sweep, Unmarked};
use crate::canary::Canary;
use crate::commit_log::CommitLog;
use crate::error::{Error, Result};
use crate::format::MAX_VALUE_SIZE;
use crate::manifest::{Manifest, MarksLog};
use crate::storage::{Lock, Reserve};
use crate::sync::atomic::Ordering;

/// Bytes of entries that wait for a sync before the writer makes one of its own.
const MAX_WAITING_ENTRIES: usize = 4 << 20;

/// Items of a batch that readers learn of at once.
const BATCH_ITEMS: usize = 512;

/// What a put did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a put does nothing where the index is taken, and says so here"]
pub enum Put {
    /// The item is stored.
    Stored,
    /// The index was taken; nothing changed.
    Exists,
}

/// The one writer of an archive.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) manifest: Manifest,
    /// These have the manifest, until the [look](super::look) at the lengths is made.
    pub(super) cuts: Option<BeforeCuts>,
    pub(super) marks: MarksLog,
    pub(super) log: CommitLog,
    /// Sections with puts that are not durable in their files.
    pub(super) dirty: BTreeSet<u64>,
    pub(super) unmarked: Unmarked,
    pub(super) sweep: Sweep,
    pub(super) keeper: Keeper,
    /// The disk kept for when it is full, if any is.
    pub(super) reserve: Option<Arc<Reserve>>,
    poisoned: Option<String>,
    /// As many as were ever used at a time.
    pub(super) compressors: Vec<Compressor>,
    /// The section of the last put: the next one mostly goes there too.
    pub(super) current: Option<Current>,
    /// The section of the last put.
    last_put: Option<u64>,
    spare: Spare,
    pub(super) ahead: Ahead,
    /// No index from here on is stored; `u128`, to be able to say so of none.
    pub(super) unused_from: u128,
    entry: Vec<u8>,
    max_dirty: usize,
    _lock: Box<dyn Lock>,
}

/// The bytes of a value, and its frame where that was made ahead.
#[derive(Clone, Copy)]
struct Bytes<'a> {
    value: &'a [u8],
    frame: Option<&'a [u8]>,
}

impl<'a> Bytes<'a> {
    fn plain(value: &'a [u8]) -> Self {
        Self { value, frame: None }
    }
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        manifest: Manifest,
        marks: MarksLog,
        log: CommitLog,
        lock: Box<dyn Lock>,
        options: &Options,
    ) -> Result<Self> {
        Ok(Self {
            entry: vec![0; shared.entry.size()],
            unused_from: shared.unused_from(),
            cuts: None,
            shared,
            manifest,
            marks,
            log,
            dirty: BTreeSet::new(),
            unmarked: Unmarked::default(),
            sweep: Sweep::default(),
            keeper: Keeper::new(options.files_and_tables().1),
            reserve: None,
            poisoned: None,
            compressors: Vec::new(),
            current: None,
            last_put: None,
            spare: Spare::default(),
            ahead: Ahead::default(),
            // Two files a section; a dirty one keeps both open until it is synced.
            max_dirty: options.files_and_tables().0 / 4 + 1,
            _lock: lock,
        })
    }

    /// Stores an item; `multi` also where the index is taken.
    pub(super) fn put(&mut self, index: u64, key: &[u8], value: &[u8], multi: bool) -> Result<Put> {
        let started = Durations::start();
        let put = self.append(index, key, Bytes::plain(value), multi)?;
        self.publish()?;
        if put == Put::Stored {
            self.shared.counters.puts.end(started);
        }
        Ok(put)
    }

    /// Stores an item that readers may learn of only when enough of a batch came together, or it
    /// [ended](Self::publish). The value may come with its frame, for a section that is compressed.
    pub(super) fn put_of_batch(
        &mut self,
        index: u64,
        key: &[u8],
        value: &[u8],
        frame: Option<&[u8]>,
    ) -> Result<Put> {
        let started = Durations::start();
        let put = self.append(index, key, Bytes { value, frame }, false)?;
        let unpublished = self.current.as_ref().map_or(0, |of| of.unpublished.len());
        if unpublished >= BATCH_ITEMS {
            self.publish()?;
        }
        if put == Put::Stored {
            self.shared.counters.puts.end(started);
        }
        Ok(put)
    }

    /// Puts an item into its section's buffers.
    fn append(&mut self, index: u64, key: &[u8], bytes: Bytes<'_>, multi: bool) -> Result<Put> {
        self.check_put(index, key, bytes.value)?;
        // Before the look whether the index is taken: by what is to go, maybe.
        if self.has_pending_rewind() {
            self.end_pending_rewind()?;
        }
        if !multi && self.is_taken(index)? && !Canary::TakenIndexOverwritten.sings() {
            return Ok(Put::Exists);
        }
        let mut current = self.take_current(index)?;
        let appended = self.append_to(&mut current, index, key, bytes);
        self.current = Some(current);
        appended.map(|()| Put::Stored)
    }

    fn append_to(
        &mut self,
        current: &mut Current,
        index: u64,
        key: &[u8],
        bytes: Bytes<'_>,
    ) -> Result<()> {
        let location = current.location(&self.shared.locations)?;
        let translated = self.shared.translator.translate(key);
        if current.unpublished.is_empty() {
            // Comes into reach while value and entry are copied; those of a batch do when it is published.
            self.shared.keys.prefetch(translated);
        }
        let written = self.write(&current.section, index, key, bytes);
        let item = Appended {
            index,
            position: self.poison_on_error(written)?,
            location,
            translated,
        };
        current.advance(item, self.entry.len());
        self.unused_from = self.unused_from.max(u128::from(index) + 1);
        Ok(())
    }

    fn is_taken(&mut self, index: u64) -> Result<bool> {
        if u128::from(index) >= self.unused_from {
            return Ok(false);
        }
        self.look()?;
        if u128::from(index) >= self.unused_from {
            return Ok(false);
        }
        self.publish()?;
        Ok(self.shared.runs.read().contains(index))
    }

    fn check_put(&self, index: u64, key: &[u8], value: &[u8]) -> Result<()> {
        self.check_usable()?;
        let floor = self.shared.floor();
        if index < floor {
            return Err(Error::BelowFloor { index, floor });
        }
        if key.len() != self.shared.entry.key_size {
            return Err(Error::KeySize {
                expected: self.shared.entry.key_size,
                found: key.len(),
            });
        }
        let max = self.shared.max_value_size.min(MAX_VALUE_SIZE);
        if value.len() as u64 > u64::from(max) {
            return Err(Error::ValueTooLarge {
                size: value.len() as u64,
                max: max.into(),
            });
        }
        self.check_reserve()
    }

    /// Refuses a put while the disk reserve is used, so that what is left of the disk is for
    /// syncs and prunes. Nothing was written, so the writer goes on.
    fn check_reserve(&self) -> Result<()> {
        match &self.reserve {
            Some(reserve) if !reserve.fill()? => Err(Error::StorageFull {
                action: "fill the disk reserve",
                path: reserve.path(),
            }),
            _ => Ok(()),
        }
    }

    /// Fills the disk reserve again where there is room for it by now. What cannot be done is left
    /// to the next put, which tells.
    pub(super) fn refill(&self) {
        if let Some(reserve) = &self.reserve
            && self.poisoned.is_none()
        {
            let _ = reserve.fill();
        }
    }

    /// The section of an index, created where there is none.
    fn take_current(&mut self, index: u64) -> Result<Current> {
        let number = self.shared.number_of(index);
        let is_current = |current: &mut Current| current.section.number == number;
        if let Some(current) = self.current.take_if(is_current) {
            return Ok(current);
        }
        self.look()?;
        self.publish()?;
        self.forget_current();
        // Before the first put: what is put may take the place of what an earlier writer had not synced.
        let announced = self.manifest.announce(&self.shared.storage);
        self.poison_on_error(announced)?;
        if self.dirty.len() >= self.max_dirty && !self.dirty.contains(&number) {
            self.checkpoint()?;
        }
        let section = match self.shared.settled_section(number)? {
            Some(section) => section,
            None => {
                self.shared.check_readable(number)?;
                self.check_still_lost(number)?;
                // Its first sync flushes the marks: what they said of a section of this number is over.
                self.unmarked.rolled = true;
                let forgotten = self.forget_lost_files(number);
                self.poison_on_error(forgotten)?;
                // A folder that could not be flushed is not trusted with the section.
                self.settle_prepared()?;
                let created = self.shared.create_section(number);
                self.poison_on_error(created)?
            }
        };
        self.dirty.insert(number);
        self.release_buffers_of_last(number);
        Ok(Current::new(section, std::mem::take(&mut self.spare)))
    }

    /// Puts go to a section: the one that they went to before gives back its buffers, or does so when it is synced.
    fn release_buffers_of_last(&mut self, number: u64) {
        let last = self.last_put.replace(number);
        let left = last.filter(|last| *last != number && !self.dirty.contains(last));
        if let Some(section) = left.and_then(|left| self.shared.open_section(left)) {
            section.pair.release_buffers();
        }
    }

    /// Value, then entry, into the section's buffers; the entry's position.
    fn write(
        &mut self,
        section: &Section,
        index: u64,
        key: &[u8],
        bytes: Bytes<'_>,
    ) -> Result<u64> {
        let (offset, size) = match (section.compressed, bytes.frame) {
            (true, Some(frame)) => section.pair.values.append(frame)?,
            (true, None) => section.pair.values.append(&self.compress(bytes.value)?)?,
            (false, _) => section.pair.values.append(bytes.value)?,
        };
        self.shared
            .entry
            .encode(index, key, offset, size, &mut self.entry);
        section.pair.records.append(&self.entry)
    }

    /// Makes the appended items visible to readers, and what a put has to do for the rest.
    pub(super) fn publish(&mut self) -> Result<()> {
        let Some(current) = self
            .current
            .as_mut()
            .filter(|of| !of.unpublished.is_empty())
        else {
            return Ok(());
        };
        let items = std::mem::take(&mut current.unpublished);
        let published = publish(&self.shared, &current.section, &items);
        for _ in &items {
            self.sweep.step_at_put(&self.shared);
        }
        // Its memory serves the next ones.
        current.unpublished = items;
        current.unpublished.clear();
        let (number, waiting) = (current.section.number, current.waiting);
        published?;
        if waiting > MAX_WAITING_ENTRIES {
            self.sync_sections(&[number])?;
        }
        Ok(())
    }

    /// The archive is gone: nothing is written any more.
    pub(super) fn abandon(&mut self) {
        self.poisoned
            .get_or_insert_with(|| "the archive was destroyed".to_owned());
    }

    pub(super) fn check_usable(&self) -> Result<()> {
        match &self.poisoned {
            None => Ok(()),
            Some(cause) => Err(Error::Poisoned {
                cause: cause.clone(),
            }),
        }
    }

    /// Lets an error through and remembers it: the writer is not used again.
    pub(super) fn poison_on_error<T>(&mut self, result: Result<T>) -> Result<T> {
        result.inspect_err(|error| {
            if !Canary::NotPoisoned.sings() {
                self.poisoned.get_or_insert_with(|| error.to_string());
            }
        })
    }

    /// Forgets which section the last put went to, but not what came to it.
    pub(super) fn forget_current(&mut self) {
        if let Some(current) = self.current.take() {
            self.unmarked.add(current.section.number, current.added());
            self.spare = current.into_spare();
        }
    }
}

impl Drop for Writer {
    /// What was synced is marked, so that the next open trusts it more; what was not is let go.
    fn drop(&mut self) {
        // While the lock is held.
        self.shared.scrub.close();
        self.keeper.stop(&self.shared);
        let _ = self.discard_prepared(|_| true);
        if self.poisoned.is_none() {
            // The marks only protect: losing them costs nothing that a crash would not.
            let _ = self.mark_synced();
        }
        one_writer::end_writes(&self.shared);
        // Before the lock goes: readers look for a next writer from here on. One that put nothing may not have said
        // that it was there, and the next one gets its number.
        let ended = self.stored_manifest().announced.saturating_add(1);
        self.shared.ended.store(ended, Ordering::SeqCst);
    }
}

/// Makes items of a section known: positions, runs, keys, in this order.
fn publish(shared: &Shared, section: &Section, items: &[Appended]) -> Result<()> {
    let placed = items.iter().map(|item| (item.index, item.position));
    section.positions.add(placed);
    {
        let mut runs = shared.runs.write();
        for item in items {
            runs.insert(item.index);
        }
    }
    if shared.has_damage.load(Ordering::Acquire) {
        let mut damage = shared.damage.write();
        for item in items {
            damage.indices.remove(item.index);
        }
    }
    let is_dead = |location| shared.locations.resolve(location).is_none();
    let located = items.iter().map(|item| (item.translated, item.location));
    shared.keys.insert_all(located, &is_dead, |removed| {
        let pruned = &shared.counters.pruned;
        pruned.fetch_add(removed as u64, Ordering::Relaxed);
    })
}
