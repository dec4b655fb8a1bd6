//! Whose marks a file has: the first bytes of it.

use super::codec::{Decoder, Encoder};
use super::record::{Manifest, State};
use crate::format::crc32c;

pub(crate) const MAGIC: &[u8; 8] = b"QUIPUMRK";
pub(crate) const VERSION: u32 = 4;
/// Bytes of the header.
pub(super) const HEADER_SIZE: usize = 40;

/// Which state of which archive the marks belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    id: u64,
    rewinds: u64,
}

impl Owner {
    pub(super) fn of(manifest: &Manifest) -> Self {
        Self {
            id: manifest.id,
            rewinds: manifest.rewinds,
        }
    }

    /// Whether marks of this owner tell of the files of a manifest. While files are being replaced
    /// they may be those from before it.
    pub(super) fn fits(self, manifest: &Manifest) -> bool {
        let replacing = matches!(manifest.state, State::Rewinding(_) | State::Repairing(_));
        let before = replacing && self.rewinds.checked_add(1) == Some(manifest.rewinds);
        self.id == manifest.id && (before || self.rewinds == manifest.rewinds)
    }

    /// The header of a file of which so many bytes are made durable at once.
    pub(super) fn header(self, durable: u64) -> Vec<u8> {
        let mut out = Encoder(MAGIC.to_vec());
        out.u32(VERSION);
        out.u64(self.id);
        out.u64(self.rewinds);
        out.u64(durable);
        let crc = crc32c(&out.0);
        out.u32(crc);
        out.0
    }

    /// The owner of a file, and how many bytes of it were made durable at once.
    pub(super) fn decode(bytes: &[u8]) -> Option<(Self, u64)> {
        let mut from = Decoder::new(bytes.get(MAGIC.len() + 4..)?);
        let owner = Self {
            id: from.u64()?,
            rewinds: from.u64()?,
        };
        let durable = from.u64()?;
        let is_header = bytes.starts_with(&owner.header(durable));
        is_header.then_some((owner, durable))
    }
}
