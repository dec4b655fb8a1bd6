//! Taking over a store of commonware-storage's prunable archive, in place.
//!
//! The section files are the same; what is missing is the manifest. Before anything is changed the
//! entries are read with the settings given, and the first value of some sections: where an entry is
//! not of its section, or none of the values checks, the settings are wrong and the store is left as
//! it is. A file with a damaged header is read with the header that others have, if it fits; if it
//! does not, nothing of its section can be read, as in any archive, and nothing of it is changed.
//! Then the marks that 2026.10.0 keeps of its own are set aside, the ends of the sections are
//! recovered, values included (that program does not order its writes as D3 asks), and the manifest
//! makes it an archive.

use std::sync::Arc;

use super::compression::Compression;
use super::entry::EntryBuf;
use super::listing::Listing;
use super::load;
use super::one_writer;
use super::options::Options;
use super::recovery::{self, Recovery};
use super::section::Section;
use super::settings;
use super::shared::Shared;
use crate::error::{Error, Result};
use crate::format::Layouts;
use crate::journal::{Durable, Pair, Trust};
use crate::manifest::{Manifest, Mark, Marks};
use crate::storage::{Access, Blob, OpenMode, Storage};

/// The blobs that 2026.10.0 keeps its marks in: `left` and `right`, in hex.
const MARK_BLOBS: [&str; 2] = ["6c656674", "7269676874"];
/// The partition they are in, unless another is named.
const MARKS_PARTITION: &str = "metadata";
/// What the name of the partition ends in that they are set aside in.
const ASIDE_SUFFIX: &str = "-before-quipu";
/// Sections whose first value is read to see whether the settings fit.
const SAMPLES: usize = 64;
/// Bytes of those marks that are copied at a time.
const COPY_BYTES: u64 = 1 << 18;
/// What every zstd frame begins with.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

pub(super) fn adopt(storage: Arc<dyn Storage>, options: Options) -> Result<Recovery> {
    options.check()?;
    let path = storage.path("", "");
    if Manifest::load(&*storage)?.is_some() {
        return Err(Error::NotAStore {
            path,
            reason: "it has a manifest, so it is an archive already".to_owned(),
        });
    }
    let key_size = settings::key_size(None, &options, None)?;
    let mut manifest = settings::new_manifest(&options, key_size)?;
    let (samples, marks) = check_fit(&storage, &options, &manifest)?;
    if options.layout.is_none() {
        manifest.layout = samples.layout.unwrap_or_default();
    }
    let lock = one_writer::lock(&*storage)?;
    set_aside(&*storage, options.metadata_partition.as_deref())?;
    recovery::take_over(storage, &options, manifest, marks, lock)
}

/// What a look at the store told.
#[derive(Default)]
struct Samples {
    layout: Option<crate::format::Layout>,
    taken: usize,
    right: usize,
    frames: usize,
    wrong: Option<Error>,
    /// Sections with a file whose header is damaged.
    headless: Vec<u64>,
}

/// Reads the entries of all sections and the first value of some; changes nothing. Of sections with a
/// damaged header, the marks say which header they had.
fn check_fit(
    storage: &Arc<dyn Storage>,
    options: &Options,
    manifest: &Manifest,
) -> Result<(Samples, Marks)> {
    let shared = Shared::new(Arc::clone(storage), options, manifest, Access::Read);
    let listing = Listing::read(&shared)?;
    if listing.index.is_empty() {
        return Err(Error::NotAStore {
            path: storage.path(&shared.partitions.index, ""),
            reason: "it has no section files".to_owned(),
        });
    }
    let mut samples = Samples::default();
    for &number in listing.index.iter().rev() {
        sample(&shared, number, Layouts::default(), &listing, &mut samples)?;
    }
    let Samples { right, frames, .. } = samples;
    if let (0, Some(error)) = (right, samples.wrong.take()) {
        return Err(Error::NotAStore {
            path: shared.path(),
            reason: format!(
                "no section fits the settings given; key size, page size, items per section and \
                 compression must be those the store was written with ({error})"
            ),
        });
    }
    if options.compression.is_none() && right > 0 && frames == right {
        return Err(Error::Settings {
            path: shared.path(),
            setting: "the compression",
            stored: "zstd, by the look of its values".to_owned(),
            given: format!("{} (say so explicitly if that is right)", Compression::Off),
        });
    }
    let marks = headers_of(&shared, &listing, &samples)?;
    Ok((samples, marks))
}

