//! The archives that are written: a few that differ in what a crash can hit.

use quipu::index::{Hashed, TwoCap};
use quipu::{Archive, Compression, Layout, Options, ReadOnly, Result};
use std::path::Path;

use crate::content::Key;

/// How many shapes there are.
pub const COUNT: u64 = 4;

/// The settings of an archive, chosen by a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Args)]
pub struct Shape {
    /// Which archive: 0 has defaults, sections of 64 items and a commit log from the start, 1 small pages and zstd, 2 one
    /// large section, the older layout and a small commit log, 3 sections of 5 items
    #[arg(long, default_value_t = 0)]
    pub shape: u64,
    /// Bytes of disk that are kept for when it is full
    #[arg(long, default_value_t = 0)]
    pub reserve: u64,
}

impl Shape {
    /// The archive of this number.
    pub fn of(shape: u64) -> Self {
        Self { shape, reserve: 0 }
    }

    /// Indices a section spans.
    pub fn section(self) -> u64 {
        match self.shape % COUNT {
            0 => 64,
            1 => 16,
            2 => 1 << 16,
            _ => 5,
        }
    }

    fn options(self) -> Options {
        let options = Options::new()
            .items_per_section(self.section())
            .disk_reserve(self.reserve);
        match self.shape % COUNT {
            0 => options.commit_log_after(0),
            1 => options
                .page_size(100)
                .write_buffer(1 << 10)
                .translator(TwoCap)
                .compression(Compression::Zstd(1)),
            2 => options
                .page_size(1000)
                .layout(Layout::V0)
                .write_buffer(16 << 10)
                .commit_log_after(0)
                .commit_log_bytes(20_000),
            _ => options
                .max_open_files(16)
                .translator(Hashed::<TwoCap>::with_seed([7; 16])),
        }
    }

    pub fn open(self, folder: &Path) -> Result<Archive<Key>> {
        self.options().open(folder)
    }

    pub fn open_read_only(self, folder: &Path) -> Result<ReadOnly<Key>> {
        self.options().open_read_only(folder)
    }
}
