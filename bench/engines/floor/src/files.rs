//! Two files: entries of a fixed size, and values, each with its CRC behind it.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use crc_fast::CrcAlgorithm::Crc32Iscsi;
use memmap2::{Mmap, MmapOptions};
use quipu_bench::{Item, KEY_SIZE, Key, OnValue};
use rustix::fs::{FallocateFlags, fallocate};

use crate::table::Place;

/// Index, key, offset, size, CRC.
const ENTRY: usize = 8 + KEY_SIZE + 8 + 4 + 4;
const CRC: usize = 4;
/// Address space, not memory: more than any workload fills.
const MAP: usize = 256 << 30;

pub(crate) struct Entry {
    pub(crate) index: u64,
    pub(crate) key: Key,
    pub(crate) offset: u64,
    pub(crate) size: u32,
}

/// Where the files end.
pub(crate) struct Ends {
    entries: u32,
    values: u64,
}

pub(crate) struct Files {
    entries: Data,
    values: Data,
}

struct Data {
    file: File,
    map: Option<Mmap>,
}

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn crc(bytes: &[u8]) -> [u8; CRC] {
    (crc_fast::checksum(Crc32Iscsi, bytes) as u32).to_le_bytes()
}

/// What the CRC behind it holds.
fn checked(bytes: &[u8]) -> Result<&[u8]> {
    let (bytes, sum) = bytes.split_last_chunk::<CRC>().context("too short")?;
    ensure!(crc(bytes) == *sum, "a CRC differs");
    Ok(bytes)
}

impl Data {
    fn open(path: &Path, mapped: bool) -> Result<Self> {
        let mut options = OpenOptions::new();
        let file = options
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)?;
        let map = match mapped {
            // SAFETY: the file is this process's alone; what lies past its end is never read.
            true => Some(unsafe { MmapOptions::new().len(MAP).map(&file)? }),
            false => None,
        };
        Ok(Self { file, map })
    }

    fn read<T>(&self, offset: u64, size: usize, on: impl FnOnce(&[u8]) -> Result<T>) -> Result<T> {
        if let Some(map) = &self.map {
            return on(checked(&map[offset as usize..offset as usize + size])?);
        }
        BUFFER.with_borrow_mut(|buffer| {
            if buffer.len() < size {
                buffer.resize(size, 0);
            }
            let bytes = &mut buffer[..size];
            self.file.read_exact_at(bytes, offset)?;
            on(checked(bytes)?)
        })
    }
}

impl Entry {
    fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.index.to_le_bytes());
        out.extend_from_slice(&self.key);
        out.extend_from_slice(&self.offset.to_le_bytes());
        out.extend_from_slice(&self.size.to_le_bytes());
        let sum = crc(&out[start..]);
        out.extend_from_slice(&sum);
    }

    fn read(bytes: &[u8]) -> Result<Self> {
        Ok(Self {
            index: u64::from_le_bytes(bytes[..8].try_into()?),
            key: bytes[8..40].try_into()?,
            offset: u64::from_le_bytes(bytes[40..48].try_into()?),
            size: u32::from_le_bytes(bytes[48..52].try_into()?),
        })
    }
}

impl Files {
    pub(crate) fn open(dir: &Path, mapped: bool) -> Result<Self> {
        Ok(Self {
            entries: Data::open(&dir.join("entries"), mapped)?,
            values: Data::open(&dir.join("values"), mapped)?,
        })
    }

    /// Gives out every entry with its position.
    pub(crate) fn replay(&self, mut on: impl FnMut(Entry, u32)) -> Result<Ends> {
        let size = self.entries.file.metadata()?.len();
        let mut piece = vec![0; ENTRY * 16_384];
        let mut position = 0;
        while u64::from(position) * (ENTRY as u64) < size {
            let offset = u64::from(position) * ENTRY as u64;
            let len = piece.len().min((size - offset) as usize);
            self.entries.file.read_exact_at(&mut piece[..len], offset)?;
            for bytes in piece[..len].chunks_exact(ENTRY) {
                on(Entry::read(checked(bytes)?)?, position);
                position += 1;
            }
        }
        let values = self.values.file.metadata()?.len();
        Ok(Ends {
            entries: position,
            values,
        })
    }

    /// Both files are flushed when it returns the entries and the position of the first.
    pub(crate) fn append(&self, ends: &mut Ends, batch: &[Item]) -> Result<(Vec<Entry>, u32)> {
        let (mut entry_bytes, mut value_bytes) = (Vec::new(), Vec::new());
        let entries = batch.iter().map(|item| {
            let entry = Entry {
                index: item.index,
                key: item.key,
                offset: ends.values + value_bytes.len() as u64,
                size: item.value.len() as u32,
            };
            entry.write(&mut entry_bytes);
            value_bytes.extend_from_slice(&item.value);
            value_bytes.extend_from_slice(&crc(&item.value));
            entry
        });
        let entries: Vec<Entry> = entries.collect();
        self.values.file.write_all_at(&value_bytes, ends.values)?;
        let offset = u64::from(ends.entries) * ENTRY as u64;
        self.entries.file.write_all_at(&entry_bytes, offset)?;
        self.values.file.sync_data()?;
        self.entries.file.sync_data()?;
        let first = ends.entries;
        ends.values += value_bytes.len() as u64;
        ends.entries += batch.len() as u32;
        Ok((entries, first))
    }

    pub(crate) fn entry(&self, position: u32) -> Result<Entry> {
        let offset = u64::from(position) * ENTRY as u64;
        self.entries.read(offset, ENTRY, Entry::read)
    }

    pub(crate) fn value(&self, offset: u64, size: u32, on: OnValue<'_>) -> Result<()> {
        self.values.read(offset, size as usize + CRC, |value| {
            on(value);
            Ok(())
        })
    }

    /// Gives back the disk of all that lies before the place.
    pub(crate) fn punch(&self, place: Place) -> Result<()> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let entries = u64::from(place.position) * ENTRY as u64;
        for (data, len) in [(&self.entries, entries), (&self.values, place.offset)] {
            if len > 0 {
                fallocate(&data.file, flags, 0, len)?;
            }
        }
        Ok(())
    }
}
