//! What the handles of all storages have in common: the name in errors, and what may be done.

use std::path::{Path, PathBuf};

use super::checked_end;
use crate::error::{Error, Result};

/// How a blob was opened.
#[derive(Debug)]
pub(super) struct Handle {
    path: PathBuf,
    writable: bool,
}

impl Handle {
    pub(super) fn new(path: PathBuf, writable: bool) -> Self {
        Self { path, writable }
    }

    /// What errors call the blob.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses to change a blob that is open for reading.
    pub(super) fn check_writable(&self) -> Result<()> {
        if self.writable {
            return Ok(());
        }
        Err(Error::ReadOnly {
            path: self.path.clone(),
        })
    }

    /// Checks that a blob of `len` bytes has `wanted` from `offset` on. None of them can be had
    /// anywhere, as from a file.
    pub(super) fn check_read(&self, offset: u64, wanted: u64, len: u64) -> Result<()> {
        match checked_end(offset, wanted) {
            Some(end) if wanted == 0 || end <= len => Ok(()),
            _ => Err(self.out_of_bounds(offset, wanted, len)),
        }
    }

    /// Checks that a blob, of `len` bytes now, can reach `wanted` bytes behind `offset`.
    pub(super) fn check_reach(&self, offset: u64, wanted: u64, len: u64) -> Result<()> {
        match checked_end(offset, wanted) {
            Some(_) => Ok(()),
            None => Err(self.out_of_bounds(offset, wanted, len)),
        }
    }

    pub(super) fn out_of_bounds(&self, offset: u64, wanted: u64, len: u64) -> Error {
        Error::OutOfBounds {
            path: self.path.clone(),
            offset,
            wanted,
            len,
        }
    }
}
