//! quipu.

use std::path::Path;

use anyhow::Result;
use parking_lot::Mutex;
use quipu::{Archive, Options, PageCache, Reader};
use quipu_bench::{Engine, Item, KEY_SIZE, Key, OnValue, Workload, worker};

fn main() -> Result<()> {
    worker::main::<Quipu>()
}

struct Quipu {
    archive: Mutex<Archive<[u8; KEY_SIZE]>>,
    reader: Reader<[u8; KEY_SIZE]>,
}

impl Engine for Quipu {
    fn open(dir: &Path, workload: &Workload) -> Result<Self> {
        let options = Options::new()
            .items_per_section(workload.items_per_section)
            .page_cache(PageCache::new(workload.cache));
        let archive: Archive<[u8; KEY_SIZE]> = options.open(dir)?;
        let reader = archive.reader();
        Ok(Self {
            archive: Mutex::new(archive),
            reader,
        })
    }

    fn put_batch(&self, batch: &[Item]) -> Result<()> {
        let mut archive = self.archive.lock();
        let items = batch.iter();
        archive.put_batch(items.map(|item| (item.index, &item.key, &item.value[..])))?;
        Ok(archive.sync()?)
    }

    fn get(&self, index: u64, on: OnValue<'_>) -> Result<bool> {
        Ok(self.reader.get(index)?.map(|value| on(&value)).is_some())
    }

    fn get_by_key(&self, key: &Key, on: OnValue<'_>) -> Result<bool> {
        Ok(self.reader.get(key)?.map(|value| on(&value)).is_some())
    }

    fn scan(&self, items: u64, on: OnValue<'_>) -> Result<u64> {
        let mut count = 0;
        for item in self.reader.range(..items) {
            on(&item?.value);
            count += 1;
        }
        Ok(count)
    }

    fn prune(&self, min: u64) -> Result<()> {
        self.archive.lock().prune(min)?;
        Ok(())
    }

    fn close(self) -> Result<()> {
        Ok(self.archive.into_inner().close()?)
    }
}
