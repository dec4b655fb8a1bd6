//! The bytes of the log: its header, its generation, and records of what syncs appended to section files.

use super::unreadable::is_behind;
use crate::error::Error;
use crate::format::{Slot, crc32c};
use crate::journal::Pair;
use crate::manifest::{Decoder, Encoder};
use crate::paged::PageGrowth;
use crate::storage::BLOCK_BYTES;

pub(crate) const MAGIC: &[u8; 8] = b"QUIPUCLG";
pub(crate) const VERSION: u32 = 1;
/// Where the two places of the generation are; a block each, written in turns.
pub(super) const GENERATIONS: [usize; 2] = [BLOCK_BYTES, 2 * BLOCK_BYTES];
/// Where the records begin.
pub(super) const RECORDS_AT: usize = 3 * BLOCK_BYTES;
/// Bytes before a record's sections.
pub(super) const HEAD_BYTES: usize = 24;
/// No log comes so far.
const MAX_GENERATION: u64 = u64::MAX >> 1;
/// In search of a record behind one that does not check so many times the bytes of the log are checked: values may be
/// full of what looks like heads.
const MAX_SEARCH: usize = 32;
/// An open and a close begin generations one behind the other, so many that both places of an earlier one are gone.
const NEXT_GENERATIONS: u64 = GENERATIONS.len() as u64;

/// The header of a log of so many bytes.
pub(super) fn encode_header(archive: u64, len: u64) -> Vec<u8> {
    let mut out = Encoder(MAGIC.to_vec());
    out.u32(VERSION);
    out.u64(archive);
    out.u64(len);
    let crc = crc32c(&out.0);
    out.u32(crc);
    out.0.resize(BLOCK_BYTES, 0);
    out.0
}

/// Which archive's log it is and how long it was made; none where the header does not check.
fn decode_header(bytes: &[u8]) -> Option<(u64, u64)> {
    let mut header = Decoder::new(bytes.get(..BLOCK_BYTES)?);
    let (magic, version) = (header.array()?, header.u32()?);
    let (archive, len) = (header.u64()?, header.u64()?);
    let checks = crc32c(&bytes[..header.offset()]) == header.u32()?;
    (checks && magic == *MAGIC && version == VERSION).then_some((archive, len))
}

/// The block that says which generation counts, and whether it stays without records; and where it goes.
pub(super) fn encode_generation(generation: u64, is_closed: bool) -> (Vec<u8>, usize) {
    let mut out = Encoder(Vec::with_capacity(BLOCK_BYTES));
    out.u64(generation);
    out.u8(is_closed.into());
    let crc = crc32c(&out.0);
    out.u32(crc);
    out.0.resize(BLOCK_BYTES, 0);
    (out.0, GENERATIONS[(generation % 2) as usize])
}

/// The later of the two generations that check, and whether it is closed.
fn decode_generation(bytes: &[u8]) -> Option<(u64, bool)> {
    let at = |at: usize| {
        let block = bytes.get(at..)?;
        let mut place = Decoder::new(block);
        let (generation, is_closed) = (place.u64()?, place.u8()? != 0);
        let checks = crc32c(&block[..place.offset()]) == place.u32()?;
        (checks && generation <= MAX_GENERATION).then_some((generation, is_closed))
    };
    GENERATIONS.into_iter().filter_map(at).max()
}

/// Whether nothing was written behind a generation that counts, by the first bytes of a log.
pub(super) fn is_closed(bytes: &[u8]) -> bool {
    decode_generation(bytes).is_some_and(|(_, is_closed)| is_closed)
}

/// Leaves room for the head of a record at the end of a buffer; where it is. [`end`] fills it in.
pub(super) fn begin(out: &mut Vec<u8>) -> usize {
    let at = out.len();
    out.resize(at + HEAD_BYTES, 0);
    at
}

/// Adds what the files of a section lack, which is in this life of it.
pub(super) fn push_section(out: &mut Vec<u8>, section: u64, epoch: u64, pair: &Pair) {
    out.extend_from_slice(&section.to_be_bytes());
    out.extend_from_slice(&epoch.to_be_bytes());
    pair.values.with_unshown(|offset, bytes| {
        out.extend_from_slice(&offset.to_be_bytes());
        out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
        out.extend_from_slice(bytes);
    });
    let count_at = out.len();
    let mut count = 0_u32;
    out.extend_from_slice(&[0; 4]);
    pair.records.growth(|growth| {
        count += 1;
        out.extend_from_slice(&growth.page.to_be_bytes());
        out.extend_from_slice(&growth.from.to_be_bytes());
        out.extend_from_slice(&growth.len().to_be_bytes());
        out.push(u8::from(growth.slot == Slot::Second));
        out.extend_from_slice(&growth.crc.to_be_bytes());
        out.extend_from_slice(growth.bytes);
    });
    out[count_at..count_at + 4].copy_from_slice(&count.to_be_bytes());
}

