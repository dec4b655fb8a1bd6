//! quipu. The variant `memory` keeps the slots of all keys in memory; without it they have a share of
//! the bytes that every engine may use for its cache.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use quipu::{Archive, GroupCommit, KeyMemory, Options, Reader};
use quipu_bench::{DurablePuts, Engine, Item, KEY_SIZE, Key, OnEach, OnValue, Workload, worker};
use tokio::runtime::Builder;
use tokio::task::JoinSet;

fn main() -> Result<()> {
    worker::main::<Quipu>()
}

/// Puts and flushes need the archive for themselves, so that one waits for the other; durable puts of
/// several tasks share a flush.
struct Quipu {
    archive: Arc<GroupCommit<[u8; KEY_SIZE]>>,
    reader: Reader<[u8; KEY_SIZE]>,
}

impl Engine for Quipu {
    const VARIANTS: &'static [&'static str] = &["memory"];
    const HAS_ASYNC_TASKS: bool = true;

    fn open(dir: &Path, workload: &Workload) -> Result<Self> {
        let mut options = Options::new()
            .items_per_section(workload.items_per_section)
            .cache_bytes(workload.cache);
        if workload.variant.is_some() {
            options = options.key_memory(KeyMemory::All);
        }
        let archive: Archive<[u8; KEY_SIZE]> = options.open(dir)?;
        let reader = archive.reader();
        Ok(Self {
            archive: Arc::new(GroupCommit::new(archive)),
            reader,
        })
    }

    fn put_batch(&self, batch: &[Item]) -> Result<()> {
        let items = batch
            .iter()
            .map(|item| (item.index, &item.key, &item.value[..]));
        self.archive.with(|archive| {
            archive.put_batch(items)?;
            Ok(archive.sync()?)
        })
    }

    fn put(&self, item: &Item) -> Result<()> {
        let _ = self
            .archive
            .with(|archive| archive.put(item.index, &item.key, &item.value[..]))?;
        Ok(())
    }

    fn put_durable(&self, item: &Item) -> Result<()> {
        let _ = self.archive.put(item.index, &item.key, &item.value[..])?;
        Ok(())
    }

    /// Those of a runtime with a thread a core.
    fn tasks(&self, tasks: u64, puts: &Arc<DurablePuts>) -> Result<()> {
        let mut all = JoinSet::new();
        let runtime = Builder::new_multi_thread().build()?;
        for _ in 0..tasks {
            let (archive, puts) = (Arc::clone(&self.archive), Arc::clone(puts));
            let task = async move {
                let put = |item: Item| archive.put_async(item.index, &item.key, &item.value[..]);
                let put = async |item| put(item).await.map(drop).map_err(anyhow::Error::from);
                puts.by_task(put).await
            };
            all.spawn_on(task, runtime.handle());
        }
        runtime.block_on(async {
            while let Some(ended) = all.join_next().await {
                ended??;
            }
            Ok(())
        })
    }

    fn flush(&self) -> Result<()> {
        Ok(self.archive.with(Archive::sync)?)
    }

    fn get(&self, index: u64, on: OnValue<'_>) -> Result<bool> {
        Ok(self.reader.get(index)?.map(|value| on(&value)).is_some())
    }

    fn get_by_key(&self, key: &Key, on: OnValue<'_>) -> Result<bool> {
        Ok(self.reader.get(key)?.map(|value| on(&value)).is_some())
    }

    fn get_many(&self, keys: &[Key], on: OnEach<'_>) -> Result<()> {
        for (at, value) in self.reader.get_many(keys)?.iter().enumerate() {
            if let Some(value) = value {
                on(at, value);
            }
        }
        Ok(())
    }

    fn scan(&self, indices: Range<u64>, on: OnValue<'_>) -> Result<u64> {
        let mut count = 0;
        for item in self.reader.range(indices) {
            on(&item?.value);
            count += 1;
        }
        Ok(count)
    }

    fn cache_bytes(&self) -> Option<u64> {
        Some(self.reader.stats().memory_page_cache)
    }

    fn prune(&self, min: u64) -> Result<()> {
        self.archive.with(|archive| archive.prune(min))?;
        Ok(())
    }

    fn close(self) -> Result<()> {
        let archive = Arc::into_inner(self.archive).context("a task has not ended")?;
        Ok(archive.into_inner().close()?)
    }
}
