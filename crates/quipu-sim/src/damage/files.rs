//! All files of an archive at one moment, cheap to copy.

use std::collections::BTreeMap;
use std::fmt;
use std::io::IoSlice;
use std::str::FromStr;
use std::sync::Arc;

use quipu::Result;
use quipu::storage::{Memory, OpenMode, Storage};

/// The partition of the entries.
pub const INDEX: &str = "index";
/// The partition of the values.
pub const VALUES: &str = "values";
/// The partition of the manifest, the marks and the lock.
pub const OWN: &str = "quipu";
const PARTITIONS: [&str; 3] = [INDEX, OWN, VALUES];

/// A file's partition and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName {
    /// `index`, `values` or `quipu`.
    pub partition: Arc<str>,
    /// The blob's name.
    pub name: Arc<str>,
}

impl FileName {
    /// The file of a section.
    pub fn of_section(partition: &str, section: u64) -> Self {
        Self {
            partition: partition.into(),
            name: format!("{section:016x}").into(),
        }
    }

    /// Whether it is a key table.
    pub fn is_table(&self) -> bool {
        *self.partition == *OWN && self.name.starts_with("keys-")
    }

    /// The section whose file this is; none for the archive's own files.
    pub fn section(&self) -> Option<u64> {
        match &*self.partition {
            OWN => None,
            _ => u64::from_str_radix(&self.name, 16).ok(),
        }
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.partition, self.name)
    }
}

impl FromStr for FileName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (partition, name) = text
            .split_once('/')
            .ok_or_else(|| format!("{text:?} is not PARTITION/NAME"))?;
        Ok(Self {
            partition: partition.into(),
            name: name.into(),
        })
    }
}

/// The content of every file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<FileName, Arc<[u8]>>);

impl Files {
    /// What a storage holds now.
    pub fn of(storage: &dyn Storage) -> Result<Self> {
        let mut files = Self::default();
        for partition in PARTITIONS {
            for name in storage.list(partition)? {
                let blob = storage.open(partition, &name, OpenMode::Read)?;
                let len = usize::try_from(blob.len()?).unwrap_or(usize::MAX);
                let mut bytes = Vec::new();
                blob.read_into(&mut bytes, 0, len)?;
                let file = FileName {
                    partition: partition.into(),
                    name: name.into(),
                };
                files.0.insert(file, bytes.into());
            }
        }
        Ok(files)
    }

    /// A storage of its own with these files.
    pub fn to_memory(&self) -> Result<Memory> {
        let memory = Memory::new();
        for (file, bytes) in &self.0 {
            let blob = memory.open(&file.partition, &file.name, OpenMode::Create)?;
            blob.write_at(&[IoSlice::new(bytes)], 0)?;
        }
        Ok(memory)
    }

    /// The content of a file; none where it is not there.
    pub fn get(&self, file: &FileName) -> Option<&[u8]> {
        self.0.get(file).map(|bytes| &**bytes)
    }

    /// Puts other content in a file's place.
    pub fn set(&mut self, file: &FileName, bytes: impl Into<Arc<[u8]>>) {
        self.0.insert(file.clone(), bytes.into());
    }

    /// Removes a file.
    pub fn remove(&mut self, file: &FileName) {
        self.0.remove(file);
    }

    /// Every file, sorted by its name.
    pub fn iter(&self) -> impl Iterator<Item = (&FileName, &[u8])> {
        self.0.iter().map(|(file, bytes)| (file, &**bytes))
    }

    /// The files whose content differs from that in `other`, those that only one of the two has
    /// included.
    pub fn changed_from<'a>(&'a self, other: &'a Self) -> Vec<&'a FileName> {
        let names = self.0.keys().chain(other.0.keys());
        let mut changed: Vec<_> = names
            .filter(|file| self.get(file) != other.get(file))
            .collect();
        changed.sort();
        changed.dedup();
        changed
    }
}
