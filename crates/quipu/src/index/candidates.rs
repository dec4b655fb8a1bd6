//! The locations that a lookup found.

use std::ops::Deref;

/// How many locations fit without an allocation.
const INLINE: usize = 4;

/// Where the items with the looked-up short form may be, the oldest first.
///
/// Use one for many lookups: up to four locations are kept in place, more in an allocation that is
/// used again. Derefs to a slice of locations.
#[derive(Clone, Debug, Default)]
pub struct Candidates {
    inline: [u64; INLINE],
    len: usize,
    /// Holds all of them as soon as there are more than fit in place.
    more: Vec<u64>,
}

impl Candidates {
    /// No candidates; allocates nothing.
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn clear(&mut self) {
        self.len = 0;
        self.more.clear();
    }

    /// Keeps the first ones.
    #[inline]
    pub(crate) fn truncate(&mut self, len: usize) {
        if len < self.len {
            self.len = len;
            // As long as all are in place, none are here.
            self.more.truncate(if len > INLINE { len } else { 0 });
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, location: u64) {
        if let Some(place) = self.inline.get_mut(self.len) {
            *place = location;
        } else {
            self.push_more(location);
        }
        self.len += 1;
    }

    #[cold]
    fn push_more(&mut self, location: u64) {
        if self.more.is_empty() {
            self.more.extend_from_slice(&self.inline);
        }
        self.more.push(location);
    }
}

impl Deref for Candidates {
    type Target = [u64];

    #[inline]
    fn deref(&self) -> &[u64] {
        self.inline.get(..self.len).unwrap_or(&self.more)
    }
}

impl<'a> IntoIterator for &'a Candidates {
    type Item = &'a u64;
    type IntoIter = std::slice::Iter<'a, u64>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_in_place_and_beyond() {
        let mut candidates = Candidates::new();
        for count in [0, 1, INLINE as u64, INLINE as u64 + 1, 1000, 2] {
            candidates.clear();
            (0..count).for_each(|location| candidates.push(location));
            assert_eq!(*candidates, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn keeps_the_first_ones() {
        let most = INLINE as u64 + 9;
        for kept in 0..=most + 1 {
            let mut candidates = Candidates::new();
            (0..most).for_each(|location| candidates.push(location));
            candidates.truncate(kept as usize);
            let kept = kept.min(most);
            assert_eq!(*candidates, (0..kept).collect::<Vec<_>>());
            (kept..most).for_each(|location| candidates.push(location));
            assert_eq!(*candidates, (0..most).collect::<Vec<_>>());
        }
    }
}