/// Fills in the head of the record that begins at `at` and reaches to the end of the buffer.
pub(super) fn end(out: &mut [u8], at: usize, head: Head) {
    let out = out.split_at_mut(at).1;
    let body = (out.len() - HEAD_BYTES) as u32;
    out[4..8].copy_from_slice(&body.to_be_bytes());
    out[8..16].copy_from_slice(&head.generation.to_be_bytes());
    out[16..24].copy_from_slice(&head.sequence.to_be_bytes());
    let crc = crc32c(&out[4..]);
    out[..4].copy_from_slice(&crc.to_be_bytes());
}

/// What a record says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) generation: u64,
    pub(super) sequence: u64,
}

/// What one record says of a section.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub(super) section: u64,
    pub(super) epoch: u64,
    pub(super) value_offset: u64,
    pub(super) values: &'a [u8],
    pub(super) pages: Vec<PageGrowth<'a>>,
}

/// The whole records of a log, in order.
#[derive(Debug, Default)]
pub(crate) struct Records {
    pub(super) bytes: Vec<u8>,
    /// Where the sections of each begin and end.
    bodies: Vec<(usize, usize)>,
    /// Whether the log is there, and of this archive.
    pub(super) is_of_archive: bool,
    pub(super) generation: u64,
    /// Whether something was in the log that does not check any more;
    pub(crate) is_damaged: bool,
    /// and whether that is no more than the generation, one behind that which the log says.
    pub(super) is_ahead: bool,
    /// Why the disk cannot read where it may be said that the log was cleared of them, if so.
    pub(super) unsure: Option<Error>,
}

impl Records {
    /// The records in the bytes of a log, which has so many in all, if it is one of this archive.
    pub(super) fn parse(bytes: Vec<u8>, whole_len: u64, archive: u64) -> Self {
        let mut records = Self::default();
        let Some((_, len)) = decode_header(&bytes).filter(|of| of.0 == archive) else {
            records.is_damaged = true;
            return records;
        };
        records.is_of_archive = true;
        let is_first =
            |(head, _): &(Head, usize)| head.sequence == 0 && head.generation <= MAX_GENERATION;
        let first = check(&bytes, RECORDS_AT).filter(is_first);
        let said = decode_generation(&bytes).map(|(generation, _)| generation);
        // A record is written once its generation is durable: where no place says so, it is damaged.
        let found = first.map(|(head, _)| head.generation);
        records.generation = found.max(said).unwrap_or_default();
        records.is_damaged = found > said || said.is_none() || whole_len < len;
        while let Some((head, end)) = check(&bytes, records.end()) {
            if (head.generation, head.sequence) != (records.generation, records.len()) {
                break;
            }
            records.bodies.push((records.end() + HEAD_BYTES, end));
        }
        let has_followers = records.has_followers(&bytes);
        records.is_damaged |= has_followers;
        records.is_ahead = found.is_some_and(|found| is_behind(&bytes, said, found))
            && whole_len >= len
            && !has_followers;
        records.bytes = bytes;
        records
    }

    /// Whether there is a record behind one that does not check: each is written when the one before is durable. The
    /// damaged one may still say where that begins; else any place is looked at that seems to be the head of one.
    fn has_followers(&self, bytes: &[u8]) -> bool {
        let mut budget = bytes.len().saturating_mul(MAX_SEARCH);
        let next = read_head(bytes, self.end()).map(|found| found.end);
        next.is_some_and(|at| self.is_follower(bytes, at, &mut budget))
            || self.finds_follower(bytes, &mut budget)
    }

    fn finds_follower(&self, bytes: &[u8], budget: &mut usize) -> bool {
        let behind = bytes.get(self.end()..).unwrap_or_default();
        let generations = behind.windows(8).enumerate().skip(8);
        let of_now = generations.filter(|(_, found)| {
            let found = found.first_chunk().copied().map(u64::from_be_bytes);
            found.is_some_and(|found| self.is_now(found))
        });
        let mut heads = of_now.map(|(at, _)| self.end() + at - 8);
        heads.any(|at| self.is_follower(bytes, at, budget))
    }

    /// Whether records of a generation may stand where this one ends: where its block is damaged, of a later one.
    fn is_now(&self, generation: u64) -> bool {
        let ahead = generation.checked_sub(self.generation);
        ahead.is_some_and(|ahead| ahead <= NEXT_GENERATIONS)
    }

