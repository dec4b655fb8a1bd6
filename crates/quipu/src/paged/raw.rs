//! Pages as they are in the file, also where the disk cannot read all of them.

use std::collections::BTreeMap;

use super::file::PagedFile;
use crate::error::{Error, Result};
use crate::storage::{DataBlob, read_around};

/// Pages one behind the other, with their slots.
#[derive(Default)]
pub(super) struct RawPages {
    pub(super) bytes: Vec<u8>,
    /// Those that the disk cannot read, and why; zeros stand in their place.
    pub(super) unreadable: BTreeMap<u64, Error>,
}

impl PagedFile {
    /// Reads pages as they are in the file, which need not be open for that.
    pub(super) fn read_stored(&self, first: u64, pages: u64) -> Result<Vec<u8>> {
        let at = self.page_offset(first)?;
        let len = pages.saturating_mul(self.physical() as u64);
        let mut raw = Vec::new();
        match self.file.read_into(&mut raw, at, len as usize) {
            Ok(()) => return Ok(raw),
            Err(error) => match error.of_read(at) {
                Error::OutOfBounds { .. } | Error::Unreadable { .. } => {}
                other => return Err(other),
            },
        }
        let mut raw = self.read_raw(&*self.file.get()?, first, pages)?;
        match raw.unreadable.pop_first() {
            Some((_, error)) => Err(error),
            None => Ok(raw.bytes),
        }
    }

    /// Reads pages as they are in the blob. Where that was cut short, zeros take the place of what
    /// lacks: in a slot that is not in use they are what was there, and elsewhere the checksums tell.
    pub(super) fn read_raw(&self, blob: &DataBlob, first: u64, pages: u64) -> Result<RawPages> {
        let at = self.page_offset(first)?;
        let len = pages.saturating_mul(self.physical() as u64);
        let mut raw = RawPages::default();
        let read = |buf: &mut Vec<u8>, at, len| blob.read_into(buf, at, len);
        match read(&mut raw.bytes, at, len as usize) {
            Ok(()) => return Ok(raw),
            Err(error) => match error.of_read(at) {
                Error::OutOfBounds { .. } | Error::Unreadable { .. } => raw.bytes.clear(),
                other => return Err(other),
            },
        }
        let there = blob.len()?.saturating_sub(at).min(len);
        let range = at..at.saturating_add(there);
        let physical = self.physical();
        let unreadable = &mut raw.unreadable;
        read_around(&read, &mut raw.bytes, range, physical, &mut |gap, error| {
            unreadable.insert(gap.start / physical as u64, error);
        })?;
        raw.bytes.resize(len as usize, 0);
        Ok(raw)
    }
}
