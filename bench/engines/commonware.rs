//! The prunable archive of commonware-storage, the same for each of its versions.

use std::num::{NonZeroU16, NonZeroU64, NonZeroUsize};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, Result};
use commonware_codec::RangeCfg;
use commonware_runtime::Runner as _;
use commonware_runtime::tokio::{Config as Settings, Context, Runner};
use commonware_storage::archive::prunable::{Archive, Config};
use commonware_storage::archive::{Archive as _, Identifier};
use commonware_storage::translator::FourCap;
use commonware_utils::sequence::FixedBytes;
use futures_util::future::try_join_all;
use parking_lot::RwLock;
use quipu_bench::{DurablePuts, Engine, Item, KEY_SIZE, OnEach, OnValue, Workload};
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use crate::{api, flush};

pub type Key = FixedBytes<KEY_SIZE>;

pub type Value = bytes::Bytes;

pub type Store = Archive<FourCap, Context, Key, Value>;

/// Bytes of a page of the index files; with its checksums it fills one of the disk's.
const PAGE_SIZE: NonZeroU16 = NonZeroU16::new(4084).unwrap();
const WRITE_BUFFER: NonZeroUsize = NonZeroUsize::new(1 << 20).unwrap();
const REPLAY_BUFFER: NonZeroUsize = NonZeroUsize::new(1 << 20).unwrap();

/// What the archive needs around it, once `run` has begun.
static ENVIRONMENT: OnceLock<(Handle, Context)> = OnceLock::new();

fn environment() -> Result<&'static (Handle, Context)> {
    ENVIRONMENT
        .get()
        .context("the runtime has not been started")
}

fn wait<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    environment()?.0.block_on(future)
}

/// Each call that changes the archive takes it and gives it back; none after a failure.
///
/// Readers beside a writer wait for it, since the archive has no other way.
pub struct Commonware(RwLock<Option<Store>>);

fn held(store: &Option<Store>) -> Result<&Store> {
    store.as_ref().context("an earlier call failed")
}

async fn put(store: Store, item: &Item) -> Result<Store> {
    let value = Value::copy_from_slice(&item.value);
    let key = FixedBytes::new(item.key);
    Ok(api::put(store, item.index, key, value, false).await?)
}

/// Returns when the item is durable. Others put meanwhile, where the version's sync lets them.
async fn put_durable(held: Arc<Mutex<Option<Store>>>, item: Item) -> Result<()> {
    let mut held = held.lock().await;
    let store = held.take().context("an earlier call failed")?;
    let (store, ended) = flush::start(put(store, &item).await?).await?;
    *held = Some(store);
    drop(held);
    ended.await
}

impl Commonware {
    fn change(&self, change: impl AsyncFnOnce(Store) -> Result<Store>) -> Result<()> {
        let mut held = self.0.write();
        let store = held.take().context("an earlier call failed")?;
        *held = Some(wait(change(store))?);
        Ok(())
    }

    fn read(&self, id: Identifier<'_, Key>, on: OnValue<'_>) -> Result<bool> {
        let store = self.0.read();
        let value = wait(async { Ok(held(&store)?.get(id).await?) })?;
        Ok(value.map(|value| on(&value)).is_some())
    }
}

impl Engine for Commonware {
    const HAS_ASYNC_TASKS: bool = true;

    /// Calls come from threads of the harness's own; the runtime's wait for what they ask.
    fn run<T>(dir: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let settings = Settings::new().with_storage_directory(dir);
        let (send, receive) = std::sync::mpsc::channel();
        let (done, ended) = tokio::sync::oneshot::channel::<()>();
        let runtime = std::thread::spawn(move || {
            Runner::new(settings).start(|context| async move {
                let _ = send.send((Handle::current(), context));
                let _ = ended.await;
            });
        });
        let _ = ENVIRONMENT.set(receive.recv()?);
        let result = work();
        drop(done);
        runtime.join().ok().context("the runtime panicked")?;
        result
    }

    fn open(_: &Path, workload: &Workload) -> Result<Self> {
        let context = api::context(&environment()?.1, 0);
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
        let store = wait(async { Ok(Archive::init(context, config).await?) })?;
        Ok(Self(RwLock::new(Some(store))))
    }

    fn put_batch(&self, batch: &[Item]) -> Result<()> {
        self.change(async |mut store| {
            for item in batch {
                store = put(store, item).await?;
            }
            Ok(api::sync(store).await?)
        })
    }

    fn put(&self, item: &Item) -> Result<()> {
        self.change(async |store| put(store, item).await)
    }

    /// Where the version has a sync that goes on by itself, only its start keeps others away.
    fn flush(&self) -> Result<()> {
        let mut held = self.0.write();
        let store = held.take().context("an earlier call failed")?;
        let (store, ended) = wait(flush::start(store))?;
        *held = Some(store);
        drop(held);
        wait(ended)
    }

    fn put_durable(&self, item: &Item) -> Result<()> {
        self.put(item)?;
        self.flush()
    }

    /// Those of the archive's own runtime.
    fn tasks(&self, tasks: u64, puts: &Arc<DurablePuts>) -> Result<()> {
        let runtime = &environment()?.0;
        let mut held = self.0.write();
        let shared = Arc::new(Mutex::new(held.take()));
        let task = |_| {
            let (shared, puts) = (Arc::clone(&shared), Arc::clone(puts));
            let put = move |item| put_durable(Arc::clone(&shared), item);
            runtime.spawn(async move { puts.by_task(put).await })
        };
        let tasks: Vec<_> = (0..tasks).map(task).collect();
        let ended = wait(try_join_all(
            tasks.into_iter().map(async |task| task.await?),
        ));
        *held = wait(async { Ok(shared.lock().await.take()) })?;
        ended.map(drop)
    }

    fn get(&self, index: u64, on: OnValue<'_>) -> Result<bool> {
        self.read(Identifier::Index(index), on)
    }

    fn get_by_key(&self, key: &quipu_bench::Key, on: OnValue<'_>) -> Result<bool> {
        self.read(Identifier::Key(&FixedBytes::new(*key)), on)
    }

    /// All of them in flight at a time.
    fn get_many(&self, keys: &[quipu_bench::Key], on: OnEach<'_>) -> Result<()> {
        let store = self.0.read();
        let store = held(&store)?;
        let keys: Vec<Key> = keys.iter().map(|key| FixedBytes::new(*key)).collect();
        let reads = keys.iter().map(|key| store.get(Identifier::Key(key)));
        let values = wait(async { Ok(try_join_all(reads).await?) })?;
        for (at, value) in values.iter().enumerate() {
            if let Some(value) = value {
                on(at, value);
            }
        }
        Ok(())
    }

    fn prune(&self, min: u64) -> Result<()> {
        self.change(async |store| Ok(api::prune(store, min).await?))
    }

    fn close(self) -> Result<()> {
        self.change(async |store| Ok(api::sync(store).await?))
    }
}
