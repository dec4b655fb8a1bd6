//! One entry in memory, without an allocation for the usual key sizes.

use crate::format::EntryLayout;

const INLINE: usize = 128;

/// Room for one entry; small ones live on the stack.
pub(super) struct EntryBuf {
    layout: EntryLayout,
    inline: [u8; INLINE],
    heap: Vec<u8>,
}

impl EntryBuf {
    pub(super) fn new(layout: EntryLayout) -> Self {
        let heap = if layout.size() > INLINE {
            vec![0; layout.size()]
        } else {
            Vec::new()
        };
        Self {
            layout,
            inline: [0; INLINE],
            heap,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self.heap.is_empty() {
            true => &self.inline[..self.layout.size()],
            false => &self.heap,
        }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        match self.heap.is_empty() {
            true => &mut self.inline[..self.layout.size()],
            false => &mut self.heap,
        }
    }

    pub(super) fn index(&self) -> u64 {
        self.layout.index(self.bytes())
    }

    pub(super) fn key(&self) -> &[u8] {
        self.layout.key(self.bytes())
    }

    pub(super) fn location(&self) -> (u64, u32) {
        self.layout.location(self.bytes())
    }
}
