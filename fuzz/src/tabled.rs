//! Small archives with key tables: several of a size, merged ones, one with pages of slots, and such as were
//! made before a rewind and a prune.

use std::sync::{Arc, OnceLock};

use quipu::index::{EightCap, Hashed, OneCap};
use quipu::storage::Memory;
use quipu::{Archive, Bytes, KeyBytes, Layout, Options, Result};

use crate::files::Files;
use crate::shapes::{fail, limits};
use crate::table::is_name;

/// Open files that leave some to tables.
const MAX_OPEN_FILES: usize = 32;

pub(crate) struct Shape {
    items_per_section: u64,
    page_size: u16,
    key_size: usize,
    layout: Layout,
    one_byte_keys: bool,
    keys_per_table: u64,
    /// How many items it is given, and how they are spread.
    items: u64,
    factor: u64,
    /// How many are synced at once.
    batch: u64,
    /// Whether it is rewound and pruned once it was closed.
    goes_on: bool,
}

pub(crate) struct Tabled {
    pub(crate) shape: &'static Shape,
    pub(crate) files: Files,
    /// Tables as they were earlier, or as they are.
    pub(crate) older: Vec<(String, Vec<u8>)>,
    /// Tables of an archive with the same items.
    pub(crate) others: Vec<Vec<u8>>,
}

static SHAPES: [Shape; 3] = [
    Shape {
        items_per_section: 8,
        page_size: 100,
        key_size: 8,
        layout: Layout::V0,
        one_byte_keys: false,
        keys_per_table: 4,
        items: 44,
        factor: 1,
        batch: 5,
        goes_on: true,
    },
    Shape {
        items_per_section: 1024,
        page_size: 4084,
        key_size: 32,
        layout: Layout::V0,
        one_byte_keys: false,
        keys_per_table: 300,
        items: 620,
        factor: 1,
        batch: 310,
        goes_on: false,
    },
    Shape {
        items_per_section: 16,
        page_size: 28,
        key_size: 1,
        layout: Layout::V1,
        one_byte_keys: true,
        keys_per_table: 2,
        items: 40,
        factor: 7,
        batch: 3,
        goes_on: true,
    },
];

impl Shape {
    pub(crate) fn options(&self) -> Options {
        let options = limits()
            .max_open_files(MAX_OPEN_FILES)
            .items_per_section(self.items_per_section)
            .page_size(self.page_size)
            .key_size(self.key_size)
            .layout(self.layout)
            .keys_per_table(self.keys_per_table);
        match self.one_byte_keys {
            true => options.translator(OneCap),
            false => options.translator(Hashed::<EightCap>::with_seed([7; 16])),
        }
    }

    fn key(&self, index: u64, life: u8) -> KeyBytes {
        let mut key = vec![life; self.key_size];
        let bytes = index.to_le_bytes();
        let len = key.len().min(bytes.len()) - usize::from(self.key_size > 1);
        key[..len].copy_from_slice(&bytes[..len]);
        KeyBytes::from(key)
    }

    fn put(&self, archive: &mut Archive<KeyBytes, Bytes>, from: u64, life: u8) -> Result<()> {
        for nth in from..self.items {
            let index = nth * self.factor % self.items;
            let value = Bytes::from(vec![life; index as usize % 9]);
            let _ = archive.put(index, &self.key(index, life), &value)?;
            if nth % self.batch == self.batch - 1 {
                archive.sync()?;
            }
        }
        Ok(())
    }

    fn make(&'static self) -> Result<Tabled> {
        // Tables are then made in this thread, and the same ones each time.
        quipu::seed_random_numbers(Some(7));
        let other = Memory::new();
        let mut archive = self.options().open_on(Arc::new(other.clone()))?;
        self.put(&mut archive, 0, 1)?;
        archive.close()?;
        let memory = Memory::new();
        quipu::seed_random_numbers(Some(8));
        let mut archive = self.options().open_on(Arc::new(memory.clone()))?;
        self.put(&mut archive, 0, 1)?;
        archive.close()?;
        let older = tables(&memory)?;
        if self.goes_on {
            let mut archive = self.options().open_on(Arc::new(memory.clone()))?;
            archive.rewind(self.items / 2)?;
            self.put(&mut archive, 0, 2)?;
            let _ = archive.prune(self.items_per_section)?;
            archive.close()?;
        }
        quipu::seed_random_numbers(None);
        let others = tables(&other)?.into_iter().map(|(_, bytes)| bytes);
        Ok(Tabled {
            shape: self,
            files: Files::of(&memory, &["quipu", "index", "values"])?,
            older,
            others: others.collect(),
        })
    }
}

fn tables(memory: &Memory) -> Result<Vec<(String, Vec<u8>)>> {
    let files = Files::of(memory, &["quipu"])?.0.into_iter();
    let files = files.map(|((_, name), bytes)| (name, bytes));
    Ok(files.filter(|(name, _)| is_name(name)).collect())
}

/// The archive of a shape, by a choice.
pub(crate) fn tabled(choice: usize) -> &'static Tabled {
    static ALL: OnceLock<Vec<Tabled>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let all: Result<Vec<Tabled>> = SHAPES.iter().map(Shape::make).collect();
        all.unwrap_or_else(|error| fail(&error))
    });
    &all[choice % SHAPES.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_have_several_tables_and_older_ones() {
        for shape in &SHAPES {
            let base = shape.make().unwrap_or_else(|error| fail(&error));
            let names = base.files.0.keys();
            let now = names.filter(|(_, name)| is_name(name)).count();
            assert!(now > 1 && base.older.len() > 1 && base.others.len() > 1);
        }
    }
}
