//! Writing what waits, and cutting a stream.

use std::io::IoSlice;
use std::sync::Arc;

use super::encode::{Committed, encode_pages};
use super::file::PagedFile;
use super::tail::End;
use crate::canary::Canary;
use crate::error::Result;
use crate::format::{PageState, Slot, crc32c};
use crate::storage::DataBlob;
use crate::sync::atomic::Ordering;

/// Never called by two at a time.
impl PagedFile {
    /// Writes what waits, without flushing it. Readers go on beside it.
    pub(crate) fn write_out(&self) -> Result<()> {
        self.show()?;
        self.settle();
        Ok(())
    }

    /// Writes what waits, and leaves it in memory, where it is read until it is flushed.
    pub(crate) fn show(&self) -> Result<()> {
        let mut tail = self.tail.lock();
        if tail.waiting() == 0 {
            return Ok(());
        }
        let mut out = Vec::new();
        let first = tail.next_page(self.page_size);
        let stream = &tail.bytes[first..];
        let committed = encode_pages(stream, self.page_size, tail.committed, &mut out);
        let page = (tail.bytes.start() + first as u64) / self.page_size as u64;
        let at = self
            .page_offset(page)?
            .saturating_add((tail.written - first) as u64);
        let blob = self.file.get()?;
        *self.unflushed.lock() = Some(Arc::clone(&blob));
        blob.write_at(&[IoSlice::new(&out)], at)?;
        tail.is_written(committed);
        self.is_written(&tail);
        Ok(())
    }

    /// What is written is read from the file from now on, but for a page that is not full.
    fn settle(&self) {
        let mut tail = self.tail.lock();
        tail.settle(self.page_size);
        self.settled.store(tail.bytes.start(), Ordering::Release);
    }

    /// Writes what waits and flushes it. Until that is done it is read from memory: a flush that fails may take it from
    /// the file, and some of it may be durable elsewhere.
    pub(crate) fn sync(&self) -> Result<()> {
        self.show()?;
        let unflushed = self.unflushed.lock().clone();
        if let Some(blob) = unflushed {
            if !Canary::EntriesNotFlushed.sings() {
                blob.sync()?;
            }
            *self.unflushed.lock() = None;
        }
        self.settle();
        Ok(())
    }

    /// Cuts the stream to `len` bytes; durable when it returns. In each crash in between the
    /// stream ends at the old end, the new one, or a page between them.
    pub(crate) fn truncate(&self, len: u64) -> Result<()> {
        let mut tail = self.tail.lock();
        if len >= tail.bytes.end() {
            return Ok(());
        }
        if len >= tail.disk_end() {
            let kept = (len - tail.bytes.start()) as usize;
            tail.bytes.truncate(kept);
            return Ok(());
        }
        drop(tail);
        let blob = self.file.get()?;
        let page = len / self.page_size as u64;
        let kept = (len % self.page_size as u64) as usize;
        let whole = page + u64::from(kept > 0);
        // Before anything is cut: what cannot be read now, and is not damaged, could be read again later.
        let raw = match (kept > 0).then(|| self.read_page(&blob, page)) {
            Some(Err(error)) if error.is_unreadable() || !error.is_corruption() => {
                return Err(error);
            }
            read => read,
        };
        self.file.files().begin_cut()?;
        blob.resize(self.page_offset(whole)?)?;
        blob.sync()?;
        let mut new = End {
            start: page * self.page_size as u64,
            ..End::default()
        };
        if let Some(raw) = raw {
            match raw.and_then(|raw| self.shorten_page(&blob, page, kept, raw)) {
                Ok((bytes, committed)) => {
                    (new.bytes, new.committed) = (bytes, committed);
                }
                // A damaged page stays as it is; the stream goes on behind it.
                Err(error) if error.is_corruption() => {
                    new.start += self.page_size as u64;
                    new.damaged = true;
                }
                Err(error) => return Err(error),
            }
        }
        self.replace_end(&new);
        Ok(())
    }

    fn read_page(&self, blob: &DataBlob, page: u64) -> Result<Vec<u8>> {
        let at = self.page_offset(page)?;
        let mut raw = vec![0; self.physical()];
        let read = blob.read_at(&mut raw, at);
        read.map_err(|error| error.of_read(at)).map(|()| raw)
    }

    /// A cut gives the stream a new identity in the cache.
    fn replace_end(&self, new: &End) {
        let stream = self.cache.next_stream();
        self.stream.store(stream, Ordering::Release);
        self.take_end(new);
    }

    /// Makes a page hold its first `len` bytes only. First the slot that does not speak gets the
    /// new length, durably; then the one that speaks is erased with the bytes behind. Whatever of
    /// the second write survives a crash, one of the two slots is whole.
    fn shorten_page(
        &self,
        blob: &DataBlob,
        page: u64,
        len: usize,
        mut raw: Vec<u8>,
    ) -> Result<(Vec<u8>, Option<Committed>)> {
        let at = self.page_offset(page)?;
        self.check(page, &raw, len)?;
        let slot = match PageState::of(&raw) {
            PageState::Valid {
                slot,
                len: speaking,
            } if usize::from(speaking) == len => slot,
            PageState::Valid { slot, .. } => slot.other(),
            PageState::Invalid { .. } => Slot::First,
        };
        let committed = Committed {
            len: len as u16,
            crc: crc32c(&raw[..len]),
            slot,
        };
        slot.write(&mut raw[self.page_size..], committed.len, committed.crc);
        blob.write_at(
            &[IoSlice::new(&raw[self.page_size..])],
            at + self.page_size as u64,
        )?;
        blob.sync()?;
        raw[len..].fill(0);
        slot.write(&mut raw[self.page_size..], committed.len, committed.crc);
        blob.write_at(&[IoSlice::new(&raw[len..])], at + len as u64)?;
        blob.sync()?;
        raw.truncate(len);
        Ok((raw, Some(committed)))
    }
}
