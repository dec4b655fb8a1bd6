//! A folder of a file system as a storage.
//!
//! ```text
//! root/                      Disk::open(root)
//! ├── index/                 partition, mode 0700
//! │   └── 0000000000000000   blob, mode 0600
//! └── values/
//! ```
//!
//! New files and folders are their owner's alone, unless [`Disk::create_with_mode`] or
//! [`Disk::with_file_mode`] says otherwise.
//!
//! # Invariants
//!
//! - Names are looked up in the folder that was opened, one step at a time, and links are never
//!   followed below the root: nothing outside the root is read, written or removed, also when
//!   somebody renames the root or puts a link into it. The root itself may be a link.
//! - Only regular files are blobs. A FIFO or a device in a blob's place is refused without waiting
//!   for its other end.
//! - A partition is durable before the first blob is created in it, also when the process that
//!   made its folder was killed before it could flush the root.
//! - A system call that a signal interrupted is made again.
//!
//! # Cost
//!
//! Opening a blob takes four system calls, a read or a write one, [`Blob::len`]
//! one. Small reads of a file that is read again and again take none, where the system can map files
//! (see [`Disk::with_mapped_reads`]). Reads that are made together share calls, where there is io_uring (see
//! [`Disk::with_io_uring`]). [`Blob::sync`] is a flush of the bytes and the length (`fdatasync`,
//! `F_FULLFSYNC` on Apple systems), not of the times.
//!
//! # Example
//!
//! ```
//! use quipu::storage::{Disk, OpenMode, Storage};
//! use std::io::IoSlice;
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let root = folder.path().join("store");
//! let disk = Disk::create(&root)?;
//! let blob = disk.open("notes", "first", OpenMode::Create)?;
//! blob.write_at(&[IoSlice::new(b"hello "), IoSlice::new(b"world")], 0)?;
//! blob.sync()?;
//! disk.sync_partition("notes")?;
//!
//! let mut read = Vec::new();
//! blob.read_into(&mut read, 6, 5)?;
//! assert_eq!(read, b"world");
//! # Ok::<(), quipu::Error>(())
//! ```

mod blob;
mod blocks;
mod entries;
mod folder;
mod holes;
mod lock;
mod look;
mod lost;
// Of the few places with code that the compiler cannot check, the largest; ARCHITECTURE.md names all.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[allow(unsafe_code)]
mod mapped;
#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
#[path = "unmapped.rs"]
mod mapped;
mod mode;
mod root;
#[cfg(test)]
mod tests;
mod writeback;
// With code that the compiler cannot check, as `mapped`.
#[cfg(all(
    feature = "io-uring",
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
#[allow(unsafe_code)]
mod uring;
#[cfg(not(all(
    feature = "io-uring",
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
#[path = "ringless.rs"]
mod uring;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;

use self::blob::DiskBlob;
use self::blocks::Blocks;
use self::folder::Folder;
use self::mapped::Maps;
use self::mode::FileMode;
use self::uring::Rings;
use super::{Blob, Lock, OpenMode, Read, Storage, Window, check_blob_name, check_partition_name};
use crate::error::{Error, Result};
use crate::sync::Mutex;

pub(crate) use self::lost::are_bytes_lost;
pub(crate) use self::mode::{DEFAULT_FILE_MODE, check_file_mode};

/// The storage in a folder of a file system.
///
/// A relative root is looked up once, when the storage is opened: a later change of the working
/// folder does not move it.
#[derive(Debug)]
pub struct Disk {
    root: Folder,
    mapped_reads: bool,
    rings: Rings,
    /// Partitions that this value has flushed the root for.
    durable: Mutex<HashSet<String>>,
}

impl Disk {
    /// Opens the folder `root`, which must be there. Changes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when there is nothing, [`Error::NotAnArchive`] when it, or a folder on
    /// the way to it, is a file, [`Error::Io`] when it cannot be opened.
    pub fn open(root: impl AsRef<Path>) -> Result<Self> {
        Ok(Self {
            root: root::open(root.as_ref())?,
            mapped_reads: true,
            rings: Rings::new(true),
            durable: Mutex::default(),
        })
    }

    /// Opens the folder `root` for writing; where it is missing, it and the folders above it are
    /// made, for the owner only (mode 0700), and are durable when this returns.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and [`Error::Io`] when `root` cannot be made or is not writable.
    pub fn create(root: impl AsRef<Path>) -> Result<Self> {
        Self::create_with_mode(root, DEFAULT_FILE_MODE)
    }

