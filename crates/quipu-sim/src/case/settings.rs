//! How the archive of a case is made.

use std::fmt;
use std::str::FromStr;

use quipu::index::TranslatorSpec;
use quipu::{Compression, KeyMemory, Layout, Options};

/// The seed of translators that hash: a case has no secrets.
const HASH_SEED: [u8; 16] = *b"quipu simulator!";
/// Values are compressed with this level, where they are.
const ZSTD_LEVEL: i32 = 1;

/// What an archive is created and opened with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Indices that one section spans.
    pub items: u64,
    /// Bytes of a page of the index files.
    pub page: u16,
    /// The header of section files, 0 or 1.
    pub layout: u8,
    /// Bytes of a key that are kept in memory, 1 to 8; 0 for a hash of 8.
    pub cap: u8,
    /// Whether values are compressed.
    pub zstd: bool,
    /// Bytes of values that a section gathers before it writes them.
    pub buffer: usize,
    /// Bytes of the disk that are kept for when it is full.
    pub reserve: u64,
    /// How many keys are gathered before a key table is made of them; with 0 none is made.
    pub tables: u64,
    /// Bytes of the commit log, which is used from the first small sync on; with 0 there is none.
    pub log: u64,
    /// Whether a second archive, on another machine, does the same and shares the page cache.
    pub twin: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            items: 8,
            page: 50,
            layout: 1,
            cap: 1,
            zstd: false,
            buffer: 64,
            reserve: 0,
            tables: 0,
            log: 0,
            twin: false,
        }
    }
}

impl Settings {
    /// The library's options for it.
    pub fn options(&self) -> Options {
        let hashed = self.cap == 0;
        let cap = if hashed { 8 } else { self.cap };
        let options = Options::new()
            .items_per_section(self.items)
            .page_size(self.page)
            .layout(if self.layout == 0 {
                Layout::V0
            } else {
                Layout::V1
            })
            .compression(compression(self.zstd))
            .write_buffer(self.buffer)
            .commit_log_bytes(self.log)
            .commit_log_after(0)
            .disk_reserve(self.reserve);
        let options = match self.tables {
            // Too few files for tables, and for all sections.
            0 => options.max_open_files(12),
            keys => options
                .max_open_files(32)
                .keys_per_table(keys)
                .key_memory(KeyMemory::AtMost(0)),
        };
        match TranslatorSpec::new(cap, hashed.then_some(HASH_SEED)) {
            Some(translator) => options.translator(translator),
            None => options,
        }
    }

    /// The section that an index belongs to.
    pub fn section_of(&self, index: u64) -> u64 {
        index - index % self.items.max(1)
    }
}

/// The library's word for it.
pub(super) fn compression(zstd: bool) -> Compression {
    match zstd {
        true => Compression::Zstd(ZSTD_LEVEL),
        false => Compression::Off,
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "items={} page={} layout={} cap={} zstd={} buffer={}",
            self.items,
            self.page,
            self.layout,
            self.cap,
            u8::from(self.zstd),
            self.buffer
        )?;
        if self.reserve > 0 {
            write!(f, " reserve={}", self.reserve)?;
        }
        if self.tables > 0 {
            write!(f, " tables={}", self.tables)?;
        }
        if self.log > 0 {
            write!(f, " log={}", self.log)?;
        }
        match self.twin {
            true => write!(f, " twin=1"),
            false => Ok(()),
        }
    }
}

impl FromStr for Settings {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut settings = Self::default();
        for word in text.split_whitespace() {
            settings
                .set(word)
                .ok_or_else(|| format!("{word:?} is no setting, or not a value of it"))?;
        }
        Ok(settings)
    }
}

impl Settings {
    fn set(&mut self, word: &str) -> Option<()> {
        let (name, value) = word.split_once('=')?;
        let flag = |value: &str| match value {
            "0" => Some(false),
            "1" => Some(true),
            _ => None,
        };
        match name {
            "items" => self.items = value.parse().ok().filter(|&items| items > 0)?,
            "page" => self.page = value.parse().ok().filter(|&page| page > 0)?,
            "layout" => self.layout = value.parse().ok().filter(|&layout| layout <= 1)?,
            "cap" => self.cap = value.parse().ok().filter(|&cap| cap <= 8)?,
            "zstd" => self.zstd = flag(value)?,
            "buffer" => self.buffer = value.parse().ok()?,
            "reserve" => self.reserve = value.parse().ok()?,
            "tables" => self.tables = value.parse().ok()?,
            "log" => self.log = value.parse().ok()?,
            "twin" => self.twin = flag(value)?,
            _ => return None,
        }
        Some(())
    }
}
