//! Whether the files of a section are those that its mark tells of.
//!
//! Bytes that pass their checksums can still be another section's, or of an earlier time: a file
//! was put in the place of another, or an older copy of it came back. So a mark keeps samples of the
//! section (see [`Fingerprint`]), and an open compares them. What is not the section's is damaged.
//!
//! An older copy has the same beginning, and from some place on other items. So where a sample is whole,
//! but another one, nothing is believed that stands behind the last sample before it that is right. A
//! sample that is damaged, cut off, or that the disk cannot read says nothing. But where no value is right of several, other items are
//! looked at: the file is not the section's either where most of these are not whole. At the places of
//! values of other sizes, another file's bytes rarely are.
//!
//! Foreign entries are left out, and the marks keep their positions: what was in their place is told lost
//! by the mark's runs. Entries whose values are foreign are damaged.
//!
//! Cost: a new section's mark reads its first value once, unless it has more than 1 MiB. To compare, an entry and four bytes of the value
//! file are read for each sample, which are two of a section that was never rewound, and at most 18. A
//! file whose samples all happen to agree passes.

use std::ops::Range;

use super::entry::EntryBuf;
use super::section::Section;
use super::writer::Writer;
use crate::error::{Error, Result};
use crate::format::{EntryLayout, VALUE_CHECKSUM_SIZE, crc32c};
use crate::journal::{Pair, ValueFile};
use crate::manifest::{Fingerprint, Sample};
use crate::sync::atomic::{AtomicBool, Ordering};

/// Values of more bytes are not read for a sample.
const MAX_READ_BYTES: u32 = 1 << 20;
/// About so many items are looked at where no sample says anything.
const MAX_LOOKED_AT: u64 = 32;

/// What of a section's files is not the section's.
#[derive(Debug, Default)]
pub(super) struct Foreign {
    /// Positions of foreign entries, found now or earlier: ascending, apart from each other.
    ranges: Vec<Range<u64>>,
    entries: Option<Doubt>,
    values: Option<Doubt>,
    /// How many entries there were: those that come later are the section's.
    records: u64,
    /// Whether a sample does not agree, for whatever reason, and the marks do not know it yet.
    is_stale: AtomicBool,
}

/// From which position to which nothing of a file is believed, and why.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    position: u64,
    end: u64,
    difference: Difference,
}

