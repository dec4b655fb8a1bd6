//! A storage in memory, for tests and for data that need not outlive the process.
//!
//! It keeps every rule that [`Disk`](super::Disk) keeps, except that nothing survives the process:
//! flushes do nothing.
//!
//! # Invariants
//!
//! - Clones share their content; each [`Memory::new`] is a storage of its own.
//! - A removed or replaced blob lives as long as a handle to it is open.
//! - Holes take no memory: a blob of several GiB with a few bytes at its end takes a few KiB.
//!
//! # Cost
//!
//! A blob takes its written bytes, rounded up in the last of each 64 KiB. Readers of one blob run
//! side by side, and beside a writer, who makes them wait for one copy of its bytes at most.
//!
//! # Example
//!
//! ```
//! use quipu::storage::{Memory, OpenMode, Storage};
//! use std::io::IoSlice;
//!
//! let memory = Memory::new();
//! let blob = memory.open("notes", "first", OpenMode::Create)?;
//! blob.write_at(&[IoSlice::new(b"hello")], 0)?;
//! assert_eq!(memory.clone().list("notes")?, ["first"]);
//! # Ok::<(), quipu::Error>(())
//! ```

mod blob;
pub(super) mod content;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use self::blob::MemoryBlob;
use self::content::Content;
use super::{Blob, Lock, OpenMode, Storage, check_blob_name, check_partition_name};
use crate::error::{Error, Result};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard, RwLock};

type Partition = BTreeMap<String, Arc<Node>>;

/// A storage in memory. Clones share their content.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    partitions: Arc<Mutex<BTreeMap<String, Partition>>>,
}

/// What a blob's name leads to.
#[derive(Debug, Default)]
struct Node {
    content: RwLock<Content>,
    /// Whether somebody holds the lock of this name.
    locked: AtomicBool,
}

impl Memory {
    /// An empty storage.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many bytes of memory the blobs take that still have a name, or hold a lock's text.
    pub fn bytes(&self) -> u64 {
        let partitions = self.partitions.lock();
        let nodes = partitions.values().flat_map(BTreeMap::values);
        nodes
            .map(|node| node.content.read().bytes())
            .fold(0, u64::saturating_add)
    }

    fn partition(&self, partition: &str) -> Result<MutexGuard<'_, BTreeMap<String, Partition>>> {
        check_partition_name(partition)?;
        Ok(self.partitions.lock())
    }

    fn not_found(&self, partition: &str, name: &str) -> Error {
        Error::NotFound {
            path: self.path(partition, name),
        }
    }

    /// The node of that name, created with its partition where it is missing.
    fn make_node(&self, partition: &str, name: &str) -> Result<Arc<Node>> {
        check_blob_name(name)?;
        let mut partitions = self.partition(partition)?;
        let blobs = partitions.entry(partition.to_owned()).or_default();
        Ok(blobs.entry(name.to_owned()).or_default().clone())
    }

    fn node(&self, partition: &str, name: &str) -> Result<Arc<Node>> {
        check_blob_name(name)?;
        let partitions = self.partition(partition)?;
        let node = partitions.get(partition).and_then(|blobs| blobs.get(name));
        node.cloned().ok_or_else(|| self.not_found(partition, name))
    }
}

impl Storage for Memory {
    fn open(&self, partition: &str, name: &str, mode: OpenMode) -> Result<Arc<dyn Blob>> {
        let node = match mode {
            OpenMode::Read | OpenMode::Write => self.node(partition, name)?,
            OpenMode::Create => self.make_node(partition, name)?,
        };
        let path = self.path(partition, name);
        Ok(Arc::new(MemoryBlob::new(
            node,
            path,
            mode != OpenMode::Read,
        )))
    }

    fn remove(&self, partition: &str, name: &str) -> Result<()> {
        check_blob_name(name)?;
        let mut partitions = self.partition(partition)?;
        let blobs = partitions.get_mut(partition);
        match blobs.and_then(|blobs| blobs.remove(name)) {
            Some(_) => Ok(()),
            None => Err(self.not_found(partition, name)),
        }
    }

    fn rename(&self, partition: &str, from: &str, to: &str) -> Result<()> {
        check_blob_name(from)?;
        check_blob_name(to)?;
        let mut partitions = self.partition(partition)?;
        let missing = || self.not_found(partition, from);
        let blobs = partitions.get_mut(partition).ok_or_else(missing)?;
        let node = blobs.remove(from).ok_or_else(missing)?;
        blobs.insert(to.to_owned(), node);
        Ok(())
    }

    fn list(&self, partition: &str) -> Result<Vec<String>> {
        let partitions = self.partition(partition)?;
        let blobs = partitions.get(partition);
        Ok(blobs.map_or_else(Vec::new, |blobs| blobs.keys().cloned().collect()))
    }

    fn sync_partition(&self, partition: &str) -> Result<()> {
        match self.partition(partition)?.contains_key(partition) {
            true => Ok(()),
            false => Err(self.not_found(partition, "")),
        }
    }

    fn remove_partition(&self, partition: &str) -> Result<()> {
        let mut partitions = self.partition(partition)?;
        if partitions.get(partition).is_some_and(|p| !p.is_empty()) {
            let reason = ErrorKind::DirectoryNotEmpty.into();
            return Err(Error::io("remove", self.path(partition, ""), reason));
        }
        partitions.remove(partition);
        Ok(())
    }

    fn lock(&self, partition: &str, name: &str, holder: &str) -> Result<Box<dyn Lock>> {
        check_partition_name(partition)?;
        let node = self.make_node(partition, name)?;
        if node.locked.swap(true, Ordering::AcqRel) {
            return Err(Error::Locked {
                path: self.path(partition, name),
                holder: holder_of(&node),
            });
        }
        let mut content = node.content.write();
        content.resize(0);
        content.write(0, holder.as_bytes());
        drop(content);
        Ok(Box::new(MemoryLock { node }))
    }

    fn path(&self, partition: &str, name: &str) -> PathBuf {
        let parts = ["memory", partition, name];
        parts.iter().filter(|part| !part.is_empty()).collect()
    }
}

fn holder_of(node: &Node) -> String {
    let content = node.content.read();
    let mut text = vec![0; usize::try_from(content.len()).unwrap_or(0).min(512)];
    content.read(0, &mut text);
    match String::from_utf8_lossy(&text).trim() {
        "" => "somebody who has not said who".to_owned(),
        text => text.to_owned(),
    }
}

#[derive(Debug)]
struct MemoryLock {
    node: Arc<Node>,
}

impl Lock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.node.content.write().resize(0);
        self.node.locked.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use super::*;
    use crate::storage::suite;

    #[test]
    fn keeps_every_rule() {
        suite::run(&|| Arc::new(Memory::new()));
    }

    #[test]
    fn holes_take_no_memory() {
        let memory = Memory::new();
        let blob = memory.open("p", "b", OpenMode::Create).unwrap();
        blob.write_at(&[IoSlice::new(b"end")], 5 << 30).unwrap();
        assert_eq!(blob.len().unwrap(), (5 << 30) + 3);
        assert!(memory.bytes() < 1 << 20, "{}", memory.bytes());
        blob.resize(10).unwrap();
        assert_eq!(memory.bytes(), 0);
    }

    #[test]
    fn clones_share_and_others_do_not() {
        let memory = Memory::new();
        memory.open("p", "b", OpenMode::Create).unwrap();
        assert_eq!(memory.clone().list("p").unwrap(), ["b"]);
        assert!(Memory::new().list("p").unwrap().is_empty());
    }
}
