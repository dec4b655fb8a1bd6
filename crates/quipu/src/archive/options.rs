//! How an archive is opened.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::adopt;
use super::compression::Compression;
use super::handle::Archive;
use super::memory_limits::{KeyMemory, MemoryLimits};
use super::read_only::ReadOnly;
use super::recovery::Recovery;
use super::settings;
use crate::commit_log;
use crate::error::{Error, Result};
use crate::format::{Layout, MAX_VALUE_SIZE};
use crate::index::TranslatorSpec;
use crate::key::Key;
use crate::manifest::check_partitions;
use crate::paged::PageCache;
use crate::storage::{DEFAULT_FILE_MODE, Disk, MAX_BLOB_LEN, Storage, check_file_mode};
use crate::value::Value;

const DEFAULT_WRITE_BUFFER_BYTES: usize = 1 << 20;
const DEFAULT_OPEN_FILES: usize = 512;
const MIN_OPEN_FILES: usize = 8;
const DEFAULT_KEYS_PER_TABLE: u64 = 1 << 17;
/// Files that an archive has open beside those of sections: folder, lock, marks, one for a moment.
const OTHER_FILES: usize = 4;
/// Files that key tables are left of those that may be open, and with fewer than so many there are none.
const TABLE_FILES: usize = 24;
const MIN_FILES_WITH_TABLES: usize = 32;

/// How to open or create an archive.
///
/// The *settings* are kept by the archive: they count when it is created, and when it is opened
/// again one that is given and differs is [`Error::Settings`]. The *limits* count for this open
/// alone.
///
/// ```
/// use quipu::{Archive, Bytes, Compression, Options};
///
/// let folder = tempfile::tempdir()?;
/// let archive: Archive<[u8; 32]> = Options::new()
///     .items_per_section(4096)
///     .compression(Compression::Zstd(3))
///     .open(folder.path().join("blocks"))?;
/// assert_eq!(archive.settings().items_per_section, 4096);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Options {
    pub(super) items_per_section: Option<u64>,
    pub(super) page_size: Option<u16>,
    pub(super) key_size: Option<usize>,
    pub(super) layout: Option<Layout>,
    pub(super) translator: Option<TranslatorSpec>,
    pub(super) partitions: (Option<String>, Option<String>),
    pub(super) metadata_partition: Option<String>,
    pub(super) compression: Option<Compression>,
    pub(super) memory: MemoryLimits,
    pub(super) keys_per_table: u64,
    pub(super) write_buffer: usize,
    pub(super) max_open_files: usize,
    pub(super) max_value_size: u32,
    pub(super) commit_log: commit_log::Limits,
    pub(super) disk_reserve: u64,
    pub(super) file_mode: u32,
    pub(super) mapped_reads: bool,
    pub(super) create: bool,
    pub(super) progress: Option<Progress>,
}

/// What is told of long work: (done, of all).
pub(super) type Progress = Arc<dyn Fn(u64, u64) + Send + Sync>;

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("items_per_section", &self.items_per_section)
            .field("page_size", &self.page_size)
            .field("key_size", &self.key_size)
            .field("layout", &self.layout)
            .field("partitions", &self.partitions)
            .field("compression", &self.compression)
            .field("memory", &self.memory)
            .field("keys_per_table", &self.keys_per_table)
            .field("write_buffer", &self.write_buffer)
            .field("max_open_files", &self.max_open_files)
            .field("max_value_size", &self.max_value_size)
            .field("commit_log", &self.commit_log)
            .field("disk_reserve", &self.disk_reserve)
            .field("file_mode", &format_args!("{:#o}", self.file_mode))
            .field("mapped_reads", &self.mapped_reads)
            .field("create", &self.create)
            .finish_non_exhaustive()
    }
}

/// Settings: kept by the archive.
impl Options {
    /// The defaults: 65,536 items a section, pages of 4,084 bytes, no compression, up to 64 MiB of index pages in
    /// memory and as much of key tables, write buffers of 1 MiB, 512 open files.
    pub fn new() -> Self {
        Self {
            items_per_section: None,
            page_size: None,
            key_size: None,
            layout: None,
            translator: None,
            partitions: (None, None),
            metadata_partition: None,
            compression: None,
            memory: MemoryLimits::default(),
            keys_per_table: DEFAULT_KEYS_PER_TABLE,
            write_buffer: DEFAULT_WRITE_BUFFER_BYTES,
            max_open_files: DEFAULT_OPEN_FILES,
            max_value_size: MAX_VALUE_SIZE,
            commit_log: commit_log::Limits::default(),
            disk_reserve: 0,
            file_mode: DEFAULT_FILE_MODE,
            mapped_reads: true,
            create: true,
            progress: None,
        }
    }

