//! How much memory the keys take.

const DEFAULT_KEY_BYTES: usize = 64 << 20;

/// How much of the key tables is kept in memory.
///
/// The keys that were put last are in memory in any case, about 10 bytes each, until a table is made of
/// them. Of each key in a table a filter takes 1.5 bytes of memory, and its slot 8.2 bytes where its page is
/// in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyMemory {
    /// Every page that was read stays: no look-up reads one twice.
    All,
    /// So many bytes of pages at most, those that are asked for most.
    AtMost(usize),
}

impl Default for KeyMemory {
    /// At most 64 MiB: all pages of 8 million keys.
    fn default() -> Self {
        Self::AtMost(DEFAULT_KEY_BYTES)
    }
}