    /// As [`create`](Self::create), with the permissions that [`with_file_mode`](Self::with_file_mode)
    /// describes, for the root and the folders above it too.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create) and [`with_file_mode`](Self::with_file_mode).
    pub fn create_with_mode(root: impl AsRef<Path>, mode: u32) -> Result<Self> {
        root::make(root.as_ref(), FileMode::new(mode)?)?;
        let disk = Self::open(root.as_ref())?.with_file_mode(mode)?;
        root::check_writable(root.as_ref())?;
        Ok(disk)
    }

    /// New files get these permissions from now on: of the bits `0o666`, the owner's both. New
    /// partitions get the same, and may be searched by whom `mode` lets read or write: `0o640` makes
    /// folders of `0o750`.
    ///
    /// The process's umask takes bits away, as from all files: under one of `0o022` a `mode` of
    /// `0o660` makes files of `0o640`. What exists keeps its permissions.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for any other bit, or where one of the owner's is missing.
    ///
    /// ```
    /// use quipu::storage::{Disk, OpenMode, Storage};
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let root = folder.path().join("store");
    /// // A backup that runs in the owner's group can read it.
    /// let disk = Disk::create_with_mode(&root, 0o640)?;
    /// disk.open("notes", "first", OpenMode::Create)?;
    /// assert!(Disk::open(&root)?.with_file_mode(0o755).is_err());
    /// # Ok::<(), quipu::Error>(())
    /// ```
    pub fn with_file_mode(mut self, mode: u32) -> Result<Self> {
        self.root.set_mode(FileMode::new(mode)?);
        Ok(self)
    }

    /// Whether files that are opened from now on may be read through memory maps; they are, unless
    /// this says otherwise.
    ///
    /// A small read of what the system has in memory then takes a fraction of the time. Only Linux on
    /// machines of 64 bits has it; elsewhere this changes nothing. The first map installs a handler of the
    /// signal SIGBUS, which turns a page of a map that cannot be read into the error that a call gives, and
    /// hands on to the handler before it what is not about these maps; where there was none, a signal that somebody
    /// sends ends the process as ever. A process that installs
    /// one of its own later, which does not hand on to the one before, must say `false` here.
    ///
    /// A thread that blocks SIGBUS when it reads for the first time reads with calls; one that blocks it later must not
    /// read what is mapped.
    ///
    /// The maps of a file take at most twice its length of addresses, or 64 KiB; at most four times where the file
    /// grew while it was read, or is longer than 64 GiB. Where the process has a limit of addresses (`RLIMIT_AS`, `ulimit -v`), all its maps
    /// together take an eighth of that at most, and files without room are read with calls.
    pub fn with_mapped_reads(mut self, mapped: bool) -> Self {
        self.mapped_reads = mapped;
        self
    }

    /// Whether [`read_many`](Storage::read_many) may read through io_uring; it does, unless this says otherwise.
    ///
    /// Dozens of reads are then under way at a time from one thread. Only a build with the feature `io-uring`, for
    /// Linux on x86-64 or 64-bit ARM, has it, and not every system allows it: that is found out by the first
    /// such read, once for each `Disk`. Elsewhere this changes nothing, and reads are calls. Up to eight files more
    /// are open then, one for each thread that reads many at a time. A process whose sandbox ends it for such
    /// a call must say `false` here.
    pub fn with_io_uring(mut self, allowed: bool) -> Self {
        self.rings = Rings::new(allowed);
        self
    }

    /// The folder of a partition, or none when there is none.
    fn partition(&self, partition: &str) -> Result<Option<Folder>> {
        check_partition_name(partition)?;
        self.root.folder(partition)
    }

    /// Opens a blob with the maps behind a window, if those are of the same file.
    fn open_blob(
        &self,
        partition: &str,
        name: &str,
        mode: OpenMode,
        window: Option<&Arc<dyn Window>>,
    ) -> Result<Arc<dyn Blob>> {
        check_partition_name(partition)?;
        check_blob_name(name)?;
        let (folder, flags) = match mode {
            OpenMode::Read => (self.existing_partition(partition, name)?, OFlags::RDONLY),
            OpenMode::Write => (self.existing_partition(partition, name)?, OFlags::RDWR),
            OpenMode::Create => (
                self.make_partition(partition)?,
                OFlags::RDWR | OFlags::CREATE,
            ),
        };
        let (file, identity) = folder.open_identified(name, flags)?;
        let maps = match self.mapped_reads {
            true => window
                .and_then(|window| Maps::behind(window, identity))
                .or_else(|| Maps::new(identity)),
            false => None,
        };
        let writable = mode != OpenMode::Read;
        let blob = DiskBlob::new(file, folder.path_of(name), writable, maps);
        Ok(Arc::new(blob))
    }

