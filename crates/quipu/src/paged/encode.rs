//! From stream to pages.

use crate::canary::Canary;
use crate::format::{SLOTS_SIZE, Slot, crc32c};

/// What of a partial page is on disk, and which slot says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) len: u16,
    pub(crate) crc: u32,
    pub(crate) slot: Slot,
}

/// Appends to `out` the bytes to write for `stream`, which begins at a page's start and of whose
/// first page `committed` is on disk already; these bytes are left out. Tells what is committed of
/// the last page once they are written; none where it is full.
pub(crate) fn encode_pages(
    stream: &[u8],
    page_size: usize,
    committed: Option<Committed>,
    out: &mut Vec<u8>,
) -> Option<Committed> {
    let mut old = committed;
    let mut last = committed;
    let pages = stream.len().div_ceil(page_size);
    out.reserve(pages.saturating_mul(page_size.saturating_add(SLOTS_SIZE)));
    for page in stream.chunks(page_size) {
        let before = old.take();
        let skipped = before.map_or(0, |old| usize::from(old.len)).min(page.len());
        out.extend_from_slice(&page[skipped..]);
        out.resize(out.len() + page_size - page.len(), 0);
        let new = Committed {
            // A page has at most 65,535 bytes.
            len: page.len() as u16,
            crc: crc32c(page),
            slot: before.map_or(Slot::First, |old| match Canary::SlotReused.sings() {
                true => old.slot,
                false => old.slot.other(),
            }),
        };
        let mut slots = [0; SLOTS_SIZE];
        for slot in before.into_iter().chain([new]) {
            slot.slot.write(&mut slots, slot.len, slot.crc);
        }
        out.extend_from_slice(&slots);
        last = (page.len() < page_size).then_some(new);
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::PageState;

    #[test]
    fn pages_check_and_are_padded() {
        let stream: Vec<u8> = (1..=25).collect();
        let mut out = Vec::new();
        let last = encode_pages(&stream, 10, None, &mut out).unwrap();
        assert_eq!(out.len(), 3 * 22);
        let states: Vec<_> = out.chunks(22).map(PageState::of).collect();
        let valid = |len| PageState::Valid {
            len,
            slot: Slot::First,
        };
        assert_eq!(states, [valid(10), valid(10), valid(5)]);
        assert_eq!(out[49..54], [0; 5]);
        assert_eq!((last.len, last.slot), (5, Slot::First));
    }

    #[test]
    fn growth_leaves_committed_bytes_and_their_slot() {
        let (mut page, mut committed) = (vec![0; 22], None);
        for len in 1..=10 {
            let stream: Vec<u8> = (1..=len).collect();
            let (before, at) = (page.clone(), usize::from(len) - 1);
            let mut out = Vec::new();
            let slot = committed.map_or(Slot::First, |old: Committed| old.slot.other());
            committed = encode_pages(&stream, 10, committed, &mut out);
            page[at..].copy_from_slice(&out);
            assert_eq!(page[..at], before[..at]);
            assert_eq!(
                PageState::of(&page),
                PageState::Valid {
                    len: len.into(),
                    slot
                }
            );
            let old_slot = if slot == Slot::First { 16..22 } else { 10..16 };
            assert_eq!(page[old_slot.clone()], before[old_slot]);
        }
        assert_eq!(committed, None);
    }
}
