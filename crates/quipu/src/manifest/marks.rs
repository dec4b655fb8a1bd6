//! The marks: what is known durable of each section, and which entries are known damaged.
//!
//! ```text
//! file:    "QUIPUMRK" version u32 | archive id u64 | rewinds u64 | durable u64 | ended u64 | CRC-32C u32, then records
//! record:  length u32 | CRC-32C of the payload u32 | payload
//! payload: 1, section, records, value bytes, layouts, epoch, fingerprint, runs…
//!             the section's durable mark, and the runs of indices that came with it
//!          2, section, position, index
//!             an entry whose item cannot be read
//! ```
//!
//! The last mark of a section counts, with the runs of all. The first record that does not check ends
//! the file. Behind the bytes that were durable when it was last written anew, that is what a crash
//! tore: the marks lag a little more, as they may. Before, it is damage, and so is a file that is gone:
//! then nobody knows what was durable.
//!
//! Marks of another archive, or from before a rewind, tell of files that are gone: they are not
//! believed at all. The manifest's version stands for both files: another version here is damage.
//!
//! A clean end writes into the header which writer's end it was, by the number of opens that the manifest has: as long as it has
//! that one, nobody has changed a section file since, and they are as the marks say. It decides nothing but when their
//! lengths are looked at.
//!
//! Cost: a mark takes about 100 bytes for a section that was filled in order. The file is written
//! anew once it is mostly made of marks that others have replaced.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Manifest;
use super::codec::{Decoder, Encoder};
use super::fingerprint::Fingerprint;
use super::owner::{HEADER_SIZE, Header, Owner};
use crate::format::{Layout, Layouts, crc32c};
use crate::index::Runs;

/// Bytes of a mark's record without its fingerprint and runs, of a run, of a record of damage.
const MARK_SIZE: usize = 8 + 34;
const RUN_SIZE: usize = 16;
const DAMAGE_SIZE: usize = 8 + 25;

/// The epoch of a section that was dropped.
const DROPPED: u64 = u64::MAX;

/// What is durable of a section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// So many entries, and
    pub(crate) records: u64,
    /// so many bytes of values.
    pub(crate) value_bytes: u64,
    /// The headers of its two files, so that these can be read where a header is damaged.
    pub(crate) layouts: Layouts,
    /// Which life of the section it is, for what was derived from it; 0 where something of it is damaged
    /// or doubtful, and the greatest number where all of it is [dropped](Self::dropped).
    pub(crate) epoch: u64,
    /// By which its files are known again.
    pub(crate) fingerprint: Fingerprint,
    /// The indices these entries hold.
    pub(crate) runs: Runs,
}

impl Mark {
    /// The mark of a section whose files are to go, also where they are away and come back. These indices of it are
    /// lost.
    pub(crate) fn dropped(runs: Runs) -> Self {
        Self {
            epoch: DROPPED,
            runs,
            ..Self::default()
        }
    }

    pub(crate) fn is_dropped(&self) -> bool {
        self.epoch == DROPPED
    }

    /// Whether it says of which files it is: nothing of that is left once others were made in the place of lost ones.
    pub(crate) fn knows_files(&self) -> bool {
        self.epoch != 0 || self.fingerprint != Fingerprint::default()
    }

    pub(crate) fn memory(&self) -> usize {
        self.fingerprint.memory() + self.runs.memory()
    }
}

/// How much of the marks was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wholeness {
    /// All.
    Whole,
    /// All but the last, which a crash tore.
    Torn,
    /// Nobody knows how many are missing.
    Lost,
}

/// All marks of an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) sections: BTreeMap<u64, Arc<Mark>>,
    /// (section, position, index) of entries that are known damaged.
    pub(crate) damaged: BTreeSet<(u64, u64, u64)>,
}

impl Marks {
    /// The mark of a section.
    pub(crate) fn of(&self, section: u64) -> Option<&Mark> {
        self.sections.get(&section).map(|mark| &**mark)
    }

    /// The positions of a section that are known damaged, with the indices they held.
    pub(crate) fn damaged_in(&self, section: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        let span = (section, 0, 0)..=(section, u64::MAX, u64::MAX);
        self.damaged
            .range(span)
            .map(|&(_, position, index)| (position, index))
    }

    /// A section's new mark, which adds its runs to those of the old one.
    pub(super) fn merge(&mut self, section: u64, new: Mark) {
        let mark = match self.sections.entry(section) {
            Entry::Vacant(place) => {
                place.insert(Arc::new(new));
                return;
            }
            Entry::Occupied(place) => Arc::make_mut(place.into_mut()),
        };
        (mark.records, mark.value_bytes) = (new.records, new.value_bytes);
        mark.layouts = new.layouts;
        mark.epoch = new.epoch;
        mark.fingerprint = new.fingerprint;
        for run in new.runs.ranges() {
            mark.runs.insert_run(*run.start(), *run.end());
        }
    }

    /// How long a file with these marks alone is.
    pub(super) fn encoded_len(&self) -> usize {
        let marks = self.sections.values().map(|mark| {
            let runs = RUN_SIZE * mark.runs.run_count();
            MARK_SIZE + mark.fingerprint.encoded_len() + runs
        });
        HEADER_SIZE + marks.sum::<usize>() + DAMAGE_SIZE * self.damaged.len()
    }

