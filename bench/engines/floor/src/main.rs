//! A yardstick, not a product: two append-only files, a list and a hash table in memory.
//!
//! It flushes as an archive must and checks a CRC on each read, but it cannot recover from
//! anything. The variant `mapped` reads through a memory map instead of by calls.

mod files;
mod table;

use std::ops::Range;
use std::path::Path;

use anyhow::Result;
use parking_lot::{Mutex, RwLock};
use quipu_bench::{Engine, Item, Key, OnValue, Workload, worker};

use files::{Entry, Files};
use table::Table;

fn main() -> Result<()> {
    worker::main::<Floor>()
}

struct Floor {
    files: Files,
    table: RwLock<Table>,
    ends: Mutex<files::Ends>,
    /// Items that no flush has come to.
    pending: Mutex<Vec<Item>>,
}

impl Engine for Floor {
    const VARIANTS: &'static [&'static str] = &["mapped"];

    fn open(dir: &Path, workload: &Workload) -> Result<Self> {
        let files = Files::open(dir, workload.variant.is_some())?;
        let mut table = Table::default();
        let ends = files.replay(|entry, position| table.insert(&entry, position))?;
        Ok(Self {
            files,
            table: RwLock::new(table),
            ends: Mutex::new(ends),
            pending: Mutex::default(),
        })
    }

    fn put_batch(&self, batch: &[Item]) -> Result<()> {
        let mut ends = self.ends.lock();
        let (entries, first) = self.files.append(&mut ends, batch)?;
        let mut table = self.table.write();
        for (entry, position) in entries.iter().zip(first..) {
            table.insert(entry, position);
        }
        Ok(())
    }

    /// A copy for the next flush.
    fn put(&self, item: &Item) -> Result<()> {
        self.pending.lock().push(item.clone());
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        let pending = std::mem::take(&mut *self.pending.lock());
        self.put_batch(&pending)
    }

    fn get(&self, index: u64, on: OnValue<'_>) -> Result<bool> {
        let Some(place) = self.table.read().place(index) else {
            return Ok(false);
        };
        self.files.value(place.offset, place.size, on)?;
        Ok(true)
    }

    fn get_by_key(&self, key: &Key, on: OnValue<'_>) -> Result<bool> {
        let Some(position) = self.table.read().position(key) else {
            return Ok(false);
        };
        let entry: Entry = self.files.entry(position)?;
        if entry.key != *key {
            return Ok(false);
        }
        self.files.value(entry.offset, entry.size, on)?;
        Ok(true)
    }

    fn scan(&self, indices: Range<u64>, on: OnValue<'_>) -> Result<u64> {
        let places: Vec<_> = {
            let table = self.table.read();
            indices.filter_map(|index| table.place(index)).collect()
        };
        for place in &places {
            self.files.value(place.offset, place.size, on)?;
        }
        Ok(places.len() as u64)
    }

    fn prune(&self, min: u64) -> Result<()> {
        let mut table = self.table.write();
        if let Some(place) = table.prune(min) {
            self.files.punch(place)?;
        }
        Ok(())
    }

    fn close(self) -> Result<()> {
        Ok(())
    }
}
