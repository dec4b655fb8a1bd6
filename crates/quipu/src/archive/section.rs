//! One section in memory: its two files, where its indices stand, what of it is damaged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::compression::{decompress, max_frame_size};
use super::entry::EntryBuf;
use super::fingerprint::Foreign;
use crate::error::{Error, Result};
use crate::format::VALUE_CHECKSUM_SIZE;
use crate::index::{Placed, Positions, Stretch};
use crate::journal::Pair;
use crate::prefetch::prefetch;
use crate::sync::RwLock;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A section that is loaded. Written by the writer alone, read by all.
pub(crate) struct Section {
    pub(super) number: u64,
    pub(super) pair: Pair,
    pub(super) compressed: bool,
    /// Which life of the section it is: another one when its files are made, or its index file is written
    /// anew.
    pub(super) epoch: u64,
    /// So many of its entries are in key tables.
    pub(super) covered: AtomicU64,
    /// So many of its entries are known to a reader beside the writer of another process.
    pub(super) followed: AtomicU64,
    /// What of its files was not its own when they were opened.
    pub(super) foreign: Foreign,
    pub(super) positions: Placed,
    /// Whether the positions are only what they are in a section that was filled in order.
    presumed: AtomicBool,
    damage: RwLock<Damage>,
    has_damage: AtomicBool,
    /// Where the last value ends that an entry names.
    claimed: AtomicU64,
    /// Its files go, and others may take their names: what a reader finds in it does not count.
    /// Shared with the sections that it replaced or that replaced it.
    retired: Arc<AtomicBool>,
}

/// What of a section cannot be read.
#[derive(Default)]
struct Damage {
    /// position -> index
    entries: BTreeMap<u64, u64>,
    /// (index, position) of the same
    by_index: BTreeSet<(u64, u64)>,
    /// index -> up to which position all of its entries are among them, as far as was asked
    all_below: BTreeMap<u64, u64>,
    /// Those of them that are not in the marks yet.
    unmarked: Vec<(u64, u64)>,
    /// Positions of those that never get there: the disk could not read them, and may another time.
    unreadable: BTreeSet<u64>,
    /// Nothing is noted any more.
    closed: bool,
}

impl Damage {
    fn insert(&mut self, position: u64, index: u64) {
        self.remove(position);
        self.entries.insert(position, index);
        self.by_index.insert((index, position));
    }

    fn remove(&mut self, position: u64) {
        if let Some(index) = self.entries.remove(&position) {
            self.by_index.remove(&(index, position));
        }
    }

    /// Whether all of an index's positions are damaged. Goes on where it stopped before: all items
    /// of a section may be at one index, and each be found damaged.
    fn is_all_of(&mut self, index: u64, positions: &Positions) -> bool {
        let from = self.all_below.entry(index).or_default();
        while let Some(position) = positions.at_or_after(index, *from) {
            if !self.entries.contains_key(&position) {
                return false;
            }
            match position.checked_add(1) {
                Some(behind) => *from = behind,
                None => break,
            }
        }
        true
    }
}

impl Section {
    pub(super) fn new(number: u64, pair: Pair, compressed: bool, epoch: u64) -> Self {
        Self {
            number,
            pair,
            compressed,
            epoch,
            covered: AtomicU64::new(0),
            followed: AtomicU64::new(0),
            presumed: AtomicBool::new(false),
            foreign: Foreign::default(),
            positions: Placed::default(),
            damage: RwLock::default(),
            has_damage: AtomicBool::new(false),
            claimed: AtomicU64::new(0),
            retired: Arc::default(),
        }
    }

    /// The same section, of whose files this is not its own.
    pub(super) fn with_foreign(self, foreign: Foreign) -> Self {
        Self { foreign, ..self }
    }

    /// A section that takes the place of this one, with the same value file.
    pub(super) fn successor(&self, pair: Pair, epoch: u64) -> Self {
        Self {
            retired: Arc::clone(&self.retired),
            ..Self::new(self.number, pair, self.compressed, epoch)
        }
    }

    /// Takes positions for what they are where all items were put in order, from this index on.
    pub(super) fn presume_order(&self, first: u64) {
        let positions = Positions::in_order(first, self.pair.records.len());
        self.positions.replace(positions);
        self.presumed.store(true, Ordering::Release);
        self.followed
            .store(self.pair.records.len(), Ordering::Release);
    }

