//! The settings that an archive is created with and keeps.

use std::path::PathBuf;

use super::compression::Compression;
use super::options::Options;
use crate::entropy;
use crate::error::{Error, Result};
use crate::format::{EntryLayout, Layout, MAX_KEY_SIZE};
use crate::index::{EightCap, Hashed, TranslatorSpec};
use crate::manifest::{CompressionMap, Manifest, State};

const DEFAULT_ITEMS_PER_SECTION: u64 = 65_536;
const DEFAULT_PAGE_SIZE: u16 = 4084;

/// What an archive says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// Bytes of a key.
    pub key_size: usize,
    /// Bytes of a page of the index files, without its checksums.
    pub page_size: u16,
    /// Indices that one section spans.
    pub items_per_section: u64,
    /// The header of new section files.
    pub layout: Layout,
    /// How keys are shortened in memory.
    pub translator: TranslatorSpec,
    /// The partition of the index files.
    pub index_partition: String,
    /// The partition of the value files.
    pub value_partition: String,
    /// How values of new sections are stored.
    pub compression: Compression,
}

impl Settings {
    pub(super) fn of(manifest: &Manifest) -> Self {
        Self {
            key_size: manifest.key_size as usize,
            page_size: manifest.page_size,
            items_per_section: manifest.items_per_section,
            layout: manifest.layout,
            translator: manifest.translator,
            index_partition: manifest.index_partition.clone(),
            value_partition: manifest.value_partition.clone(),
            compression: manifest.compression.current,
        }
    }

    pub(super) fn entry(&self) -> EntryLayout {
        EntryLayout {
            key_size: self.key_size,
        }
    }
}

/// The manifest of a new archive.
pub(super) fn new_manifest(options: &Options, key_size: usize) -> Result<Manifest> {
    options.check()?;
    let translator = match options.translator {
        Some(translator) => translator,
        None => Hashed::<EightCap>::random()?.into(),
    };
    let mut id = [0; 8];
    entropy::fill(&mut id)?;
    Ok(Manifest {
        id: u64::from_be_bytes(id),
        generation: 0,
        opens: 0,
        announced: 0,
        key_size: u32::try_from(key_size).unwrap_or(u32::MAX),
        page_size: options.page_size.unwrap_or(DEFAULT_PAGE_SIZE),
        layout: options.layout.unwrap_or_default(),
        items_per_section: options
            .items_per_section
            .unwrap_or(DEFAULT_ITEMS_PER_SECTION),
        translator,
        index_partition: options
            .partitions
            .0
            .clone()
            .unwrap_or_else(|| "index".to_owned()),
        value_partition: options
            .partitions
            .1
            .clone()
            .unwrap_or_else(|| "values".to_owned()),
        floor: 0,
        rewinds: 0,
        state: State::Open,
        compression: CompressionMap {
            current: options.compression.unwrap_or_default(),
            earlier: Vec::new(),
        },
    })
}

/// Refuses options that contradict what the archive was created with.
pub(super) fn check_against(
    options: &Options,
    key_size: usize,
    manifest: &Manifest,
    path: PathBuf,
) -> Result<()> {
    options.check()?;
    let check = |setting, stored: String, given: Option<String>| match given {
        Some(given) if given != stored => Err(Error::Settings {
            path: path.clone(),
            setting,
            stored,
            given,
        }),
        _ => Ok(()),
    };
    let bytes = |size: u64| format!("{size} bytes");
    let layout = |layout: Layout| format!("{layout:?}");
    check(
        "the key size",
        bytes(manifest.key_size.into()),
        Some(bytes(key_size as u64)),
    )?;
    check(
        "the page size",
        bytes(manifest.page_size.into()),
        options.page_size.map(|p| bytes(p.into())),
    )?;
    check(
        "the number of items per section",
        manifest.items_per_section.to_string(),
        options.items_per_section.map(|n| n.to_string()),
    )?;
    check(
        "the header layout",
        layout(manifest.layout),
        options.layout.map(layout),
    )?;
    check(
        "the index partition",
        manifest.index_partition.clone(),
        options.partitions.0.clone(),
    )?;
    check(
        "the value partition",
        manifest.value_partition.clone(),
        options.partitions.1.clone(),
    )?;
    check_translator(options, manifest, path.clone())
}

/// A translator is the same with any seed; the archive keeps its own.
fn check_translator(options: &Options, manifest: &Manifest, path: PathBuf) -> Result<()> {
    let kind = |t: TranslatorSpec| (t.cap(), t.seed().is_some());
    match options.translator {
        Some(given) if kind(given) != kind(manifest.translator) => Err(Error::Settings {
            path,
            setting: "the translator",
            stored: manifest.translator.to_string(),
            given: given.to_string(),
        }),
        _ => Ok(()),
    }
}

/// The key size: that of the type, the one asked for, or the archive's.
pub(super) fn key_size(
    of_type: Option<usize>,
    options: &Options,
    stored: Option<&Manifest>,
) -> Result<usize> {
    let asked = of_type.or(options.key_size);
    if let (Some(expected), Some(found)) = (of_type, options.key_size)
        && expected != found
    {
        return Err(Error::KeySize { expected, found });
    }
    match asked.or(stored.map(|manifest| manifest.key_size as usize)) {
        Some(size) if size <= MAX_KEY_SIZE => Ok(size),
        Some(size) => Err(Error::InvalidOption {
            option: "key_size",
            reason: format!("{size} bytes, but a key has at most {MAX_KEY_SIZE}"),
        }),
        None => Err(Error::InvalidOption {
            option: "key_size",
            reason: "a new archive needs to know how long its keys are".to_owned(),
        }),
    }
}
