//! The end of a stream: what is not on disk, and the last page while it is not full.

use super::encode::Committed;

/// Bytes from the start of a page to the end of the stream.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// Where in the stream they begin: at the start of a page.
    pub(super) start: u64,
    pub(super) bytes: Vec<u8>,
    /// What of the first page is on disk.
    pub(super) committed: Option<Committed>,
    /// How many of the bytes were written without a flush; 0 where none were.
    pub(super) shown: usize,
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

    /// How many of the bytes a flush has made durable, or is about to.
    pub(super) fn committed_len(&self) -> usize {
        self.committed.map_or(0, |committed| committed.len.into())
    }

    /// How many of the bytes are on disk, flushed or not.
    pub(super) fn shown_len(&self) -> usize {
        self.shown.max(self.committed_len())
    }

    /// How many are not on disk, or not flushed.
    pub(super) fn waiting(&self) -> usize {
        self.bytes.len().saturating_sub(self.committed_len())
    }

    /// Where the stream ends on disk.
    pub(super) fn disk_end(&self) -> u64 {
        self.start + self.committed_len() as u64
    }

    /// After everything was written: keeps only the last page, while it is not full.
    pub(super) fn settle(&mut self, page_size: usize, committed: Option<Committed>) {
        let kept = self.bytes.len() % page_size;
        let full = self.bytes.len() - kept;
        self.bytes.copy_within(full.., 0);
        self.bytes.truncate(kept);
        self.start += full as u64;
        self.committed = committed;
        self.shown = 0;
        self.damaged = false;
    }
}
