//! The manifest: one checksummed record that makes an archive self-describing.
//!
//! ```text
//! 0..8       "QUIPUMAN"
//! 8..12      format version, u32
//! 12..16     length of the fields, u32
//! 16..16+n   the fields, in the order of `encode_fields`
//! 16+n..     CRC-32C of all bytes before, u32
//! ```
//!
//! The frame is the same in every version, so that a flipped bit is never taken for a newer one.

use std::path::Path;
use std::sync::Arc;

use super::codec::{Decoder, Encoder};
use super::{MANIFEST, PARTITION, read_whole, replace_whole};
use crate::archive::Compression;
use crate::error::{Error, Result};
use crate::format::{Layout, crc32c};
use crate::index::{SEED_SIZE, TranslatorSpec};
use crate::storage::Storage;

pub(crate) const MAGIC: &[u8; 8] = b"QUIPUMAN";
pub(crate) const VERSION: u32 = 1;
const FRAME_SIZE: usize = 16;

/// What an archive is in the middle of, so that a crash there is finished by the next open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing.
    Open,
    /// Its files are being removed.
    Destroying,
    /// Every item above this index is being dropped.
    Rewinding(u64),
}

/// The settings and the floor of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// Drawn when the archive is created: another one at the same path has another.
    pub(crate) id: u64,
    pub(crate) key_size: u32,
    pub(crate) page_size: u16,
    pub(crate) layout: Layout,
    pub(crate) items_per_section: u64,
    pub(crate) translator: TranslatorSpec,
    pub(crate) index_partition: String,
    pub(crate) value_partition: String,
    pub(crate) floor: u64,
    /// How often the archive was rewound; a reader in another process starts anew when it changes.
    pub(crate) rewinds: u64,
    pub(crate) state: State,
    pub(crate) compression: CompressionMap,
}

/// Which sections are compressed: today's setting, and the sections from before it was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CompressionMap {
    pub(crate) current: Compression,
    /// Inclusive spans of section numbers that existed when the setting was another.
    pub(crate) earlier: Vec<(u64, u64, bool)>,
}

