//! fjall: log-structured merge trees. Large values lie apart from the tree, as its docs advise.

use std::ops::Range;
use std::path::Path;

use anyhow::Result;
use fjall::config::CompressionPolicy;
use fjall::{
    CompressionType, Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode,
};
use quipu_bench::{Engine, Item, Key, OnValue, Workload, row, worker};

/// From so many bytes on values lie apart.
const LARGE: usize = 1024;
/// Items of one batch of removals.
const REMOVALS: usize = 1_000;

fn main() -> Result<()> {
    worker::main::<Fjall>()
}

struct Fjall {
    database: Database,
    items: Keyspace,
    keys: Keyspace,
}

/// The values cannot be compressed, so nothing is tried.
fn options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default().data_block_compression_policy(CompressionPolicy::disabled())
}

impl Fjall {
    fn commit(&self, batch: &[Item], durability: Option<PersistMode>) -> Result<()> {
        let mut changes = self.database.batch().durability(durability);
        for item in batch {
            let mut row = Vec::new();
            row::encode(item, &mut row);
            let index = row::sortable(item.index);
            changes.insert(&self.items, index, row);
            changes.insert(&self.keys, item.key, index);
        }
        Ok(changes.commit()?)
    }
}

impl Engine for Fjall {
    fn open(dir: &Path, workload: &Workload) -> Result<Self> {
        let database = Database::builder(dir)
            .cache_size(workload.cache as u64)
            .journal_compression(CompressionType::None)
            .open()?;
        let apart = (workload.value_size >= LARGE)
            .then(|| KvSeparationOptions::default().compression(CompressionType::None));
        let items = database.keyspace("items", || options().with_kv_separation(apart))?;
        let keys = database.keyspace("keys", || options().expect_point_read_hits(false))?;
        Ok(Self {
            database,
            items,
            keys,
        })
    }

    fn put_batch(&self, batch: &[Item]) -> Result<()> {
        self.commit(batch, Some(PersistMode::SyncData))
    }

    fn put(&self, item: &Item) -> Result<()> {
        self.commit(std::slice::from_ref(item), None)
    }

    fn flush(&self) -> Result<()> {
        Ok(self.database.persist(PersistMode::SyncData)?)
    }

    fn get(&self, index: u64, on: OnValue<'_>) -> Result<bool> {
        let Some(row) = self.items.get(row::sortable(index))? else {
            return Ok(false);
        };
        on(row::split(&row)?.1);
        Ok(true)
    }

    fn get_by_key(&self, key: &Key, on: OnValue<'_>) -> Result<bool> {
        match self.keys.get(key)? {
            Some(found) => self.get(row::index(&found)?, on),
            None => Ok(false),
        }
    }

    fn scan(&self, indices: Range<u64>, on: OnValue<'_>) -> Result<u64> {
        let mut count = 0;
        let range = row::sortable(indices.start)..row::sortable(indices.end);
        for entry in self.items.range(range) {
            on(row::split(&entry.value()?)?.1);
            count += 1;
        }
        Ok(count)
    }

    fn prune(&self, min: u64) -> Result<()> {
        let mut entries = self.items.range(..row::sortable(min)).peekable();
        while entries.peek().is_some() {
            let mut changes = self.database.batch();
            for entry in entries.by_ref().take(REMOVALS) {
                let (index, row) = entry.into_inner()?;
                changes.remove(&self.keys, *row::split(&row)?.0);
                changes.remove(&self.items, index);
            }
            changes.commit()?;
        }
        Ok(self.database.persist(PersistMode::SyncData)?)
    }

    fn close(self) -> Result<()> {
        Ok(self.database.persist(PersistMode::SyncAll)?)
    }
}
