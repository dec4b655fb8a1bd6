//! Files that nobody but a stranger would write, with checksums that are right.
#![allow(unreachable_pub)]

use std::io::IoSlice;
use std::sync::Arc;

use quipu::format::crc32c;
use quipu::storage::{Memory, OpenMode, Storage};
use quipu::{Archive, Bytes, KeyBytes, Options, PageCache, Result};

/// Bytes before the manifest's fields.
const FRAME: usize = 16;
/// Where fields of the manifest stand.
pub const KEY_SIZE: usize = FRAME + 24;
pub const ITEMS_PER_SECTION: usize = KEY_SIZE + 4 + 2 + 1;
pub const INDEX_PARTITION: usize = ITEMS_PER_SECTION + 8 + 1 + 1 + 16;
/// Behind the names `index` and `values`.
pub const FLOOR: usize = INDEX_PARTITION + 2 + 5 + 2 + 6;
pub const REWINDS: usize = FLOOR + 8;
pub const STATE: usize = REWINDS + 8;
/// The number of earlier spans of compression, the last field.
pub const SPANS: usize = STATE + 9 + 1 + 4;
/// Bytes before the records of the marks.
const MARKS_HEADER: usize = 48;
/// Where in it stands how many bytes of the file are durable at once; its checksum follows.
const MARKS_DURABLE: usize = 28;

pub const PAGE_SIZE: usize = 100;
pub const MAX_VALUE_SIZE: u32 = 1 << 16;

pub type Any = Archive<KeyBytes, Bytes>;

/// An entry with a key of 8 bytes: index, offset, size.
pub type Entry = (u64, u64, u32);

/// A store whose files can be changed.
pub struct Crafted {
    pub memory: Memory,
}

pub fn options() -> Options {
    Options::new()
        .page_cache(PageCache::new(1 << 16))
        .write_buffer(1 << 12)
        .max_value_size(MAX_VALUE_SIZE)
}

impl Crafted {
    /// Ten items, `value 0` to `value 9`, in sections of 8, with keys of 8 bytes.
    pub fn new() -> Self {
        Self::with(options())
    }

    pub fn with(options: Options) -> Self {
        Self::in_pages_of(PAGE_SIZE as u16, options)
    }

    pub fn in_pages_of(page_size: u16, options: Options) -> Self {
        let crafted = Self {
            memory: Memory::new(),
        };
        let options = options
            .items_per_section(8)
            .page_size(page_size)
            .layout(quipu::Layout::V0);
        let mut archive: Archive<[u8; 8]> =
            options.open_on(Arc::new(crafted.memory.clone())).unwrap();
        for index in 0..10_u64 {
            let _ = archive
                .put(index, &index.to_be_bytes(), &format!("value {index}"))
                .unwrap();
        }
        archive.close().unwrap();
        crafted
    }

    pub fn open(&self) -> Result<Any> {
        options().open_on(Arc::new(self.memory.clone()))
    }

    pub fn read(&self, partition: &str, name: &str) -> Vec<u8> {
        let blob = self.memory.open(partition, name, OpenMode::Read).unwrap();
        let mut bytes = Vec::new();
        blob.read_into(&mut bytes, 0, blob.len().unwrap() as usize)
            .unwrap();
        bytes
    }

    pub fn write(&self, partition: &str, name: &str, bytes: &[u8]) {
        let blob = self.memory.open(partition, name, OpenMode::Create).unwrap();
        blob.resize(0).unwrap();
        blob.write_at(&[IoSlice::new(bytes)], 0).unwrap();
    }

    /// Changes both copies of the manifest.
    pub fn manifest(&self, change: impl Fn(&mut Vec<u8>)) -> &Self {
        for name in ["manifest", "manifest-copy"] {
            let mut bytes = self.read("quipu", name);
            bytes.truncate(bytes.len() - 4);
            change(&mut bytes);
            let len = (bytes.len() - FRAME) as u32;
            bytes[12..FRAME].copy_from_slice(&len.to_be_bytes());
            let crc = crc32c(&bytes);
            bytes.extend_from_slice(&crc.to_be_bytes());
            self.write("quipu", name, &bytes);
        }
        self
    }

    /// Adds records to the marks.
    pub fn marks(&self, payloads: impl IntoIterator<Item = Vec<u8>>) -> &Self {
        let mut bytes = self.read("quipu", "marks");
        bytes.truncate(MARKS_DURABLE);
        bytes.extend_from_slice(&(MARKS_HEADER as u64).to_be_bytes());
        // Of no clean end.
        bytes.extend_from_slice(&u64::MAX.to_be_bytes());
        let crc = crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_be_bytes());
        for payload in payloads {
            bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes());
            bytes.extend_from_slice(&crc32c(&payload).to_be_bytes());
            bytes.extend_from_slice(&payload);
        }
        self.write("quipu", "marks", &bytes);
        self
    }

    /// Puts an index file of a section with these entries in place, and a value file. The marks are
    /// those of the archive as it was, without the samples that would tell the files from its own.
    pub fn section(&self, number: u64, entries: &[Entry], values: &[u8]) -> &Self {
        self.marks([mark(0, 8, 8 * 11, &[(0, 7)]), mark(8, 2, 2 * 11, &[(8, 9)])]);
        let name = format!("{number:016x}");
        self.write("index", &name, &index_file(entries));
        self.write("values", &name, &[b"CWIC\0\0\0\0", values].concat());
        self
    }
}

/// An index file whose every page is right.
pub fn index_file(entries: &[Entry]) -> Vec<u8> {
    let mut stream = Vec::new();
    for (index, offset, size) in entries {
        stream.extend_from_slice(&index.to_be_bytes());
        stream.extend_from_slice(&index.to_be_bytes());
        stream.extend_from_slice(&offset.to_be_bytes());
        stream.extend_from_slice(&size.to_be_bytes());
    }
    let mut file = b"CWIC\0\0\0\0".to_vec();
    for page in stream.chunks(PAGE_SIZE) {
        file.extend_from_slice(page);
        file.resize(file.len() + PAGE_SIZE - page.len(), 0);
        file.extend_from_slice(&(page.len() as u16).to_be_bytes());
        file.extend_from_slice(&crc32c(page).to_be_bytes());
        file.extend_from_slice(&[0; 6]);
    }
    file
}

/// A value as it is stored.
pub fn stored(value: &[u8]) -> Vec<u8> {
    [value, &crc32c(value).to_be_bytes()].concat()
}

/// The mark of a section: entries, bytes of values, runs; headers not known, no epoch, no samples.
pub fn mark(section: u64, records: u64, value_bytes: u64, runs: &[(u64, u64)]) -> Vec<u8> {
    let mut payload = vec![1];
    for number in [section, records, value_bytes] {
        payload.extend_from_slice(&number.to_be_bytes());
    }
    payload.push(0);
    payload.extend_from_slice(&[0; 8]);
    // A fingerprint without samples.
    payload.extend_from_slice(&[0; 6]);
    for (first, last) in runs {
        payload.extend_from_slice(&first.to_be_bytes());
        payload.extend_from_slice(&last.to_be_bytes());
    }
    payload
}

/// A note of a damaged entry.
pub fn damage(section: u64, position: u64, index: u64) -> Vec<u8> {
    let mut payload = vec![2];
    for number in [section, position, index] {
        payload.extend_from_slice(&number.to_be_bytes());
    }
    payload
}
