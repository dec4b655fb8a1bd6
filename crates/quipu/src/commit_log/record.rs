//! The bytes of the log: its header, and records of what syncs appended to section files.

use crate::format::{Slot, crc32c};
use crate::journal::Pair;
use crate::manifest::{Decoder, Encoder};
use crate::paged::PageGrowth;

pub(crate) const MAGIC: &[u8; 8] = b"QUIPUCLG";
pub(crate) const VERSION: u32 = 1;
/// Bytes of the header: a block, so that records never share one with it.
pub(super) const HEADER_BYTES: usize = 4096;
/// Bytes before a record's sections.
pub(super) const HEAD_BYTES: usize = 24;
/// Where the first record ends, which has no sections.
pub(super) const FIRST_RECORD: usize = HEADER_BYTES + HEAD_BYTES;

/// The header of an archive's log.
pub(super) fn encode_header(archive: u64) -> Vec<u8> {
    let mut out = Encoder(MAGIC.to_vec());
    out.u32(VERSION);
    out.u64(archive);
    let crc = crc32c(&out.0);
    out.u32(crc);
    out.0.resize(HEADER_BYTES, 0);
    out.0
}

/// Which archive's log it is; none where the header does not check.
fn decode_header(bytes: &[u8]) -> Option<u64> {
    let mut header = Decoder::new(bytes.get(..HEADER_BYTES)?);
    let (magic, version, archive) = (header.array()?, header.u32()?, header.u64()?);
    let checks = crc32c(&bytes[..header.offset()]) == header.u32()?;
    (checks && magic == *MAGIC && version == VERSION).then_some(archive)
}

/// Leaves room for the head of a record at the end of a buffer; where it is. [`end`] fills it in.
pub(super) fn begin(out: &mut Vec<u8>) -> usize {
    let at = out.len();
    out.resize(at + HEAD_BYTES, 0);
    at
}

/// Adds what the files of a section lack.
pub(super) fn push_section(out: &mut Vec<u8>, section: u64, pair: &Pair) {
    out.extend_from_slice(&section.to_be_bytes());
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

/// Appends a generation's first record, which has no sections.
pub(super) fn push_first(out: &mut Vec<u8>, generation: u64) {
    let at = begin(out);
    end(out, at, generation, 0);
}

/// Fills in the head of the record that begins at `at` and reaches to the end of the buffer.
pub(super) fn end(out: &mut [u8], at: usize, generation: u64, sequence: u64) {
    let out = out.split_at_mut(at).1;
    let body = (out.len() - HEAD_BYTES) as u32;
    out[4..8].copy_from_slice(&body.to_be_bytes());
    out[8..16].copy_from_slice(&generation.to_be_bytes());
    out[16..24].copy_from_slice(&sequence.to_be_bytes());
    let crc = crc32c(&out[4..]);
    out[..4].copy_from_slice(&crc.to_be_bytes());
}

/// What one record says of a section.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub(super) section: u64,
    pub(super) value_offset: u64,
    pub(super) values: &'a [u8],
    pub(super) pages: Vec<PageGrowth<'a>>,
}

/// The whole records of a log, in order.
#[derive(Debug, Default)]
pub(crate) struct Records {
    bytes: Vec<u8>,
    /// Where the sections of each begin and end.
    bodies: Vec<(usize, usize)>,
    /// Whether the log is there, and of this archive.
    pub(super) is_of_archive: bool,
    /// Which generation they are of; none where the log has none.
    pub(super) generation: Option<u64>,
    /// Whether something was in the log that does not check any more.
    pub(crate) is_damaged: bool,
}

impl Records {
    /// The records in the bytes of a log, if it is one of this archive.
    pub(super) fn parse(bytes: Vec<u8>, archive: u64) -> Self {
        let mut records = Self::default();
        if decode_header(&bytes) != Some(archive) {
            records.is_damaged = !bytes.is_empty();
            return records;
        }
        records.is_of_archive = true;
        // The first, which a checkpoint writes, may be torn: then the section files have all that follows.
        let first = check(&bytes, HEADER_BYTES, 0);
        records.generation = first.map(|(generation, _)| generation);
        records.bodies.push((FIRST_RECORD, FIRST_RECORD));
        while let Some((generation, end)) = check(&bytes, records.end(), records.len()) {
            if *records.generation.get_or_insert(generation) != generation {
                break;
            }
            records.bodies.push((records.end() + HEAD_BYTES, end));
        }
        records.is_damaged = records.has_followers(&bytes);
        records.bytes = bytes;
        records
    }

    /// Whether there is a record behind one that does not check: each is written when the one before is durable.
    fn has_followers(&self, bytes: &[u8]) -> bool {
        let behind = bytes.get(self.end()..).unwrap_or_default();
        let Some(generation) = self.generation else {
            // Nothing is known but that something was written.
            let all = bytes.get(HEADER_BYTES..).unwrap_or_default();
            return all.iter().any(|&byte| byte != 0);
        };
        let heads = behind.windows(8).enumerate().skip(8);
        let mut of_generation = heads.filter(|(_, found)| **found == generation.to_be_bytes());
        of_generation.any(|(at, _)| {
            let found = check_head(bytes, self.end() + at - 8);
            found.is_some_and(|head| head.generation == generation && head.sequence > self.len())
        })
    }

    /// Whether no sync is in the log.
    pub(crate) fn is_empty(&self) -> bool {
        self.bodies.len() <= 1
    }

    /// How many records there are, the first included.
    pub(super) fn len(&self) -> u64 {
        self.bodies.len() as u64
    }

    /// Where the next record goes.
    pub(super) fn end(&self) -> usize {
        self.bodies.last().map_or(FIRST_RECORD, |&(_, end)| end)
    }

