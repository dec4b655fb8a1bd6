//! Opening archives whose key size is only known to themselves.

use std::path::{Path, PathBuf};

use clap::Args;
use quipu::{Archive, Compression, KeyBytes, Options, ReadOnly};

use crate::failure::{Failure, Result};
use crate::progress;

/// How a new archive is made; an archive that exists keeps its settings and refuses others.
#[derive(Args)]
pub(crate) struct Create {
    /// Indices that one section spans, the unit of pruning [default for a new archive: 65536]
    #[arg(long, value_name = "N")]
    items_per_section: Option<u64>,
    /// Bytes of a page of the index files [default for a new archive: 4084]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    page_size: Option<u16>,
    /// Compress values with zstd at this level, from the next new section on
    #[arg(long, value_name = "LEVEL", allow_negative_numbers = true)]
    zstd: Option<i32>,
    /// Do not compress values, from the next new section on
    #[arg(long, conflicts_with = "zstd")]
    no_zstd: bool,
    /// Keep this many bytes of disk, in a file that is given back when the disk is full: what was
    /// put can then be synced, and nothing more is put. Without it, the file is removed
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = 0,
        hide_default_value = true
    )]
    disk_reserve: u64,
}

impl Create {
    fn options(&self) -> Options {
        let mut options = Options::new().disk_reserve(self.disk_reserve);
        if let Some(items) = self.items_per_section {
            options = options.items_per_section(items);
        }
        if let Some(bytes) = self.page_size {
            options = options.page_size(bytes);
        }
        if let Some(level) = self.zstd {
            options = options.compression(Compression::Zstd(level));
        }
        if self.no_zstd {
            options = options.compression(Compression::Off);
        }
        options
    }

    /// Opens the archive for writing, with keys of that size; makes it where there is none.
    pub(crate) fn open(&self, path: &Path, key_size: usize) -> Result<Archive<KeyBytes>> {
        told(self.options().key_size(key_size).open(path)?)
    }

    /// Opens an archive that exists, for writing.
    pub(crate) fn open_existing(&self, path: &Path) -> Result<Archive<KeyBytes>> {
        told(self.options().create(false).open(path)?)
    }
}

/// Opens an archive that exists, for writing.
pub(crate) fn open_writer(path: &Path) -> Result<Archive<KeyBytes>> {
    told(Options::new().create(false).open(path)?)
}

/// Says what opening an archive had to put right.
fn told(archive: Archive<KeyBytes>) -> Result<Archive<KeyBytes>> {
    let recovery = archive.recovery();
    if recovery.marks_incomplete {
        eprintln!(
            "quipu: the marks of what is durable were damaged and are made anew; `quipu verify` \
             tells whether anything else is"
        );
    }
    if recovery.lengths_unread {
        eprintln!(
            "quipu: the system does not tell how long the section files are; what they lack is told \
             once they are read"
        );
    }
    let unreadable = recovery.unreadable.len();
    if unreadable > 0 {
        eprintln!(
            "quipu: nothing can be read of {unreadable} sections; `quipu verify` names the files, \
             `quipu repair` takes them out"
        );
    }
    let cut = recovery.sections.len();
    if cut > 0 {
        eprintln!("quipu: the torn end of {cut} sections, left by a crash, was cut");
    }
    Ok(archive)
}

/// Opens an archive for reading, beside a writer.
pub(crate) fn open_reader(path: &Path) -> Result<ReadOnly<KeyBytes>> {
    let bar = progress::sections("opening");
    let options = Options::new().progress({
        let bar = bar.clone();
        move |done, total| progress::show(&bar, done, total)
    });
    let opened = options.open_read_only(path);
    bar.finish_and_clear();
    Ok(opened?)
}

/// A key from hex.
pub(crate) fn parse_key(text: &str) -> Result<KeyBytes> {
    let bytes = hex::decode(text.strip_prefix("0x").unwrap_or(text));
    let bytes = bytes.map_err(|error| {
        Failure::Usage(format!(
            "{text:?} is no key in hex ({error}); give two digits a byte"
        ))
    })?;
    Ok(KeyBytes::from(bytes))
}

/// An archive to read.
#[derive(Args)]
pub(crate) struct ReadArgs {
    /// The archive's folder
    pub(crate) archive: PathBuf,
    /// Print JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
}
