//! A storage that counts what is asked of section files, and can refuse to tell lengths.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::common::delegate::delegate;
use super::*;
use quipu::storage::Blob;
use quipu::{Error, Result};

/// Memory; clones share it and its counts.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    pub(crate) inner: Memory,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    calls: AtomicU64,
    of_sections: AtomicU64,
    lists: AtomicU64,
    refuses: AtomicBool,
}

impl Counted {
    pub(crate) fn new(inner: Memory) -> Self {
        Self {
            inner,
            state: Arc::default(),
        }
    }

    /// Opens of section files, and looks at their lengths.
    pub(crate) fn of_sections(&self) -> u64 {
        self.state.of_sections.load(Ordering::Relaxed)
    }

    /// All calls.
    pub(crate) fn calls(&self) -> u64 {
        self.state.calls.load(Ordering::Relaxed)
    }

    /// Looks at lengths fail from now on, or work again.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.state.refuses.store(refuses, Ordering::Relaxed);
    }
}

impl Storage for Counted {
    fn open(&self, partition: &str, name: &str, mode: OpenMode) -> Result<Arc<dyn Blob>> {
        self.state.calls.fetch_add(1, Ordering::Relaxed);
        if partition != "quipu" {
            self.state.of_sections.fetch_add(1, Ordering::Relaxed);
        }
        self.inner.open(partition, name, mode)
    }

    fn list(&self, partition: &str) -> Result<Vec<String>> {
        self.state.calls.fetch_add(1, Ordering::Relaxed);
        self.state.lists.fetch_add(1, Ordering::Relaxed);
        self.inner.list(partition)
    }

    fn lengths(&self, partition: &str) -> Result<Vec<(String, u64)>> {
        if self.state.refuses.load(Ordering::Relaxed) {
            let source = std::io::Error::from_raw_os_error(12);
            return Err(Error::Io {
                action: "look at",
                path: self.path(partition, ""),
                source,
            });
        }
        let lengths = self.inner.lengths(partition)?;
        let looks = lengths.len() as u64;
        self.state.calls.fetch_add(looks, Ordering::Relaxed);
        self.state.of_sections.fetch_add(looks, Ordering::Relaxed);
        Ok(lengths)
    }

    delegate!(inner: remove, rename, sync_partition, remove_partition, lock, path_of);
}
