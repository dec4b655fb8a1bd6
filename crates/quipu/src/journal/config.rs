//! What the journals need to know.

use crate::format::Layout;
use crate::paged::PageCache;

/// How a journal that is used on its own is opened. The page size must be the one it was created
/// with; the rest may change.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Bytes of a page of the record files, without its checksums: 1 to 65,535.
    pub page_size: u16,
    /// The cache for their pages.
    pub page_cache: PageCache,
    /// Bytes that a section gathers before it writes them.
    pub write_buffer: usize,
    /// How many files may be open at a time.
    pub max_open_files: usize,
    /// The header of new files.
    pub layout: Layout,
}

impl Default for Config {
    /// Pages of 4,084 bytes, a cache of 8 MiB, buffers of 1 MiB, 512 open files.
    fn default() -> Self {
        Self {
            page_size: 4084,
            page_cache: PageCache::new(8 << 20),
            write_buffer: 1 << 20,
            max_open_files: 512,
            layout: Layout::default(),
        }
    }
}

impl Config {
    /// The defaults, with another page size.
    pub fn with_page_size(page_size: u16) -> Self {
        Self {
            page_size,
            ..Self::default()
        }
    }
}

/// How records are kept.
#[derive(Clone, Debug)]
pub(crate) struct RecordConfig {
    pub(crate) record_size: usize,
    pub(crate) page_size: u16,
    pub(crate) cache: PageCache,
}

/// How values are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ValueConfig {
    pub(crate) write_buffer: usize,
}
