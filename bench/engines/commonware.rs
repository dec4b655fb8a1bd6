//! The prunable archive of commonware-storage, the same for each of its versions.

use std::num::{NonZeroU16, NonZeroU64, NonZeroUsize};
use std::path::Path;

use anyhow::{Context as _, Result};
use commonware_codec::RangeCfg;
use commonware_runtime::Runner as _;
use commonware_runtime::tokio::{Config as Settings, Context, Runner};
use commonware_storage::archive::prunable::{Archive, Config};
use commonware_storage::archive::{Archive as _, Identifier};
use commonware_storage::translator::FourCap;
use commonware_utils::sequence::FixedBytes;
use quipu_bench::{Engine, Item, KEY_SIZE, Workload};

use crate::api;

pub type Key = FixedBytes<KEY_SIZE>;

pub type Value = bytes::Bytes;

pub type Store = Archive<FourCap, Context, Key, Value>;

/// Bytes of a page of the index files; with its checksums it fills one of the disk's.
const PAGE_SIZE: NonZeroU16 = NonZeroU16::new(4084).unwrap();
const WRITE_BUFFER: NonZeroUsize = NonZeroUsize::new(1 << 20).unwrap();
const REPLAY_BUFFER: NonZeroUsize = NonZeroUsize::new(1 << 20).unwrap();

/// None only while a call has it.
pub struct Commonware(Option<Store>);

impl Commonware {
    fn store(&self) -> Result<&Store> {
        self.0.as_ref().context("an earlier call failed")
    }

    fn take(&mut self) -> Result<Store> {
        self.0.take().context("an earlier call failed")
    }
}

impl Engine for Commonware {
    type Env = Context;
    type Value = Value;

    fn run<T>(dir: &Path, work: impl AsyncFnOnce(&Context) -> Result<T>) -> Result<T> {
        let settings = Settings::new().with_storage_directory(dir);
        Runner::new(settings).start(|context| async move { work(&context).await })
    }

    async fn open(context: &Context, _: &Path, workload: &Workload) -> Result<Self> {
        let context = api::context(context, 0);
        let pages = NonZeroUsize::try_from(workload.cache / usize::from(PAGE_SIZE.get()))?;
        let config = Config {
            translator: FourCap,
            #[cfg(feature = "metadata")]
            metadata_partition: "metadata".to_owned(),
            key_partition: "index".to_owned(),
            key_page_cache: api::cache(&context, PAGE_SIZE, pages),
            value_partition: "values".to_owned(),
            compression: None,
            codec_config: RangeCfg::from(..),
            items_per_section: NonZeroU64::try_from(workload.items_per_section)?,
            key_write_buffer: WRITE_BUFFER,
            value_write_buffer: WRITE_BUFFER,
            replay_buffer: REPLAY_BUFFER,
        };
        Ok(Self(Some(Archive::init(context, config).await?)))
    }

    async fn put_batch(&mut self, batch: &[Item]) -> Result<()> {
        let mut store = self.take()?;
        for item in batch {
            let value = Value::copy_from_slice(&item.value);
            store = api::put(store, item.index, FixedBytes::new(item.key), value, false).await?;
        }
        self.0 = Some(api::sync(store).await?);
        Ok(())
    }

    async fn get(&self, index: u64) -> Result<Option<Value>> {
        Ok(self.store()?.get(Identifier::Index(index)).await?)
    }

    async fn get_by_key(&self, key: &quipu_bench::Key) -> Result<Option<Value>> {
        let key = FixedBytes::new(*key);
        Ok(self.store()?.get(Identifier::Key(&key)).await?)
    }

    /// There is no call that reads a range.
    async fn scan(&self, items: u64, on: &mut dyn FnMut(&[u8])) -> Result<u64> {
        let mut count = 0;
        for index in 0..items {
            if let Some(value) = self.get(index).await? {
                on(&value);
                count += 1;
            }
        }
        Ok(count)
    }

    async fn prune(&mut self, min: u64) -> Result<()> {
        let store = self.take()?;
        self.0 = Some(api::prune(store, min).await?);
        Ok(())
    }

    async fn close(mut self) -> Result<()> {
        drop(api::sync(self.take()?).await?);
        Ok(())
    }
}
