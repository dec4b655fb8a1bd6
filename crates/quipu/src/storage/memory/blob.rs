//! A handle to a blob in memory.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::handle::Handle;
use super::super::{Blob, Window, checked_end, reserve};
use super::Node;
use crate::error::Result;

#[derive(Debug)]
pub(super) struct MemoryBlob {
    node: Arc<Node>,
    handle: Handle,
}

impl MemoryBlob {
    pub(super) fn new(node: Arc<Node>, path: PathBuf, writable: bool) -> Self {
        Self {
            node,
            handle: Handle::new(path, writable),
        }
    }
}

impl Blob for MemoryBlob {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let content = self.node.content.read();
        self.handle
            .check_read(offset, buf.len() as u64, content.len())?;
        content.read(offset, buf);
        Ok(())
    }

    fn read_into(&self, buf: &mut Vec<u8>, offset: u64, len: usize) -> Result<()> {
        let content = self.node.content.read();
        self.handle.check_read(offset, len as u64, content.len())?;
        reserve(buf, len, self.handle.path())?;
        content.read_into(offset, len, buf);
        Ok(())
    }

    fn write_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> Result<()> {
        self.handle.check_writable()?;
        let total = bufs
            .iter()
            .fold(0_u64, |sum, buf| sum.saturating_add(buf.len() as u64));
        let mut content = self.node.content.write();
        self.handle.check_reach(offset, total, content.len())?;
        let mut at = offset;
        for buf in bufs.iter().filter(|buf| !buf.is_empty()) {
            content.write(at, buf);
            at = at.saturating_add(buf.len() as u64);
        }
        Ok(())
    }

    fn resize(&self, len: u64) -> Result<()> {
        self.handle.check_writable()?;
        let mut content = self.node.content.write();
        self.handle.check_reach(len, 0, content.len())?;
        content.resize(len);
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn len(&self) -> Result<u64> {
        Ok(self.node.content.read().len())
    }

    fn window(&self) -> Option<Arc<dyn Window>> {
        Some(Arc::clone(&self.node) as _)
    }

    fn path(&self) -> &Path {
        self.handle.path()
    }
}

impl Window for Node {
    fn read_into(&self, buf: &mut Vec<u8>, offset: u64, len: usize) -> bool {
        let content = self.content.read();
        let end = checked_end(offset, len as u64).filter(|&end| end <= content.len());
        let is_there = end.is_some() && buf.try_reserve(len).is_ok();
        if is_there {
            content.read_into(offset, len, buf);
        }
        is_there
    }

    fn memory(&self) -> usize {
        0
    }
}
