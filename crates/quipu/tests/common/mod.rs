//! What the tests of the archive share: a place to open it again and again, keys and values.
#![allow(dead_code, unreachable_pub)]

pub mod delegate;

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::sync::Arc;

use quipu::storage::{Disk, Memory, OpenMode, Storage};
use quipu::{Archive, Options};

/// Where an archive keeps its blobs.
const PARTITIONS: [&str; 4] = ["index", "values", "quipu", "quarantine"];

/// A storage that outlives the archives that are opened on it.
pub struct Bench {
    options: Options,
    storage: Arc<dyn Storage>,
    pub folder: Option<tempfile::TempDir>,
}

impl Bench {
    /// Runs a check over memory, over a simulated machine and over a disk; over memory once more with key
    /// tables that are made of whatever is durable.
    pub fn each(options: Options, check: impl Fn(&Self)) {
        Self::memory(options.clone(), &check);
        Self::memory(options.clone().keys_per_table(1), &check);
        #[cfg(feature = "simulated")]
        Self::simulated(options.clone(), &check);
        Self::disk(options, check);
    }

    pub fn memory(options: Options, check: impl Fn(&Self)) {
        check(&Self {
            options,
            storage: Arc::new(Memory::new()),
            folder: None,
        });
    }

    #[cfg(feature = "simulated")]
    pub fn simulated(options: Options, check: impl Fn(&Self)) {
        check(&Self {
            options,
            storage: Arc::new(quipu::storage::simulated::Simulated::new(0)),
            folder: None,
        });
    }

    pub fn disk(options: Options, check: impl Fn(&Self)) {
        let folder = tempfile::tempdir().unwrap();
        let storage = Arc::new(Disk::open(folder.path()).unwrap());
        check(&Self {
            options,
            storage,
            folder: Some(folder),
        });
    }

    /// On a storage that is there.
    pub fn on(storage: Arc<dyn Storage>, options: Options) -> Self {
        Self {
            options,
            storage,
            folder: None,
        }
    }

    pub fn storage(&self) -> Arc<dyn Storage> {
        Arc::clone(&self.storage)
    }

    pub fn options(&self) -> Options {
        self.options.clone()
    }

    pub fn open<const N: usize>(&self) -> Archive<[u8; N]> {
        self.options().open_on(self.storage()).unwrap()
    }

    /// Puts items with values of 30 bytes at the indices from 0 on, and closes the archive.
    pub fn fill(&self, items: u64) {
        let mut archive = self.open::<8>();
        for index in 0..items {
            let _ = archive.put(index, &key(index), &value(index, 30)).unwrap();
        }
        archive.close().unwrap();
    }

    /// All bytes of a blob.
    pub fn read(&self, partition: &str, name: &str) -> Vec<u8> {
        read_all(&*self.storage, partition, name)
    }

    /// Those blobs of a partition that do not go while they are read.
    pub fn blobs_there(&self, partition: &str) -> BTreeMap<String, Vec<u8>> {
        let names = self.storage.list(partition).unwrap().into_iter();
        let read = |name: String| {
            let blob = self.storage.open(partition, &name, OpenMode::Read).ok()?;
            let mut bytes = Vec::new();
            let len = blob.len().ok()? as usize;
            blob.read_into(&mut bytes, 0, len).ok()?;
            Some((name, bytes))
        };
        names.filter_map(read).collect()
    }

    /// All blobs of an archive, by partition and name.
    pub fn blobs(&self) -> BTreeMap<(String, String), Vec<u8>> {
        let mut blobs = BTreeMap::new();
        for partition in PARTITIONS {
            for name in self.storage.list(partition).unwrap() {
                let bytes = self.read(partition, &name);
                blobs.insert((partition.to_owned(), name), bytes);
            }
        }
        blobs
    }

    /// Puts other bytes in a blob's place.
    pub fn write(&self, partition: &str, name: &str, bytes: &[u8]) {
        let blob = self
            .storage
            .open(partition, name, OpenMode::Create)
            .unwrap();
        blob.resize(0).unwrap();
        blob.write_at(&[IoSlice::new(bytes)], 0).unwrap();
        blob.sync().unwrap();
    }

    /// Turns a bit of a blob.
    pub fn flip(&self, partition: &str, name: &str, at: usize) {
        let mut bytes = self.read(partition, name);
        bytes[at] ^= 0x10;
        self.write(partition, name, &bytes);
    }
}

/// The same blobs in a storage of their own.
pub fn copy_of(memory: &Memory) -> Memory {
    let copy = Memory::new();
    for partition in PARTITIONS {
        for name in memory.list(partition).unwrap() {
            let bytes = read_all(memory, partition, &name);
            let to = copy.open(partition, &name, OpenMode::Create).unwrap();
            to.write_at(&[IoSlice::new(&bytes)], 0).unwrap();
        }
    }
    copy
}

fn read_all(storage: &dyn Storage, partition: &str, name: &str) -> Vec<u8> {
    let blob = storage.open(partition, name, OpenMode::Read).unwrap();
    let mut bytes = Vec::new();
    blob.read_into(&mut bytes, 0, blob.len().unwrap() as usize)
        .unwrap();
    bytes
}

/// A key that looks random and is the same for the same number.
pub fn key<const N: usize>(number: u64) -> [u8; N] {
    let mut key = [0; N];
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = (mix(number ^ ((at as u64 / 8) << 56)) >> (at % 8 * 8)) as u8;
    }
    key
}

/// A value of a length that is the same for the same number.
pub fn value(number: u64, len: usize) -> Vec<u8> {
    (0..len as u64)
        .map(|at| (mix(number.wrapping_add(at / 8)) >> (at % 8 * 8)) as u8)
        .collect()
}

/// A bijection that scatters its input (the finalizer of SplitMix64).
pub fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

pub fn values_at<const N: usize>(archive: &Archive<[u8; N]>, index: u64) -> Vec<Vec<u8>> {
    archive
        .get_all(index)
        .unwrap()
        .into_iter()
        .map(|value| value.to_vec())
        .collect()
}