/// The header that others have, for sections that can be read with it.
fn headers_of(shared: &Shared, listing: &Listing, samples: &Samples) -> Result<Marks> {
    let mut marks = Marks::default();
    let layouts = Layouts {
        records: samples.layout,
        values: samples.layout,
    };
    for &number in &samples.headless {
        // Its first value is looked at, however many others were.
        let mut with_it = Samples::default();
        sample(shared, number, layouts, listing, &mut with_it)?;
        if with_it.right == 1 {
            let mark = Mark {
                layouts,
                ..Mark::default()
            };
            marks.sections.insert(number, Arc::new(mark));
        }
    }
    Ok(marks)
}

fn sample(
    shared: &Shared,
    number: u64,
    layouts: Layouts,
    listing: &Listing,
    samples: &mut Samples,
) -> Result<()> {
    let (records, values) = shared.files_of(number, layouts);
    let none = Durable {
        records: 0,
        value_bytes: 0,
    };
    let opened = Pair::open(
        records,
        values,
        listing.present(number),
        &shared.pair,
        none,
        Trust::Ordered,
    );
    let (pair, report) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            let is_header = matches!(error, Error::Header { .. });
            samples.headless.extend(is_header.then_some(number));
            return note(samples, Err(error));
        }
    };
    let file = pair.records.file().get()?;
    samples.layout.get_or_insert(file.layout());
    let compressed = shared.compression.read().is_compressed(number);
    let section = Section::new(number, pair, compressed, 0);
    if section.pair.records.len() == 0 {
        if report.is_clean() {
            return Ok(());
        }
        let error = Error::Damaged {
            path: section.pair.records.file().path(),
            offset: 0,
            reason: "no page of it is valid".to_owned(),
        };
        return note(samples, Err(error));
    }
    // Pages that check hold what was written: an index of another section is no damage.
    load::refuse_foreign(shared, &section)?;
    if samples.taken >= SAMPLES {
        return Ok(());
    }
    samples.taken += 1;
    let checked = first_value(shared, &section, samples);
    note(samples, checked)
}

fn first_value(shared: &Shared, section: &Section, samples: &mut Samples) -> Result<()> {
    let mut entry = EntryBuf::new(shared.entry);
    section.entry(0, None, &mut entry)?;
    let (offset, size) = entry.location();
    let stored = section.pair.values.read(offset, size)?;
    samples.frames += usize::from(stored.starts_with(&ZSTD_MAGIC));
    section.unpack(stored, shared.max_value_size).map(drop)
}

/// Counts a section that fits, or keeps the first reason why one does not.
fn note(samples: &mut Samples, checked: Result<()>) -> Result<()> {
    match checked {
        Ok(()) => samples.right += 1,
        Err(error @ (Error::Io { .. } | Error::StorageFull { .. })) => return Err(error),
        Err(error) => drop(samples.wrong.get_or_insert(error)),
    }
    Ok(())
}

/// Copies a blob, however long it is, in pieces.
fn copy(from: &dyn Blob, to: &dyn Blob) -> Result<()> {
    let len = from.len()?;
    to.resize(0)?;
    let mut at = 0;
    let mut bytes = Vec::new();
    while at < len {
        let piece = COPY_BYTES.min(len - at);
        bytes.clear();
        from.read_into(&mut bytes, at, piece as usize)?;
        to.write_at(&[std::io::IoSlice::new(&bytes)], at)?;
        at += piece;
    }
    Ok(())
}

/// Moves the marks of 2026.10.0 to another partition: they tell of a store as it was, and that
/// program refuses one that they do not fit. Without them it validates anew.
fn set_aside(storage: &dyn Storage, partition: Option<&str>) -> Result<()> {
    let partition = partition.unwrap_or(MARKS_PARTITION);
    let aside = &format!("{partition}{ASIDE_SUFFIX}");
    let Ok(names) = storage.list(partition) else {
        return Ok(());
    };
    if names.is_empty() || !names.iter().all(|name| MARK_BLOBS.contains(&name.as_str())) {
        return Ok(());
    }
    for name in &names {
        let from = storage.open(partition, name, OpenMode::Read)?;
        let to = storage.open(aside, name, OpenMode::Create)?;
        copy(&*from, &*to)?;
        to.sync()?;
    }
    storage.sync_partition(aside)?;
    for name in &names {
        storage.remove(partition, name)?;
    }
    storage.remove_partition(partition)
}
