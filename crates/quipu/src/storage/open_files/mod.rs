//! The bounded set of open files of one archive or journal.
//!
//! A store may have 100,000 sections; few of them are used at a time. Files are opened when they
//! are needed and kept in a set of fixed size; the one that was not used for longest (about: a
//! clock, not a list) makes room for the next.
//!
//! ```text
//! BlobFile ──place──┐          OpenFiles
//!   id 7            ▼
//!         ┌──────┬──────┬──────┬──────┐
//!         │ id 3 │ id 7 │ id 9 │ free │   slots; each: open file, "used" mark
//!         └──────┴──────┴──────┴──────┘
//!                          ▲ hand        looks for an unmarked slot, unmarking as it goes
//! ```
//!
//! Once the set is full, a second one of the same kind, of fixed size too, keeps the files' *windows*: what can be
//! read of a file that is closed, memory maps on a disk. A look-up in a history of many sections then opens nothing.
//!
//! # Invariants
//!
//! - The set never holds more files than its capacity. A file that left the set is closed when the
//!   last user drops it.
//! - A slot is read without a lock: a reader does not wait for the writer's files, nor for another
//!   reader's, and changes no memory that others read.
//! - After [`BlobFile::create`] or [`BlobFile::forget`] no call returns a file that was opened
//!   before, or reads through a window to one, but for one that was [pinned](BlobFile::pin).
//! - A file that leaves the set is not flushed: whoever has unflushed writes keeps the `Arc` until
//!   they are, so that the error of a flush is seen.
//!
//! # Cost
//!
//! [`BlobFile::with`] of an open file is one load that announces itself in the thread's own memory (the
//! method of the crate `arc-swap`) and one comparison; [`BlobFile::get`] is one reference count more. A file that is not
//! open costs the same again where its window shows what is read, else what the storage's open does, and the look at its
//! header.

mod blob_file;
mod clock;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use self::clock::{Clock, Hand};
use super::data_blob::DataWindow;
use super::{Access, DataBlob, Storage};
use crate::error::{Error, Result};
use crate::format::{Layout, section_name};
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Mutex, OnceLock};

pub(crate) use self::blob_file::BlobFile;

/// The most files a set holds, whatever is asked for: the slots are made at once, 16 bytes each.
const MAX_CAPACITY: usize = 1 << 16;
/// Windows that are kept beside the open files: half of the memory maps that a process may have here.
const MAX_WINDOWS: usize = 1 << 13;

/// The set, and how its files are opened.
pub(crate) struct OpenFiles {
    storage: Arc<dyn Storage>,
    /// Whether files are opened for writing.
    writes: AtomicBool,
    layout: Layout,
    files: Clock<DataBlob>,
    /// Made once the files are as many as may be.
    windows: OnceLock<Clock<DataWindow>>,
    /// Who changes which file is in which slot holds this.
    hands: Mutex<Hands>,
    /// Held while a file is created, so that two threads that find the same interrupted creation
    /// do not both put it right. Files that are [prepared](BlobFile::prepare), by partition and section.
    creating: Mutex<BTreeSet<(Arc<str>, u64)>>,
    /// Asked after a file was opened, whether it is the one that is meant.
    guard: OnceLock<Guard>,
    /// Asked before data is cut from a file, until it has let one be.
    before_cut: Mutex<Option<BeforeCut>>,
    /// How many cuts were begun.
    cuts: AtomicU64,
}

/// Whether what has a file's name by now is still what the set's user means.
type Guard = Box<dyn Fn() -> Result<()> + Send + Sync>;

/// What is to be done before the first cut.
type BeforeCut = Box<dyn Fn() -> Result<()> + Send>;

/// The hands of both clocks.
#[derive(Debug, Default)]
struct Hands {
    files: Hand,
    windows: Hand,
}

impl OpenFiles {
    /// An empty set of at most `capacity` files (1 to 65,536; what lies outside is moved to the
    /// nearer end). Files that are created get the header `layout`.
    pub(crate) fn new(
        storage: Arc<dyn Storage>,
        capacity: usize,
        access: Access,
        layout: Layout,
    ) -> Arc<Self> {
        Arc::new(Self {
            storage,
            writes: AtomicBool::new(access == Access::Write),
            layout,
            files: Clock::new(capacity.clamp(1, MAX_CAPACITY)),
            windows: OnceLock::new(),
            hands: Mutex::default(),
            creating: Mutex::default(),
            guard: OnceLock::new(),
            before_cut: Mutex::default(),
            cuts: AtomicU64::new(0),
        })
    }

    /// The storage that the files are in.
    pub(crate) fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// From now on, no file is handed out that was opened when `guard` gave an error right after.
    /// Only the first guard counts.
    pub(crate) fn guard_with(&self, guard: impl Fn() -> Result<()> + Send + Sync + 'static) {
        self.guard.get_or_init(|| Box::new(guard));
    }

    /// From now on, nothing is cut from a file as long as `ask` gives an error; it is not called again once it gave none.
    pub(crate) fn ask_before_cut(&self, ask: Option<BeforeCut>) {
        *self.before_cut.lock() = ask;
    }

    /// To be called before data is cut from a file.
    pub(crate) fn begin_cut(&self) -> Result<()> {
        let Some(ask) = self.before_cut.lock().take() else {
            self.cuts.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        };
        let asked = ask();
        match asked {
            Ok(()) => _ = self.cuts.fetch_add(1, Ordering::Relaxed),
            Err(_) => _ = self.before_cut.lock().get_or_insert(ask),
        }
        asked
    }

    /// How many cuts were begun: one that failed may have been made, and not be durable.
    pub(crate) fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }

    /// The most files that the set holds.
    pub(crate) fn capacity(&self) -> usize {
        self.files.capacity()
    }

    /// How many files the set holds now.
    pub(crate) fn open_count(&self) -> usize {
        self.hands.lock().files.members()
    }

    /// Bytes of memory of the set itself, and of the windows.
    pub(crate) fn memory(&self) -> usize {
        let of_windows = self.windows.get().map_or(0, |windows| {
            windows.memory() + windows.each(DataWindow::memory).sum::<usize>()
        });
        size_of::<Self>() + self.files.memory() + of_windows
    }

    /// Removes the files of a partition that were prepared and not created, of sections that `goes` says; durable
    /// when it returns.
    pub(crate) fn discard_prepared(
        &self,
        partition: &str,
        goes: impl Fn(u64) -> bool,
    ) -> Result<()> {
        let mut discarded = BTreeSet::new();
        self.creating.lock().retain(|(of, section)| {
            let discards = &**of == partition && goes(*section);
            if discards {
                discarded.insert(*section);
            }
            !discards
        });
        for section in &discarded {
            match self.storage.remove(partition, &section_name(*section)) {
                // Somebody has removed it.
                Err(Error::NotFound { .. }) => {}
                removed => removed?,
            }
        }
        match discarded.is_empty() {
            true => Ok(()),
            false => self.storage.sync_partition(partition),
        }
    }

    /// What the files are opened for.
    pub(crate) fn access(&self) -> Access {
        match self.writes.load(Ordering::Acquire) {
            true => Access::Write,
            false => Access::Read,
        }
    }

    /// From now on files are opened for reading: they may be those of another writer.
    pub(crate) fn end_writes(&self) {
        self.writes.store(false, Ordering::Release);
    }
}

impl fmt::Debug for OpenFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenFiles")
            .field("storage", &self.storage)
            .field("capacity", &self.files.capacity())
            .finish_non_exhaustive()
    }
}
