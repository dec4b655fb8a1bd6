//! A read that is wrong once: a storage that turns a bit on the way, and not on the disk.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use quipu::storage::simulated::Simulated;
use quipu::storage::{Blob, Lock, OpenMode, Storage};
use quipu::{Bytes, Result, Status};

use super::common::value;
use super::{filled, options};

/// Bytes of a value's checksum, which nothing else reads of a value file.
const CHECKSUM: usize = 4;

/// A machine of which some reads of a checksum in a value file are wrong.
#[derive(Debug)]
struct Misreading {
    machine: Simulated,
    /// So many more.
    wrong: Arc<AtomicU32>,
}

impl Storage for Misreading {
    fn open(&self, partition: &str, name: &str, mode: OpenMode) -> Result<Arc<dyn Blob>> {
        let blob = self.machine.open(partition, name, mode)?;
        if partition != "values" {
            return Ok(blob);
        }
        let wrong = Arc::clone(&self.wrong);
        Ok(Arc::new(MisreadingBlob { blob, wrong }))
    }

    fn remove(&self, partition: &str, name: &str) -> Result<()> {
        self.machine.remove(partition, name)
    }

    fn rename(&self, partition: &str, from: &str, to: &str) -> Result<()> {
        self.machine.rename(partition, from, to)
    }

    fn list(&self, partition: &str) -> Result<Vec<String>> {
        self.machine.list(partition)
    }

    fn sync_partition(&self, partition: &str) -> Result<()> {
        self.machine.sync_partition(partition)
    }

    fn remove_partition(&self, partition: &str) -> Result<()> {
        self.machine.remove_partition(partition)
    }

    fn lock(&self, partition: &str, name: &str, holder: &str) -> Result<Box<dyn Lock>> {
        self.machine.lock(partition, name, holder)
    }

    fn path(&self, partition: &str, name: &str) -> PathBuf {
        self.machine.path(partition, name)
    }
}

#[derive(Debug)]
struct MisreadingBlob {
    blob: Arc<dyn Blob>,
    wrong: Arc<AtomicU32>,
}

impl Blob for MisreadingBlob {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.blob.read_at(buf, offset)?;
        let fewer = |left: u32| left.checked_sub(1);
        let order = Ordering::Relaxed;
        if buf.len() == CHECKSUM && self.wrong.fetch_update(order, order, fewer).is_ok() {
            buf[1] ^= 8;
        }
        Ok(())
    }

    fn write_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> Result<()> {
        self.blob.write_at(bufs, offset)
    }

    fn resize(&self, len: u64) -> Result<()> {
        self.blob.resize(len)
    }

    fn sync(&self) -> Result<()> {
        self.blob.sync()
    }

    fn len(&self) -> Result<u64> {
        self.blob.len()
    }

    fn path(&self) -> &Path {
        self.blob.path()
    }
}

/// The checksum by which a section's file is known again is looked at twice before the section is
/// taken for another one.
#[test]
fn a_checksum_that_is_misread_once_costs_nothing() {
    let machine = filled(0..8);
    let wrong = Arc::new(AtomicU32::new(1));
    let storage = Misreading {
        machine,
        wrong: Arc::clone(&wrong),
    };
    let archive = options().open_on::<[u8; 8], Bytes>(Arc::new(storage));
    let archive = archive.unwrap();
    assert_eq!(wrong.load(Ordering::Relaxed), 0);
    for index in 0..8 {
        assert_eq!(archive.status(index).unwrap(), Status::Present);
        assert_eq!(archive.get(index).unwrap().unwrap(), value(index, 30));
    }
    assert!(archive.recovery().is_clean());
}
