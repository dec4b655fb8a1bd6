//! Small archives to begin with: one for each way of keeping them.

use std::sync::OnceLock;

use quipu::index::{EightCap, Hashed, OneCap};
use quipu::storage::Memory;
use quipu::{Archive, Compression, KeyBytes, Layout, Options, PageCache};

use crate::files::Files;
use crate::section::Sizes;

/// The most bytes of a value that the fuzzed archives take or give.
pub(crate) const MAX_VALUE_SIZE: u32 = 4 << 10;
/// Bytes of the page cache.
pub(crate) const CACHE_BYTES: usize = 64 << 10;
/// Bytes of a write buffer.
pub(crate) const BUFFER_BYTES: usize = 4 << 10;

/// How an archive is kept.
pub(crate) struct Shape {
    page_size: u16,
    key_size: usize,
    layout: Layout,
    compression: Compression,
    one_byte_keys: bool,
    pub(crate) items_per_section: u64,
    /// The indices of its items, in the order they are put.
    indices: &'static [u64],
}

/// An archive of a shape, closed.
pub(crate) struct Base {
    pub(crate) shape: &'static Shape,
    pub(crate) files: Files,
}

const HIGH: u64 = u64::MAX - 3;

static SHAPES: [Shape; 5] = [
    Shape {
        page_size: 100,
        key_size: 8,
        layout: Layout::V0,
        compression: Compression::Off,
        one_byte_keys: false,
        items_per_section: 8,
        indices: &[0, 1, 2, 3, 4, 5, 9, 8, 8, 20],
    },
    Shape {
        page_size: 4084,
        key_size: 32,
        layout: Layout::V1,
        compression: Compression::Zstd(3),
        one_byte_keys: false,
        items_per_section: 64,
        indices: &[1, 2, 3, 70, 71, 71, 71],
    },
    Shape {
        page_size: 1,
        key_size: 0,
        layout: Layout::V0,
        compression: Compression::Off,
        one_byte_keys: true,
        items_per_section: u64::MAX,
        indices: &[5, 1, 9],
    },
    Shape {
        page_size: 7,
        key_size: 1,
        layout: Layout::V0,
        compression: Compression::Zstd(1),
        one_byte_keys: true,
        items_per_section: 1,
        indices: &[0, HIGH, u64::MAX, 17],
    },
    Shape {
        page_size: 300,
        key_size: 200,
        layout: Layout::V0,
        compression: Compression::Off,
        one_byte_keys: false,
        items_per_section: 1 << 40,
        indices: &[HIGH, 1 << 41, (1 << 41) + 1, (1 << 41) + 1, 7],
    },
];

impl Shape {
    pub(crate) fn sizes(&self) -> Sizes {
        Sizes {
            page: self.page_size.into(),
            key: self.key_size,
        }
    }

    /// The number of the section of an index.
    pub(crate) fn section_of(&self, index: u64) -> u64 {
        index - index % self.items_per_section
    }

    /// How the reference program would be told to keep it.
    pub(crate) fn compression(&self) -> Option<Compression> {
        self.compression.is_on().then_some(self.compression)
    }

    /// The options that the archive was created with.
    pub(crate) fn options(&self) -> Options {
        let options = limits()
            .page_size(self.page_size)
            .key_size(self.key_size)
            .layout(self.layout)
            .compression(self.compression)
            .items_per_section(self.items_per_section);
        match self.one_byte_keys {
            true => options.translator(OneCap),
            // A fixed seed: the same input does the same each time.
            false => options.translator(Hashed::<EightCap>::with_seed([7; 16])),
        }
    }

    /// The key of the items at an index.
    pub(crate) fn key(&self, index: u64) -> KeyBytes {
        let bytes = index.to_le_bytes();
        KeyBytes::from(
            (0..self.key_size)
                .map(|at| bytes[at % 8])
                .collect::<Vec<_>>(),
        )
    }

    fn make(&'static self) -> quipu::Result<Base> {
        let memory = Memory::new();
        let mut archive: Archive<KeyBytes> = self
            .options()
            .open_on(std::sync::Arc::new(memory.clone()))?;
        for (nth, &index) in self.indices.iter().enumerate() {
            let value = vec![b'a' + nth as u8; nth * 7];
            let _ = archive.put_multi(index, &self.key(index), &value)?;
        }
        archive.close()?;
        let files = Files::of(&memory, &["quipu", "index", "values"])?;
        Ok(Base { shape: self, files })
    }
}

/// Options that limit what one run may take.
pub(crate) fn limits() -> Options {
    Options::new()
        .page_cache(PageCache::new(CACHE_BYTES))
        .write_buffer(BUFFER_BYTES)
        .max_open_files(8)
        .max_value_size(MAX_VALUE_SIZE)
}

/// The archive of a shape, by a choice.
pub(crate) fn base(choice: usize) -> &'static Base {
    static BASES: OnceLock<Vec<Base>> = OnceLock::new();
    let bases = BASES.get_or_init(|| {
        let bases: quipu::Result<Vec<Base>> = SHAPES.iter().map(Shape::make).collect();
        bases.unwrap_or_else(|error| fail(&error))
    });
    &bases[choice % SHAPES.len()]
}

/// Ends a run: what should not fail did.
pub(crate) fn fail(error: &quipu::Error) -> ! {
    std::panic::panic_any(format!("this must not fail: {error}"))
}