    /// Whether the positions may be others.
    #[inline]
    pub(super) fn is_presumed(&self) -> bool {
        self.presumed.load(Ordering::Acquire)
    }

    /// These are the positions, as read.
    pub(super) fn settle_positions(&self, positions: Positions) {
        self.positions.replace(positions);
        self.presumed.store(false, Ordering::Release);
    }

    /// Whether nothing of it is known damaged, or not its own.
    pub(super) fn is_sound(&self) -> bool {
        !self.has_damage.load(Ordering::Acquire) && !self.foreign.has_any()
    }

    /// Whether a value that an entry names begins behind those of all entries before it, as they were
    /// written. Otherwise a small file could name the same bytes again and again, and reading all items
    /// of an index take any amount of memory.
    pub(super) fn claim(&self, offset: u64, size: u32) -> bool {
        let is_free = offset >= self.claimed.load(Ordering::Relaxed);
        if is_free {
            let end = offset.saturating_add(size.into());
            self.claimed.store(end, Ordering::Relaxed);
        }
        is_free
    }

    /// Reads the entry at a position and checks that it is one of this index, where one is given.
    pub(super) fn entry(
        &self,
        position: u64,
        index: Option<u64>,
        into: &mut EntryBuf,
    ) -> Result<()> {
        self.pair.records.read(position, into.bytes_mut())?;
        match index {
            Some(index) if into.index() != index => Err(Error::ItemOutOfRange {
                section: self.number,
                position,
                len: self.pair.records.len(),
            }),
            _ => Ok(()),
        }
    }

    /// Asks the processor for what a read of the item at a position needs: its entry's page, and its value, as far as the
    /// place of that can be told before the entry is read. Both at once, because each is a page of a map of its own, of
    /// which the processor has to find out first where in memory it is.
    #[inline]
    pub(super) fn prefetch(&self, position: u64) {
        let Pair {
            records, values, ..
        } = &self.pair;
        let page = records.mapped_at(position);
        let value = values.nth_mapped_at(position, records.len());
        page.into_iter().chain(value).for_each(prefetch);
    }

    /// The value that an entry points to, as it was put.
    pub(super) fn value(&self, entry: &EntryBuf, max_value_size: u32) -> Result<Bytes> {
        let (offset, size) = self.value_place(entry, max_value_size)?;
        let values = &self.pair.values;
        let ahead = entry.take_ahead(values.file().id(), offset);
        let stored = values.read_ahead(offset, size, ahead)?;
        self.unpack(stored, max_value_size)
    }

    /// Where in the value file the value stands that an entry points to, and its size with the checksum; an error
    /// where no value can be as large.
    #[inline]
    pub(super) fn value_place(&self, entry: &EntryBuf, max_value_size: u32) -> Result<(u64, u32)> {
        let (offset, size) = entry.location();
        let stored_max = match self.compressed {
            true => max_frame_size(max_value_size),
            false => max_value_size.into(),
        };
        check_size(
            size.saturating_sub(VALUE_CHECKSUM_SIZE).into(),
            stored_max,
            max_value_size,
        )?;
        Ok((offset, size))
    }

    /// A value from the bytes that are stored for it.
    pub(super) fn unpack(&self, stored: Bytes, max_value_size: u32) -> Result<Bytes> {
        if self.compressed {
            return decompress(&stored, max_value_size);
        }
        check_size(stored.len() as u64, max_value_size.into(), max_value_size)?;
        Ok(stored)
    }

    /// The positions of an index that are not known damaged, in the order stored, into `out`.
    pub(super) fn positions_of(&self, index: u64, out: &mut Vec<u64>) {
        out.clear();
        self.positions.look(|positions| positions.all(index, out));
        if self.has_damage.load(Ordering::Acquire) {
            let damage = self.damage.read();
            out.retain(|position| !damage.entries.contains_key(position));
        }
    }

    /// The first position of an index, where nothing of the section is damaged; otherwise the
    /// caller asks for all of them.
    #[inline]
    pub(super) fn only_position(&self, index: u64) -> Option<Option<u64>> {
        if self.has_damage.load(Ordering::Acquire) {
            return None;
        }
        Some(self.positions.first(index))
    }

