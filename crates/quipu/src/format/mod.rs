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
pub(crate) use header::{HeaderState, Layouts, MAX_HEADER_SIZE};
pub(crate) use name::{NEW_SUFFIX, is_unfinished, section_name, section_number};
pub(crate) use page::{PageState, SLOTS_SIZE, Slot, page_size_of, was_written_again};

/// Bytes of the checksum behind every value.
pub(crate) const VALUE_CHECKSUM_SIZE: u32 = 4;
/// The longest value that a section can hold, in bytes: its size with checksum is a `u32`.
pub const MAX_VALUE_SIZE: u32 = u32::MAX - VALUE_CHECKSUM_SIZE;
/// The longest key, in bytes.
pub(crate) const MAX_KEY_SIZE: usize = 65_535;
/// The largest logical page, in bytes.
pub const MAX_PAGE_SIZE: u16 = u16::MAX;

#[cfg(test)]
mod tests {
    use crate::commit_log;
    use crate::index::MAX_LOCATION;
    use crate::manifest;
    use crate::storage::MAX_NAME_LEN;

    use super::*;

    const DOC: &str = include_str!("../../../../docs/format.md");

    fn assert_says(line: &str) {
        assert!(
            DOC.lines().any(|found| found == line),
            "docs/format.md does not say: {line}"
        );
    }

    #[test]
    fn the_format_page_says_what_the_code_does() {
        let [v0, v1] = [Layout::V0, Layout::V1].map(|layout| layout.encode());
        let text = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..4]).into_owned();
        assert_says(&format!("| 0..4 | `{}` | `{}` |", text(&v0), text(&v1)));
        assert_says(&format!("| 4..6, u16 | {} | {} |", v0[5], v1[5]));
        assert_says(&format!(
            "| header size | {} | {} |",
            Layout::V0.header_size(),
            Layout::V1.header_size()
        ));
        assert_says(&format!("| a value | {MAX_VALUE_SIZE} bytes |"));
        assert_says(&format!("| a page | {MAX_PAGE_SIZE} bytes |"));
        assert_says(&format!(
            "| a partition's or blob's name | {MAX_NAME_LEN} bytes |"
        ));
        assert!(DOC.contains(&format!(
            "(the page size, 1 to {MAX_PAGE_SIZE}) and {SLOTS_SIZE} bytes of slots"
        )));
        let entry = EntryLayout { key_size: 0 }.size();
        assert_says(&format!(
            "| {}+K..{entry}+K | size of the value with its CRC, u32 |",
            entry - 4
        ));
        assert!(DOC.contains("in\n16 hex digits") && section_name(1).len() == 16);
        assert!(DOC.contains(&format!("named so and `{NEW_SUFFIX}`")));
        assert!(DOC.contains(&format!("the {VALUE_CHECKSUM_SIZE} bytes of its CRC")));
        assert!(DOC.contains(&format!("{} locations, in extents of", MAX_LOCATION + 1)));
    }

    #[test]
    fn the_format_page_knows_the_manifest_and_the_marks() {
        let text = |magic: &[u8]| String::from_utf8_lossy(magic).into_owned();
        assert_says(&format!("| 0..8 | `{}` |", text(manifest::MAGIC)));
        assert_says(&format!(
            "| 8..12, u32 | format version, {} |",
            manifest::VERSION
        ));
        assert!(DOC.contains(&format!(
            "`{}`, a u32 version of {}",
            text(manifest::MARKS_MAGIC),
            manifest::MARKS_VERSION
        )));
        assert!(DOC.contains(&format!(
            "`{}`, a u32 version of {}, a u64 id of the archive",
            text(commit_log::MAGIC),
            commit_log::VERSION
        )));
        for name in [
            manifest::PARTITION,
            manifest::MANIFEST,
            manifest::MARKS,
            manifest::COMMIT_LOG,
            manifest::LOCK,
        ] {
            assert!(DOC.contains(name), "{name}");
        }
    }
}