    /// How many indices one section spans, from 1 to `u64::MAX`. It is the unit of pruning.
    pub fn items_per_section(mut self, items: u64) -> Self {
        self.items_per_section = Some(items);
        self
    }

    /// Bytes of a page of the index files, without its checksums, from 1 to 65,535. With 4,084 a
    /// page takes 4,096 bytes on disk.
    pub fn page_size(mut self, bytes: u16) -> Self {
        self.page_size = Some(bytes);
        self
    }

    /// Bytes of a key; needed only to create an archive whose key type has no fixed size.
    pub fn key_size(mut self, bytes: usize) -> Self {
        self.key_size = Some(bytes);
        self
    }

    /// The header of new section files: [`Layout::V1`], or [`Layout::V0`] for readers of
    /// commonware-storage 2026.4.0.
    pub fn layout(mut self, layout: Layout) -> Self {
        self.layout = Some(layout);
        self
    }

    /// How keys are shortened in memory; `Hashed<EightCap>` with a random seed when not given.
    pub fn translator(mut self, translator: impl Into<TranslatorSpec>) -> Self {
        self.translator = Some(translator.into());
        self
    }

    /// The partitions (folders) of the index files and of the value files: `index` and `values`
    /// when not given.
    pub fn partitions(mut self, index: impl Into<String>, values: impl Into<String>) -> Self {
        self.partitions = (Some(index.into()), Some(values.into()));
        self
    }

    /// For [`adopt`](Self::adopt): the partition in which 2026.10.0 keeps marks of its own, where it
    /// is not called `metadata`.
    pub fn metadata_partition(mut self, name: impl Into<String>) -> Self {
        self.metadata_partition = Some(name.into());
        self
    }

    /// How values are stored, from the next new section on; the archive's own setting when not
    /// given, [`Compression::Off`] for a new one.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = Some(compression);
        self
    }
}

/// Limits: for this open alone.
impl Options {
    /// The cache for pages of index files; give the same to several archives and they share it.
    pub fn page_cache(mut self, cache: PageCache) -> Self {
        self.memory.pages = Some(cache);
        self
    }

    /// How much of the key tables is kept in memory.
    pub fn key_memory(mut self, memory: KeyMemory) -> Self {
        self.memory.keys = Some(memory);
        self
    }

