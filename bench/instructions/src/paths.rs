//! The paths: what each does so and so many times.

use std::hint::black_box;
use std::path::{Path as FilePath, PathBuf};

use anyhow::{Result, ensure};
use clap::ValueEnum;
use quipu::index::{EightCap, Hashed};
use quipu::{Archive, Options};
use tempfile::TempDir;

use crate::measured;

/// Items of the archive that is read; each path does as many of its own.
pub(crate) const ITEMS: u64 = 20_000;
const BATCH: u64 = 1_000;
const VALUE: [u8; 256] = [0x5a; 256];
const CHECKSUMMED: [u8; 4096] = [0x5a; 4096];

type Key = [u8; 32];

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Path {
    /// A put of 256 bytes, with its part of a sync every 1,000
    Put,
    /// The same, by batches
    PutBatch,
    /// A get of 256 bytes by key
    GetByKey,
    /// The same of a key that no table has yet
    GetByKeyInMemory,
    /// The same by index
    GetByIndex,
    /// A get by a key that is not there
    AbsentKey,
    /// An item of a range
    Range,
    /// An item of an open after a kill: it is read again
    Replay,
    /// An open after a clean end, over all items
    Open,
    /// A checksum of 4 KiB
    Crc,
}

impl Path {
    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// Any order, the same in each run.
fn scattered(n: u64) -> u64 {
    n * 7_919 % ITEMS
}

fn key(index: u64) -> Key {
    let mut key = [0; 32];
    for (part, bytes) in (1u64..).zip(key.chunks_exact_mut(8)) {
        let word = (index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ (part << 1));
        bytes.copy_from_slice(&word.rotate_left(31).to_le_bytes());
    }
    key
}

/// The seed of the key index is a constant, so that no run differs from another.
fn open(dir: &FilePath) -> Result<Archive<Key>> {
    let options = Options::new().translator(Hashed::<EightCap>::with_seed([7; 16]));
    Ok(options.open(dir)?)
}

/// Where each path finds what it needs.
pub(crate) struct Archives(TempDir);

impl Archives {
    /// An archive that was closed, whose keys are in a table, and one that was only synced.
    pub(crate) fn prepare() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut closed = open(&folder.path().join("closed"))?;
        put_batches(&mut closed, &keys(0))?;
        closed.close()?;
        let mut synced = open(&folder.path().join("synced"))?;
        put_batches(&mut synced, &keys(0))?;
        Ok(Self(folder))
    }

    pub(crate) fn folder(&self) -> &FilePath {
        self.0.path()
    }

    /// A look at the synced one may leave it otherwise than it was, so each path has its own copy.
    pub(crate) fn of(&self, path: Path) -> Result<PathBuf> {
        let from = match path {
            Path::Put | Path::PutBatch | Path::Crc => None,
            Path::GetByKeyInMemory | Path::Replay => Some("synced"),
            Path::GetByKey | Path::AbsentKey | Path::GetByIndex | Path::Range | Path::Open => {
                Some("closed")
            }
        };
        let to = self.folder().join(path.name());
        if let Some(from) = from {
            copy(&self.folder().join(from), &to)?;
        }
        Ok(to)
    }
}

fn copy(from: &FilePath, to: &FilePath) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

fn keys(first: u64) -> Vec<Key> {
    (first..first + ITEMS).map(key).collect()
}

fn put_batches(archive: &mut Archive<Key>, keys: &[Key]) -> Result<()> {
    for (batch, keys) in (0u64..).zip(keys.chunks(BATCH as usize)) {
        archive.put_batch(
            (batch * BATCH..)
                .zip(keys)
                .map(|(index, key)| (index, key, &VALUE[..])),
        )?;
        archive.sync()?;
    }
    Ok(())
}

pub(crate) fn walk(path: Path, dir: &FilePath) -> Result<()> {
    match path {
        Path::Put => {
            let (mut archive, keys) = (open(dir)?, keys(0));
            measured(|| put_each(&mut archive, &keys))
        }
        Path::PutBatch => {
            let (mut archive, keys) = (open(dir)?, keys(0));
            measured(|| put_batches(&mut archive, &keys))
        }
        Path::GetByKey | Path::GetByKeyInMemory => get(dir, true),
        Path::AbsentKey => get(dir, false),
        Path::GetByIndex => get_by_index(dir),
        Path::Range => range(dir),
        Path::Replay | Path::Open => measured(|| open(dir)).map(drop),
        Path::Crc => crc(),
    }
}

fn put_each(archive: &mut Archive<Key>, keys: &[Key]) -> Result<()> {
    for (index, key) in (0..).zip(keys) {
        let _ = archive.put(index, key, &VALUE[..])?;
        if index % BATCH == BATCH - 1 {
            archive.sync()?;
        }
    }
    Ok(())
}

fn get(dir: &FilePath, there: bool) -> Result<()> {
    let archive = open(dir)?;
    let keys = keys(if there { 0 } else { ITEMS });
    let order: Vec<&Key> = (0..ITEMS).map(|n| &keys[scattered(n) as usize]).collect();
    // Caches and files are warm when it counts.
    for key in &order {
        ensure!(archive.get(*key)?.is_some() == there);
    }
    measured(|| {
        for key in &order {
            black_box(archive.get(*key)?);
        }
        Ok(())
    })
}

fn get_by_index(dir: &FilePath) -> Result<()> {
    let archive = open(dir)?;
    for n in 0..ITEMS {
        ensure!(archive.get(scattered(n))?.is_some());
    }
    measured(|| {
        for n in 0..ITEMS {
            black_box(archive.get(scattered(n))?);
        }
        Ok(())
    })
}

fn range(dir: &FilePath) -> Result<()> {
    let archive = open(dir)?;
    let count = measured(|| {
        let mut count = 0;
        for item in archive.range(..) {
            black_box(item?);
            count += 1;
        }
        Ok(count)
    })?;
    ensure!(count == ITEMS);
    Ok(())
}

fn crc() -> Result<()> {
    // The first call chooses how it is done here.
    black_box(quipu::format::crc32c(&CHECKSUMMED));
    measured(|| {
        for _ in 0..ITEMS {
            black_box(quipu::format::crc32c(black_box(&CHECKSUMMED)));
        }
        Ok(())
    })
}
