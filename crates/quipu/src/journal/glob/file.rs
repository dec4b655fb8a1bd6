//! The values of one section: back to back, each with its checksum behind it.

use std::io::IoSlice;
use std::sync::Arc;

use bytes::Bytes;

use super::super::config::ValueConfig;
use crate::append_buffer::{AppendBuffer, AppendView};
use crate::canary::Canary;
use crate::error::{Error, Result};
use crate::format::{Layout, MAX_VALUE_SIZE, VALUE_CHECKSUM_SIZE, crc32c};
use crate::storage::{BlobFile, DataBlob};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};

/// No file has more bytes: what says so is not believed.
const MAX_DURABLE_BYTES: u64 = 1 << 62;
/// A buffer that has grown larger than this is given back when its section is left.
const KEPT_BUFFER_BYTES: usize = 4096;

/// One section of a glob. One writer, any number of readers beside it.
pub(crate) struct ValueFile {
    file: BlobFile,
    write_buffer: usize,
    /// Bytes below are in the file.
    settled: AtomicU64,
    /// Of the writer alone.
    tail: Mutex<Tail>,
    /// The bytes of the tail, for readers.
    end: AppendView,
    layout: Layout,
    /// Bytes of values that were there when the file was last looked at.
    found: AtomicU64,
    /// Held from the first write to the flush, so that an error in between is not lost with it.
    unflushed: Mutex<Option<Arc<DataBlob>>>,
}

/// Bytes that are not written yet, and where they will stand.
struct Tail {
    bytes: AppendBuffer,
    /// How many of the bytes are in the file all the same: somebody else keeps them until they are flushed there, and
    /// until then they are read from here.
    shown: usize,
    /// Whether bytes before were written, and not flushed.
    is_written_out: bool,
    /// Offset and checksum of the value that was appended last.
    last: Option<(u64, u32)>,
}

impl ValueFile {
    /// Creates an empty file; its name is durable after the partition is flushed.
    pub(crate) fn create(file: BlobFile, config: &ValueConfig) -> Result<Self> {
        let blob = file.create()?;
        Ok(Self::with(file, config, &blob, 0))
    }

    /// Opens a file. New values go behind `durable` bytes at the least, also where the file was
    /// cut short: no entry can ever point at another item's value.
    pub(crate) fn open(file: BlobFile, config: &ValueConfig, durable: u64) -> Result<Self> {
        let blob = file.get()?;
        let found = blob.len()?;
        let durable = durable.min(MAX_DURABLE_BYTES);
        let opened = Self::with(file, config, &blob, found.max(durable));
        opened.found.store(found, Ordering::Release);
        Ok(opened)
    }

    fn with(file: BlobFile, config: &ValueConfig, blob: &DataBlob, start: u64) -> Self {
        let bytes = AppendBuffer::new(start);
        Self {
            file,
            write_buffer: config.write_buffer,
            settled: AtomicU64::new(start),
            end: bytes.view(),
            tail: Mutex::new(Tail {
                bytes,
                shown: 0,
                is_written_out: false,
                last: None,
            }),
            layout: blob.layout(),
            found: AtomicU64::new(start),
            unflushed: Mutex::new(None),
        }
    }

    pub(crate) fn file(&self) -> &BlobFile {
        &self.file
    }

    /// Bytes of values, those that wait to be written included.
    pub(crate) fn len(&self) -> u64 {
        self.end.end()
    }

    /// Bytes of values that were there when the file was opened, or looked at again: less than its
    /// length where something is lost.
    pub(crate) fn found_len(&self) -> u64 {
        self.found.load(Ordering::Acquire)
    }

    /// The header that the file has.
    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// Bytes of the blob once everything is written, header included.
    pub(crate) fn disk_len(&self) -> u64 {
        self.layout.header_size().saturating_add(self.len())
    }

    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>() + self.end.memory()
    }
}