/// Ranges in order, those that touch as one, without those that end behind `next`. A stranger's marks can
/// have any number of them.
fn merged(ranges: &[Range<u64>], next: u64) -> Vec<Range<u64>> {
    let sound = |range: &&Range<u64>| !range.is_empty() && range.end <= next;
    let mut sorted: Vec<Range<u64>> = ranges.iter().filter(sound).cloned().collect();
    sorted.sort_unstable_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in sorted {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// Where a sample differs.
#[derive(Clone, Copy, Debug)]
struct Difference {
    offset: u64,
    expected: u32,
    found: u32,
}

impl Foreign {
    /// What cannot be compared, because it was written anew.
    pub(super) fn unknown() -> Self {
        Self {
            is_stale: AtomicBool::new(true),
            ..Self::default()
        }
    }

    /// Compares the files of a section with its fingerprint.
    pub(super) fn find(pair: &Pair, layout: EntryLayout, mark: &Fingerprint) -> Result<Self> {
        let next = pair.records.next_position();
        let mut foreign = Self {
            ranges: merged(&mark.foreign, next),
            records: pair.records.len(),
            ..Self::default()
        };
        let mut believed = Believed {
            records: foreign.records,
            ..Believed::default()
        };
        let mut entry = EntryBuf::new(layout);
        // What is not there yet is nobody's.
        let mut is_stale = foreign.ranges != mark.foreign;
        for sample in &mark.samples {
            let found = match read_entry(pair, sample.position, &mut entry) {
                Err(Error::Unreadable { .. }) => continue,
                found => found?,
            };
            match found {
                None => is_stale = true,
                Some(found) if found != sample.entry => {
                    let difference = Difference {
                        offset: sample.position.saturating_mul(layout.size() as u64),
                        expected: sample.entry,
                        found,
                    };
                    foreign.entries = Some(Doubt {
                        position: believed.entries,
                        end: foreign.records,
                        difference,
                    });
                    break;
                }
                Some(_) => {
                    believed.entries = sample.position.saturating_add(1);
                    let compared = compare_value(&pair.values, entry.location(), sample.value)?;
                    is_stale |= !matches!(compared, Compared::Right | Compared::Unread);
                    believed.take(sample.position, compared);
                }
            }
        }
        let found = foreign.entries.map(|from| from.position..from.end);
        foreign.ranges.extend(found);
        foreign.ranges = merged(&foreign.ranges, next);
        let nothing_is_right = believed.nothing_is_right();
        foreign.values = match believed.values_end() {
            Some(_) if nothing_is_right && most_are_whole(pair, layout)? => None,
            doubt => doubt,
        };
        is_stale |= foreign.is_any();
        foreign.is_stale = AtomicBool::new(is_stale);
        Ok(foreign)
    }

    /// Whether the entry at a position is not the section's.
    #[inline]
    pub(super) fn is_entry(&self, position: u64) -> bool {
        let before = self.ranges.partition_point(|range| range.end <= position);
        let mut from_there = self.ranges.get(before..).unwrap_or_default().iter();
        from_there
            .next()
            .is_some_and(|range| range.contains(&position))
    }

    /// Whether the value of the entry at a position is not the section's.
    #[inline]
    pub(super) fn is_value(&self, position: u64) -> bool {
        let mut doubts = self.values.iter();
        doubts.any(|doubt| (doubt.position..doubt.end).contains(&position))
    }

    /// Whether anything is not the section's.
    pub(super) fn is_any(&self) -> bool {
        self.entries.is_some() || self.values.is_some()
    }

    /// Whether anything is not the section's, now or earlier.
    pub(super) fn has_any(&self) -> bool {
        self.is_any() || !self.ranges.is_empty()
    }

    /// Whether the section needs a new fingerprint.
    pub(super) fn is_stale(&self) -> bool {
        self.is_stale.load(Ordering::Relaxed)
    }

    /// The marks have a new fingerprint.
    pub(super) fn is_marked(&self) {
        self.is_stale.store(false, Ordering::Relaxed);
    }

    /// What is to be told of the files.
    pub(super) fn errors(&self, pair: &Pair) -> impl Iterator<Item = Error> {
        let entries = self.entries.map(|from| (pair.records.file(), from));
        let values = self.values.map(|from| (pair.values.file(), from));
        entries.into_iter().chain(values).map(|(file, from)| {
            let of = from.difference;
            Error::Damaged {
                path: file.path(),
                offset: of.offset,
                reason: format!(
                    "this is another file, or an older copy: its entries from {} on are not \
                     believed; expected checksum {:08x}, found {:08x}",
                    from.position, of.expected, of.found
                ),
            }
        })
    }
}

/// What the samples that were compared so far say.
#[derive(Default)]
struct Believed {
    /// How many entries there are, and how many of them
    records: u64,
    /// are the section's, and
    entries: u64,
    /// the values of so many.
    values: u64,
    another: Option<Doubt>,
    /// So many values that are not there as they were,
    wrong: u32,
    /// of which this is the first that is there.
    damaged: Option<Difference>,
}

impl Believed {
    fn take(&mut self, position: u64, value: Compared) {
        self.wrong += u32::from(!matches!(value, Compared::Right | Compared::Unread));
        match value {
            Compared::Gone | Compared::Unread => {}
            Compared::Right if self.another.is_none() => self.values = position.saturating_add(1),
            Compared::Right => {}
            Compared::Damaged(difference) => _ = self.damaged.get_or_insert(difference),
            Compared::Another(difference) => {
                let (position, end) = (self.values, self.records);
                self.another.get_or_insert(Doubt {
                    position,
                    end,
                    difference,
                });
            }
        }
    }

    /// Whether no value is right, of more than one: one alone can be damage of one item.
    fn nothing_is_right(&self) -> bool {
        self.values == 0 && self.wrong > 1 && self.another.is_none()
    }

    fn values_end(self) -> Option<Doubt> {
        let damaged = self.damaged.filter(|_| self.nothing_is_right());
        let nothing_right = damaged.map(|difference| Doubt {
            position: 0,
            // What was not sampled yet can be whole behind it.
            end: self.entries,
            difference,
        });
        self.another.or(nothing_right)
    }
}

impl Writer {
    /// The fingerprint that a section's mark gets.
    pub(super) fn fingerprint(&self, section: &Section) -> Fingerprint {
        let known = self.marks.marks().of(section.number);
        let mut known = known.map_or_else(Fingerprint::default, |mark| mark.fingerprint.clone());
        if section.foreign.is_stale() {
            if section.foreign.is_any() {
                known = known.moved_from(section.foreign.records);
            }
            known.foreign.clone_from(&section.foreign.ranges);
            known.samples.clear();
        }
        take(&section.pair, self.shared.entry, known)
    }
}

/// Takes the samples that are not known yet. What cannot be read is no sample.
pub(super) fn take(pair: &Pair, layout: EntryLayout, known: Fingerprint) -> Fingerprint {
    let mut entry = EntryBuf::new(layout);
    let positions = known.positions(pair.records.len()).into_iter();
    let samples = positions.filter_map(|position| {
        let known = known.at(position);
        known.or_else(|| sample(pair, position, &mut entry))
    });
    Fingerprint {
        samples: samples.collect(),
        ..known
    }
}

fn sample(pair: &Pair, position: u64, entry: &mut EntryBuf) -> Option<Sample> {
    let found = read_entry(pair, position, entry).ok()??;
    let (offset, size) = entry.location();
    let value = checksum(&pair.values, offset, size).ok()?;
    Some(Sample {
        position,
        entry: found,
        value,
    })
}

/// The checksum of a value that is whole, and at hand or not too large to be read.
fn checksum(values: &ValueFile, offset: u64, size: u32) -> Result<u32> {
    match values.last_checksum(offset) {
        Some(checksum) => Ok(checksum),
        None if size <= MAX_READ_BYTES => values.read(offset, size).map(|value| crc32c(&value)),
        None => Err(Error::ValueTooLarge {
            size: size.into(),
            max: MAX_READ_BYTES.into(),
        }),
    }
}

/// Whether most values of a section are whole, of some all over it and as far as the file goes. True
/// where there is none to look at.
fn most_are_whole(pair: &Pair, layout: EntryLayout) -> Result<bool> {
    let records = pair.records.len();
    let step = (records / MAX_LOOKED_AT).max(1) as usize;
    let mut entry = EntryBuf::new(layout);
    let (mut whole, mut looked_at) = (0, 0);
    for position in (0..records).step_by(step) {
        match is_whole(pair, position, &mut entry) {
            // Of what the disk cannot read nobody knows.
            Err(Error::ValueTooLarge { .. } | Error::Unreadable { .. }) => {}
            is_whole => {
                let is_whole = is_whole?;
                looked_at += u32::from(is_whole.is_some());
                whole += u32::from(is_whole == Some(true));
            }
        }
    }
    Ok(2 * whole >= looked_at)
}

/// Whether the value of an entry is whole; none where there is no such value.
fn is_whole(pair: &Pair, position: u64, entry: &mut EntryBuf) -> Result<Option<bool>> {
    if read_entry(pair, position, entry)?.is_none() {
        return Ok(None);
    }
    let (offset, size) = entry.location();
    if stored_checksum(&pair.values, (offset, size))?.is_none() {
        return Ok(None);
    }
    match checksum(&pair.values, offset, size) {
        Ok(_) => Ok(Some(true)),
        Err(error) if error.is_corruption() && !error.is_unreadable() => Ok(Some(false)),
        Err(error) => Err(error),
    }
}

/// Reads an entry; its checksum, or none where it is not there or its page is damaged.
///
/// # Errors
/// Where the disk cannot read it, too, which says nothing of whose it is.
fn read_entry(pair: &Pair, position: u64, entry: &mut EntryBuf) -> Result<Option<u32>> {
    if position >= pair.records.len() {
        return Ok(None);
    }
    match pair.records.read(position, entry.bytes_mut()) {
        Ok(()) => Ok(Some(crc32c(entry.bytes()))),
        Err(error) if error.is_corruption() && !error.is_unreadable() => Ok(None),
        Err(error) => Err(error),
    }
}

/// What stands behind a value as its checksum; none where the file ends before.
fn stored_checksum(values: &ValueFile, (offset, size): (u64, u32)) -> Result<Option<u32>> {
    let Some(before) = size.checked_sub(VALUE_CHECKSUM_SIZE) else {
        return Ok(None);
    };
    let at = offset.saturating_add(before.into());
    match values.read_span(at, VALUE_CHECKSUM_SIZE.into()) {
        Ok(bytes) => Ok(bytes.as_ref().try_into().ok().map(u32::from_be_bytes)),
        Err(error) if error.is_corruption() && !error.is_unreadable() => Ok(None),
        Err(error) => Err(error),
    }
}

/// What is where a sample's value should be.
enum Compared {
    Right,
    /// Nothing: the file is shorter.
    Gone,
    /// Nobody can say: the disk cannot read it.
    Unread,
    Damaged(Difference),
    /// A whole value, but another one.
    Another(Difference),
}

fn compare_value(
    values: &ValueFile,
    (offset, size): (u64, u32),
    expected: u32,
) -> Result<Compared> {
    let found = match stored_checksum(values, (offset, size)) {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(Compared::Gone),
        Err(Error::Unreadable { .. }) => return Ok(Compared::Unread),
        Err(error) => return Err(error),
    };
    if found == expected {
        return Ok(Compared::Right);
    }
    let difference = |found| Difference {
        offset,
        expected,
        found,
    };
    match checksum(values, offset, size) {
        // The first read was wrong.
        Ok(whole) if whole == expected => Ok(Compared::Right),
        Ok(whole) => Ok(Compared::Another(difference(whole))),
        Err(Error::Unreadable { .. }) => Ok(Compared::Unread),
        Err(error) if error.is_corruption() || matches!(error, Error::ValueTooLarge { .. }) => {
            Ok(Compared::Damaged(difference(found)))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_found_whatever_their_order() {
        let ranges = merged(&[8..9, 0..2, 1..4, 4..5, 6..6, 7..100], 20);
        assert_eq!(ranges, [0..5, 8..9]);
        let foreign = Foreign {
            ranges,
            ..Foreign::default()
        };
        let found: Vec<u64> = (0..20).filter(|&at| foreign.is_entry(at)).collect();
        assert_eq!(found, [0, 1, 2, 3, 4, 8]);
    }
}