    /// The items around that of an index whose entries stand side by side; none where an index has several, or
    /// something of the section is damaged.
    pub(super) fn stretch_with(&self, index: u64) -> Option<Stretch> {
        if self.has_damage.load(Ordering::Acquire) {
            return None;
        }
        self.positions
            .look(|positions| positions.stretch_with(index))
    }

    pub(super) fn is_damaged(&self, position: u64) -> bool {
        let damage = || self.damage.read();
        self.has_damage.load(Ordering::Acquire) && damage().entries.contains_key(&position)
    }

    /// Whether the disk could not read the entry at a position, or its value.
    pub(super) fn is_unreadable(&self, position: u64) -> bool {
        self.damage.read().unreadable.contains(&position)
    }

    /// Some position of the index that is known damaged.
    pub(super) fn damaged_position_of(&self, index: u64) -> Option<u64> {
        let damage = self.damage.read();
        let mut of_index = damage.by_index.range((index, 0)..=(index, u64::MAX));
        of_index.next().map(|&(_, position)| position)
    }

    /// Notes a damaged entry that is in the marks.
    pub(super) fn know_damage(&self, position: u64, index: u64) {
        self.damage.write().insert(position, index);
        self.has_damage.store(true, Ordering::Release);
    }

    /// Notes that an entry cannot be read of which nobody knows the index: what is known of the section is not all of it.
    pub(super) fn know_unread_entry(&self) {
        self.has_damage.store(true, Ordering::Release);
    }

    /// The entry at a position is whole and one of this index. Damage that is noted there of another
    /// index is from before the section was written anew, and a crash came before its mark was.
    pub(super) fn forget_damage_of_another(&self, position: u64, index: u64) {
        if self.has_damage.load(Ordering::Acquire) {
            let mut damage = self.damage.write();
            if damage.entries.get(&position).is_some_and(|&of| of != index) {
                damage.remove(position);
            }
        }
    }

    /// Notes a damaged entry. Where it is new, and the section still counts, `tell` is called with
    /// whether nothing whole is left at its index; nothing closes the section meanwhile, and no
    /// item is published in it: a put comes to the index either before, and is whole, or after,
    /// and takes back what `tell` notes. The marks get what `lasts`.
    pub(super) fn note_damage(
        &self,
        position: u64,
        index: u64,
        lasts: bool,
        tell: impl FnOnce(bool),
    ) {
        let mut damage = self.damage.write();
        if damage.closed || damage.entries.contains_key(&position) {
            return;
        }
        damage.insert(position, index);
        match lasts {
            true => damage.unmarked.push((position, index)),
            false => drop(damage.unreadable.insert(position)),
        }
        self.has_damage.store(true, Ordering::Release);
        // As long as it is told, nothing is added to the positions.
        self.positions
            .look(|positions| tell(damage.is_all_of(index, positions)));
    }

    /// Damage that is not in the marks yet: (position, index).
    pub(super) fn take_unmarked_damage(&self) -> Vec<(u64, u64)> {
        std::mem::take(&mut self.damage.write().unmarked)
    }

    /// From now on damage of the section is not noted: another takes its place, or none.
    pub(super) fn close(&self) {
        self.damage.write().closed = true;
    }

    /// The indices of the entries that are known damaged.
    pub(super) fn damaged_indices(&self) -> Vec<u64> {
        self.damage.read().entries.values().copied().collect()
    }

    /// How many of its entries are known damaged.
    pub(super) fn damaged_len(&self) -> u64 {
        self.damage.read().entries.len() as u64
    }

    /// To be said before the files go.
    pub(super) fn retire(&self) {
        self.close();
        self.retired.store(true, Ordering::SeqCst);
    }

    /// Whether the section was dropped. To be asked after what was read of it.
    #[inline]
    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::SeqCst)
    }

    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + self.pair.memory() + self.positions.look(Positions::memory)
    }
}

/// Refuses what is stored in more bytes than a value of `max` bytes can be, before they are read.
fn check_size(size: u64, stored_max: u64, max: u32) -> Result<()> {
    match size > stored_max {
        true => Err(Error::ValueTooLarge {
            size,
            max: max.into(),
        }),
        false => Ok(()),
    }
}
