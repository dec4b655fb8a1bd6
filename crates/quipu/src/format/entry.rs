//! An entry: the fixed-size record of an item in the index file.
//!
//! ```text
//! 0..8        item index, u64
//! 8..8+K      key
//! 8+K..16+K   offset of the value in the value blob, u64
//! 16+K..20+K  size of the value there, checksum included, u32
//! ```

/// Bytes of an entry beside its key.
const FIXED_SIZE: usize = 20;

/// Where the parts of an entry stand, for one key size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntryLayout {
    /// The key's size, in bytes.
    pub(crate) key_size: usize,
}

impl EntryLayout {
    /// The size of an entry, in bytes.
    pub(crate) const fn size(self) -> usize {
        FIXED_SIZE + self.key_size
    }

    /// Writes an entry into `out`, which has [`size`](Self::size) bytes; `key` has `key_size`.
    pub(crate) fn encode(self, index: u64, key: &[u8], offset: u64, size: u32, out: &mut [u8]) {
        let (head, tail) = out.split_at_mut(8 + self.key_size);
        head[..8].copy_from_slice(&index.to_be_bytes());
        head[8..].copy_from_slice(key);
        tail[..8].copy_from_slice(&offset.to_be_bytes());
        tail[8..].copy_from_slice(&size.to_be_bytes());
    }

    /// The item's index.
    pub(crate) fn index(self, entry: &[u8]) -> u64 {
        u64::from_be_bytes(array(entry, 0))
    }

    /// The item's key.
    pub(crate) fn key(self, entry: &[u8]) -> &[u8] {
        &entry[8..8 + self.key_size]
    }

    /// The value's offset in the value blob and its size, checksum included.
    pub(crate) fn location(self, entry: &[u8]) -> (u64, u32) {
        let at = 8 + self.key_size;
        (
            u64::from_be_bytes(array(entry, at)),
            u32::from_be_bytes(array(entry, at + 8)),
        )
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_where_the_format_says() {
        let layout = EntryLayout { key_size: 3 };
        let mut entry = vec![0; layout.size()];
        layout.encode(0x0102, b"key", 0x0a0b, 0x0c0d, &mut entry);
        assert_eq!(
            entry,
            b"\0\0\0\0\0\0\x01\x02key\0\0\0\0\0\0\x0a\x0b\0\0\x0c\x0d"
        );
        assert_eq!(layout.index(&entry), 0x0102);
        assert_eq!(layout.key(&entry), b"key");
        assert_eq!(layout.location(&entry), (0x0a0b, 0x0c0d));
    }
}
