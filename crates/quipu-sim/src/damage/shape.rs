//! A small archive that is damaged again and again, and the script that writes it.

use std::collections::BTreeSet;
use std::sync::Arc;

use quipu::storage::{Memory, Storage};
use quipu::{Archive, KeyBytes, Options, PageCache, Put, ReadOnly};

use super::files::Files;
use super::format::Format;
use super::oracle::Oracle;

/// Whatever goes wrong while a shape is written.
pub type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Bytes of the page cache: of a few pages, so that others are read again.
const CACHE_BYTES: usize = 16 << 10;

/// What was put.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// Its index.
    pub index: u64,
    /// Its key.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

/// A small archive, closed cleanly.
#[derive(Debug)]
pub struct Shape {
    /// What it is called.
    pub name: String,
    /// How its files are read.
    pub format: Format,
    /// What it holds, in the order stored.
    pub items: Vec<Item>,
    /// What it held once: pruned or rewound.
    pub former: BTreeSet<Item>,
    /// Its files.
    pub files: Files,
    /// Its files at earlier moments.
    pub older: Vec<Files>,
    /// Where its items stand.
    pub oracle: Oracle,
    options: Options,
}

impl Shape {
    /// Opens the archive of a storage for writing.
    pub fn open(&self, storage: &Memory) -> quipu::Result<Archive<KeyBytes>> {
        fresh(&self.options).open_on(Arc::new(storage.clone()))
    }

    /// Opens the archive of a storage for reading.
    pub fn open_read_only(&self, storage: &Memory) -> quipu::Result<ReadOnly<KeyBytes>> {
        fresh(&self.options).open_read_only_on(Arc::new(storage.clone()))
    }

    /// The same, opened so that key tables are made of so many keys.
    pub fn keys_per_table(mut self, keys: u64) -> Self {
        self.options = self.options.keys_per_table(keys);
        self
    }

    /// An item that is not stored, in this section if there is room in it.
    pub fn new_item(&self, section: Option<u64>) -> Option<Item> {
        let taken: BTreeSet<u64> = self.items.iter().map(|item| item.index).collect();
        let first = section.or_else(|| taken.first().copied())?;
        let span = first..=first.saturating_add(self.format.items_per_section - 1);
        let index = span.into_iter().find(|index| !taken.contains(index))?;
        let mut script = Script::keys_and_values(self.format.key_size);
        script.drawn = 230;
        Some(script.draw(index, 21))
    }
}

fn fresh(options: &Options) -> Options {
    options.clone().page_cache(PageCache::new(CACHE_BYTES))
}

/// Writes an archive and keeps account of what it holds.
pub struct Script {
    options: Options,
    memory: Memory,
    archive: Option<Archive<KeyBytes>>,
    key_size: usize,
    /// How many items were drawn.
    drawn: u64,
    items: Vec<Item>,
    former: BTreeSet<Item>,
    older: Vec<Files>,
}

impl Script {
    fn keys_and_values(key_size: usize) -> Self {
        Self {
            options: Options::new().key_size(key_size),
            memory: Memory::new(),
            archive: None,
            key_size,
            drawn: 0,
            items: Vec::new(),
            former: BTreeSet::new(),
            older: Vec::new(),
        }
    }

    /// Begins an archive.
    pub fn new(options: Options, key_size: usize) -> Fallible<Self> {
        let mut script = Self::keys_and_values(key_size);
        script.options = options.key_size(key_size).max_open_files(64);
        script.archive = Some(fresh(&script.options).open_on(Arc::new(script.memory.clone()))?);
        Ok(script)
    }

    /// The next item: keys never repeat, half of the values compress.
    fn draw(&mut self, index: u64, len: usize) -> Item {
        self.drawn += 1;
        let drawn = self.drawn;
        let key = match self.key_size {
            1 => vec![drawn as u8],
            size => scattered(drawn).take(size).collect(),
        };
        let value = match drawn % 2 {
            0 => vec![drawn as u8; len],
            _ => scattered(!drawn).take(len).collect(),
        };
        Item { index, key, value }
    }

