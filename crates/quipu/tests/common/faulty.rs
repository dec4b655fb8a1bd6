//! A storage that fails or crashes at a chosen call.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use quipu::storage::{Blob, Lock, Memory, OpenMode, Storage};
use quipu::{Error, Result};

/// What happens at the chosen call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails and does nothing; all later ones too, as if the machine had stopped.
    CrashBefore,
    /// It is done; all later ones fail.
    CrashAfter,
    /// It fails and does nothing; later ones work.
    FailOnce,
    /// There is no room for it, nor for later writes.
    NoSpace,
    /// Of reads of so many bytes in a value file, counted instead, this one alone has a bit turned.
    Misread(usize),
}

/// Memory behind a counter of calls that change something.
#[derive(Debug)]
pub struct Faulty {
    inner: Memory,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    calls: AtomicU64,
    at: u64,
    fault: Fault,
    down: AtomicBool,
    log: std::sync::Mutex<Vec<String>>,
}

impl Faulty {
    /// Fails at the `at`-th changing call, counted from 0.
    pub fn new(inner: Memory, at: u64, fault: Fault) -> Self {
        let state = State {
            calls: AtomicU64::new(0),
            at,
            fault,
            down: AtomicBool::new(false),
            log: std::sync::Mutex::default(),
        };
        Self {
            inner,
            state: Arc::new(state),
        }
    }

    /// Whether the chosen call was reached.
    pub fn was_hit(&self) -> bool {
        self.state.calls.load(Ordering::Relaxed) > self.state.at
    }

    /// The changing calls so far, in words.
    pub fn log(&self) -> Vec<String> {
        self.state.log.lock().unwrap().clone()
    }
}

impl State {
    fn read(&self, path: &Path, buf: &mut [u8]) {
        let is_value = path
            .parent()
            .is_some_and(|folder| folder.ends_with("values"));
        if self.fault == Fault::Misread(buf.len())
            && is_value
            && self.calls.fetch_add(1, Ordering::Relaxed) == self.at
        {
            buf[0] ^= 8;
        }
    }

    fn change(&self, what: &str, path: &Path, change: impl FnOnce() -> Result<()>) -> Result<()> {
        if matches!(self.fault, Fault::Misread(_)) {
            return change();
        }
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        self.log
            .lock()
            .unwrap()
            .push(format!("{what} {}", path.display()));
        if self.down.load(Ordering::Relaxed) {
            return failed(path);
        }
        if self.fault == Fault::NoSpace {
            let full = call >= self.at && what == "write";
            return if full {
                Err(Error::StorageFull {
                    action: "write",
                    path: path.into(),
                })
            } else {
                change()
            };
        }
        if call != self.at {
            return change();
        }
        self.down
            .store(self.fault != Fault::FailOnce, Ordering::Relaxed);
        if self.fault == Fault::CrashAfter {
            change()
        } else {
            failed(path)
        }
    }
}

fn failed(path: &Path) -> Result<()> {
    Err(Error::io(
        "use",
        path,
        std::io::Error::other("the test failed this call"),
    ))
}

impl Storage for Faulty {
    fn open(&self, partition: &str, name: &str, mode: OpenMode) -> Result<Arc<dyn Blob>> {
        let path = self.inner.path(partition, name);
        let there = self.inner.open(partition, name, OpenMode::Read).is_ok();
        if mode == OpenMode::Create && !there {
            self.state.change("create", &path, || {
                self.inner.open(partition, name, mode).map(drop)
            })?;
        }
        let blob = self.inner.open(partition, name, mode)?;
        Ok(Arc::new(FaultyBlob {
            blob,
            path,
            state: Arc::clone(&self.state),
        }))
    }

    fn remove(&self, partition: &str, name: &str) -> Result<()> {
        let path = self.inner.path(partition, name);
        self.state
            .change("remove", &path, || self.inner.remove(partition, name))
    }

    fn rename(&self, partition: &str, from: &str, to: &str) -> Result<()> {
        let path = self.inner.path(partition, to);
        self.state
            .change("rename", &path, || self.inner.rename(partition, from, to))
    }

    fn list(&self, partition: &str) -> Result<Vec<String>> {
        self.inner.list(partition)
    }

    fn sync_partition(&self, partition: &str) -> Result<()> {
        let path = self.inner.path(partition, "");
        self.state
            .change("sync", &path, || self.inner.sync_partition(partition))
    }

    fn remove_partition(&self, partition: &str) -> Result<()> {
        let path = self.inner.path(partition, "");
        self.state
            .change("remove", &path, || self.inner.remove_partition(partition))
    }

    fn lock(&self, partition: &str, name: &str, holder: &str) -> Result<Box<dyn Lock>> {
        self.inner.lock(partition, name, holder)
    }

    fn path(&self, partition: &str, name: &str) -> PathBuf {
        self.inner.path(partition, name)
    }
}

#[derive(Debug)]
struct FaultyBlob {
    blob: Arc<dyn Blob>,
    path: PathBuf,
    state: Arc<State>,
}

impl Blob for FaultyBlob {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.blob.read_at(buf, offset)?;
        self.state.read(&self.path, buf);
        Ok(())
    }

    fn write_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> Result<()> {
        self.state
            .change("write", &self.path, || self.blob.write_at(bufs, offset))
    }

    fn resize(&self, len: u64) -> Result<()> {
        self.state
            .change("resize", &self.path, || self.blob.resize(len))
    }

    fn sync(&self) -> Result<()> {
        self.state.change("sync", &self.path, || self.blob.sync())
    }

    fn len(&self) -> Result<u64> {
        self.blob.len()
    }

    fn path(&self) -> &Path {
        &self.path
    }
}
