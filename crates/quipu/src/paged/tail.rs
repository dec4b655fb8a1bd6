//! The end of a stream: what is not on disk, and the last page while it is not full.

use super::encode::Committed;
use crate::append_buffer::AppendBuffer;

/// What an open, or a cut, finds at the end of a stream.
#[derive(Debug, Default)]
pub(super) struct End {
    /// Where in the stream the bytes begin: at the start of a page.
    pub(super) start: u64,
    /// They are on disk.
    pub(super) bytes: Vec<u8>,
    /// What of the page is on disk that they are in; none where there are none.
    pub(super) committed: Option<Committed>,
    /// Whether the page before is damaged.
    pub(super) damaged: bool,
}

impl End {
    pub(super) fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

/// Bytes from the start of a page to the end of the stream, and what of them is on disk.
pub(super) struct Tail {
    pub(super) bytes: AppendBuffer,
    /// How many of them are on disk. Pages that are full there stay as long as they are not flushed.
    pub(super) written: usize,
    /// What of the page is on disk that holds the next byte to write; none where that begins a page.
    pub(super) committed: Option<Committed>,
    /// Whether the page before is damaged.
    pub(super) damaged: bool,
}

impl Tail {
    /// Of an empty stream.
    pub(super) fn new() -> Self {
        Self {
            bytes: AppendBuffer::new(0),
            written: 0,
            committed: None,
            damaged: false,
        }
    }

    /// Takes what was found in place of what it was.
    pub(super) fn replace(&mut self, found: &End) {
        self.bytes.replace(found.start, &found.bytes);
        self.written = found.bytes.len();
        self.committed = found.committed;
        self.damaged = found.damaged;
    }

    /// Whether the stream ends with the damaged page.
    #[inline]
    pub(super) fn ends_damaged(&self) -> bool {
        self.damaged && self.bytes.is_empty()
    }

    /// How many of the bytes are not on disk.
    pub(super) fn waiting(&self) -> usize {
        self.bytes.len().saturating_sub(self.written)
    }

    /// Where the stream ends on disk.
    pub(super) fn disk_end(&self) -> u64 {
        self.bytes.start() + self.written as u64
    }

    /// Where the page begins that holds the next byte to write, in the bytes.
    pub(super) fn next_page(&self, page_size: usize) -> usize {
        self.written - self.written % page_size
    }

    /// After everything was written.
    pub(super) fn is_written(&mut self, committed: Option<Committed>) {
        self.written = self.bytes.len();
        self.committed = committed;
    }

    /// Keeps only the last page, while it is not full.
    pub(super) fn settle(&mut self, page_size: usize) {
        let full = self.next_page(page_size);
        if full > 0 {
            self.bytes.drop_front(full);
        }
        self.written -= full;
        if full > 0 || self.written > 0 {
            self.damaged = false;
        }
    }
}
