//! A storage as it looks once the log is redone, for who must not change it.
//!
//! The writer may go on beside: it brings the same bytes to the files, and then more. Values stay what they are. A page
//! of an index file grows, so the one in the file counts as soon as it holds as much; or pages behind a short one
//! would look like damage.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::redo::{Files, Patch, Redo, Which, page_len};
use crate::error::Result;
use crate::format::section_number;
use crate::storage::{Blob, Lock, OpenMode, Read, Storage};

/// A storage for reading, with what its section files lack of a log.
#[derive(Debug)]
pub(crate) struct Redone {
    inner: Arc<dyn Storage>,
    redo: Redo,
    index: String,
    values: String,
}

impl Redone {
    pub(crate) fn new(inner: Arc<dyn Storage>, redo: Redo, files: &Files<'_>) -> Self {
        Self {
            inner,
            redo,
            index: files.index.to_owned(),
            values: files.values.to_owned(),
        }
    }

    /// What lies over a file; none where nothing does.
    fn over(&self, partition: &str, name: &str) -> Option<Over> {
        let section = section_number(name)?;
        let are_pages = partition == self.index;
        let patches = match are_pages {
            true => self.redo.pages.get(&section),
            false if partition == self.values => self.redo.patches.get(&(Which::Values, section)),
            false => None,
        };
        let patches = patches?.clone();
        Some(Over { patches, are_pages })
    }
}

/// What lies over a file.
#[derive(Debug)]
struct Over {
    patches: Vec<Patch>,
    /// Whether they are pages, which give way to those of the file that hold as much.
    are_pages: bool,
}

impl Over {
    fn end(&self) -> u64 {
        self.patches.iter().map(Patch::end).max().unwrap_or(0)
    }
}

/// Copies what `bytes`, which begin at `at`, have of a buffer that begins at `offset`.
fn lay_over(buf: &mut [u8], offset: u64, at: u64, bytes: &[u8]) {
    let end = at.saturating_add(bytes.len() as u64);
    let from = at.max(offset);
    let to = end.min(offset.saturating_add(buf.len() as u64));
    if from < to {
        let len = (to - from) as usize;
        let (into, of) = ((from - offset) as usize, (from - at) as usize);
        buf[into..into + len].copy_from_slice(&bytes[of..of + len]);
    }
}

impl Storage for Redone {
    fn open(&self, partition: &str, name: &str, mode: OpenMode) -> Result<Arc<dyn Blob>> {
        let blob = self.inner.open(partition, name, mode)?;
        Ok(match self.over(partition, name) {
            None => blob,
            Some(over) => Arc::new(RedoneBlob { blob, over }),
        })
    }

    fn remove(&self, partition: &str, name: &str) -> Result<()> {
        self.inner.remove(partition, name)
    }

    fn rename(&self, partition: &str, from: &str, to: &str) -> Result<()> {
        self.inner.rename(partition, from, to)
    }

    fn list(&self, partition: &str) -> Result<Vec<String>> {
        self.inner.list(partition)
    }

    fn lengths(&self, partition: &str) -> Result<Vec<(String, u64)>> {
        let mut lengths = self.inner.lengths(partition)?;
        for (name, len) in &mut lengths {
            let over = self.over(partition, name);
            *len = (*len).max(over.map_or(0, |over| over.end()));
        }
        Ok(lengths)
    }

    fn serves_side_by_side(&self) -> bool {
        self.inner.serves_side_by_side()
    }

    fn reads_at_once(&self) -> bool {
        self.inner.reads_at_once()
    }

    /// Those of a blob with patches are made alone: no file has all of its bytes.
    fn read_many(&self, reads: &[Read<'_>]) -> Vec<Result<Vec<u8>>> {
        self.inner.read_many(reads)
    }

    fn sync_partition(&self, partition: &str) -> Result<()> {
        self.inner.sync_partition(partition)
    }

    fn remove_partition(&self, partition: &str) -> Result<()> {
        self.inner.remove_partition(partition)
    }

    fn lock(&self, partition: &str, name: &str, holder: &str) -> Result<Box<dyn Lock>> {
        self.inner.lock(partition, name, holder)
    }

    fn path(&self, partition: &str, name: &str) -> PathBuf {
        self.inner.path(partition, name)
    }
}

#[derive(Debug)]
struct RedoneBlob {
    blob: Arc<dyn Blob>,
    over: Over,
}

impl RedoneBlob {
    /// A page as the file has it, if that holds as much as the one that lies over it.
    fn page(&self, over: &Patch) -> Result<Option<Vec<u8>>> {
        let there = self.blob.len()?.saturating_sub(over.at);
        let there = there.min(over.bytes.len() as u64) as usize;
        let mut raw = Vec::new();
        if there > 0 {
            self.blob.read_into(&mut raw, over.at, there)?;
        }
        raw.resize(over.bytes.len(), 0);
        Ok((page_len(&raw) >= page_len(&over.bytes)).then_some(raw))
    }
}

impl Blob for RedoneBlob {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let there = self
            .blob
            .len()?
            .saturating_sub(offset)
            .min(buf.len() as u64) as usize;
        let whole = self.len()?;
        if offset.saturating_add(buf.len() as u64) > whole {
            // Told as of any blob that is too short.
            return self.blob.read_at(buf, offset);
        }
        let (from_file, rest) = buf.split_at_mut(there);
        if !from_file.is_empty() {
            self.blob.read_at(from_file, offset)?;
        }
        rest.fill(0);
        let end = offset.saturating_add(buf.len() as u64);
        let patches = self.over.patches.iter();
        for patch in patches.filter(|of| of.at < end && offset < of.end()) {
            // One read decides, and is what counts.
            let of_file = match self.over.are_pages {
                true => self.page(patch)?,
                false => None,
            };
            let bytes = of_file.as_ref().unwrap_or(&patch.bytes);
            lay_over(buf, offset, patch.at, bytes);
        }
        Ok(())
    }

    fn is_in_memory(&self, offset: u64, len: usize) -> bool {
        self.blob.is_in_memory(offset, len)
    }

    fn write_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> Result<()> {
        self.blob.write_at(bufs, offset)
    }

    fn resize(&self, len: u64) -> Result<()> {
        self.blob.resize(len)
    }

    fn sync(&self) -> Result<()> {
        self.blob.sync()
    }

    fn len(&self) -> Result<u64> {
        Ok(self.blob.len()?.max(self.over.end()))
    }

    fn next_written(&self, offset: u64) -> Result<u64> {
        let behind = self.over.patches.iter().filter(|of| of.end() > offset);
        let patched = behind.map(|of| of.at.max(offset)).min();
        let of_file = match self.blob.len()? {
            len if len > offset => self.blob.next_written(offset)?,
            _ => self.len()?,
        };
        Ok(patched.map_or(of_file, |at| at.min(of_file)))
    }

    fn path(&self) -> &Path {
        self.blob.path()
    }
}
