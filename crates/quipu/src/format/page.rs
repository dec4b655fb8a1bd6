//! The two checksum slots at the end of a page.
//!
//! ```text
//! 0..P        the page's part of the stream, padded with zeros
//! P..P+2      len1, u16        P+2..P+6    crc1, u32
//! P+6..P+8    len2, u16        P+8..P+12   crc2, u32
//! ```
//!
//! The slot with the larger length speaks (the first on a tie); where it is not valid the other
//! speaks, if it is valid.

use super::crc32c;
use crate::canary::Canary;

/// Bytes of one slot.
const SLOT_SIZE: usize = 6;
/// Bytes that both slots take behind a page.
pub(crate) const SLOTS_SIZE: usize = 2 * SLOT_SIZE;

/// Which of a page's two slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    First,
    Second,
}

/// What a page's slots say about its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageState {
    /// The first `len` bytes are right, and `slot` says so.
    Valid { len: u16, slot: Slot },
    /// No slot is valid; what the one with the larger length expects, and what is there.
    Invalid { expected: u32, found: u32 },
}

impl Slot {
    /// The slot to write next, so that the one that speaks stays as it is.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    /// Writes this slot into the page's last [`SLOTS_SIZE`] bytes.
    pub(crate) fn write(self, slots: &mut [u8], len: u16, crc: u32) {
        let at = match self {
            Self::First => 0,
            Self::Second => SLOT_SIZE,
        };
        slots[at..at + 2].copy_from_slice(&len.to_be_bytes());
        slots[at + 2..at + SLOT_SIZE].copy_from_slice(&crc.to_be_bytes());
    }
}

impl PageState {
    /// Judges one page of `P + 12` bytes.
    pub(crate) fn of(page: &[u8]) -> Self {
        let logical = page.len() - SLOTS_SIZE;
        let [first, second] = slots(page);
        let (speaks, other) = if first.0 >= second.0 {
            (first, second)
        } else {
            (second, first)
        };
        let mut invalid = None;
        for (len, crc, slot) in [speaks, other] {
            let in_page = len >= 1 && usize::from(len) <= logical;
            let found = crc32c(&page[..if in_page { usize::from(len) } else { 0 }]);
            if in_page && (found == crc || Canary::PageUnchecked.sings()) {
                return Self::Valid { len, slot };
            }
            invalid.get_or_insert(Self::Invalid {
                expected: crc,
                found,
            });
        }
        invalid.unwrap_or(Self::Invalid {
            expected: 0,
            found: 0,
        })
    }
}

/// Whether both slots of a page are valid: it was written, and later written again with more.
pub(crate) fn was_written_again(page: &[u8]) -> bool {
    let logical = page.len() - SLOTS_SIZE;
    slots(page).into_iter().all(|(len, crc, _)| {
        let len = usize::from(len);
        (1..=logical).contains(&len) && crc32c(&page[..len]) == crc
    })
}

/// The page size that the first bytes of a stream were written with, where these hold a page that is
/// right in every byte, padding included. Tries all sizes: some 100 ms at worst.
pub(crate) fn page_size_of(bytes: &[u8]) -> Option<u16> {
    (1..=u16::MAX).find(|&size| {
        let page = bytes.get(..usize::from(size) + SLOTS_SIZE);
        page.is_some_and(|page| match PageState::of(page) {
            PageState::Valid { len, .. } => page[usize::from(len)..usize::from(size)]
                .iter()
                .all(|&byte| byte == 0),
            PageState::Invalid { .. } => false,
        })
    })
}

fn slots(page: &[u8]) -> [(u16, u32, Slot); 2] {
    let slots = &page[page.len() - SLOTS_SIZE..];
    [
        read(slots, Slot::First),
        read(&slots[SLOT_SIZE..], Slot::Second),
    ]
}

fn read(bytes: &[u8], slot: Slot) -> (u16, u32, Slot) {
    let len = u16::from_be_bytes([bytes[0], bytes[1]]);
    let crc = u32::from_be_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]);
    (len, crc, slot)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(first: Option<u16>, second: Option<u16>) -> Vec<u8> {
        let mut page: Vec<u8> = (0..20u8).collect();
        page.extend_from_slice(&[0; SLOTS_SIZE]);
        for (len, slot) in [(first, Slot::First), (second, Slot::Second)] {
            if let Some(len) = len {
                let crc = crc32c(&page[..usize::from(len)]);
                slot.write(&mut page[20..], len, crc);
            }
        }
        page
    }

    #[test]
    fn a_page_that_was_written_again_has_two_valid_slots() {
        assert!(!was_written_again(&page(Some(20), None)));
        assert!(!was_written_again(&page(None, Some(4))));
        let mut again = page(Some(7), Some(20));
        assert!(was_written_again(&again));
        again[10] ^= 1;
        assert!(!was_written_again(&again));
        assert!(!was_written_again(&[0; 32]));
    }

    #[test]
    fn the_page_size_can_be_told_from_a_page() {
        let mut whole = page(Some(20), None);
        assert_eq!(page_size_of(&whole), Some(20));
        whole.extend_from_slice(&[7; 100]);
        assert_eq!(page_size_of(&whole), Some(20));
        whole[3] ^= 1;
        assert_eq!(page_size_of(&whole), None);
        assert_eq!(page_size_of(&[0; 70_000]), None);
        assert_eq!(page_size_of(&[]), None);
    }

    #[test]
    fn the_larger_length_speaks() {
        let valid = |len, slot| PageState::Valid { len, slot };
        assert_eq!(PageState::of(&page(Some(7), None)), valid(7, Slot::First));
        assert_eq!(
            PageState::of(&page(Some(7), Some(9))),
            valid(9, Slot::Second)
        );
        assert_eq!(
            PageState::of(&page(Some(20), Some(9))),
            valid(20, Slot::First)
        );
        assert_eq!(
            PageState::of(&page(Some(9), Some(9))),
            valid(9, Slot::First)
        );
    }

    #[test]
    fn a_slot_that_is_not_valid_leaves_the_word_to_the_other() {
        let mut torn = page(Some(7), Some(9));
        torn[8] ^= 1;
        assert_eq!(
            PageState::of(&torn),
            PageState::Valid {
                len: 7,
                slot: Slot::First
            }
        );
        torn[0] ^= 1;
        assert!(matches!(PageState::of(&torn), PageState::Invalid { .. }));
    }

    #[test]
    fn lengths_of_zero_or_beyond_the_page_are_not_valid() {
        assert!(matches!(
            PageState::of(&page(None, None)),
            PageState::Invalid { .. }
        ));
        assert!(matches!(
            PageState::of(&[0xff; 32]),
            PageState::Invalid { .. }
        ));
        let mut long = page(Some(5), None);
        Slot::Second.write(&mut long[20..], 21, 0);
        assert_eq!(
            PageState::of(&long),
            PageState::Valid {
                len: 5,
                slot: Slot::First
            }
        );
    }
}
