//! Which sections are compressed.

use crate::archive::Compression;
use crate::canary::Canary;

/// Which sections are compressed: today's setting, and the sections from before it was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CompressionMap {
    pub(crate) current: Compression,
    /// Inclusive spans of section numbers that existed when the setting was another.
    pub(crate) earlier: Vec<(u64, u64, bool)>,
}

impl CompressionMap {
    /// Whether the spans are ascending and do not touch each other.
    pub(super) fn is_sound(&self) -> bool {
        let spans = &self.earlier;
        spans.iter().all(|&(first, last, _)| first <= last)
            && spans.is_sorted_by(|&(_, last, _), &(first, ..)| last < first)
    }

    /// Whether the values of a section are compressed.
    pub(crate) fn is_compressed(&self, section: u64) -> bool {
        if Canary::CompressionForgotten.sings() {
            return self.current.is_on();
        }
        let spans = &self.earlier;
        let after = spans.partition_point(|&(first, _, _)| first <= section);
        match after.checked_sub(1).and_then(|at| spans.get(at)) {
            Some(&(_, last, compressed)) if section <= last => compressed,
            _ => self.current.is_on(),
        }
    }

    /// Forgets sections that are gone: a new one of the same number follows today's setting.
    pub(crate) fn keep(&mut self, sections: std::ops::RangeInclusive<u64>) {
        for (first, last, _) in &mut self.earlier {
            *first = (*first).max(*sections.start());
            *last = (*last).min(*sections.end());
        }
        self.earlier.retain(|&(first, last, _)| first <= last);
    }

    /// Changes the setting for sections that are created from now on; `existing` are the
    /// numbers of all others, ascending, `step` apart at the least.
    pub(crate) fn change(&mut self, to: Compression, existing: &[u64], step: u64) {
        let mut spans: Vec<(u64, u64, bool)> = Vec::new();
        for &section in existing {
            let compressed = self.is_compressed(section);
            match spans.last_mut() {
                Some((_, last, same))
                    if *same == compressed && last.checked_add(step) == Some(section) =>
                {
                    *last = section;
                }
                _ => spans.push((section, section, compressed)),
            }
        }
        spans.retain(|&(_, _, compressed)| compressed != to.is_on());
        self.earlier = spans;
        self.current = to;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_compression_leaves_old_sections_as_they_are() {
        let mut map = CompressionMap {
            current: Compression::Off,
            earlier: Vec::new(),
        };
        map.change(Compression::Zstd(3), &[0, 10, 30], 10);
        assert_eq!(map.earlier, [(0, 10, false), (30, 30, false)]);
        map.change(Compression::Zstd(9), &[0, 10, 20, 30, 40], 10);
        map.change(Compression::Off, &[0, 10, 20, 30, 40], 10);
        let compressed = [0, 10, 20, 30, 40, 50].map(|section| map.is_compressed(section));
        assert_eq!(compressed, [false, false, true, false, true, false]);
        map.keep(10..=20);
        assert_eq!(map.earlier, [(20, 20, true)]);
    }
}