/// Writing; never called by two at a time.
impl ValueFile {
    /// Appends a value; where it stands and its size with the checksum. It is gathered in memory,
    /// unless it is larger than the buffer: then it goes straight to the file.
    pub(crate) fn append(&self, value: &[u8]) -> Result<(u64, u32)> {
        let size = match u32::try_from(value.len()) {
            Ok(len) if len <= MAX_VALUE_SIZE => len + VALUE_CHECKSUM_SIZE,
            _ => {
                return Err(Error::ValueTooLarge {
                    size: value.len() as u64,
                    max: MAX_VALUE_SIZE.into(),
                });
            }
        };
        let checksum = crc32c(value);
        let crc = checksum.to_be_bytes();
        let mut tail = self.tail.lock();
        if tail.bytes.len() + size as usize > self.write_buffer {
            drop(tail);
            self.write_out()?;
            if size as usize > self.write_buffer {
                let offset = self.write_through(value, &crc)?;
                self.tail.lock().last = Some((offset, checksum));
                return Ok((offset, size));
            }
            tail = self.tail.lock();
        }
        let offset = tail.bytes.end();
        tail.last = Some((offset, checksum));
        tail.bytes.append([value, &crc]);
        Ok((offset, size))
    }

    /// Writes one value with one call; nothing waits before it.
    fn write_through(&self, value: &[u8], crc: &[u8]) -> Result<u64> {
        let offset = self.len();
        let blob = self.begin_write()?;
        let len = (value.len() + crc.len()) as u64;
        blob.write_at(&[IoSlice::new(value), IoSlice::new(crc)], offset)?;
        blob.begin_sync(offset, len);
        self.settle(offset + len, false);
        Ok(offset)
    }

    fn begin_write(&self) -> Result<Arc<DataBlob>> {
        let blob = self.file.get()?;
        *self.unflushed.lock() = Some(Arc::clone(&blob));
        Ok(blob)
    }

    /// Everything up to `end` is in the file.
    fn settle(&self, end: u64, is_flushed: bool) {
        let mut tail = self.tail.lock();
        tail.bytes.restart(end);
        tail.shown = 0;
        tail.is_written_out = !is_flushed;
        self.settled.store(end, Ordering::Release);
    }

    /// Writes what waits, without flushing it. Readers go on beside it.
    pub(crate) fn write_out(&self) -> Result<()> {
        if self.tail.lock().shown > 0 {
            // What somebody else keeps leaves the buffer only once it is durable.
            return self.sync();
        }
        if let Some(end) = self.write()? {
            // While the next values are gathered, the disk writes these.
            if let Some(blob) = &*self.unflushed.lock() {
                let start = self.settled.load(Ordering::Acquire);
                blob.begin_sync(start, end.saturating_sub(start));
            }
            self.settle(end, false);
        }
        Ok(())
    }

    /// Writes what is not in the file, and leaves it in the buffer; where that ends, if there was anything in it.
    fn write(&self) -> Result<Option<u64>> {
        let tail = self.tail.lock();
        if tail.bytes.len() > tail.shown {
            let blob = self.begin_write()?;
            let at = tail.bytes.start() + tail.shown as u64;
            blob.write_at(&[IoSlice::new(&tail.bytes[tail.shown..])], at)?;
        }
        Ok((!tail.bytes.is_empty()).then(|| tail.bytes.end()))
    }

    /// Writes what waits and flushes the file.
    pub(crate) fn sync(&self) -> Result<()> {
        self.write()?;
        let unflushed = self.unflushed.lock().clone();
        if let Some(blob) = unflushed {
            if !Canary::ValuesNotFlushed.sings() {
                blob.sync()?;
            }
            *self.unflushed.lock() = None;
        }
        self.settle(self.len(), true);
        Ok(())
    }

    /// Bytes since the last flush, or [`show`](Self::show); none where some of them are not in the buffer any more.
    pub(crate) fn unshown(&self) -> Option<usize> {
        let tail = self.tail.lock();
        (!tail.is_written_out).then(|| tail.bytes.len() - tail.shown)
    }

