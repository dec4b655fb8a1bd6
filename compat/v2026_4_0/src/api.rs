//! What this version calls otherwise than others.

use crate::reference::{Key, Store, Value};
use commonware_runtime::Metrics as _;
use commonware_runtime::buffer::paged::CacheRef;
use commonware_runtime::tokio::Context;
use commonware_storage::archive::{Archive as _, Error, MultiArchive as _};
use std::num::{NonZeroU16, NonZeroUsize};

pub const NAME: &str = "commonware-storage 2026.4.0";

/// Metrics of one name cannot be registered twice, so each opening has a name of its own.
pub fn context(parent: &Context, opening: u64) -> Context {
    parent.with_label(&format!("opening{opening}"))
}

pub fn cache(context: &Context, page_size: NonZeroU16, pages: NonZeroUsize) -> CacheRef {
    CacheRef::from_pooler(context, page_size, pages)
}

pub async fn put(
    mut store: Store,
    index: u64,
    key: Key,
    value: Value,
    multi: bool,
) -> Result<Store, Error> {
    let put = match multi {
        true => store.put_multi(index, key, value).await,
        false => store.put(index, key, value).await,
    };
    match put {
        Ok(()) | Err(Error::AlreadyPrunedTo(_)) => Ok(store),
        Err(error) => Err(error),
    }
}

pub async fn sync(mut store: Store) -> Result<Store, Error> {
    store.sync().await?;
    Ok(store)
}

pub async fn prune(mut store: Store, min: u64) -> Result<Store, Error> {
    store.prune(min).await?;
    Ok(store)
}

/// This version has no such call.
pub async fn has_at(_: &Store, _: u64, _: &Key) -> Result<Option<bool>, Error> {
    Ok(None)
}
