//! The storage that gives its reserve back when the disk is full.

use std::io::IoSlice;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::{Blob, Lock, OpenMode, Read, Storage, Window};
use super::Reserve;
use crate::error::{Error, Result};

/// A storage with a reserve behind it.
#[derive(Debug)]
pub(crate) struct Reserved {
    reserve: Arc<Reserve>,
}

impl Reserved {
    pub(crate) fn new(reserve: Arc<Reserve>) -> Self {
        Self { reserve }
    }

    fn inner(&self) -> &dyn Storage {
        &*self.reserve.inner
    }

    fn wrap(&self, blob: Arc<dyn Blob>, mode: OpenMode) -> Arc<dyn Blob> {
        match mode {
            OpenMode::Read => blob,
            OpenMode::Write | OpenMode::Create => Arc::new(ReservedBlob {
                blob,
                reserve: Arc::clone(&self.reserve),
            }),
        }
    }
}

impl Reserve {
    /// Makes a call, and once more when it found the disk full and room could be given back. A
    /// write that was made in part writes the same bytes to the same place again.
    pub(super) fn with_room<T>(&self, call: impl Fn() -> Result<T>) -> Result<T> {
        let given = self.given();
        match call() {
            // Of several threads that find no room one gives back, for all.
            Err(Error::StorageFull { .. }) if self.give_back() || self.given() != given => call(),
            other => other,
        }
    }
}

impl Storage for Reserved {
    fn open(&self, partition: &str, name: &str, mode: OpenMode) -> Result<Arc<dyn Blob>> {
        let open = || self.inner().open(partition, name, mode);
        let blob = self.reserve.with_room(open)?;
        Ok(self.wrap(blob, mode))
    }

    fn open_again(
        &self,
        partition: &str,
        name: &str,
        mode: OpenMode,
        window: &Arc<dyn Window>,
    ) -> Result<Arc<dyn Blob>> {
        let open = || self.inner().open_again(partition, name, mode, window);
        let blob = self.reserve.with_room(open)?;
        Ok(self.wrap(blob, mode))
    }

    fn remove(&self, partition: &str, name: &str) -> Result<()> {
        self.inner().remove(partition, name)
    }

    fn rename(&self, partition: &str, from: &str, to: &str) -> Result<()> {
        self.reserve
            .with_room(|| self.inner().rename(partition, from, to))
    }

    fn list(&self, partition: &str) -> Result<Vec<String>> {
        self.inner().list(partition)
    }

    fn lengths(&self, partition: &str) -> Result<Vec<(String, u64)>> {
        self.inner().lengths(partition)
    }

    fn serves_side_by_side(&self) -> bool {
        self.inner().serves_side_by_side()
    }

    fn reads_at_once(&self) -> bool {
        self.inner().reads_at_once()
    }

    fn read_many(&self, reads: &[Read<'_>]) -> Vec<Result<Vec<u8>>> {
        self.inner().read_many(reads)
    }

    fn sync_partition(&self, partition: &str) -> Result<()> {
        self.inner().sync_partition(partition)
    }

    fn remove_partition(&self, partition: &str) -> Result<()> {
        self.inner().remove_partition(partition)
    }

    fn lock(&self, partition: &str, name: &str, holder: &str) -> Result<Box<dyn Lock>> {
        self.inner().lock(partition, name, holder)
    }

    fn path(&self, partition: &str, name: &str) -> PathBuf {
        self.inner().path(partition, name)
    }
}

#[derive(Debug)]
struct ReservedBlob {
    blob: Arc<dyn Blob>,
    reserve: Arc<Reserve>,
}

impl Blob for ReservedBlob {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.blob.read_at(buf, offset)
    }

    fn read_into(&self, buf: &mut Vec<u8>, offset: u64, len: usize) -> Result<()> {
        self.blob.read_into(buf, offset, len)
    }

    fn is_in_memory(&self, offset: u64, len: usize) -> bool {
        self.blob.is_in_memory(offset, len)
    }

    fn mapped_at(&self, offset: u64) -> Option<usize> {
        self.blob.mapped_at(offset)
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.blob.as_fd()
    }

    fn write_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> Result<()> {
        self.reserve.with_room(|| self.blob.write_at(bufs, offset))
    }

    fn resize(&self, len: u64) -> Result<()> {
        self.reserve.with_room(|| self.blob.resize(len))
    }

    fn sync(&self) -> Result<()> {
        self.blob.sync()
    }

    fn begin_sync(&self, offset: u64, len: u64) {
        self.blob.begin_sync(offset, len);
    }

    fn next_written(&self, offset: u64) -> Result<u64> {
        self.blob.next_written(offset)
    }

    fn window(&self) -> Option<Arc<dyn Window>> {
        self.blob.window()
    }

    fn len(&self) -> Result<u64> {
        self.blob.len()
    }

    fn path(&self) -> &Path {
        self.blob.path()
    }
}