    /// Whether a record is at this place that was written behind the ones that check. What no record says costs no
    /// look at its bytes, and all looks together no more than the budget.
    fn is_follower(&self, bytes: &[u8], at: usize, budget: &mut usize) -> bool {
        let Some(found) = read_head(bytes, at).filter(|found| self.is_now(found.head.generation))
        else {
            return false;
        };
        let most = self.len() + (bytes.len() / HEAD_BYTES) as u64;
        let is_behind = match found.head.generation == self.generation {
            true => (self.len() + 1..=most).contains(&found.head.sequence),
            false => found.head.sequence <= most,
        };
        let len = found.end - at;
        if !is_behind || *budget < len {
            return false;
        }
        *budget -= len;
        found.checks(bytes, at)
    }

    /// Whether no sync is in the log.
    pub(crate) fn is_empty(&self) -> bool {
        self.bodies.is_empty()
    }

    /// How many syncs are in it.
    pub(super) fn len(&self) -> u64 {
        self.bodies.len() as u64
    }

    /// Where the next record goes.
    pub(super) fn end(&self) -> usize {
        self.bodies.last().map_or(RECORDS_AT, |&(_, end)| end)
    }

    /// Whether these are what was read before, and maybe more.
    pub(crate) fn continues(&self, before: &Self) -> bool {
        self.generation == before.generation
    }

    /// What all records say, in order. What cannot be read as a part, and still has the right checksum, nobody has
    /// written: the rest of such a record is left out.
    pub(super) fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        self.raw_parts().map(|(part, _)| part)
    }

    /// The bytes of the parts of such sections.
    pub(super) fn of(&self, stays: &dyn Fn(u64) -> bool) -> Vec<u8> {
        let stay = self.raw_parts().filter(|(part, _)| stays(part.section));
        stay.flat_map(|(_, raw)| raw.iter().copied()).collect()
    }

    fn raw_parts(&self) -> impl Iterator<Item = (Part<'_>, &[u8])> {
        let bodies = self.bodies.iter().map(|&(from, to)| &self.bytes[from..to]);
        bodies.flat_map(|body| {
            let mut decoder = Decoder::new(body);
            std::iter::from_fn(move || {
                let from = decoder.offset();
                let part = decode_part(&mut decoder)?;
                Some((part, body.get(from..decoder.offset())?))
            })
        })
    }
}

/// What stands at a place where a record may begin.
pub(super) struct Found {
    crc: u32,
    pub(super) head: Head,
    /// Where the record ends.
    pub(super) end: usize,
}

impl Found {
    fn checks(&self, bytes: &[u8], at: usize) -> bool {
        let body = bytes.get(at + 4..self.end);
        body.is_some_and(|body| crc32c(body) == self.crc)
    }
}

/// The head at an offset, unchecked, if the record that it is of would end within the log.
pub(super) fn read_head(bytes: &[u8], at: usize) -> Option<Found> {
    let mut head = Decoder::new(bytes.get(at..)?);
    let (crc, body) = (head.u32()?, head.u32()? as usize);
    let (generation, sequence) = (head.u64()?, head.u64()?);
    let end = at.checked_add(HEAD_BYTES)?.checked_add(body)?;
    let head = Head {
        generation,
        sequence,
    };
    (end <= bytes.len()).then_some(Found { crc, head, end })
}

/// The head of the record at an offset and where it ends, if it is whole.
fn check(bytes: &[u8], at: usize) -> Option<(Head, usize)> {
    let found = read_head(bytes, at)?;
    found.checks(bytes, at).then_some((found.head, found.end))
}

fn decode_part<'a>(body: &mut Decoder<'a>) -> Option<Part<'a>> {
    let (section, epoch, value_offset) = (body.u64()?, body.u64()?, body.u64()?);
    let len = body.u32()? as usize;
    let values = body.bytes(len)?;
    let count = body.u32()?;
    let mut pages = Vec::new();
    for _ in 0..count {
        pages.push(decode_growth(body)?);
    }
    Some(Part {
        section,
        epoch,
        value_offset,
        values,
        pages,
    })
}

