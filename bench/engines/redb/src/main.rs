//! redb: a copy-on-write B-tree in one file.

use std::ops::Range;
use std::path::Path;

use anyhow::Result;
use parking_lot::RwLock;
use quipu_bench::{Engine, Item, Key, OnValue, Workload, row, worker};
use redb::{Database, ReadOnlyTable, ReadableDatabase, TableDefinition, WriteTransaction};

const ITEMS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("items");
const KEYS: TableDefinition<'_, &[u8], u64> = TableDefinition::new("keys");

fn main() -> Result<()> {
    worker::main::<Redb>()
}

/// Reads go through tables that stay open from one commit to the next.
struct Redb {
    database: Database,
    view: RwLock<Option<View>>,
}

struct View {
    items: ReadOnlyTable<u64, &'static [u8]>,
    keys: ReadOnlyTable<&'static [u8], u64>,
}

impl Redb {
    /// The view is given back first: it keeps pages from being used again.
    fn commit(&self, transaction: WriteTransaction) -> Result<()> {
        let mut view = self.view.write();
        *view = None;
        transaction.commit()?;
        let transaction = self.database.begin_read()?;
        *view = Some(View {
            items: transaction.open_table(ITEMS)?,
            keys: transaction.open_table(KEYS)?,
        });
        Ok(())
    }
}

impl View {
    fn get(&self, index: u64, on: OnValue<'_>) -> Result<bool> {
        let Some(found) = self.items.get(index)? else {
            return Ok(false);
        };
        on(row::split(found.value())?.1);
        Ok(true)
    }
}

impl Engine for Redb {
    fn open(dir: &Path, workload: &Workload) -> Result<Self> {
        let mut builder = Database::builder();
        builder.set_cache_size(workload.cache);
        let database = builder.create(dir.join("redb"))?;
        let engine = Self {
            database,
            view: RwLock::new(None),
        };
        let transaction = engine.database.begin_write()?;
        transaction.open_table(ITEMS)?;
        transaction.open_table(KEYS)?;
        engine.commit(transaction)?;
        Ok(engine)
    }

    fn put_batch(&self, batch: &[Item]) -> Result<()> {
        let transaction = self.database.begin_write()?;
        {
            let mut items = transaction.open_table(ITEMS)?;
            let mut keys = transaction.open_table(KEYS)?;
            let mut bytes = Vec::new();
            for item in batch {
                row::encode(item, &mut bytes);
                items.insert(item.index, &bytes[..])?;
                keys.insert(&item.key[..], item.index)?;
            }
        }
        self.commit(transaction)
    }

    fn get(&self, index: u64, on: OnValue<'_>) -> Result<bool> {
        match &*self.view.read() {
            Some(view) => view.get(index, on),
            None => Ok(false),
        }
    }

    fn get_by_key(&self, key: &Key, on: OnValue<'_>) -> Result<bool> {
        let view = self.view.read();
        let Some(view) = &*view else {
            return Ok(false);
        };
        match view.keys.get(&key[..])? {
            Some(index) => view.get(index.value(), on),
            None => Ok(false),
        }
    }

    fn scan(&self, indices: Range<u64>, on: OnValue<'_>) -> Result<u64> {
        let view = self.view.read();
        let mut count = 0;
        for entry in view.iter().map(|view| view.items.range(indices.clone())) {
            for entry in entry? {
                on(row::split(entry?.1.value())?.1);
                count += 1;
            }
        }
        Ok(count)
    }

    fn prune(&self, min: u64) -> Result<()> {
        let transaction = self.database.begin_write()?;
        {
            let mut items = transaction.open_table(ITEMS)?;
            let mut keys = transaction.open_table(KEYS)?;
            for entry in items.extract_from_if(..min, |_, _| true)? {
                keys.remove(&row::split(entry?.1.value())?.0[..])?;
            }
        }
        self.commit(transaction)
    }

    fn close(self) -> Result<()> {
        drop(self.view);
        Ok(self.database.close()?)
    }
}
