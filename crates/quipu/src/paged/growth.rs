//! What a stream has that its blob lacks, page by page, for who keeps that elsewhere until a flush.

use super::file::PagedFile;
use super::tail::Tail;
use crate::format::{Slot, crc32c};

/// Bytes that a page gets, and the slot that is to speak for them and for all before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageGrowth<'a> {
    pub(crate) page: u64,
    /// Where in the page the bytes begin.
    pub(crate) from: u16,
    pub(crate) bytes: &'a [u8],
    /// The checksum of the page up to their end.
    pub(crate) crc: u32,
    pub(crate) slot: Slot,
}

impl PageGrowth<'_> {
    /// How many bytes the page has then.
    pub(crate) fn len(&self) -> u16 {
        self.from.saturating_add(self.bytes.len() as u16)
    }
}

/// Never called by two at a time.
impl PagedFile {
    /// Bytes that the blob does not have; none where the stream goes on behind damage.
    pub(crate) fn unshown(&self) -> Option<usize> {
        let tail = self.tail.lock();
        (!tail.damaged).then(|| tail.waiting())
    }

    /// Hands them over: what [`show`](Self::show) is about to write.
    pub(crate) fn growth(&self, mut on: impl FnMut(&PageGrowth<'_>)) {
        grow(&self.tail.lock(), self.page_size, &mut on);
    }
}

fn grow(tail: &Tail, page_size: usize, on: &mut dyn FnMut(&PageGrowth<'_>)) {
    let first = tail.next_page(page_size);
    let (mut committed, mut from) = (tail.committed, tail.written - first);
    let pages = tail.bytes[first..].chunks(page_size);
    for (page, bytes) in ((tail.bytes.start() + first as u64) / page_size as u64..).zip(pages) {
        let slot = committed.take().map_or(Slot::First, |old| old.slot.other());
        let new = &bytes[std::mem::take(&mut from)..];
        if !new.is_empty() {
            on(&PageGrowth {
                page,
                // A page has at most 65,535 bytes.
                from: (bytes.len() - new.len()) as u16,
                bytes: new,
                crc: crc32c(bytes),
                slot,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::encode::Committed;
    use super::super::tail::End;
    use super::*;

    fn growths(tail: &Tail) -> Vec<(u64, u16, u16, Slot)> {
        let mut all = Vec::new();
        grow(tail, 10, &mut |growth| {
            assert_eq!(
                growth.crc,
                crc32c(&tail.bytes[start(tail, growth)..][..usize::from(growth.len())])
            );
            all.push((growth.page, growth.from, growth.len(), growth.slot));
        });
        all
    }

    fn start(tail: &Tail, growth: &PageGrowth<'_>) -> usize {
        (growth.page * 10 - tail.bytes.start()) as usize
    }

    #[test]
    fn pages_grow_from_where_they_end_on_disk() {
        let committed = Committed {
            len: 4,
            crc: 0,
            slot: Slot::Second,
        };
        let mut tail = Tail::new();
        tail.replace(&End {
            start: 30,
            bytes: (1..=4).collect(),
            committed: Some(committed),
            damaged: false,
        });
        tail.bytes.append([&[5, 6, 7]]);
        assert_eq!(growths(&tail), [(3, 4, 7, Slot::First)]);
        tail.is_written(Some(Committed {
            len: 7,
            slot: Slot::First,
            ..committed
        }));
        assert_eq!(growths(&tail), []);
        tail.bytes.append([&(8..=23).collect::<Vec<_>>()]);
        let grown = [
            (3, 7, 10, Slot::Second),
            (4, 0, 10, Slot::First),
            (5, 0, 3, Slot::First),
        ];
        assert_eq!(growths(&tail), grown);
        tail.is_written(None);
        tail.written = 20;
        assert_eq!(growths(&tail), [(5, 0, 3, Slot::First)]);
    }
}
