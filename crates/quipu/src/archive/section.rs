//! One section in memory: its two files, where its indices stand, what of it is damaged.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::RwLock;

use super::compression::decompress;
use super::entry::EntryBuf;
use crate::error::{Error, Result};
use crate::index::Positions;
use crate::journal::Pair;

/// A section that is loaded. Written by the writer alone, read by all.
pub(crate) struct Section {
    pub(super) number: u64,
    pub(super) pair: Pair,
    pub(super) compressed: bool,
    pub(super) positions: RwLock<Positions>,
    /// Entries whose item cannot be read: position to index.
    damaged: RwLock<BTreeMap<u64, u64>>,
    has_damage: AtomicBool,
}

impl Section {
    pub(super) fn new(number: u64, pair: Pair, compressed: bool) -> Self {
        Self {
            number,
            pair,
            compressed,
            positions: RwLock::new(Positions::default()),
            damaged: RwLock::default(),
            has_damage: AtomicBool::new(false),
        }
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

    /// The value that an entry points to, as it was put.
    pub(super) fn value(&self, entry: &EntryBuf, max_value_size: u32) -> Result<Bytes> {
        let (offset, size) = entry.location();
        let stored = self.pair.values.read(offset, size)?;
        self.unpack(stored, max_value_size)
    }

    /// A value from the bytes that are stored for it.
    pub(super) fn unpack(&self, stored: Bytes, max_value_size: u32) -> Result<Bytes> {
        if self.compressed {
            return decompress(&stored, max_value_size);
        }
        Ok(stored)
    }

    /// The positions of an index that are not known damaged, in the order stored, into `out`.
    pub(super) fn positions_of(&self, index: u64, out: &mut Vec<u64>) {
        out.clear();
        self.positions.read().all(index, out);
        if self.has_damage.load(Ordering::Acquire) {
            let damaged = self.damaged.read();
            out.retain(|position| !damaged.contains_key(position));
        }
    }

    /// The first position of an index, where nothing of the section is damaged; otherwise the
    /// caller asks for all of them.
    #[inline]
    pub(super) fn only_position(&self, index: u64) -> Option<Option<u64>> {
        if self.has_damage.load(Ordering::Acquire) {
            return None;
        }
        Some(self.positions.read().first(index))
    }

    pub(super) fn is_damaged(&self, position: u64) -> bool {
        self.has_damage.load(Ordering::Acquire) && self.damaged.read().contains_key(&position)
    }

    /// Some position of the index that is known damaged.
    pub(super) fn damaged_position_of(&self, index: u64) -> Option<u64> {
        let damaged = self.damaged.read();
        damaged
            .iter()
            .find(|&(_, &of)| of == index)
            .map(|(&position, _)| position)
    }

    /// Notes a damaged entry; false when it was known.
    pub(super) fn note_damage(&self, position: u64, index: u64) -> bool {
        let new = self.damaged.write().insert(position, index).is_none();
        self.has_damage.store(true, Ordering::Release);
        new
    }

    /// The indices of the entries that are known damaged.
    pub(super) fn damaged_indices(&self) -> Vec<u64> {
        self.damaged.read().values().copied().collect()
    }

    /// How many of its entries are known damaged.
    pub(super) fn damaged_len(&self) -> u64 {
        self.damaged.read().len() as u64
    }

    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + self.pair.memory() + self.positions.read().memory()
    }
}
