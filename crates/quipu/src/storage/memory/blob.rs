//! A handle to a blob in memory.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::{Blob, checked_end, reserve};
use super::Node;
use crate::error::{Error, Result};

#[derive(Debug)]
pub(super) struct MemoryBlob {
    node: Arc<Node>,
    path: PathBuf,
    writable: bool,
}

impl MemoryBlob {
    pub(super) fn new(node: Arc<Node>, path: PathBuf, writable: bool) -> Self {
        Self {
            node,
            path,
            writable,
        }
    }

    fn check_writable(&self) -> Result<()> {
        if self.writable {
            return Ok(());
        }
        Err(Error::ReadOnly {
            path: self.path.clone(),
        })
    }

    /// Checks a range against `most`, in a blob that has `len` bytes.
    fn check_range(&self, offset: u64, wanted: u64, most: u64, len: u64) -> Result<()> {
        if checked_end(offset, wanted).is_some_and(|end| end <= most) {
            return Ok(());
        }
        Err(Error::OutOfBounds {
            path: self.path.clone(),
            offset,
            wanted,
            len,
        })
    }
}

impl Blob for MemoryBlob {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let content = self.node.content.read();
        // No bytes can be had anywhere, as from a file.
        let most = if buf.is_empty() {
            u64::MAX
        } else {
            content.len()
        };
        self.check_range(offset, buf.len() as u64, most, content.len())?;
        content.read(offset, buf);
        Ok(())
    }

    fn read_into(&self, buf: &mut Vec<u8>, offset: u64, len: usize) -> Result<()> {
        let content = self.node.content.read();
        let most = if len == 0 { u64::MAX } else { content.len() };
        self.check_range(offset, len as u64, most, content.len())?;
        reserve(buf, len, &self.path)?;
        content.read_into(offset, len, buf);
        Ok(())
    }

    fn write_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> Result<()> {
        self.check_writable()?;
        let total = bufs
            .iter()
            .fold(0_u64, |sum, buf| sum.saturating_add(buf.len() as u64));
        let mut content = self.node.content.write();
        self.check_range(offset, total, u64::MAX, content.len())?;
        let mut at = offset;
        for buf in bufs.iter().filter(|buf| !buf.is_empty()) {
            content.write(at, buf);
            at = at.saturating_add(buf.len() as u64);
        }
        Ok(())
    }

    fn resize(&self, len: u64) -> Result<()> {
        self.check_writable()?;
        let mut content = self.node.content.write();
        self.check_range(len, 0, u64::MAX, content.len())?;
        content.resize(len);
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn len(&self) -> Result<u64> {
        Ok(self.node.content.read().len())
    }

    fn path(&self) -> &Path {
        &self.path
    }
}