    /// What [`unshown`](Self::unshown) counts, and where it begins.
    pub(crate) fn with_unshown<T>(&self, on: impl FnOnce(u64, &[u8]) -> T) -> T {
        let tail = self.tail.lock();
        let at = tail.bytes.start() + tail.shown as u64;
        on(at, &tail.bytes[tail.shown..])
    }

    /// Writes the same, without a flush: somebody else keeps it until then.
    pub(crate) fn show(&self) -> Result<()> {
        if self.write()?.is_some() {
            let mut tail = self.tail.lock();
            tail.shown = tail.bytes.len();
        }
        Ok(())
    }

    /// Gives back what a large buffer has more than it needs.
    pub(crate) fn release_buffer(&self) {
        self.tail.lock().bytes.shrink_to(KEPT_BUFFER_BYTES);
    }

    /// Keeps the first `len` bytes; durable when it returns.
    pub(crate) fn truncate(&self, len: u64) -> Result<()> {
        let mut tail = self.tail.lock();
        if len >= tail.bytes.end() {
            return Ok(());
        }
        tail.last = None;
        if let Some(kept) = len.checked_sub(tail.bytes.start()) {
            let kept = kept as usize;
            if kept >= tail.shown {
                tail.bytes.truncate(kept);
                return Ok(());
            }
        }
        drop(tail);
        let blob = self.begin_write()?;
        self.file.files().begin_cut()?;
        blob.resize(len)?;
        self.settle(len, false);
        self.sync()
    }

    /// Looks at the length of the file again, which another process writes.
    pub(crate) fn refresh(&self) -> Result<()> {
        let len = self.file.get_again()?.len()?;
        self.found.store(len, Ordering::Release);
        self.settle(len.max(self.len()), true);
        Ok(())
    }
}

/// Reading.
impl ValueFile {
    /// The value at an offset whose size with the checksum is `size`. Checks the checksum; copies
    /// once, out of the file or the buffer.
    pub(crate) fn read(&self, offset: u64, size: u32) -> Result<Bytes> {
        self.read_ahead(offset, size, None)
    }

    /// As [`read`](Self::read), of bytes that were read from the file already, if any were.
    pub(crate) fn read_ahead(
        &self,
        offset: u64,
        size: u32,
        ahead: Option<Vec<u8>>,
    ) -> Result<Bytes> {
        if size < VALUE_CHECKSUM_SIZE {
            return Err(self.too_small(offset, size));
        }
        let mut stored = match ahead.filter(|bytes| bytes.len() == size as usize) {
            Some(bytes) => bytes,
            None => self.read_bytes(offset, size.into())?,
        };
        let len = self.check(&stored, offset)?;
        stored.truncate(len);
        // With room for no more than it holds, it needs no second allocation to be shared.
        Ok(Bytes::from(stored.into_boxed_slice()))
    }

    /// Where the `nth` of `count` values is mapped, if all are of one size; if they only seem to be, any place.
    #[inline]
    pub(crate) fn nth_mapped_at(&self, nth: u64, count: u64) -> Option<usize> {
        let len = self.settled.load(Ordering::Relaxed);
        self.file.mapped_at(nth_place(len, nth, count)?)
    }

    /// The checksum of the value at an offset, where that was appended last.
    pub(crate) fn last_checksum(&self, offset: u64) -> Option<u32> {
        let last = self.tail.lock().last;
        last.filter(|&(at, _)| at == offset)
            .map(|(_, checksum)| checksum)
    }

    /// Whether a value is in the file as a whole: what is never changes there.
    pub(crate) fn is_settled(&self, offset: u64, size: u32) -> bool {
        let end = offset.checked_add(size.into());
        end.is_some_and(|end| end <= self.settled.load(Ordering::Acquire))
    }

