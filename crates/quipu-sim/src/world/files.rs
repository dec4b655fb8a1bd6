//! A second reader of section files, that follows the format alone: which bytes hold which item.

use std::ops::Range;

use quipu::format::crc32c;
use quipu::storage::{OpenMode, Storage};

use super::World;
use crate::item::Key;

/// Bytes of an entry with keys of this size: index, key, offset, size.
const ENTRY: usize = 8 + size_of::<Key>() + 8 + 4;
/// Bytes of the two slots behind a page.
const SLOTS: usize = 12;

/// Where one entry and its value stand, in bytes of their files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) index: u64,
    /// The pages that hold it, whole: a page is right or wrong as a whole.
    pub(super) pages: Range<u64>,
    pub(super) value: Range<u64>,
}

/// The files of one section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) entries: Vec<Entry>,
    /// Bytes of the header of the index file, and of the value file.
    pub(super) headers: (u64, u64),
}

impl World {
    /// Where the entries of a section stand; none of a file that cannot be read.
    pub(super) fn read_section(&self, name: &str) -> Option<Section> {
        let index = self.read_blob("index", name)?;
        let values = self.read_blob("values", name)?;
        let headers = (header_size(&index)?, header_size(&values)?);
        let page_size = usize::from(self.settings.page);
        let pages = index.get(headers.0 as usize..)?;
        let mut stream = Vec::new();
        let mut right = 0;
        for page in pages.chunks_exact(page_size + SLOTS) {
            // A page in the middle that is damaged, or ends early behind damage, counts whole.
            right = stream.len() + speaking_len(page, page_size);
            stream.extend_from_slice(page.get(..page_size)?);
        }
        stream.truncate(right);
        let entry = |(at, bytes): (usize, &[u8])| {
            let from = at * ENTRY / page_size;
            let to = (at * ENTRY + ENTRY - 1) / page_size + 1;
            let physical = (page_size + SLOTS) as u64;
            let (offset, size) = (be(bytes, 8 + size_of::<Key>(), 8), be(bytes, ENTRY - 4, 4));
            let start = headers.1.saturating_add(offset);
            Entry {
                index: be(bytes, 0, 8),
                pages: headers.0 + from as u64 * physical..headers.0 + to as u64 * physical,
                value: start..start.saturating_add(size),
            }
        };
        let entries = stream.chunks_exact(ENTRY).enumerate().map(entry);
        let entries = entries.filter(|entry| !entry.value.is_empty()).collect();
        Some(Section { entries, headers })
    }

    /// All bytes of a blob.
    pub(super) fn read_blob(&self, partition: &str, name: &str) -> Option<Vec<u8>> {
        let blob = self.disk.open(partition, name, OpenMode::Read).ok()?;
        let mut bytes = Vec::new();
        let len = blob.len().ok()?;
        blob.read_into(&mut bytes, 0, len as usize).ok()?;
        Some(bytes)
    }
}

fn header_size(file: &[u8]) -> Option<u64> {
    match file.get(..4)? {
        b"CWIC" => Some(8),
        b"CWIK" => Some(4096),
        _ => None,
    }
}

/// How many bytes of a page are right.
fn speaking_len(page: &[u8], page_size: usize) -> usize {
    let slot = |at: usize| (be(page, at, 2) as usize, be(page, at + 2, 4));
    let mut slots = [slot(page_size), slot(page_size + 6)];
    slots.sort();
    let is_right = |&&(len, crc): &&(usize, u64)| {
        let bytes = page.get(..len).filter(|_| (1..=page_size).contains(&len));
        bytes.is_some_and(|bytes| u64::from(crc32c(bytes)) == crc)
    };
    slots.iter().rev().find(is_right).map_or(0, |slot| slot.0)
}

/// A big-endian number; bytes that are not there count as 0.
fn be(bytes: &[u8], at: usize, len: usize) -> u64 {
    let bytes = bytes.get(at..at + len).unwrap_or_default();
    bytes.iter().fold(0, |n, &byte| n << 8 | u64::from(byte))
}