    /// Forgets what lies below a floor.
    pub(crate) fn prune(&mut self, floor: u64) {
        self.sections = self.sections.split_off(&floor);
        self.damaged = self.damaged.split_off(&(floor, 0, 0));
    }

    /// Forgets everything about one section.
    pub(crate) fn forget(&mut self, section: u64) {
        self.sections.remove(&section);
        self.damaged.retain(|&(of, _, _)| of != section);
    }

    /// A file with these marks alone; `ended` as [`Header::ended`].
    pub(super) fn encode(&self, owner: Owner, ended: u64) -> Vec<u8> {
        let header = Header {
            owner,
            durable: self.encoded_len() as u64,
            ended,
        };
        let mut out = header.encode();
        for (&section, mark) in &self.sections {
            push_record(&mut out, &encode_mark(section, mark));
        }
        for &damage in &self.damaged {
            push_record(&mut out, &encode_damage(damage));
        }
        out
    }

    /// The marks of a file, how many of its bytes are good, and whether these are all; none where
    /// it does not belong to the manifest's archive as it is.
    pub(super) fn decode(
        bytes: &[u8],
        file_len: u64,
        manifest: &Manifest,
    ) -> (Self, usize, Wholeness) {
        let mut marks = Self::default();
        let header = Header::decode(bytes).filter(|header| header.owner.fits(manifest));
        let (Some(Header { durable, .. }), Some(records)) = (header, bytes.get(HEADER_SIZE..))
        else {
            return (marks, 0, Wholeness::Lost);
        };
        let mut from = Decoder::new(records);
        let mut good = HEADER_SIZE;
        while marks.take_record(&mut from).is_some() {
            good = HEADER_SIZE + from.offset();
        }
        let wholeness = match good {
            _ if good as u64 == file_len && file_len >= durable => Wholeness::Whole,
            _ if good as u64 >= durable => Wholeness::Torn,
            _ => Wholeness::Lost,
        };
        (marks, good, wholeness)
    }

    fn take_record(&mut self, from: &mut Decoder<'_>) -> Option<()> {
        let (len, crc) = (from.u32()?, from.u32()?);
        let payload = from.bytes(len as usize)?;
        if crc32c(payload) != crc {
            return None;
        }
        let mut payload = Decoder::new(payload);
        match payload.u8()? {
            1 => {
                let section = payload.u64()?;
                let (records, value_bytes) = (payload.u64()?, payload.u64()?);
                let layouts = decode_layouts(payload.u8()?);
                let epoch = payload.u64()?;
                let fingerprint = Fingerprint::decode(&mut payload)?;
                let mut runs = Runs::default();
                while !payload.is_empty() {
                    let (first, last) = (payload.u64()?, payload.u64()?);
                    runs.insert_run(first, last.max(first));
                }
                let mark = Mark {
                    records,
                    value_bytes,
                    layouts,
                    epoch,
                    fingerprint,
                    runs,
                };
                self.merge(section, mark);
            }
            2 => {
                self.damaged
                    .insert((payload.u64()?, payload.u64()?, payload.u64()?));
            }
            _ => return None,
        }
        Some(())
    }
}

/// Whether the first record that does not check lies within these bytes, the first of so many.
pub(super) fn ends_within(bytes: &[u8], file_len: u64) -> bool {
    let Some(mut rest) = bytes.get(HEADER_SIZE..) else {
        return false;
    };
    loop {
        let mut from = Decoder::new(rest);
        let (Some(len), Some(crc)) = (from.u32(), from.u32()) else {
            return false;
        };
        match from.bytes(len as usize) {
            Some(payload) if crc32c(payload) == crc && !payload.is_empty() => {
                rest = rest.get(8 + payload.len()..).unwrap_or_default();
            }
            Some(_) => return true,
            None => return u64::from(len) > file_len,
        }
    }
}

/// The checksum that the first of these records should have, and the one that it has; none where it is cut
/// short.
pub(super) fn record_checksums(records: &[u8]) -> Option<(u32, u32)> {
    let mut from = Decoder::new(records);
    let (len, stored) = (from.u32()?, from.u32()?);
    from.bytes(len as usize)
        .map(|payload| (stored, crc32c(payload)))
}

pub(super) fn push_record(out: &mut Vec<u8>, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    out.extend_from_slice(&crc32c(payload).to_be_bytes());
    out.extend_from_slice(payload);
}

pub(super) fn encode_mark(section: u64, mark: &Mark) -> Vec<u8> {
    let mut out = Encoder::default();
    out.u8(1);
    out.u64(section);
    out.u64(mark.records);
    out.u64(mark.value_bytes);
    out.u8(encode_layouts(mark.layouts));
    out.u64(mark.epoch);
    mark.fingerprint.encode(&mut out);
    for run in mark.runs.ranges() {
        out.u64(*run.start());
        out.u64(*run.end());
    }
    out.0
}

/// Two bits a file.
fn encode_layouts(layouts: Layouts) -> u8 {
    Layout::code(layouts.records) << 2 | Layout::code(layouts.values)
}

fn decode_layouts(byte: u8) -> Layouts {
    Layouts {
        records: Layout::of_code(byte >> 2),
        values: Layout::of_code(byte),
    }
}

pub(super) fn encode_damage((section, position, index): (u64, u64, u64)) -> Vec<u8> {
    let mut out = Encoder::default();
    out.u8(2);
    out.u64(section);
    out.u64(position);
    out.u64(index);
    out.0
}
