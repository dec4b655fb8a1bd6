//! quipu.

use std::path::Path;

use anyhow::Result;
use quipu::{Archive, Bytes, Options, PageCache};
use quipu_bench::{Engine, Item, KEY_SIZE, Key, Workload, worker};

fn main() -> Result<()> {
    worker::main::<Quipu>()
}

struct Quipu(Archive<[u8; KEY_SIZE]>);

impl Engine for Quipu {
    type Env = ();
    type Value = Bytes;

    fn run<T>(_: &Path, work: impl AsyncFnOnce(&()) -> Result<T>) -> Result<T> {
        pollster::block_on(work(&()))
    }

    async fn open((): &(), dir: &Path, workload: &Workload) -> Result<Self> {
        let options = Options::new()
            .items_per_section(workload.items_per_section)
            .page_cache(PageCache::new(workload.cache));
        Ok(Self(options.open(dir)?))
    }

    async fn put_batch(&mut self, batch: &[Item]) -> Result<()> {
        let items = batch.iter();
        self.0
            .put_batch(items.map(|item| (item.index, &item.key, &item.value[..])))?;
        Ok(self.0.sync()?)
    }

    async fn get(&self, index: u64) -> Result<Option<Bytes>> {
        Ok(self.0.get(index)?)
    }

    async fn get_by_key(&self, key: &Key) -> Result<Option<Bytes>> {
        Ok(self.0.get(key)?)
    }

    async fn scan(&self, items: u64, on: &mut dyn FnMut(&[u8])) -> Result<u64> {
        let mut count = 0;
        for item in self.0.range(..items) {
            on(&item?.value);
            count += 1;
        }
        Ok(count)
    }

    async fn prune(&mut self, min: u64) -> Result<()> {
        self.0.prune(min)?;
        Ok(())
    }

    async fn close(self) -> Result<()> {
        Ok(self.0.close()?)
    }
}
