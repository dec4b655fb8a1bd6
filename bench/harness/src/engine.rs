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

/// What is done with a value while the engine lends it: engines that can lend need not copy.
pub type OnValue<'a> = &'a mut dyn FnMut(&[u8]);

/// One engine. Threads share it: one puts and prunes, any number read.
pub trait Engine: Send + Sync + Sized {
    /// What `--variant` may be; without it the engine is as its docs recommend.
    const VARIANTS: &'static [&'static str] = &[];

    /// Does the work with what the engine needs around it.
    fn run<T>(_dir: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
        work()
    }

    /// Opens what is in the folder, or creates it there.
    fn open(dir: &Path, workload: &Workload) -> Result<Self>;

    /// Puts items; they are durable when it returns.
    fn put_batch(&self, batch: &[Item]) -> Result<()>;

    /// Reads the value of an index; whether there is one.
    fn get(&self, index: u64, on: OnValue<'_>) -> Result<bool>;

    fn get_by_key(&self, key: &Key, on: OnValue<'_>) -> Result<bool>;

    /// Reads all items of `0..items` in ascending order; how many there were.
    fn scan(&self, items: u64, on: OnValue<'_>) -> Result<u64>;

    /// Drops what lies below `min`, as far as the engine's granularity allows.
    fn prune(&self, min: u64) -> Result<()>;

    /// Ends well: what comes next is a clean open.
    fn close(self) -> Result<()>;
}
