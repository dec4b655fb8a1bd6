//! What a stream has that its blob lacks, page by page, for who keeps that elsewhere until a flush.

use std::io::IoSlice;
use std::sync::Arc;

use super::file::PagedFile;
use super::tail::Tail;
use crate::error::Result;
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
    /// Bytes that neither the blob nor a [`show`](Self::show) has; none where the stream goes on behind damage.
    pub(crate) fn unshown(&self) -> Option<usize> {
        let tail = self.tail.read();
        (!tail.damaged).then(|| tail.bytes.len() - tail.shown_len())
    }

    /// Hands over what [`unshown`](Self::unshown) counts.
    pub(crate) fn growth(&self, mut on: impl FnMut(&PageGrowth<'_>)) {
        grow(&self.tail.read(), self.page_size, &mut on);
    }

    /// Writes the same, so that readers of other processes see it; without a flush, and so that after a crash each
    /// page is what it was at the last flush, or can be made whole from its growth. The slot that spoke then is not
    /// touched until the next flush, however often this is called.
    pub(crate) fn show(&self) -> Result<()> {
        let tail = self.tail.read();
        let (mut out, mut first) = (Vec::new(), None);
        grow(&tail, self.page_size, &mut |growth| {
            first.get_or_insert((growth.page, growth.from));
            self.encode_growth(&tail, growth, &mut out);
        });
        let Some((page, from)) = first else {
            return Ok(());
        };
        let at = self.page_offset(page)?.saturating_add(from.into());
        let blob = self.file.get()?;
        *self.unflushed.lock() = Some(Arc::clone(&blob));
        blob.write_at(&[IoSlice::new(&out)], at)?;
        let shown = tail.bytes.len();
        drop(tail);
        self.tail.write().shown = shown;
        Ok(())
    }

    /// The bytes of a page from the growth's first on, slots included.
    fn encode_growth(&self, tail: &Tail, growth: &PageGrowth<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(growth.bytes);
        out.resize(out.len() + self.page_size - usize::from(growth.len()), 0);
        let slots = out.len();
        out.resize(slots + self.physical() - self.page_size, 0);
        let slots = out.split_at_mut(slots).1;
        let is_first = growth.page == tail.start / self.page_size as u64;
        if let Some(old) = tail.committed.filter(|_| is_first) {
            old.slot.write(slots, old.len, old.crc);
        }
        growth.slot.write(slots, growth.len(), growth.crc);
    }
}

fn grow(tail: &Tail, page_size: usize, on: &mut dyn FnMut(&PageGrowth<'_>)) {
    let shown = tail.shown_len();
    let first = shown / page_size;
    for (nth, page) in tail.bytes.chunks(page_size).enumerate().skip(first) {
        let from = shown.saturating_sub(nth * page_size);
        if from == page.len() {
            continue;
        }
        let committed = tail.committed.filter(|_| nth == 0);
        on(&PageGrowth {
            page: tail.start / page_size as u64 + nth as u64,
            // A page has at most 65,535 bytes.
            from: from as u16,
            bytes: &page[from..],
            crc: crc32c(page),
            slot: committed.map_or(Slot::First, |old| old.slot.other()),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::encode::Committed;
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
        (growth.page * 10 - tail.start) as usize
    }

    #[test]
    fn pages_grow_from_where_they_were_shown_to_and_spare_the_slot_of_the_last_flush() {
        let committed = Committed {
            len: 4,
            crc: 0,
            slot: Slot::Second,
        };
        let mut tail = Tail {
            start: 30,
            bytes: (1..=7).collect(),
            committed: Some(committed),
            ..Tail::default()
        };
        assert_eq!(growths(&tail), [(3, 4, 7, Slot::First)]);
        tail.shown = 7;
        assert_eq!(growths(&tail), []);
        tail.bytes.extend(8..=23);
        // The page of the last flush keeps its slot; the others have none to keep.
        let grown = [
            (3, 7, 10, Slot::First),
            (4, 0, 10, Slot::First),
            (5, 0, 3, Slot::First),
        ];
        assert_eq!(growths(&tail), grown);
        tail.shown = 20;
        assert_eq!(growths(&tail), [(5, 0, 3, Slot::First)]);
        tail.shown = 22;
        assert_eq!(growths(&tail), [(5, 2, 3, Slot::First)]);
    }
}
