//! Writes of whole blocks past the system's cache.
//!
//! A flush of a block in the cache has the system find it, write it and wait; written past the cache it is on its way
//! before the flush is asked for.

use std::fs::File;

use rustix::io::{Errno, pwrite, retry_on_intr};

use super::super::BLOCK_BYTES;
use super::folder::Folder;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};

/// A second handle of a file, which goes past the cache.
#[derive(Debug)]
pub(super) struct Blocks {
    file: File,
    /// Memory that such writes may come from, with room to begin at a multiple of a block.
    memory: Mutex<Vec<u8>>,
    /// Whether the file system takes such writes after all.
    works: AtomicBool,
}

impl Blocks {
    /// None where the system, or the file system, has no such writes.
    #[cfg(target_os = "linux")]
    pub(super) fn open(folder: &Folder, name: &str) -> Option<Self> {
        use rustix::fs::OFlags;

        let file = folder.open_file(name, OFlags::RDWR | OFlags::DIRECT).ok()?;
        Some(Self {
            file,
            memory: Mutex::default(),
            works: AtomicBool::new(true),
        })
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn open(_folder: &Folder, _name: &str) -> Option<Self> {
        None
    }

    /// Writes whole blocks; none where they are not whole, or cannot be written so.
    pub(super) fn write(&self, bytes: &[u8], offset: u64) -> Option<rustix::io::Result<()>> {
        let is_whole =
            bytes.len().is_multiple_of(BLOCK_BYTES) && offset.is_multiple_of(BLOCK_BYTES as u64);
        if !is_whole || !self.works.load(Ordering::Relaxed) {
            return None;
        }
        let mut memory = self.memory.lock();
        let room = bytes.len() + BLOCK_BYTES;
        if memory.len() < room {
            memory.resize(room, 0);
        }
        let begin = memory.as_ptr().align_offset(BLOCK_BYTES);
        let aligned = memory.get_mut(begin..begin.checked_add(bytes.len())?)?;
        aligned.copy_from_slice(bytes);
        let mut done = 0;
        while done < aligned.len() {
            match retry_on_intr(|| pwrite(&self.file, &aligned[done..], offset + done as u64)) {
                Ok(0) => return Some(Err(Errno::IO)),
                Ok(written) => done += written,
                Err(Errno::INVAL | Errno::OPNOTSUPP) => {
                    // The rest goes through the cache, and so does what comes.
                    self.works.store(false, Ordering::Relaxed);
                    return None;
                }
                Err(errno) => return Some(Err(errno)),
            }
        }
        Some(Ok(()))
    }

    /// Flushes the file.
    pub(super) fn flush(&self) -> std::io::Result<()> {
        self.file.sync_data()
    }
}
