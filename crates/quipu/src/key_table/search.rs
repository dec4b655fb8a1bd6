//! Finding slots in a page, wherever its words are.

use super::page::WORDS;
use crate::index::Candidates;

/// The slots that a look-up wants of a page, and what is known of that page without its words.
pub(super) struct Wanted {
    /// The first of them, if the table has it.
    pub(super) least: u64,
    /// Bits of a slot that are its ordinal.
    pub(super) mask: u64,
    /// The first slot of the page,
    pub(super) first: u64,
    /// that of the next one,
    pub(super) end: u64,
    /// and how many slots it has.
    pub(super) len: usize,
}

impl Wanted {
    /// Adds the ordinals of those that are in the page; whether the next page may have more. Ends with any words, be
    /// they of another page, or change between two looks at them.
    #[inline]
    pub(super) fn find(&self, word: impl Fn(usize) -> u64, out: &mut Candidates) -> bool {
        let len = self.len.min(WORDS);
        let mut slot = self.lower_bound(len, &word);
        while slot < len {
            let found = word(slot);
            if found > self.least | self.mask {
                break;
            }
            out.push(found & self.mask);
            slot += 1;
        }
        slot == len
    }

    /// The first slot of a page that is not less than the least.
    #[inline]
    fn lower_bound(&self, len: usize, word: impl Fn(usize) -> u64) -> usize {
        let Some(ahead) = self.least.checked_sub(self.first) else {
            return 0;
        };
        let span = self.end.saturating_sub(self.first).max(1);
        lower_bound(len, guess(ahead, span, len), |at| word(at) < self.least)
    }
}

/// Where about so many words stands the one that is `ahead` of the first: mixes are spread evenly over their span.
#[inline]
pub(super) fn guess(ahead: u64, span: u64, len: usize) -> usize {
    (u128::from(ahead) * len as u128 / u128::from(span)).min(len as u128) as usize
}

/// The first of `len` places that is not less, which is looked for around a guess: a cache line or two, where halves
/// would take several.
#[inline]
pub(super) fn lower_bound(len: usize, guess: usize, less: impl Fn(usize) -> bool) -> usize {
    let is_less = |at: usize| at < len && less(at);
    let (mut low, mut high) = (guess, guess);
    let mut step = 1;
    if is_less(guess) {
        while is_less(high) {
            low = high + 1;
            high = (high + step).min(len);
            step *= 2;
        }
    } else {
        while low > 0 && !is_less(low - 1) {
            high = low - 1;
            low = low.saturating_sub(step);
            step *= 2;
        }
    }
    while low < high {
        let middle = usize::midpoint(low, high);
        match is_less(middle) {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// What a page says while it is changed is thrown away, but the look at it has to end.
    #[test]
    fn ends_with_any_words() {
        let random = Cell::new(1_u64);
        let next = || {
            random.set(
                random
                    .get()
                    .wrapping_mul(0x5851_F42D_4C95_7F2D)
                    .wrapping_add(1),
            );
            random.get() >> 16
        };
        for _ in 0..2_000 {
            let wanted = Wanted {
                least: next(),
                mask: 0xFF,
                first: next(),
                end: next(),
                len: next() as usize % 600,
            };
            let mut out = Candidates::new();
            for words in 0..3 {
                let word = |at: usize| match words {
                    0 => next(),
                    1 => (at as u64) << 40,
                    _ => wanted.least,
                };
                wanted.find(word, &mut out);
            }
            assert!(out.len() <= 3 * WORDS);
        }
    }
}