    /// Bytes of pages that are kept in memory in all. Index files and key tables get the part that they have in an
    /// item, so that as many items are covered by both: with keys of 32 bytes, 64 MiB cover a million. A
    /// [page cache](Self::page_cache) or [key memory](Self::key_memory) that is given as well counts in place of its part.
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.memory.both = Some(bytes);
        self
    }

    /// How many durable keys are gathered before a table is made of them, at least 1; 131,072 when not
    /// given. Until then they are in memory, and read again at the next open if the process is killed.
    pub fn keys_per_table(mut self, keys: u64) -> Self {
        self.keys_per_table = keys;
        self
    }

    /// Bytes of values that a section gathers before it writes them to its file. Each section
    /// that has been put to since the last sync has a buffer of its own.
    pub fn write_buffer(mut self, bytes: usize) -> Self {
        self.write_buffer = bytes;
        self
    }

    /// How many files may be open at a time, at least 8. With fewer than 32 no key tables are made or
    /// read: all keys are in memory. Memory maps of closed files, 8,192 at most, count for nothing here: see
    /// [`mapped_reads`](Self::mapped_reads).
    pub fn max_open_files(mut self, files: usize) -> Self {
        self.max_open_files = files;
        self
    }

    /// The longest value that is taken or given, in bytes, before compression.
    pub fn max_value_size(mut self, bytes: u32) -> Self {
        self.max_value_size = bytes;
        self
    }

    /// Bytes of the commit log, which makes small syncs durable with one flush of a file that does not grow; 1 MiB when
    /// not given, from 16 KiB to 64 MiB, 0 for none.
    ///
    /// A sync is small that has at most a sixteenth of it to make durable, and the log is made once
    /// [so many](Self::commit_log_after) of them came in a row. From then on such a sync takes about a third of the time, and writes its bytes twice: into the log, and later, with those of
    /// others, to where they belong. When the log is full, and by a larger sync, the section files are flushed and it
    /// begins anew; a larger one fills less often. After a loss of power the next open brings what it holds to the
    /// section files.
    ///
    /// A sync of several sections, as of items that come in random order, would flush two files of each. It may have a
    /// quarter of these bytes for each section but one, and the log is made as many times as long as there are sections, the
    /// next power of two of that, 16 times or 64 MiB at most, until it is closed or opened again. A sync has no more than a quarter
    /// of the longest.
    ///
    /// Only so many sections wait in the log as a quarter of the [open files](Self::max_open_files): a put to one more flushes all
    /// of them, and takes as long. Items in random order over more sections than that gain little by it.
    pub fn commit_log_bytes(mut self, bytes: u64) -> Self {
        self.commit_log.bytes = bytes;
        self
    }

    /// After how many small syncs in a row the commit log is used; 8 when not given. One of several sections counts for as
    /// many. An archive that is synced now and then does without.
    pub fn commit_log_after(mut self, syncs: u32) -> Self {
        self.commit_log.after = syncs;
        self
    }

    /// Bytes of disk that are kept for when it is full; 0, the default, keeps none and removes what
    /// an earlier open kept.
    ///
    /// They are written to a file `reserve` when the archive is opened for writing. When a call
    /// then finds the disk full, they are given back, and the call goes on. From there on
    /// [`put`](Archive::put), [`put_multi`](Archive::put_multi) and
    /// [`put_batch`](Archive::put_batch) are refused with [`Error::StorageFull`], before they
    /// change anything; reads, [`sync`](Archive::sync), [`prune`](Archive::prune) and
    /// [`rewind`](Archive::rewind) go on. Each of them, reads apart, tries to fill the reserve
    /// again, and puts go on once it is whole: after a prune, or when space was freed elsewhere.
    /// Where there is no room for it at the open, puts are refused from the start.
    ///
    /// It should be more than what can wait for a sync: the [write buffer](Self::write_buffer) and
    /// up to 4 MiB of entries for each section that is put to between two syncs, and some for the
    /// manifest and the marks, which are written anew as a whole; so is what the commit log keeps for
    /// files that are away, where one of several sections of these is put to. For a chain, which puts to one
    /// section, 16 MiB are plenty. A sync that needs more fails as without a reserve.
    ///
    /// Costs as much disk, and as much writing and one flush at the first open and whenever it is
    /// filled again.
    pub fn disk_reserve(mut self, bytes: u64) -> Self {
        self.disk_reserve = bytes;
        self
    }

    /// Which permissions new files get, where the archive is in a folder: of the bits `0o666`, the
    /// owner's both; [`Error::InvalidOption`] when it is opened with others. New folders get the
    /// same, and may be searched by whom it lets read or write. `0o600`, the default, is the owner
    /// alone; with `0o640` the group can read.
    ///
    /// The process's umask takes bits away, as from all files. What exists keeps its permissions.
    pub fn file_mode(mut self, mode: u32) -> Self {
        self.file_mode = mode;
        self
    }

    /// Whether small reads of files in a folder may go through memory maps, where the system has them;
    /// they may, unless this says otherwise. See
    /// [`Disk::with_mapped_reads`](crate::storage::Disk::with_mapped_reads), also for the handler of SIGBUS
    /// that comes with them.
    pub fn mapped_reads(mut self, mapped: bool) -> Self {
        self.mapped_reads = mapped;
        self
    }

    /// Whether to create an archive where there is none; otherwise that is
    /// [`Error::NotAnArchive`].
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Called with (done, of all) in sections while an archive is opened or adopted.
    pub fn progress(mut self, progress: impl Fn(u64, u64) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(progress));
        self
    }
}

/// Opening.
impl Options {
    /// Opens the archive in a folder, for writing; creates it where there is none.
    ///
    /// After a clean end costs the names of all files and the runs of stored indices. After a killed process also a look at the
    /// lengths of all files, and the entries of sections with keys that no table has: up to some hundred thousand where indices
    /// follow each other, all of every section that was put to where they come in random order. Values are not read.
    pub fn open<K: Key, V: Value>(self, path: impl AsRef<Path>) -> Result<Archive<K, V>> {
        let disk = if self.create {
            self.check()?;
            if !path.as_ref().exists() {
                // Refused before a folder is made for it.
                settings::key_size(K::SIZE, &self, None)?;
            }
            Disk::create_with_mode(path, self.file_mode)?.with_mapped_reads(self.mapped_reads)
        } else {
            self.open_disk(path.as_ref())?
        };
        self.open_on(Arc::new(disk))
    }

