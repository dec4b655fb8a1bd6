//! What this version calls otherwise than others.

use crate::reference::{Key, Store, Value};
use commonware_runtime::Supervisor as _;
use commonware_runtime::buffer::paged::CacheRef;
use commonware_runtime::tokio::Context;
use commonware_storage::archive::{Archive as _, Error, MultiArchive as _};
use std::num::{NonZeroU16, NonZeroUsize};

pub const NAME: &str = "commonware-storage 2026.10.0";

/// Metrics of one name cannot be registered twice, so each opening has an attribute of its own.
pub fn context(parent: &Context, opening: u64) -> Context {
    parent.child("archive").with_attribute("opening", opening)
}

pub fn cache(_: &Context, page_size: NonZeroU16, pages: NonZeroUsize) -> CacheRef {
    CacheRef::new(page_size, pages)
}

pub async fn put(
    store: Store,
    index: u64,
    key: Key,
    value: Value,
    multi: bool,
) -> Result<Store, Error> {
    match multi {
        true => store.put_multi(index, key, &value).await,
        false => store.put(index, key, &value).await,
    }
}

pub async fn sync(store: Store) -> Result<Store, Error> {
    store.sync().await
}

pub async fn prune(store: Store, min: u64) -> Result<Store, Error> {
    store.prune(min).await
}

pub async fn has_at(store: &Store, index: u64, key: &Key) -> Result<Option<bool>, Error> {
    store.has_at(index, key).await.map(Some)
}