    fn existing_partition(&self, partition: &str, wanted: &str) -> Result<Folder> {
        self.partition(partition)?.ok_or_else(|| Error::NotFound {
            path: self.path(partition, wanted),
        })
    }

    fn make_partition(&self, partition: &str) -> Result<Folder> {
        let mut durable = self.durable.lock();
        if let Some(folder) = self.partition(partition)? {
            // A process that was killed may have made the folder without flushing the root.
            if !durable.contains(partition) {
                self.root.sync()?;
                durable.insert(partition.to_owned());
            }
            return Ok(folder);
        }
        self.root.make_folder(partition)?;
        self.root.sync()?;
        durable.insert(partition.to_owned());
        self.existing_partition(partition, "")
    }
}

impl Storage for Disk {
    fn open(&self, partition: &str, name: &str, mode: OpenMode) -> Result<Arc<dyn Blob>> {
        self.open_blob(partition, name, mode, None)
    }

    fn open_again(
        &self,
        partition: &str,
        name: &str,
        mode: OpenMode,
        window: &Arc<dyn Window>,
    ) -> Result<Arc<dyn Blob>> {
        self.open_blob(partition, name, mode, Some(window))
    }

    fn open_for_blocks(&self, partition: &str, name: &str) -> Result<Arc<dyn Blob>> {
        check_partition_name(partition)?;
        check_blob_name(name)?;
        let folder = self.existing_partition(partition, name)?;
        let file = folder.open_file(name, OFlags::RDWR)?;
        let blob = DiskBlob::new(file, folder.path_of(name), true, None);
        Ok(Arc::new(blob.with_blocks(Blocks::open(&folder, name))))
    }

    fn remove(&self, partition: &str, name: &str) -> Result<()> {
        check_partition_name(partition)?;
        check_blob_name(name)?;
        self.existing_partition(partition, name)?.remove_file(name)
    }

    fn rename(&self, partition: &str, from: &str, to: &str) -> Result<()> {
        check_partition_name(partition)?;
        check_blob_name(from)?;
        check_blob_name(to)?;
        self.existing_partition(partition, from)?.rename(from, to)
    }

    fn list(&self, partition: &str) -> Result<Vec<String>> {
        match self.partition(partition)? {
            Some(folder) => folder.list(),
            None => Ok(Vec::new()),
        }
    }

    fn lengths(&self, partition: &str) -> Result<Vec<(String, u64)>> {
        match self.partition(partition)? {
            Some(folder) => folder.lengths(),
            None => Ok(Vec::new()),
        }
    }

    fn serves_side_by_side(&self) -> bool {
        true
    }

    fn reads_at_once(&self) -> bool {
        self.rings.work()
    }

    fn read_many(&self, reads: &[Read<'_>]) -> Vec<Result<Vec<u8>>> {
        let through_ring = self.rings.read(reads).into_iter();
        through_ring
            .zip(reads)
            .map(|(bytes, read)| bytes.map_or_else(|| read.alone(), Ok))
            .collect()
    }

    fn sync_partition(&self, partition: &str) -> Result<()> {
        check_partition_name(partition)?;
        self.existing_partition(partition, "")?.sync()
    }

    fn remove_partition(&self, partition: &str) -> Result<()> {
        let mut durable = self.durable.lock();
        if self.partition(partition)?.is_some() {
            durable.remove(partition);
            self.root.remove_folder(partition)?;
        }
        // Flushed in any case: the folder may have been removed by a process that was killed
        // before it could flush.
        self.root.sync()
    }

    fn lock(&self, partition: &str, name: &str, holder: &str) -> Result<Box<dyn Lock>> {
        check_partition_name(partition)?;
        check_blob_name(name)?;
        let folder = self.make_partition(partition)?;
        Ok(Box::new(lock::take(&folder, name, holder)?))
    }

    fn path(&self, partition: &str, name: &str) -> PathBuf {
        let mut path = self.root.path().to_path_buf();
        // Joining an empty name would end the path in a separator.
        for part in [partition, name] {
            if !part.is_empty() {
                path.push(part);
            }
        }
        path
    }
}
