//! One open file: reads and writes at offsets, without a position of its own.

use std::fs::File;
use std::io::{ErrorKind, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::buffer::spare_capacity;
use rustix::io::{pread, pwrite, pwritev, retry_on_intr};

use super::super::handle::Handle;
use super::super::{Blob, Window, checked_end, reserve};
use super::blocks::Blocks;
use super::holes;
use super::look::{Look, is_in_memory, look_at};
use super::mapped::Maps;
use super::writeback;
use crate::error::{Error, Result};

/// The most bytes for one system call: some systems refuse 2 GiB and more.
const MAX_CALL: usize = 1 << 30;
/// Reads of more bytes than this are held against the file's length before memory is taken for
/// them, so that a damaged size costs no memory. As many as are read through a map, without a call.
pub(super) const LARGE_READ: usize = 1 << 17;

#[derive(Debug)]
pub(super) struct DiskBlob {
    file: File,
    maps: Option<Arc<Maps>>,
    blocks: Option<Blocks>,
    handle: Handle,
}

impl DiskBlob {
    pub(super) fn new(file: File, path: PathBuf, writable: bool, maps: Option<Arc<Maps>>) -> Self {
        Self {
            file,
            maps,
            blocks: None,
            handle: Handle::new(path, writable),
        }
    }

    /// The same, with writes of whole blocks past the cache.
    pub(super) fn with_blocks(self, blocks: Option<Blocks>) -> Self {
        Self { blocks, ..self }
    }

    /// Checks that a call may reach `wanted` bytes behind `offset`.
    fn check_end(&self, offset: u64, wanted: u64) -> Result<u64> {
        match checked_end(offset, wanted) {
            Some(end) => Ok(end),
            None => self.out_of_bounds(offset, wanted),
        }
    }

    fn out_of_bounds<T>(&self, offset: u64, wanted: u64) -> Result<T> {
        Err(self.handle.out_of_bounds(offset, wanted, self.len()?))
    }

    fn failed(&self, action: &'static str, source: impl Into<std::io::Error>) -> Error {
        Error::io(action, self.handle.path(), source.into())
    }

    /// Reads into memory that nobody has set to zero first. `buf` must have room for `len` more
    /// bytes; the call may fill all its room, so what is too much is cut again.
    fn read_into_room(&self, buf: &mut Vec<u8>, offset: u64, len: usize) -> Result<()> {
        let start = buf.len();
        let mut done = 0;
        while done < len {
            let at = offset + done as u64;
            let read = retry_on_intr(|| pread(&self.file, spare_capacity(buf), at));
            match read {
                Ok(0) => {
                    buf.truncate(start);
                    return self.out_of_bounds(offset, len as u64);
                }
                Ok(read) => done += read,
                Err(errno) => {
                    buf.truncate(start);
                    return Err(self.failed("read", errno));
                }
            }
        }
        buf.truncate(start + len);
        Ok(())
    }

    fn stat(&self) -> Result<Look> {
        look_at(&self.file).map_err(|errno| self.failed("look at", errno))
    }

    /// One system call that writes what comes behind the first `done` bytes of `bufs`.
    fn write_rest(&self, bufs: &[IoSlice<'_>], done: usize, at: u64) -> rustix::io::Result<usize> {
        let mut skip = done;
        for (i, buf) in bufs.iter().enumerate() {
            if skip >= buf.len() {
                skip -= buf.len();
                continue;
            }
            let rest = bufs.get(i..).unwrap_or_default();
            let total: usize = rest.iter().map(|b| b.len()).fold(0, usize::saturating_add);
            if skip == 0 && total <= MAX_CALL {
                return retry_on_intr(|| pwritev(&self.file, rest, at));
            }
            let part = buf.get(skip..).unwrap_or_default();
            let part = part.get(..MAX_CALL).unwrap_or(part);
            return retry_on_intr(|| pwrite(&self.file, part, at));
        }
        Ok(0)
    }
}

impl Blob for DiskBlob {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let wanted = buf.len() as u64;
        self.check_end(offset, wanted)?;
        let mut rest = buf;
        let mut at = offset;
        while !rest.is_empty() {
            let most = rest.len().min(MAX_CALL);
            let (part, _) = rest.split_at_mut(most);
            let read = retry_on_intr(|| pread(&self.file, &mut *part, at))
                .map_err(|errno| self.failed("read", errno))?;
            if read == 0 {
                return self.out_of_bounds(offset, wanted);
            }
            rest = rest.split_at_mut(read).1;
            at += read as u64;
        }
        Ok(())
    }

    fn is_in_memory(&self, offset: u64, _len: usize) -> bool {
        is_in_memory(&self.file, offset)
    }

    fn mapped_at(&self, offset: u64) -> Option<usize> {
        self.maps.as_ref()?.mapped_at(offset)
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }

    fn next_written(&self, offset: u64) -> Result<u64> {
        Ok(holes::next_written(&self.file, offset, self.len()?))
    }

    fn read_into(&self, buf: &mut Vec<u8>, offset: u64, len: usize) -> Result<()> {
        let end = self.check_end(offset, len as u64)?;
        if len > LARGE_READ && end > self.len()? {
            return self.out_of_bounds(offset, len as u64);
        }
        reserve(buf, len, self.handle.path())?;
        if let Some(maps) = &self.maps
            && maps.read(&self.file, buf, offset, len)
        {
            return Ok(());
        }
        // Filling the whole room is fine when it is about what was asked for. A call is then one
        // that reads to the end of the room; where that is far off, zeroing costs less.
        let room = buf.capacity() - buf.len();
        if room <= MAX_CALL && room - len <= len / 8 + 4096 {
            return self.read_into_room(buf, offset, len);
        }
        let start = buf.len();
        buf.resize(start + len, 0);
        self.read_at(buf.split_at_mut(start).1, offset)
            .inspect_err(|_| buf.truncate(start))
    }

    fn write_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> Result<()> {
        self.handle.check_writable()?;
        let total = bufs
            .iter()
            .map(|b| b.len())
            .try_fold(0_usize, usize::checked_add)
            .unwrap_or(usize::MAX);
        self.check_end(offset, total as u64)?;
        if let ([bytes], Some(blocks)) = (bufs, &self.blocks)
            && let Some(written) = blocks.write(bytes, offset)
        {
            return written.map_err(|errno| self.failed("write", errno));
        }
        let mut done = 0;
        while done < total {
            let written = self
                .write_rest(bufs, done, offset + done as u64)
                .map_err(|errno| self.failed("write", errno))?;
            if written == 0 {
                return Err(self.failed("write", ErrorKind::WriteZero));
            }
            done += written;
        }
        Ok(())
    }

    fn resize(&self, len: u64) -> Result<()> {
        self.handle.check_writable()?;
        self.check_end(len, 0)?;
        if let Some(maps) = &self.maps {
            maps.cut(len);
        }
        self.file.set_len(len).map_err(|e| self.failed("resize", e))
    }

    fn sync(&self) -> Result<()> {
        let flushed = match &self.blocks {
            Some(blocks) => blocks.flush(),
            None => self.file.sync_data(),
        };
        flushed.map_err(|e| self.failed("flush", e))?;
        // A flush of a file that somebody removed succeeds, and saves nothing.
        match self.stat()?.links {
            0 => Err(Error::NotFound {
                path: self.handle.path().to_path_buf(),
            }),
            _ => Ok(()),
        }
    }

    fn begin_sync(&self, offset: u64, len: u64) {
        writeback::begin(&self.file, offset, len);
    }

    fn len(&self) -> Result<u64> {
        Ok(self.stat()?.len)
    }

    fn window(&self) -> Option<Arc<dyn Window>> {
        self.maps.as_ref().map(Maps::window)
    }

    fn path(&self) -> &Path {
        self.handle.path()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn a_write_that_was_cut_short_goes_on_where_it_stopped() {
        let bufs = [&b""[..], b"one", b"", b"three", b"", b"5"].map(IoSlice::new);
        for done in 0..9 {
            let file = tempfile::tempfile().unwrap();
            let blob = DiskBlob::new(file.try_clone().unwrap(), "file".into(), true, None);
            let mut at = done;
            while at < 9 {
                at += blob.write_rest(&bufs, at, at as u64).unwrap();
            }
            let mut found = vec![0; 9 - done];
            file.read_exact_at(&mut found, done as u64).unwrap();
            assert_eq!(found, &b"onethree5"[done..]);
        }
        let blob = DiskBlob::new(tempfile::tempfile().unwrap(), "file".into(), true, None);
        assert_eq!(blob.write_rest(&bufs, 9, 9).unwrap(), 0);
    }
}
