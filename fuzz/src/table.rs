//! A key table's pages, to be changed with right checksums. Written after docs/format.md alone, with nothing
//! of the library but its checksum.

use quipu::format::crc32c;

/// Words of a page.
const WORDS: usize = 511;

/// What the file of a table of this number is called.
pub(crate) fn name(number: u64) -> String {
    format!("keys-{number:016x}")
}

pub(crate) fn is_name(name: &str) -> bool {
    name.starts_with("keys-")
}

/// The bytes of a table that begins with a whole header.
pub(crate) struct Table<'a>(&'a mut [u8]);

impl<'a> Table<'a> {
    pub(crate) const PAGE: usize = 4096;
    /// Words of the header.
    const TABLE_AT: usize = 3;
    const SLOTS_AT: usize = 4;
    pub(crate) const BITS_AT: usize = 5;
    const CLAIMS_AT: usize = 6;

    pub(crate) fn of(bytes: &'a mut [u8]) -> Option<Self> {
        (bytes.len() >= Self::PAGE && bytes.starts_with(b"QUIPUKEY")).then_some(Self(bytes))
    }

    fn get(&self, page: usize, word: usize) -> u64 {
        let at = page.wrapping_mul(Self::PAGE).wrapping_add(word * 8);
        let bytes = self.0.get(at..).and_then(|bytes| bytes.first_chunk());
        bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    /// Changes a word of a page, which has a right checksum then.
    pub(crate) fn set(&mut self, page: usize, word: usize, to: u64) {
        let pages = self.0.len() / Self::PAGE;
        if page >= pages {
            return;
        }
        let at = page * Self::PAGE + word * 8;
        self.0[at..at + 8].copy_from_slice(&to.to_le_bytes());
        // All pages carry the number of their table.
        let is_number = page == 0 && word == Self::TABLE_AT;
        (page..if is_number { pages } else { page + 1 }).for_each(|page| self.fix(page));
    }

    fn fix(&mut self, page: usize) {
        let table = self.get(0, Self::TABLE_AT);
        let place = [table.to_be_bytes(), (page as u64).to_be_bytes()].concat();
        let bytes = &mut self.0[page * Self::PAGE..][..Self::PAGE];
        let crc = crc32c(&bytes[..Self::PAGE - 4]) ^ crc32c(&place);
        bytes[Self::PAGE - 4..].copy_from_slice(&crc.to_be_bytes());
    }

    pub(crate) fn slots(&self) -> usize {
        self.get(0, Self::SLOTS_AT) as usize
    }

    /// How many bits of a slot are its ordinal, as far as a shift can tell.
    pub(crate) fn bits(&self) -> u32 {
        self.get(0, Self::BITS_AT).min(63) as u32
    }

    pub(crate) fn claims(&self) -> usize {
        self.get(0, Self::CLAIMS_AT) as usize
    }

    pub(crate) fn slot(&self, slot: usize) -> u64 {
        self.get(1 + slot / WORDS, slot % WORDS)
    }

    pub(crate) fn set_slot(&mut self, slot: usize, to: u64) {
        self.set(1 + slot / WORDS, slot % WORDS, to);
    }

    /// The page that claims begin at.
    pub(crate) fn claims_at(&self) -> usize {
        let slots = self.slots();
        let pages = slots.div_ceil(WORDS);
        let blocks = slots.saturating_mul(12).div_ceil(256).max(1);
        1 + pages + pages.div_ceil(WORDS) + (4 * blocks).div_ceil(WORDS)
    }

    pub(crate) fn claim(&self, claim: usize) -> [u64; 4] {
        std::array::from_fn(|nth| {
            let word = claim.wrapping_mul(4).wrapping_add(nth);
            self.get(self.claims_at().wrapping_add(word / WORDS), word % WORDS)
        })
    }

    pub(crate) fn set_claim(&mut self, claim: usize, to: [u64; 4]) {
        for (nth, to) in to.into_iter().enumerate() {
            let word = claim.wrapping_mul(4).wrapping_add(nth);
            self.set(
                self.claims_at().wrapping_add(word / WORDS),
                word % WORDS,
                to,
            );
        }
    }
}
