//! One entry in memory, without an allocation for the usual key sizes.

use std::cell::Cell;

use crate::format::EntryLayout;

const INLINE: usize = 128;

/// A value as it is stored, that was read before its entry was asked for.
#[derive(Debug)]
pub(super) struct ValueAhead {
    /// The file that it is from, as [`BlobFile::id`](crate::storage::BlobFile::id).
    pub(super) file: u64,
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
}

/// Room for one entry; small ones live on the stack.
pub(super) struct EntryBuf {
    /// The value that the entry is likely to name.
    ahead: Cell<Option<ValueAhead>>,
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
            ahead: Cell::new(None),
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

    /// Hands over the value that the entry to come is likely to name.
    pub(super) fn set_ahead(&mut self, ahead: Option<ValueAhead>) {
        self.ahead.set(ahead);
    }

    /// The stored bytes of a value that the entry names, where they were read ahead. Once: who asks again wants
    /// them read again.
    #[inline]
    pub(super) fn take_ahead(&self, file: u64, offset: u64) -> Option<Vec<u8>> {
        let ahead = self.ahead.take()?;
        (ahead.file == file && ahead.offset == offset).then_some(ahead.bytes)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_was_read_ahead_is_that_of_one_place_and_used_once() {
        let ahead = || {
            Some(ValueAhead {
                file: 7,
                offset: 100,
                bytes: vec![1, 2],
            })
        };
        let mut entry = EntryBuf::new(EntryLayout { key_size: 8 });
        assert_eq!(entry.take_ahead(7, 100), None);
        for (file, offset, expected) in [(7, 100, Some(vec![1, 2])), (8, 100, None), (7, 101, None)]
        {
            entry.set_ahead(ahead());
            assert_eq!(entry.take_ahead(file, offset), expected);
            assert_eq!(entry.take_ahead(7, 100), None);
        }
        entry.set_ahead(ahead());
        entry.set_ahead(None);
        assert_eq!(entry.take_ahead(7, 100), None);
    }
}
