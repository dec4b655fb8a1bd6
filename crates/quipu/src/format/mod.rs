//! The bytes of a section: constants, header, page slots, entries, names, checksum.
//!
//! Everything that another program could read or write is defined here and nowhere else;
//! `docs/format.md` says the same in prose, and a test holds the two together.

mod checksum;
mod entry;
mod header;
mod name;
mod page;

pub use checksum::crc32c;
pub(crate) use entry::EntryLayout;
pub use header::Layout;
pub(crate) use header::{HeaderState, MAX_HEADER_SIZE};
pub(crate) use name::{NEW_SUFFIX, section_name, section_number};
pub(crate) use page::{PageState, SLOTS_SIZE, Slot};

/// Bytes of the checksum behind every value.
pub(crate) const VALUE_CHECKSUM_SIZE: u32 = 4;
/// The longest value that a section can hold, in bytes: its size with checksum is a `u32`.
pub const MAX_VALUE_SIZE: u32 = u32::MAX - VALUE_CHECKSUM_SIZE;
/// The largest logical page, in bytes.
pub const MAX_PAGE_SIZE: u16 = u16::MAX;
