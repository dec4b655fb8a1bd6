//! How much memory pages take: those of index files, and those of key tables.

use crate::paged::PageCache;

const DEFAULT_CACHE_BYTES: usize = 64 << 20;
const DEFAULT_KEY_BYTES: usize = 64 << 20;
/// Bytes of a key's slot in a page of a table, with room for a few pages more.
const SLOT_BYTES: usize = 9;

/// What the options say of it; limits of one kind come before those of both together.
#[derive(Clone, Debug, Default)]
pub(super) struct MemoryLimits {
    /// For pages of index files,
    pub(super) pages: Option<PageCache>,
    /// of key tables,
    pub(super) keys: Option<KeyMemory>,
    /// and of both.
    pub(super) both: Option<usize>,
}

impl MemoryLimits {
    /// The cache of index pages, and how much key tables may keep, with entries of so many bytes. Of a limit for both
    /// each has the part that it is of an item, so that they cover as many items.
    pub(super) fn resolve(&self, entry_size: usize) -> (PageCache, KeyMemory) {
        let shares = self.both.map(|both| {
            let of_keys = both as u128 * SLOT_BYTES as u128 / (SLOT_BYTES + entry_size) as u128;
            (both - of_keys as usize, of_keys as usize)
        });
        let of_pages = shares.map_or(DEFAULT_CACHE_BYTES, |(pages, _)| pages);
        let of_keys = shares.map_or_else(KeyMemory::default, |(_, keys)| KeyMemory::AtMost(keys));
        let pages = self.pages.clone();
        (
            pages.unwrap_or_else(|| PageCache::new(of_pages)),
            self.keys.unwrap_or(of_keys),
        )
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_for_both_covers_as_many_items_of_each() {
        let limits = MemoryLimits {
            both: Some(64 << 20),
            ..MemoryLimits::default()
        };
        let (_, keys) = limits.resolve(52);
        let KeyMemory::AtMost(of_keys) = keys else {
            panic!("{keys:?}");
        };
        let of_pages = (64 << 20) - of_keys;
        let (key_items, page_items) = (of_keys / SLOT_BYTES, of_pages / 52);
        assert!(
            key_items.abs_diff(page_items) < 2,
            "{key_items} {page_items}"
        );
        assert!(page_items > 1_000_000);
        for both in [0, 1, usize::MAX] {
            let limits = MemoryLimits {
                both: Some(both),
                ..MemoryLimits::default()
            };
            let (_, keys) = limits.resolve(28);
            assert!(matches!(keys, KeyMemory::AtMost(bytes) if bytes <= both));
        }
    }

    #[test]
    fn a_limit_of_one_kind_comes_first() {
        let limits = MemoryLimits {
            pages: None,
            keys: Some(KeyMemory::All),
            both: Some(1 << 20),
        };
        assert_eq!(limits.resolve(52).1, KeyMemory::All);
        assert_eq!(
            MemoryLimits::default().resolve(52).1,
            KeyMemory::AtMost(DEFAULT_KEY_BYTES)
        );
    }
}