    /// What all records say, in order. What cannot be read as a part, and still has the right checksum, nobody has
    /// written: the rest of such a record is left out.
    pub(super) fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let bodies = self.bodies.iter().map(|&(from, to)| &self.bytes[from..to]);
        bodies.flat_map(|body| {
            let mut body = Decoder::new(body);
            std::iter::from_fn(move || decode_part(&mut body))
        })
    }
}

/// What the head of a record says that is whole.
struct Head {
    generation: u64,
    sequence: u64,
    end: usize,
}

/// The head of the record at an offset, if that is whole.
fn check_head(bytes: &[u8], at: usize) -> Option<Head> {
    let mut head = Decoder::new(bytes.get(at..)?);
    let (crc, body) = (head.u32()?, head.u32()? as usize);
    let (generation, sequence) = (head.u64()?, head.u64()?);
    let end = at.checked_add(HEAD_BYTES)?.checked_add(body)?;
    let checks = crc32c(bytes.get(at + 4..end)?) == crc;
    checks.then_some(Head {
        generation,
        sequence,
        end,
    })
}

/// The generation of the record at an offset and where it ends, if it is whole and the `sequence`th.
pub(super) fn check(bytes: &[u8], at: usize, sequence: u64) -> Option<(u64, usize)> {
    let head = check_head(bytes, at)?;
    (head.sequence == sequence).then_some((head.generation, head.end))
}

fn decode_part<'a>(body: &mut Decoder<'a>) -> Option<Part<'a>> {
    let (section, value_offset) = (body.u64()?, body.u64()?);
    let len = body.u32()? as usize;
    let values = body.bytes(len)?;
    let count = body.u32()?;
    let mut pages = Vec::new();
    for _ in 0..count {
        pages.push(decode_growth(body)?);
    }
    Some(Part {
        section,
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

    /// A log with a first record and so many syncs, each of one section with a value and a page.
    fn log(generation: u64, syncs: u64) -> Vec<u8> {
        let mut out = encode_header(ARCHIVE);
        push_first(&mut out, generation);
        for sync in 1..=syncs {
            let at = begin(&mut out);
            push_part(&mut out, sync);
            end(&mut out, at, generation, sync);
        }
        out
    }

    fn push_part(out: &mut Vec<u8>, section: u64) {
        out.extend_from_slice(&section.to_be_bytes());
        out.extend_from_slice(&(section * 10).to_be_bytes());
        out.extend_from_slice(&5_u32.to_be_bytes());
        out.extend_from_slice(b"value");
        out.extend_from_slice(&1_u32.to_be_bytes());
        out.extend_from_slice(&3_u64.to_be_bytes());
        out.extend_from_slice(&[0, 2, 0, 6, 1, 0, 0, 0, 9]);
        out.extend_from_slice(b"page");
    }

    fn sections(records: &Records) -> Vec<u64> {
        records.parts().map(|part| part.section).collect()
    }

    #[test]
    fn parts_come_back_in_order() {
        let records = Records::parse(log(5, 3), ARCHIVE);
        assert_eq!(sections(&records), [1, 2, 3]);
        assert_eq!((records.generation, records.is_damaged), (Some(5), false));
        let part = records.parts().nth(1).unwrap();
        assert_eq!((part.value_offset, part.values), (20, &b"value"[..]));
        let growth = PageGrowth {
            page: 3,
            from: 2,
            bytes: b"page",
            crc: 9,
            slot: Slot::Second,
        };
        assert_eq!((&part.pages[..], growth.len()), (&[growth][..], 6));
        assert!(Records::parse(log(5, 0), ARCHIVE).is_empty());
        assert!(Records::parse(Vec::new(), ARCHIVE).is_empty());
        assert!(Records::parse(log(5, 3), ARCHIVE + 1).is_empty());
    }

    #[test]
    fn a_torn_end_is_no_damage_and_what_stands_behind_it_is_old() {
        let whole = log(5, 3);
        let two = log(5, 2).len();
        for torn in two..whole.len() {
            let mut bytes = whole.clone();
            bytes[torn..].fill(0);
            let records = Records::parse(bytes, ARCHIVE);
            assert_eq!(sections(&records), [1, 2]);
            assert!(!records.is_damaged, "{torn}");
        }
        // A generation that has come less far than the one before.
        let mut bytes = log(5, 3);
        let new = log(6, 1);
        bytes[..new.len()].copy_from_slice(&new);
        let records = Records::parse(bytes, ARCHIVE);
        assert_eq!((sections(&records), records.is_damaged), (vec![1], false));
    }

    #[test]
    fn damage_before_the_end_is_told_wherever_it_is() {
        let whole = log(5, 3);
        let (first, two) = (FIRST_RECORD, log(5, 2).len());
        for at in (0..24).chain(HEADER_BYTES..two) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x40;
            let records = Records::parse(bytes, ARCHIVE);
            let all = sections(&records) == [1, 2, 3];
            // Of a first record nothing but the generation counts, which the others tell.
            assert_eq!(all, (HEADER_BYTES..first).contains(&at), "{at}");
            assert_eq!(records.is_damaged, !all, "{at}");
        }
    }

    #[test]
    fn a_record_of_a_stranger_ends_where_it_makes_no_sense() {
        for bytes in [&b"x"[..], &[0xFF; 40], &[0; 24]] {
            let mut out = encode_header(ARCHIVE);
            push_first(&mut out, 5);
            let at = begin(&mut out);
            out.extend_from_slice(bytes);
            end(&mut out, at, 5, 1);
            let records = Records::parse(out, ARCHIVE);
            assert!(!records.is_empty());
            assert!(records.parts().all(|part| part.values.is_empty()));
        }
    }
}
