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
use super::compression::CompressionMap;
use super::{check_partitions, copies};
use crate::archive::Compression;
use crate::error::{Error, Result};
use crate::format::{Layout, MAX_KEY_SIZE, crc32c};
use crate::index::{SEED_SIZE, TranslatorSpec};
use crate::storage::Storage;

pub(crate) const MAGIC: &[u8; 8] = b"QUIPUMAN";
pub(crate) const VERSION: u32 = 5;
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
    /// The index file of this section is being written anew without its damage.
    Repairing(u64),
}

/// The settings and the floor of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// Drawn when the archive is created: another one at the same path has another.
    pub(crate) id: u64,
    /// How often it was stored: of two copies the greater counts.
    pub(crate) generation: u64,
    /// How often the archive was opened for writing: readers that outlive their writer see by it
    /// that there was another.
    pub(crate) opens: u64,
    /// The same as the disk has it, since it was loaded or last stored: no field of its own there.
    pub(crate) announced: u64,
    pub(crate) key_size: u32,
    pub(crate) page_size: u16,
    pub(crate) layout: Layout,
    pub(crate) items_per_section: u64,
    pub(crate) translator: TranslatorSpec,
    pub(crate) index_partition: String,
    pub(crate) value_partition: String,
    pub(crate) floor: u64,
    /// How often the archive was rewound or repaired; a reader in another process starts anew when it changes.
    pub(crate) rewinds: u64,
    pub(crate) state: State,
    pub(crate) compression: CompressionMap,
}

impl Manifest {
    /// Reads the archive's manifest; none when there is none.
    pub(crate) fn load(storage: &dyn Storage) -> Result<Option<Self>> {
        Ok(copies::load(storage)?.map(|(manifest, _)| manifest))
    }

    /// Writes the manifest, durably.
    pub(crate) fn store(&mut self, storage: &Arc<dyn Storage>) -> Result<()> {
        self.generation = self.generation.saturating_add(1);
        copies::store(storage, &self.encode())?;
        self.announced = self.opens;
        Ok(())
    }

    /// Says that there is another writer, if no store since the open has.
    pub(crate) fn announce(&mut self, storage: &Arc<dyn Storage>) -> Result<()> {
        match self.announced < self.opens {
            true => self.store(storage),
            false => Ok(()),
        }
    }

    /// The manifest as it is now; an error when the storage holds another archive by now, or this one after a
    /// rewind.
    pub(crate) fn continued(&self, storage: &dyn Storage) -> Result<Self> {
        let now = Self::load(storage)?;
        now.filter(|now| self.is_continued_by(now))
            .ok_or_else(|| Error::Stale {
                path: storage.path("", ""),
            })
    }

    /// Whether `later` is this archive further on, with nothing taken back in between.
    pub(crate) fn is_continued_by(&self, later: &Self) -> bool {
        self.id == later.id
            && self.rewinds == later.rewinds
            && self.floor <= later.floor
            && self.state == later.state
    }

    /// Whether `other` is this archive with nothing pruned, rewound or repaired in between.
    pub(crate) fn has_same_files(&self, other: &Self) -> bool {
        let as_of = |of: &Self| (of.id, of.state, of.rewinds, of.floor);
        as_of(self) == as_of(other)
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
        out.u64(self.generation);
        out.u64(self.opens);
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
            State::Repairing(section) => (3, section),
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

    pub(super) fn decode(bytes: &[u8], path: &Path) -> Result<Self> {
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
        if version < VERSION {
            return Err(damaged(
                8,
                "its version is one from before the first release",
            ));
        }
        if version > VERSION {
            return Err(Error::NewerVersion {
                path: path.to_path_buf(),
                found: version,
                supported: VERSION,
            });
        }
        let mut fields = Decoder::new(fields);
        let manifest = Self::decode_fields(&mut fields)
            .filter(|manifest| fields.is_empty() && manifest.is_sound());
        manifest.ok_or_else(|| damaged(FRAME_SIZE + fields.offset(), "a field is not valid"))
    }

    /// Whether the fields are ones that an archive can have: a right checksum says who wrote them
    /// no more than any bytes do.
    fn is_sound(&self) -> bool {
        self.key_size as usize <= MAX_KEY_SIZE
            && self.floor.is_multiple_of(self.items_per_section)
            && check_partitions(&self.index_partition, &self.value_partition).is_ok()
            && self.compression.is_sound()
    }

    fn decode_fields(from: &mut Decoder<'_>) -> Option<Self> {
        let (id, generation, opens) = (from.u64()?, from.u64()?, from.u64()?);
        Some(Self {
            id,
            generation,
            opens,
            announced: opens,
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
                (3, section) => State::Repairing(section),
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
pub(super) mod tests {
    use super::*;
    use crate::storage::Memory;

    pub(in crate::manifest) fn sample() -> Manifest {
        Manifest {
            id: 0x0123_4567_89ab_cdef,
            generation: 7,
            opens: 3,
            announced: 3,
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
        let mut manifest = sample();
        manifest.store(&storage).unwrap();
        assert_eq!(manifest.generation, 8);
        assert_eq!(Manifest::load(&*storage).unwrap(), Some(manifest));
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
        bytes[11] = 6;
        let body = bytes.len() - 4;
        let crc = crc32c(&bytes[..body]);
        bytes[body..].copy_from_slice(&crc.to_be_bytes());
        let error = Manifest::decode(&bytes, Path::new("manifest")).unwrap_err();
        assert!(
            matches!(
                error,
                Error::NewerVersion {
                    found: 6,
                    supported: 5,
                    ..
                }
            ),
            "{error}"
        );
    }
}