fn decode_growth<'a>(body: &mut Decoder<'a>) -> Option<PageGrowth<'a>> {
    let (page, from, len) = (body.u64()?, body.u16()?, body.u16()?);
    let slot = match body.u8()? {
        0 => Slot::First,
        _ => Slot::Second,
    };
    let crc = body.u32()?;
    let bytes = body.bytes(usize::from(len.checked_sub(from)?))?;
    Some(PageGrowth {
        page,
        from,
        bytes,
        crc,
        slot,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARCHIVE: u64 = 7;

    /// A log of so many syncs, each of one section with a value and a page.
    fn log(generation: u64, syncs: u64) -> Vec<u8> {
        let mut out = encode_header(ARCHIVE, 0);
        out.resize(RECORDS_AT, 0);
        for of in [generation - 1, generation] {
            let (block, at) = encode_generation(of, false);
            out[at..at + BLOCK_BYTES].copy_from_slice(&block);
        }
        for sequence in 0..syncs {
            let at = begin(&mut out);
            push_part(&mut out, sequence + 1);
            let head = Head {
                generation,
                sequence,
            };
            end(&mut out, at, head);
        }
        out
    }

    fn push_part(out: &mut Vec<u8>, section: u64) {
        for field in [section, 99, section * 10] {
            out.extend_from_slice(&field.to_be_bytes());
        }
        out.extend_from_slice(&5_u32.to_be_bytes());
        out.extend_from_slice(b"value");
        out.extend_from_slice(&1_u32.to_be_bytes());
        out.extend_from_slice(&3_u64.to_be_bytes());
        out.extend_from_slice(&[0, 2, 0, 6, 1, 0, 0, 0, 9]);
        out.extend_from_slice(b"page");
    }

    fn parse(bytes: Vec<u8>, archive: u64) -> Records {
        let len = bytes.len() as u64;
        Records::parse(bytes, len, archive)
    }

    fn sections(records: &Records) -> Vec<u64> {
        records.parts().map(|part| part.section).collect()
    }

    #[test]
    fn parts_come_back_in_order() {
        let records = parse(log(5, 3), ARCHIVE);
        assert_eq!(sections(&records), [1, 2, 3]);
        assert_eq!((records.generation, records.is_damaged), (5, false));
        let part = records.parts().nth(1).unwrap();
        assert_eq!((part.epoch, part.value_offset), (99, 20));
        assert_eq!(part.values, b"value");
        let growth = PageGrowth {
            page: 3,
            from: 2,
            bytes: b"page",
            crc: 9,
            slot: Slot::Second,
        };
        assert_eq!((&part.pages[..], growth.len()), (&[growth][..], 6));
        let stays = records.of(&|section| section != 2);
        let mut expected = Vec::new();
        push_part(&mut expected, 1);
        push_part(&mut expected, 3);
        assert_eq!(stays, expected);
    }

    #[test]
    fn those_of_others_do_not_count() {
        assert!(parse(log(5, 0), ARCHIVE).is_empty());
        assert!(parse(Vec::new(), ARCHIVE).is_damaged);
        assert!(parse(log(5, 3), ARCHIVE + 1).is_empty());
        // Old ones behind a new generation, and behind its first record.
        let old = log(5, 3);
        for syncs in 0..2 {
            let mut bytes = old.clone();
            let new = log(6, syncs);
            bytes[..new.len()].copy_from_slice(&new);
            let records = parse(bytes, ARCHIVE);
            assert_eq!((records.len(), records.is_damaged), (syncs, false));
        }
    }

    #[test]
    fn a_torn_end_and_a_torn_generation_are_no_damage() {
        let whole = log(5, 3);
        let two = log(5, 2).len();
        for torn in two..whole.len() {
            let mut bytes = whole.clone();
            bytes[torn..].fill(0);
            let records = parse(bytes, ARCHIVE);
            assert_eq!(sections(&records), [1, 2]);
            assert!(!records.is_damaged, "{torn}");
        }
        let (block, at) = encode_generation(6, false);
        for torn in 0..12 {
            let mut bytes = whole.clone();
            bytes[at..at + torn].copy_from_slice(&block[..torn]);
            let records = parse(bytes, ARCHIVE);
            assert_eq!((records.len(), records.is_damaged), (3, false));
        }
    }

    #[test]
    fn damage_before_the_end_is_told_wherever_it_is() {
        let whole = log(5, 3);
        let two = log(5, 2).len();
        let said = GENERATIONS[1]..GENERATIONS[1] + 13;
        for at in (0..32).chain(said.clone()).chain(RECORDS_AT..two) {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                let records = parse(bytes, ARCHIVE);
                let all = sections(&records) == [1, 2, 3];
                // The records tell the generation, too.
                assert_eq!(all, said.contains(&at), "{at}");
                assert!(records.is_damaged, "{at}");
            }
        }
        let mut bytes = whole;
        bytes[RECORDS_AT..RECORDS_AT + 50].fill(0);
        assert!(parse(bytes, ARCHIVE).is_damaged);
    }

    #[test]
    fn a_record_of_a_stranger_ends_where_it_makes_no_sense() {
        for bytes in [&b"x"[..], &[0xFF; 40], &[0; 32]] {
            let mut out = log(5, 0);
            let at = begin(&mut out);
            out.extend_from_slice(bytes);
            let head = Head {
                generation: 5,
                sequence: 0,
            };
            end(&mut out, at, head);
            let records = parse(out, ARCHIVE);
            assert!(!records.is_empty());
            assert!(records.parts().all(|part| part.values.is_empty()));
        }
    }
}
