//! The files of a store as bytes, to be changed between two opens.

use std::collections::BTreeMap;
use std::io::IoSlice;

use quipu::Result;
use quipu::storage::{Memory, OpenMode, Storage};

/// (partition, name) -> bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files(pub(crate) BTreeMap<(String, String), Vec<u8>>);

impl Files {
    /// Copies what a storage holds in these partitions.
    pub(crate) fn of(storage: &Memory, partitions: &[&str]) -> Result<Self> {
        let mut files = Self::default();
        for partition in partitions {
            for name in storage.list(partition)? {
                let blob = storage.open(partition, &name, OpenMode::Read)?;
                let mut bytes = Vec::new();
                blob.read_into(&mut bytes, 0, blob.len()? as usize)?;
                files.0.insert(((*partition).to_owned(), name), bytes);
            }
        }
        Ok(files)
    }

    /// A storage with these files; those whose names no storage takes are left out.
    pub(crate) fn storage(&self) -> Memory {
        let memory = Memory::new();
        for ((partition, name), bytes) in &self.0 {
            if let Ok(blob) = memory.open(partition, name, OpenMode::Create) {
                let written = blob.write_at(&[IoSlice::new(bytes)], 0);
                assert!(written.is_ok(), "memory takes what it is given");
            }
        }
        memory
    }

    pub(crate) fn get_mut(&mut self, partition: &str, name: &str) -> &mut Vec<u8> {
        let key = (partition.to_owned(), name.to_owned());
        self.0.entry(key).or_default()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }
}
