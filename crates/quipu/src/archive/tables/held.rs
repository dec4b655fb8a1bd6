//! Which positions a table has, asked for every key of the key index in turn.

use std::cell::Cell;

use crate::key_table::Claim;

/// Positions that have one answer, mostly.
const STRETCH_BITS: u32 = 10;
/// Answers that are kept.
const KEPT_BITS: u32 = 9;

/// What is known of a stretch of positions: its section, which one it is, and whether the table has all or
/// none of it.
type Known = Option<(u64, u64, bool)>;

/// Claims, and what was found of them lately. An answer follows from the claims alone, so it stays right.
pub(super) struct Held {
    /// In the order of section and position.
    claims: Vec<Claim>,
    known: Box<[Cell<Known>]>,
}

impl Held {
    pub(super) fn new(claims: impl Iterator<Item = Claim>) -> Self {
        Self {
            claims: claims.collect(),
            known: vec![Cell::new(None); 1 << KEPT_BITS].into_boxed_slice(),
        }
    }

    /// Whether a claim has the position of the section.
    pub(super) fn has(&self, section: u64, position: u64) -> bool {
        let stretch = position >> STRETCH_BITS;
        let spread = (section ^ stretch).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let Some(kept) = self.known.get((spread >> (64 - KEPT_BITS)) as usize) else {
            return self.find(section, position, position).is_some_and(|of| of);
        };
        match kept.get() {
            Some((of, nth, answer)) if (of, nth) == (section, stretch) => answer,
            _ => {
                let first = stretch << STRETCH_BITS;
                let all = self.find(section, first, first | ((1 << STRETCH_BITS) - 1));
                if let Some(answer) = all {
                    kept.set(Some((section, stretch, answer)));
                    return answer;
                }
                self.find(section, position, position).is_some_and(|of| of)
            }
        }
    }

    /// Whether claims have all of these positions, or none of them; nothing where it is neither.
    fn find(&self, section: u64, first: u64, last: u64) -> Option<bool> {
        let from = self.claims.partition_point(|of| of.section < section);
        let of_section = self.claims.get(from..).unwrap_or_default().iter();
        let mut of_section = of_section.take_while(|of| of.section == section);
        let touching = of_section.find(|of| of.from <= last && first < of.to);
        match touching {
            None => Some(false),
            Some(of) => (of.from <= first && last < of.to).then_some(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_as_the_claims_say() {
        let claim = |section, from, to| Claim {
            section,
            epoch: 1,
            from,
            to,
        };
        let claims = [
            claim(0, 0, 5_000),
            claim(8_192, 100, 1_024),
            claim(8_192, 1_024, 2_048),
            claim(8_192, 2_049, 2_050),
            claim(u64::MAX - 7, 0, 3),
            claim(u64::MAX, u64::MAX - 1, u64::MAX),
        ];
        let held = Held::new(claims.into_iter());
        for _ in 0..2 {
            for section in [0, 1, 8_192, u64::MAX - 7, u64::MAX] {
                let ends = u64::MAX - 2_000..=u64::MAX;
                for position in (0..6_000).chain(ends) {
                    let has = |of: &Claim| {
                        of.section == section && of.from <= position && position < of.to
                    };
                    let expected = claims.iter().any(has);
                    assert_eq!(
                        held.has(section, position),
                        expected,
                        "{section} {position}"
                    );
                }
            }
        }
    }
}