    fn archive(&mut self) -> Fallible<&mut Archive<KeyBytes>> {
        self.archive.as_mut().ok_or_else(|| "closed".into())
    }

    /// Puts an item with a value of so many bytes, also where the index is taken.
    pub fn put(&mut self, index: u64, value_len: usize) -> Fallible<&mut Self> {
        let item = self.draw(index, value_len);
        let key = KeyBytes::from(&*item.key);
        let put = self
            .archive()?
            .put_multi(index, &key, item.value.as_slice())?;
        if put != Put::Stored {
            return Err("not stored".into());
        }
        self.items.push(item);
        Ok(self)
    }

    /// Makes everything durable and keeps a copy of the files.
    pub fn sync(&mut self) -> Fallible<&mut Self> {
        self.archive()?.sync()?;
        self.keep_copy()
    }

    /// Drops sections from the front.
    pub fn prune(&mut self, min: u64) -> Fallible<&mut Self> {
        self.archive()?.prune(min)?;
        let floor = self.archive()?.floor();
        self.drop_items(|item| item.index < floor);
        self.keep_copy()
    }

    /// Drops items from the end.
    pub fn rewind(&mut self, index: u64) -> Fallible<&mut Self> {
        self.archive()?.rewind(index)?;
        self.drop_items(|item| item.index > index);
        self.keep_copy()
    }

    fn drop_items(&mut self, drops: impl Fn(&Item) -> bool) {
        let (gone, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.items).into_iter().partition(drops);
        self.items = kept;
        self.former.extend(gone);
    }

    /// Closes the archive and opens it again, with what `change` does to the options.
    pub fn reopen(&mut self, change: impl FnOnce(Options) -> Options) -> Fallible<&mut Self> {
        self.archive.take().ok_or("closed")?.close()?;
        self.keep_copy()?;
        let options = change(fresh(&self.options));
        self.archive = Some(options.open_on(Arc::new(self.memory.clone()))?);
        Ok(self)
    }

    fn keep_copy(&mut self) -> Fallible<&mut Self> {
        let files = Files::of(&self.memory)?;
        if self.older.last() != Some(&files) {
            self.older.push(files);
        }
        Ok(self)
    }

    /// Closes the archive: a shape to damage.
    pub fn finish(&mut self, name: impl Into<String>) -> Fallible<Shape> {
        let archive = self.archive.take().ok_or("closed")?;
        let settings = archive.settings();
        archive.close()?;
        let format = Format {
            key_size: settings.key_size,
            page_size: settings.page_size.into(),
            items_per_section: settings.items_per_section,
        };
        let (items, former) = (
            std::mem::take(&mut self.items),
            std::mem::take(&mut self.former),
        );
        let older = std::mem::take(&mut self.older);
        shape(name.into(), format, &self.memory, items, former, older)
    }
}

/// The shape of an archive that is closed.
pub(super) fn shape(
    name: String,
    format: Format,
    memory: &Memory,
    mut items: Vec<Item>,
    former: BTreeSet<Item>,
    older: Vec<Files>,
) -> Fallible<Shape> {
    // Section after section; the sort keeps the order in which those of one were stored.
    items.sort_by_key(|item| format.section_of(item.index));
    let files = Files::of(memory as &dyn Storage)?;
    let oracle = Oracle::new(format, &files, &items)?;
    Ok(Shape {
        name,
        format,
        items,
        former,
        files,
        older,
        oracle,
        options: Options::new()
            .create(false)
            .max_open_files(64)
            .write_buffer(4096),
    })
}

/// Bytes that look random and are the same for the same number.
pub(super) fn scattered(number: u64) -> impl Iterator<Item = u8> {
    (0u64..).flat_map(move |block| mix(number.wrapping_add(block << 40)).to_le_bytes())
}

/// A bijection that scatters its input (the finalizer of SplitMix64).
pub(super) fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
