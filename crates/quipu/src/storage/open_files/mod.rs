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
//! # Invariants
//!
//! - The set never holds more files than its capacity. A file that left the set is closed when the
//!   last user drops it.
//! - A slot is read without a lock: a reader does not wait for the writer's files, nor for another
//!   reader's, and changes no memory that others read.
//! - After [`BlobFile::create`] or [`BlobFile::forget`] no call returns a file that was opened
//!   before, but for one that was [pinned](BlobFile::pin).
//! - A file that leaves the set is not flushed: whoever has unflushed writes keeps the `Arc` until
//!   they are, so that the error of a flush is seen.
//!
//! # Cost
//!
//! [`BlobFile::with`] of an open file is one load that announces itself in the thread's own memory (the
//! method of the crate `arc-swap`) and one comparison; [`BlobFile::get`] is one reference count more. A file that is not open costs what the storage's open does, and the look at its header.

mod blob_file;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::{Access, DataBlob, Storage};
use crate::error::{Error, Result};
use crate::format::{Layout, section_name};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{ArcSwapOption, Mutex, OnceLock};

pub(crate) use self::blob_file::BlobFile;

/// The most files a set holds, whatever is asked for: the slots are made at once, 32 bytes each.
const MAX_CAPACITY: usize = 1 << 16;

/// The set, and how its files are opened.
pub(crate) struct OpenFiles {
    storage: Arc<dyn Storage>,
    access: Access,
    layout: Layout,
    slots: Box<[Slot]>,
    /// Who changes which file is in which slot holds this.
    hand: Mutex<Hand>,
    /// Held while a file is created, so that two threads that find the same interrupted creation
    /// do not both put it right. Files that are [prepared](BlobFile::prepare), by partition and section.
    creating: Mutex<BTreeSet<(Arc<str>, u64)>>,
    /// Asked after a file was opened, whether it is the one that is meant.
    guard: OnceLock<Guard>,
}

/// Whether what has a file's name by now is still what the set's user means.
type Guard = Box<dyn Fn() -> Result<()> + Send + Sync>;

#[derive(Default)]
struct Slot {
    file: ArcSwapOption<OpenFile>,
    /// Used since the hand came by.
    used: AtomicBool,
}

struct OpenFile {
    id: u64,
    blob: Arc<DataBlob>,
}

#[derive(Debug, Default)]
struct Hand {
    /// The slot to look at next.
    at: usize,
    /// How many slots hold a file.
    open: usize,
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
        let capacity = capacity.clamp(1, MAX_CAPACITY);
        Arc::new(Self {
            storage,
            access,
            layout,
            slots: (0..capacity).map(|_| Slot::default()).collect(),
            hand: Mutex::default(),
            creating: Mutex::default(),
            guard: OnceLock::new(),
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

    /// The most files that the set holds.
    pub(crate) fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// How many files the set holds now.
    pub(crate) fn open_count(&self) -> usize {
        self.hand.lock().open
    }

    /// Bytes of memory of the set itself.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.slots)
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
        self.access
    }

    /// The slot to use next: a free one, else one that was not used lately and that nobody holds,
    /// else any. The files in use are passed over because taking them out closes nothing.
    fn free_slot(&self, hand: &mut Hand) -> usize {
        if hand.open < self.slots.len() {
            let is_free = |slot: &Slot| slot.file.load().is_none();
            return self.turn(hand, is_free).unwrap_or(0);
        }
        // The first turn takes the marks away, so that the second finds what nobody holds.
        self.turn(hand, Slot::is_idle)
            .or_else(|| self.turn(hand, Slot::is_idle))
            .or_else(|| self.turn(hand, |_| true))
            .unwrap_or(0)
    }

    /// Moves the hand on, once around at most, to behind a slot that is `wanted`.
    fn turn(&self, hand: &mut Hand, wanted: impl Fn(&Slot) -> bool) -> Option<usize> {
        for _ in 0..self.slots.len() {
            let at = hand.at;
            hand.at = if at + 1 < self.slots.len() { at + 1 } else { 0 };
            if self.slots.get(at).is_some_and(&wanted) {
                return Some(at);
            }
        }
        None
    }

    /// Puts a file into a slot. What was there is returned, to be dropped without the lock: that
    /// may close it.
    fn fill(&self, hand: &mut Hand, at: usize, file: OpenFile) -> Option<Arc<OpenFile>> {
        let slot = self.slots.get(at)?;
        let before = slot.file.swap(Some(Arc::new(file)));
        // Unmarked until it is asked for again: files that are read once, one after the other, do
        // not push out those in daily use. The hand has just left the slot, so its turn is last.
        slot.used.store(false, Ordering::Relaxed);
        hand.open += usize::from(before.is_none());
        before
    }

    fn empty(&self, hand: &mut Hand, at: usize) -> Option<Arc<OpenFile>> {
        let before = self.slots.get(at)?.file.swap(None);
        hand.open -= usize::from(before.is_some());
        before
    }
}

impl fmt::Debug for OpenFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenFiles")
            .field("storage", &self.storage)
            .field("capacity", &self.slots.len())
            .finish_non_exhaustive()
    }
}

impl Slot {
    /// Whether nobody used the file since the hand came by, nor holds it now. Takes the mark away.
    fn is_idle(&self) -> bool {
        let marked = self.used.swap(false, Ordering::Relaxed);
        let unheld = |file: &Arc<OpenFile>| Arc::strong_count(&file.blob) == 1;
        !marked && self.file.load().as_ref().is_none_or(unheld)
    }
}