impl CompressionMap {
    /// Whether the values of a section are compressed.
    pub(crate) fn is_compressed(&self, section: u64) -> bool {
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

impl Manifest {
    /// Reads the archive's manifest; none when there is none.
    pub(crate) fn load(storage: &dyn Storage) -> Result<Option<Self>> {
        let Some(bytes) = read_whole(storage, MANIFEST)? else {
            return Ok(None);
        };
        Self::decode(&bytes, &storage.path(PARTITION, MANIFEST)).map(Some)
    }

    /// Writes the manifest, at once and durably.
    pub(crate) fn store(&self, storage: &Arc<dyn Storage>) -> Result<()> {
        replace_whole(storage, MANIFEST, &self.encode())
    }

    /// An error when the storage holds another archive by now, or this one after a rewind.
    pub(crate) fn check_continued(&self, storage: &dyn Storage) -> Result<()> {
        let now = Self::load(storage)?;
        match now.is_some_and(|now| self.is_continued_by(&now)) {
            true => Ok(()),
            false => Err(Error::Stale {
                path: storage.path("", ""),
            }),
        }
    }

    /// Whether `later` is this archive further on, with nothing taken back in between.
    pub(crate) fn is_continued_by(&self, later: &Self) -> bool {
        self.id == later.id
            && self.rewinds == later.rewinds
            && self.floor <= later.floor
            && self.state == later.state
    }

    fn encode(&self) -> Vec<u8> {
        let mut fields = Encoder::default();
        self.encode_fields(&mut fields);
        let mut all = Encoder(MAGIC.to_vec());
        all.u32(VERSION);
        all.u32(fields.0.len() as u32);
        all.0.extend_from_slice(&fields.0);
        let crc = crc32c(&all.0);
        all.u32(crc);
        all.0
    }

    fn encode_fields(&self, out: &mut Encoder) {
        out.u64(self.id);
        out.u32(self.key_size);
        out.u16(self.page_size);
        out.u8(match self.layout {
            Layout::V0 => 0,
            Layout::V1 => 1,
        });
        out.u64(self.items_per_section);
        out.u8(self.translator.cap());
        out.u8(u8::from(self.translator.seed().is_some()));
        out.0
            .extend_from_slice(self.translator.seed().unwrap_or(&[0; SEED_SIZE]));
        out.string(&self.index_partition);
        out.string(&self.value_partition);
        out.u64(self.floor);
        out.u64(self.rewinds);
        let (state, index) = match self.state {
            State::Open => (0, 0),
            State::Destroying => (1, 0),
            State::Rewinding(index) => (2, index),
        };
        out.u8(state);
        out.u64(index);
        self.encode_compression(out);
    }

    fn encode_compression(&self, out: &mut Encoder) {
        let (on, level) = match self.compression.current {
            Compression::Off => (0, 0),
            Compression::Zstd(level) => (1, level),
        };
        out.u8(on);
        out.u32(level as u32);
        out.u32(self.compression.earlier.len() as u32);
        for &(first, last, compressed) in &self.compression.earlier {
            out.u64(first);
            out.u64(last);
            out.u8(u8::from(compressed));
        }
    }

    fn decode(bytes: &[u8], path: &Path) -> Result<Self> {
        let damaged = |offset: usize, reason: &str| Error::Manifest {
            path: path.to_path_buf(),
            offset: offset as u64,
            reason: reason.to_owned(),
        };
        let mut frame = Decoder::new(bytes);
        if frame.array() != Some(*MAGIC) {
            return Err(damaged(0, "it does not begin with QUIPUMAN"));
        }
        let short = || damaged(bytes.len(), "it is cut short");
        let version = frame.u32().ok_or_else(short)?;
        let len = frame.u32().ok_or_else(short)? as usize;
        let fields = frame.bytes(len).ok_or_else(short)?;
        let expected = frame.u32().ok_or_else(short)?;
        let found = crc32c(&bytes[..FRAME_SIZE + len]);
        if expected != found || !frame.is_empty() {
            let reason = format!("checksum mismatch, expected {expected:08x}, found {found:08x}");
            return Err(damaged(0, &reason));
        }
        if version != VERSION {
            return Err(Error::NewerVersion {
                path: path.to_path_buf(),
                found: version,
                supported: VERSION,
            });
        }
        let mut fields = Decoder::new(fields);
        let manifest = Self::decode_fields(&mut fields).filter(|_| fields.is_empty());
        manifest.ok_or_else(|| damaged(FRAME_SIZE + fields.offset(), "a field is not valid"))
    }

    fn decode_fields(from: &mut Decoder<'_>) -> Option<Self> {
        Some(Self {
            id: from.u64()?,
            key_size: from.u32()?,
            page_size: from.u16().filter(|&size| size > 0)?,
            layout: match from.u8()? {
                0 => Layout::V0,
                1 => Layout::V1,
                _ => return None,
            },
            items_per_section: from.u64().filter(|&items| items > 0)?,
            translator: {
                let (cap, hashed, seed) = (from.u8()?, from.u8()?, from.array()?);
                TranslatorSpec::new(cap, (hashed == 1).then_some(seed))?
            },
            index_partition: from.string()?,
            value_partition: from.string()?,
            floor: from.u64()?,
            rewinds: from.u64()?,
            state: match (from.u8()?, from.u64()?) {
                (0, _) => State::Open,
                (1, _) => State::Destroying,
                (2, index) => State::Rewinding(index),
                _ => return None,
            },
            compression: Self::decode_compression(from)?,
        })
    }

    fn decode_compression(from: &mut Decoder<'_>) -> Option<CompressionMap> {
        let (on, level) = (from.u8()?, from.u32()? as i32);
        let count = from.u32()?;
        let mut earlier = Vec::new();
        for _ in 0..count {
            earlier.push((from.u64()?, from.u64()?, from.u8()? == 1));
        }
        let current = match on {
            0 => Compression::Off,
            1 => Compression::Zstd(level),
            _ => return None,
        };
        Some(CompressionMap { current, earlier })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Memory;

    fn sample() -> Manifest {
        Manifest {
            id: 0x0123_4567_89ab_cdef,
            key_size: 32,
            page_size: 4084,
            layout: Layout::V1,
            items_per_section: 4096,
            translator: TranslatorSpec::new(8, Some([7; 16])).unwrap(),
            index_partition: "index".into(),
            value_partition: "values".into(),
            floor: 8192,
            rewinds: 2,
            state: State::Rewinding(4096),
            compression: CompressionMap {
                current: Compression::Zstd(-3),
                earlier: vec![(0, 4096, false), (12288, 12288, false)],
            },
        }
    }

    #[test]
    fn there_and_back() {
        let storage: Arc<dyn Storage> = Arc::new(Memory::new());
        assert_eq!(Manifest::load(&*storage).unwrap(), None);
        sample().store(&storage).unwrap();
        assert_eq!(Manifest::load(&*storage).unwrap(), Some(sample()));
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_an_error() {
        let bytes = sample().encode();
        let decode = |bytes: &[u8]| Manifest::decode(bytes, Path::new("manifest"));
        for cut in 0..bytes.len() {
            assert!(
                matches!(decode(&bytes[..cut]), Err(Error::Manifest { .. })),
                "{cut}"
            );
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(
                matches!(decode(&flipped), Err(Error::Manifest { .. })),
                "{bit}"
            );
        }
    }

    #[test]
    fn a_newer_version_says_so() {
        let mut bytes = sample().encode();
        bytes[11] = 2;
        let body = bytes.len() - 4;
        let crc = crc32c(&bytes[..body]);
        bytes[body..].copy_from_slice(&crc.to_be_bytes());
        let error = Manifest::decode(&bytes, Path::new("manifest")).unwrap_err();
        assert!(
            matches!(
                error,
                Error::NewerVersion {
                    found: 2,
                    supported: 1,
                    ..
                }
            ),
            "{error}"
        );
    }

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
