//! Whose marks a file has: the first bytes of it.

use super::codec::{Decoder, Encoder};
use super::record::{Manifest, State};
use crate::format::crc32c;

pub(crate) const MAGIC: &[u8; 8] = b"QUIPUMRK";
pub(crate) const VERSION: u32 = 5;
/// Bytes of the header.
pub(super) const HEADER_SIZE: usize = 48;
/// Of a file that no clean end has written.
pub(super) const NO_END: u64 = u64::MAX;

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
}

/// The first bytes of a file of marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) owner: Owner,
    /// So many bytes of the file were made durable at once.
    pub(super) durable: u64,
    /// The [opens](Manifest::opens) that the manifest had on the disk when a clean end wrote the file, else [`NO_END`].
    pub(super) ended: u64,
}

impl Header {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut out = Encoder(MAGIC.to_vec());
        out.u32(VERSION);
        out.u64(self.owner.id);
        out.u64(self.owner.rewinds);
        out.u64(self.durable);
        out.u64(self.ended);
        let crc = crc32c(&out.0);
        out.u32(crc);
        out.0
    }

    /// The header of a file, if it checks.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Decoder::new(bytes.get(MAGIC.len() + 4..)?);
        let owner = Owner {
            id: from.u64()?,
            rewinds: from.u64()?,
        };
        let header = Self {
            owner,
            durable: from.u64()?,
            ended: from.u64()?,
        };
        bytes.starts_with(&header.encode()).then_some(header)
    }
}
