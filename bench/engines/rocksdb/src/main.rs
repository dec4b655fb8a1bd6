//! RocksDB: log-structured merge trees; the variant `blobs` keeps values apart from them.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use quipu_bench::{Engine, Item, Key, OnEach, OnValue, Workload, row, worker};
use rocksdb::compaction_filter::Decision;
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, Options,
    ReadOptions, WriteBatch, WriteOptions,
};

const ITEMS: &str = "items";
const KEYS: &str = "keys";

fn main() -> Result<()> {
    worker::main::<RocksDb>()
}

struct RocksDb {
    db: DB,
    /// Keys of indices below it go when a compaction comes by; till then they lead nowhere.
    floor: Arc<AtomicU64>,
}

/// As the tuning guide of the project has it, but without compression: the values give nothing.
fn family(workload: &Workload, cache: &Cache) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_bloom_filter(10.0, false);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    table.set_format_version(5);
    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_compression_type(DBCompressionType::None);
    if workload.variant.is_some() {
        options.set_enable_blob_files(true);
        options.set_enable_blob_gc(true);
    }
    options
}

fn sync() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(true);
    options
}

impl RocksDb {
    fn family(&self, name: &str) -> Result<&ColumnFamily> {
        self.db
            .cf_handle(name)
            .context("a column family is missing")
    }

    fn write(&self, batch: &[Item], options: &WriteOptions) -> Result<()> {
        let (items, keys) = (self.family(ITEMS)?, self.family(KEYS)?);
        let mut changes = WriteBatch::default();
        let mut bytes = Vec::new();
        for item in batch {
            row::encode(item, &mut bytes);
            let index = row::sortable(item.index);
            changes.put_cf(items, index, &bytes);
            changes.put_cf(keys, item.key, index);
        }
        Ok(self.db.write_opt(changes, options)?)
    }
}

impl Engine for RocksDb {
    const VARIANTS: &'static [&'static str] = &["blobs"];

    fn open(dir: &Path, workload: &Workload) -> Result<Self> {
        let floor = Arc::new(AtomicU64::new(0));
        let cache = Cache::new_lru_cache(workload.cache)?;
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.increase_parallelism(2);
        options.set_bytes_per_sync(1 << 20);
        let mut keys = family(
            &Workload {
                variant: None,
                ..workload.clone()
            },
            &cache,
        );
        let of_filter = Arc::clone(&floor);
        keys.set_compaction_filter("below the floor", move |_, _, value| {
            match row::index(value) {
                Ok(index) if index < of_filter.load(Ordering::Relaxed) => Decision::Remove,
                _ => Decision::Keep,
            }
        });
        let families = [
            ColumnFamilyDescriptor::new(ITEMS, family(workload, &cache)),
            ColumnFamilyDescriptor::new(KEYS, keys),
        ];
        let db = DB::open_cf_descriptors(&options, dir, families)?;
        Ok(Self { db, floor })
    }

    fn put_batch(&self, batch: &[Item]) -> Result<()> {
        self.write(batch, &sync())
    }

    fn put(&self, item: &Item) -> Result<()> {
        self.write(std::slice::from_ref(item), &WriteOptions::default())
    }

    fn flush(&self) -> Result<()> {
        Ok(self.db.flush_wal(true)?)
    }

    fn get(&self, index: u64, on: OnValue<'_>) -> Result<bool> {
        let items = self.family(ITEMS)?;
        let Some(row) = self.db.get_pinned_cf(items, row::sortable(index))? else {
            return Ok(false);
        };
        on(row::split(&row)?.1);
        Ok(true)
    }

    fn get_by_key(&self, key: &Key, on: OnValue<'_>) -> Result<bool> {
        match self.db.get_pinned_cf(self.family(KEYS)?, key)? {
            Some(found) => self.get(row::index(&found)?, on),
            None => Ok(false),
        }
    }

    fn get_many(&self, keys: &[Key], on: OnEach<'_>) -> Result<()> {
        let (items, by_key) = (self.family(ITEMS)?, self.family(KEYS)?);
        let (mut places, mut indices) = (Vec::new(), Vec::new());
        let found = self.db.batched_multi_get_cf(by_key, keys, false);
        for (at, index) in found.into_iter().enumerate() {
            if let Some(index) = index? {
                places.push(at);
                indices.push(index.to_vec());
            }
        }
        let rows = self.db.batched_multi_get_cf(items, indices, false);
        for (at, row) in places.into_iter().zip(rows) {
            if let Some(row) = row? {
                on(at, row::split(&row)?.1);
            }
        }
        Ok(())
    }

    fn scan(&self, indices: Range<u64>, on: OnValue<'_>) -> Result<u64> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(row::sortable(indices.end));
        let family = self.family(ITEMS)?;
        let mut entries = self.db.raw_iterator_cf_opt(family, options);
        entries.seek(row::sortable(indices.start));
        let mut count = 0;
        while let Some(row) = entries.value() {
            on(row::split(row)?.1);
            count += 1;
            entries.next();
        }
        entries.status()?;
        Ok(count)
    }

    /// Whole files go at once, what is left of the range when a compaction comes by.
    fn prune(&self, min: u64) -> Result<()> {
        let items = self.family(ITEMS)?;
        let (start, end) = (row::sortable(0), row::sortable(min));
        self.floor.store(min, Ordering::Relaxed);
        self.db.delete_file_in_range_cf(items, start, end)?;
        let mut changes = WriteBatch::default();
        changes.delete_range_cf(items, start, end);
        Ok(self.db.write_opt(changes, &sync())?)
    }

    fn close(self) -> Result<()> {
        // What only the log has would be played again by the next open.
        for name in [ITEMS, KEYS] {
            self.db.flush_cf(self.family(name)?)?;
        }
        self.db.cancel_all_background_work(true);
        Ok(())
    }
}