    /// Bytes as they are stored, unchecked.
    pub(crate) fn read_span(&self, offset: u64, len: u64) -> Result<Bytes> {
        self.read_bytes(offset, len).map(Bytes::from)
    }

    fn read_bytes(&self, offset: u64, len: u64) -> Result<Vec<u8>> {
        let end = offset.checked_add(len);
        let end = end.ok_or_else(|| self.out_of_bounds(offset, len))?;
        let mut bytes = Vec::new();
        if end <= self.settled.load(Ordering::Acquire) {
            self.read_file(&mut bytes, offset, len as usize)?;
        } else {
            self.read_end(offset, end, &mut bytes)?;
        }
        Ok(bytes)
    }

    fn read_end(&self, offset: u64, end: u64, out: &mut Vec<u8>) -> Result<()> {
        let waiting = self.end.read(|start, bytes| {
            let from = offset.max(start).min(end);
            let at = from.saturating_sub(start) as usize;
            let waiting = bytes.get(at..at + (end - from) as usize)?;
            Some((from, waiting.to_vec()))
        });
        let Some((from, waiting)) = waiting else {
            return Err(self.out_of_bounds(offset, end - offset));
        };
        if from == offset {
            *out = waiting;
            return Ok(());
        }
        let on_disk = (from - offset) as usize;
        self.read_file(out, offset, on_disk)?;
        out.extend_from_slice(&waiting);
        Ok(())
    }

    fn read_file(&self, out: &mut Vec<u8>, offset: u64, len: usize) -> Result<()> {
        let read = self.file.read_into(out, offset, len);
        read.map_err(|error| error.of_read(offset))
    }

    fn too_small(&self, offset: u64, size: u32) -> Error {
        Error::ValueSize {
            path: self.file.path(),
            offset,
            size,
            reason: "it is less than the checksum alone takes",
        }
    }

    fn out_of_bounds(&self, offset: u64, wanted: u64) -> Error {
        Error::OutOfBounds {
            path: self.file.path(),
            offset,
            wanted,
            len: self.len(),
        }
    }

    /// A value without its checksum, which must be right.
    pub(crate) fn checked(&self, mut stored: Bytes, offset: u64) -> Result<Bytes> {
        let len = self.check(&stored, offset)?;
        stored.truncate(len);
        Ok(stored)
    }

    /// How long a value is without its checksum, which must be right.
    fn check(&self, stored: &[u8], offset: u64) -> Result<usize> {
        // The checksum of nothing is 0, so nothing would pass for an empty value.
        let Some((value, expected)) = stored.split_last_chunk() else {
            return Err(self.too_small(offset, stored.len() as u32));
        };
        let (expected, found) = (u32::from_be_bytes(*expected), crc32c(value));
        if expected != found && !Canary::ValueUnchecked.sings() {
            return Err(Error::Checksum {
                path: self.file.path(),
                offset,
                expected,
                found,
            });
        }
        Ok(value.len())
    }
}

/// Where the `nth` of `count` values of one size begins, if they take so many bytes.
#[inline]
fn nth_place(len: u64, nth: u64, count: u64) -> Option<u64> {
    let size = len.checked_div(count)?;
    (size * count == len).then(|| nth.checked_mul(size))?
}

impl std::fmt::Debug for ValueFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ValueFile")
            .field("path", &self.file.path())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::nth_place;

    #[test]
    fn the_place_of_a_value_is_told_where_all_have_one_size() {
        assert_eq!(nth_place(680, 0, 10), Some(0));
        assert_eq!(nth_place(680, 9, 10), Some(612));
        for (len, nth, count) in [
            (681, 3, 10),
            (5, 3, 10),
            (680, 3, 0),
            (u64::MAX, u64::MAX, 1),
        ] {
            let place = nth_place(len, nth, count);
            assert!(
                place.is_none() || count == 1 && nth.checked_mul(len) == place,
                "{len} {nth} {count}"
            );
        }
    }
}