    /// Opens the archive of a storage of any kind, for writing.
    pub fn open_on<K: Key, V: Value>(self, storage: Arc<dyn Storage>) -> Result<Archive<K, V>> {
        Archive::open_on(storage, self)
    }

    /// Opens the archive in a folder for reading, beside a writer in this or another process. It
    /// changes no file and takes no lock.
    pub fn open_read_only<K: Key, V: Value>(
        self,
        path: impl AsRef<Path>,
    ) -> Result<ReadOnly<K, V>> {
        let disk = self.open_disk(path.as_ref())?;
        self.open_read_only_on(Arc::new(disk))
    }

    /// Opens the archive of a storage of any kind for reading.
    pub fn open_read_only_on<K: Key, V: Value>(
        self,
        storage: Arc<dyn Storage>,
    ) -> Result<ReadOnly<K, V>> {
        ReadOnly::open_on(storage, self)
    }

    /// Turns a store of commonware-storage's prunable archive (2026.4.0 or 2026.10.0) into an
    /// archive, in place: no section is rewritten. Key size, page size, items per section and
    /// compression must be those the store was written with; a store that does not fit them is
    /// refused unchanged.
    ///
    /// Ends of files that a crash tore are cut, as the report tells; the partition of validation
    /// marks that 2026.10.0 keeps is renamed, so that it does not refuse the store later.
    ///
    /// Costs one pass over the index files, and over the values at the end of each section.
    pub fn adopt(self, path: impl AsRef<Path>) -> Result<Recovery> {
        let disk = self.open_disk(path.as_ref())?;
        self.adopt_on(Arc::new(disk))
    }

    /// As [`adopt`](Self::adopt), for a storage of any kind.
    pub fn adopt_on(self, storage: Arc<dyn Storage>) -> Result<Recovery> {
        adopt::adopt(storage, self)
    }

    pub(super) fn check(&self) -> Result<()> {
        let refuse = |option, reason: &str| {
            Err(Error::InvalidOption {
                option,
                reason: reason.to_owned(),
            })
        };
        if self.items_per_section == Some(0) {
            return refuse("items_per_section", "a section spans at least 1 index");
        }
        if self.page_size == Some(0) {
            return refuse("page_size", "a page has 1 to 65,535 bytes");
        }
        if self.max_open_files < MIN_OPEN_FILES {
            return refuse("max_open_files", "an archive needs at least 8 open files");
        }
        if self.keys_per_table == 0 {
            return refuse("keys_per_table", "a table is made of at least 1 key");
        }
        let log = self.commit_log.bytes;
        if log > 0 && !(commit_log::MIN_BYTES..=commit_log::MAX_BYTES).contains(&log) {
            return refuse("commit_log_bytes", "a commit log has 16 KiB to 64 MiB");
        }
        if self.disk_reserve > MAX_BLOB_LEN {
            return refuse("disk_reserve", "no file has more than 2^63 - 1 bytes");
        }
        check_file_mode(self.file_mode)?;
        let (index, values) = &self.partitions;
        check_partitions(
            index.as_deref().unwrap_or("index"),
            values.as_deref().unwrap_or("values"),
        )?;
        self.compression.map_or(Ok(()), Compression::check)
    }

    /// How many section files may be open at a time, and how many keys a table begins with, if any are made.
    pub(super) fn files_and_tables(&self) -> (usize, Option<u64>) {
        let files = self.max_open_files - OTHER_FILES;
        match self.max_open_files < MIN_FILES_WITH_TABLES {
            true => (files, None),
            false => (files - TABLE_FILES, Some(self.keys_per_table)),
        }
    }

    fn open_disk(&self, path: &Path) -> Result<Disk> {
        match Disk::open(path) {
            Err(Error::NotFound { path }) => Err(Error::NotAnArchive {
                path,
                reason: "there is no such folder".to_owned(),
            }),
            other => Ok(other?
                .with_file_mode(self.file_mode)?
                .with_mapped_reads(self.mapped_reads)),
        }
    }
}
