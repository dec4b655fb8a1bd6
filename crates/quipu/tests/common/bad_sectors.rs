//! A storage on a disk with sectors that cannot be read.

use super::common::delegate::delegate;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};

use quipu::storage::{Blob, Memory, OpenMode, Storage};
use quipu::{Error, Result};

pub const SECTOR: u64 = 512;
/// What the system says of them.
pub const EIO: i32 = 5;
/// That the process has too many files open, which is no word of the file.
pub const EMFILE: i32 = 24;
/// And that it got no memory.
pub const ENOMEM: i32 = 12;

/// Of one file.
#[derive(Clone, Debug, Default)]
struct Bad {
    sectors: BTreeSet<u64>,
    /// What reads of these fail with, if not with EIO.
    read: Option<i32>,
    /// What its opens fail with.
    open: Option<i32>,
}

type Files = Arc<Mutex<BTreeMap<(String, String), Bad>>>;

/// Memory of which some sectors cannot be read until they are written as a whole, as on a disk that takes others in
/// their place; clones share it.
#[derive(Clone, Debug, Default)]
pub struct BadSectors {
    pub inner: Memory,
    files: Files,
}

impl BadSectors {
    /// A copy of its own of what is in memory, without a bad sector.
    pub fn of(inner: Memory) -> Self {
        Self {
            inner,
            files: Files::default(),
        }
    }

    /// Bytes of a file cannot be read any more, with all of their sectors.
    pub fn spoil(&self, partition: &str, name: &str, bytes: Range<u64>) {
        let sectors = bytes.start / SECTOR..bytes.end.div_ceil(SECTOR);
        self.with(partition, name, |bad| bad.sectors.extend(sectors));
    }

    /// Reads of such bytes fail, with what tells nothing of them.
    pub fn fail(&self, partition: &str, name: &str, bytes: Range<u64>, number: i32) {
        self.with(partition, name, |bad| bad.read = Some(number));
        self.spoil(partition, name, bytes);
    }

    /// A file cannot be opened any more.
    pub fn spoil_open(&self, partition: &str, name: &str, number: i32) {
        self.with(partition, name, |bad| bad.open = Some(number));
    }

    /// Everything can be read again.
    pub fn heal(&self) {
        self.files.lock().unwrap().clear();
    }

    fn with<T>(&self, partition: &str, name: &str, on: impl FnOnce(&mut Bad) -> T) -> T {
        let mut files = self.files.lock().unwrap();
        on(files.entry((partition.into(), name.into())).or_default())
    }

    fn moved(&self, partition: &str, from: &str, to: Option<&str>) {
        let mut files = self.files.lock().unwrap();
        let bad = files.remove(&(partition.into(), from.into()));
        if let Some(to) = to {
            files.insert((partition.into(), to.into()), bad.unwrap_or_default());
        }
    }
}

fn failed(action: &'static str, path: impl AsRef<Path>, number: i32) -> Error {
    Error::io(action, path, io::Error::from_raw_os_error(number))
}

impl Storage for BadSectors {
    fn open(&self, partition: &str, name: &str, mode: OpenMode) -> Result<Arc<dyn Blob>> {
        if let Some(number) = self.with(partition, name, |bad| bad.open) {
            return Err(failed("open", self.path(partition, name), number));
        }
        Ok(Arc::new(BadBlob {
            inner: self.inner.open(partition, name, mode)?,
            of: self.clone(),
            name: (partition.into(), name.into()),
        }))
    }

    fn remove(&self, partition: &str, name: &str) -> Result<()> {
        self.inner.remove(partition, name)?;
        self.moved(partition, name, None);
        Ok(())
    }

    fn rename(&self, partition: &str, from: &str, to: &str) -> Result<()> {
        self.inner.rename(partition, from, to)?;
        self.moved(partition, from, Some(to));
        Ok(())
    }

    delegate!(inner: list, sync_partition, remove_partition, lock, path_of);
}

#[derive(Debug)]
struct BadBlob {
    inner: Arc<dyn Blob>,
    of: BadSectors,
    name: (String, String),
}

impl BadBlob {
    fn with<T>(&self, on: impl FnOnce(&mut Bad) -> T) -> T {
        self.of.with(&self.name.0, &self.name.1, on)
    }
}

impl Blob for BadBlob {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let end = offset + buf.len() as u64;
        let asked = offset / SECTOR..end.div_ceil(SECTOR);
        let number = self.with(|bad| {
            let is_bad = !buf.is_empty() && bad.sectors.range(asked).next().is_some();
            is_bad.then_some(bad.read.unwrap_or(EIO))
        });
        match number {
            Some(number) => Err(failed("read", self.path(), number)),
            None => self.inner.read_at(buf, offset),
        }
    }

    fn write_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> Result<()> {
        self.inner.write_at(bufs, offset)?;
        let len: usize = bufs.iter().map(|buf| buf.len()).sum();
        let whole = offset.div_ceil(SECTOR)..(offset + len as u64) / SECTOR;
        self.with(|bad| bad.sectors.retain(|sector| !whole.contains(sector)));
        Ok(())
    }

    fn resize(&self, len: u64) -> Result<()> {
        self.inner.resize(len)?;
        let sectors = len.div_ceil(SECTOR);
        self.with(|bad| bad.sectors.retain(|&sector| sector < sectors));
        Ok(())
    }

    delegate!(inner: sync, len, path);
}
