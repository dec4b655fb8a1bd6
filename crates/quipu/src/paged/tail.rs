//! The end of a stream: what is not on disk, and the last page while it is not full.

use super::encode::Committed;

/// Bytes from the start of a page to the end of the stream.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// Where in the stream they begin: at the start of a page.
    pub(super) start: u64,
    pub(super) bytes: Vec<u8>,
    /// How many of them are on disk. Pages that are full there stay as long as they are not flushed.
    pub(super) written: usize,
    /// What of the page is on disk that holds the next byte to write; none where that begins a page.
    pub(super) committed: Option<Committed>,
    /// Whether the page before is damaged.
    pub(super) damaged: bool,
}

impl Tail {
    pub(super) fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
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
        self.start + self.written as u64
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
        self.bytes.drain(..full);
        self.start += full as u64;
        self.written -= full;
        if full > 0 || self.written > 0 {
            self.damaged = false;
        }
    }
}
