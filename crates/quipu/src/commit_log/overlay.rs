//! A storage as it looks once the log is redone, for who must not change it.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::redo::{Files, Patch, Redo, Which};
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

    fn patches(&self, partition: &str, name: &str) -> Option<&[Patch]> {
        let which = match partition {
            _ if partition == self.values => Which::Values,
            _ if partition == self.index => Which::Index,
            _ => return None,
        };
        let of = (which, section_number(name)?);
        self.redo.patches.get(&of).map(Vec::as_slice)
    }
}

fn end(patches: &[Patch]) -> u64 {
    patches.iter().map(Patch::end).max().unwrap_or(0)
}

impl Storage for Redone {
    fn open(&self, partition: &str, name: &str, mode: OpenMode) -> Result<Arc<dyn Blob>> {
        let blob = self.inner.open(partition, name, mode)?;
        Ok(match self.patches(partition, name) {
            None => blob,
            Some(patches) => Arc::new(RedoneBlob {
                blob,
                patches: patches.to_vec(),
            }),
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
            *len = (*len).max(self.patches(partition, name).map_or(0, end));
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
    patches: Vec<Patch>,
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
        for patch in &self.patches {
            let from = patch.at.max(offset);
            let to = patch.end().min(offset.saturating_add(buf.len() as u64));
            if from < to {
                let at = (from - patch.at) as usize;
                let len = (to - from) as usize;
                let into = (from - offset) as usize;
                buf[into..into + len].copy_from_slice(&patch.bytes[at..at + len]);
            }
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
        Ok(self.blob.len()?.max(end(&self.patches)))
    }

    fn next_written(&self, offset: u64) -> Result<u64> {
        let behind = self.patches.iter().filter(|of| of.end() > offset);
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
