//! A section's two files taken apart and put together again with right checksums, so that what was
//! changed in between is looked at, not refused at the first check. Written after docs/format.md
//! alone, with nothing of the library but its checksum.

use quipu::format::crc32c;

const SLOTS_SIZE: usize = 12;

/// One section, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) header: Vec<u8>,
    /// Entries back to back.
    pub(crate) entries: Vec<u8>,
    /// Values back to back, each with its checksum.
    pub(crate) values: Vec<u8>,
}

/// Sizes that the section files were written with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) page: usize,
    pub(crate) key: usize,
}

/// One field of an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Field {
    Index,
    Key,
    Offset,
    Size,
}

impl Sizes {
    pub(crate) fn entry(self) -> usize {
        20 + self.key
    }

    fn place(self, field: Field) -> (usize, usize) {
        match field {
            Field::Index => (0, 8),
            Field::Key => (8, self.key),
            Field::Offset => (8 + self.key, 8),
            Field::Size => (16 + self.key, 4),
        }
    }
}

impl Parts {
    /// Takes two files apart that the library wrote.
    pub(crate) fn of(index: &[u8], values: &[u8], sizes: Sizes) -> Self {
        let header_size = if index.starts_with(b"CWIC") { 8 } else { 4096 };
        let (header, pages) = index.split_at(header_size);
        let mut entries = Vec::new();
        for page in pages.chunks_exact(sizes.page + SLOTS_SIZE) {
            let len = |at: usize| usize::from(page[at]) << 8 | usize::from(page[at + 1]);
            let len = len(sizes.page).max(len(sizes.page + 6));
            entries.extend_from_slice(&page[..len]);
        }
        Self {
            header: header.to_vec(),
            entries,
            values: values[header_size..].to_vec(),
        }
    }

    /// How many entries there are.
    pub(crate) fn len(&self, sizes: Sizes) -> usize {
        self.entries.len() / sizes.entry()
    }

    /// Writes a number into a field of an entry; nothing where there is no such entry.
    pub(crate) fn set(&mut self, sizes: Sizes, entry: usize, field: Field, number: u64) {
        let (at, len) = sizes.place(field);
        let start = entry * sizes.entry() + at;
        let number = number.to_be_bytes();
        if let Some(bytes) = self.entries.get_mut(start..start + len) {
            let tail = number.len().saturating_sub(len);
            for (to, from) in bytes.iter_mut().zip(&number[tail..]) {
                *to = *from;
            }
        }
    }

    /// A field of an entry as a number; 0 where there is no such entry.
    pub(crate) fn get(&self, sizes: Sizes, entry: usize, field: Field) -> u64 {
        let (at, len) = sizes.place(field);
        let start = entry * sizes.entry() + at;
        let bytes = self.entries.get(start..start + len.min(8));
        bytes
            .unwrap_or_default()
            .iter()
            .fold(0, |number, &byte| number << 8 | u64::from(byte))
    }

    /// Adds an entry, and a value with its checksum that it names.
    pub(crate) fn push(&mut self, sizes: Sizes, index: u64, key: &[u8], value: &[u8]) {
        let offset = self.values.len() as u64;
        self.values.extend_from_slice(value);
        self.values.extend_from_slice(&crc32c(value).to_be_bytes());
        let entry = self.len(sizes);
        self.entries.truncate(entry * sizes.entry());
        self.entries.resize((entry + 1) * sizes.entry(), 0);
        let start = entry * sizes.entry() + 8;
        for (to, from) in self.entries[start..start + sizes.key].iter_mut().zip(key) {
            *to = *from;
        }
        self.set(sizes, entry, Field::Index, index);
        self.set(sizes, entry, Field::Offset, offset);
        self.set(sizes, entry, Field::Size, value.len() as u64 + 4);
    }

    /// The index file, every page with a right checksum.
    pub(crate) fn index_file(&self, sizes: Sizes) -> Vec<u8> {
        let mut file = self.header.clone();
        for part in self.entries.chunks(sizes.page) {
            file.extend_from_slice(part);
            file.resize(file.len() + sizes.page - part.len(), 0);
            file.extend_from_slice(&(part.len() as u16).to_be_bytes());
            file.extend_from_slice(&crc32c(part).to_be_bytes());
            file.extend_from_slice(&[0; 6]);
        }
        file
    }

    /// The value file.
    pub(crate) fn value_file(&self) -> Vec<u8> {
        [&self.header[..], &self.values].concat()
    }
}
