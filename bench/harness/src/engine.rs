//! What an engine does to be measured.

use std::path::Path;

use anyhow::Result;

use crate::items::Key;
use crate::workload::Workload;

/// An item to be put.
#[derive(Clone, Debug)]
pub struct Item {
    pub index: u64,
    pub key: Key,
    pub value: Vec<u8>,
}

/// One engine. Its calls are asynchronous since some engines' are; others return at once.
#[allow(async_fn_in_trait)]
pub trait Engine: Sized {
    /// What the engine needs around it.
    type Env;

    /// A value as the engine hands it out.
    type Value: AsRef<[u8]>;

    /// Runs the work in the engine's environment.
    fn run<T>(dir: &Path, work: impl AsyncFnOnce(&Self::Env) -> Result<T>) -> Result<T>;

    /// Opens what is in the folder, or creates it there.
    async fn open(env: &Self::Env, dir: &Path, workload: &Workload) -> Result<Self>;

    /// Puts items; they are durable when it returns.
    async fn put_batch(&mut self, batch: &[Item]) -> Result<()>;

    async fn get(&self, index: u64) -> Result<Option<Self::Value>>;

    async fn get_by_key(&self, key: &Key) -> Result<Option<Self::Value>>;

    /// Reads all items of `0..items` in ascending order; how many there were.
    async fn scan(&self, items: u64, on: &mut dyn FnMut(&[u8])) -> Result<u64>;

    /// Drops what lies below `min`, as far as the engine's granularity allows.
    async fn prune(&mut self, min: u64) -> Result<()>;

    async fn close(self) -> Result<()>;
}
