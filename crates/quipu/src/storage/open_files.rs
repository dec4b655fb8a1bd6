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
//!         │ id 3 │ id 7 │ id 9 │ free │   slots; each: lock, open file, "used" mark
//!         └──────┴──────┴──────┴──────┘
//!                          ▲ hand        looks for an unmarked slot, unmarking as it goes
//! ```
//!
//! # Invariants
//!
//! - The set never holds more files than its capacity. A file that left the set is closed when the
//!   last user drops it.
//! - A slot's lock is held for a few instructions only, never during I/O: a reader does not wait
//!   for the writer's files, nor for another reader's.
//! - After [`BlobFile::create`] or [`BlobFile::forget`] no call returns a file that was opened
//!   before.
//! - A file that leaves the set is not flushed: whoever has unflushed writes keeps the `Arc` until
//!   they are, so that the error of a flush is seen.
//!
//! # Cost
//!
//! [`BlobFile::get`] of an open file is one uncontended lock, one comparison and one reference
//! count. A file that is not open costs what the storage's open does, and the look at its header.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use super::data_blob::Found;
use super::{Access, DataBlob, Storage};
use crate::error::{Error, Result};
use crate::format::{Layout, section_name};

/// The most files a set holds, whatever is asked for: the slots are made at once, 32 bytes each.
const MAX_CAPACITY: usize = 1 << 16;

/// Unique in the process, so that caches can go by it.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// The set, and how its files are opened.
#[derive(Debug)]
pub(crate) struct OpenFiles {
    storage: Arc<dyn Storage>,
    access: Access,
    layout: Layout,
    slots: Box<[Slot]>,
    /// Who changes which file is in which slot holds this.
    hand: Mutex<Hand>,
    /// Held while a file is created, so that two threads that find the same interrupted creation
    /// do not both put it right.
    creating: Mutex<()>,
}

#[derive(Debug, Default)]
struct Slot {
    file: RwLock<Option<OpenFile>>,
    /// Used since the hand came by.
    used: AtomicBool,
}

#[derive(Debug)]
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
        })
    }

    /// The storage that the files are in.
    pub(crate) fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// How many files the set holds now.
    pub(crate) fn open_count(&self) -> usize {
        self.hand.lock().open
    }

    /// What the files are opened for.
    pub(crate) fn access(&self) -> Access {
        self.access
    }

    /// The slot to use next: a free one, else one that was not used lately and that nobody holds,
    /// else any. The files in use are passed over because taking them out closes nothing.
    fn free_slot(&self, hand: &mut Hand) -> usize {
        if hand.open < self.slots.len() {
            let is_free = |slot: &Slot| slot.file.read().is_none();
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
    fn fill(&self, hand: &mut Hand, at: usize, file: OpenFile) -> Option<OpenFile> {
        let slot = self.slots.get(at)?;
        let before = slot.file.write().replace(file);
        slot.used.store(true, Ordering::Relaxed);
        hand.open += usize::from(before.is_none());
        before
    }

    fn empty(&self, hand: &mut Hand, at: usize) -> Option<OpenFile> {
        let before = self.slots.get(at)?.file.write().take();
        hand.open -= usize::from(before.is_some());
        before
    }
}

impl Slot {
    /// Whether nobody used the file since the hand came by, nor holds it now. Takes the mark away.
    fn is_idle(&self) -> bool {
        let marked = self.used.swap(false, Ordering::Relaxed);
        let unheld = |file: &OpenFile| Arc::strong_count(&file.blob) == 1;
        !marked && self.file.read().as_ref().is_none_or(unheld)
    }
}

/// One section file: opened when needed, kept in the bounded set, closed when others are needed
/// more.
#[derive(Debug)]
pub(crate) struct BlobFile {
    files: Arc<OpenFiles>,
    partition: Arc<str>,
    section: u64,
    id: u64,
    /// The slot that this file was last seen in; the slot's id tells whether it still is.
    place: AtomicU32,
    /// Counts creations and forgets. A file that was opened before the last of them is stale.
    era: AtomicU32,
}

impl BlobFile {
    /// Names the file of a section; opens nothing.
    pub(crate) fn new(files: &Arc<OpenFiles>, partition: &Arc<str>, section: u64) -> Self {
        Self {
            files: files.clone(),
            partition: partition.clone(),
            section,
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            place: AtomicU32::new(0),
            era: AtomicU32::new(0),
        }
    }

    /// A number that no other file of this process has or will have.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// The open file; opened if it is not.
    ///
    /// Errors as [`DataBlob::open`].
    pub(crate) fn get(&self) -> Result<Arc<DataBlob>> {
        match self.in_set() {
            Some(blob) => Ok(blob),
            None => self.open(),
        }
    }

    /// Creates the file with no data, in place of one that may be there.
    ///
    /// Errors as [`DataBlob::create`], and [`Error::ReadOnly`] in a set for reading.
    pub(crate) fn create(&self) -> Result<Arc<DataBlob>> {
        let name = section_name(self.section);
        let files = &*self.files;
        if files.access == Access::Read {
            return Err(Error::ReadOnly { path: self.path() });
        }
        let created = {
            let _creating = files.creating.lock();
            DataBlob::create(&*files.storage, &self.partition, &name, files.layout)
        };
        // A failed creation may have replaced the file all the same.
        let blob = Arc::new(created.inspect_err(|_| self.forget())?);
        let mut hand = files.hand.lock();
        self.era.fetch_add(1, Ordering::Relaxed);
        let old = self.keep(&mut hand, &blob);
        drop(hand);
        drop(old);
        Ok(blob)
    }

    /// Takes the file out of the set; the next [`get`](Self::get) opens it again.
    pub(crate) fn forget(&self) {
        let mut hand = self.files.hand.lock();
        self.era.fetch_add(1, Ordering::Relaxed);
        let old = match self.in_set() {
            Some(_) => self.files.empty(&mut hand, self.place()),
            None => None,
        };
        drop(hand);
        drop(old);
    }

    /// What errors call this file.
    pub(crate) fn path(&self) -> PathBuf {
        let name = section_name(self.section);
        self.files.storage.path(&self.partition, &name)
    }

    /// The partition that the file is in.
    pub(crate) fn partition(&self) -> &str {
        &self.partition
    }

    /// The section that the file belongs to.
    pub(crate) fn section(&self) -> u64 {
        self.section
    }

    /// The set that the file is kept in.
    pub(crate) fn files(&self) -> &Arc<OpenFiles> {
        &self.files
    }

    fn place(&self) -> usize {
        self.place.load(Ordering::Relaxed) as usize
    }

    fn in_set(&self) -> Option<Arc<DataBlob>> {
        let slot = self.files.slots.get(self.place())?;
        let file = slot.file.read();
        let file = file.as_ref().filter(|file| file.id == self.id)?;
        // Read first: readers that find the mark set then share the line.
        if !slot.used.load(Ordering::Relaxed) {
            slot.used.store(true, Ordering::Relaxed);
        }
        Some(file.blob.clone())
    }

    #[cold]
    fn open(&self) -> Result<Arc<DataBlob>> {
        loop {
            let era = self.era.load(Ordering::Relaxed);
            let opened = self.open_now()?;
            let mut hand = self.files.hand.lock();
            // Another thread may have opened it meanwhile.
            if let Some(blob) = self.in_set() {
                return Ok(blob);
            }
            if self.era.load(Ordering::Relaxed) == era {
                let blob = Arc::new(opened);
                let old = self.keep(&mut hand, &blob);
                drop(hand);
                drop(old);
                return Ok(blob);
            }
        }
    }

    fn open_now(&self) -> Result<DataBlob> {
        let name = section_name(self.section);
        let files = &*self.files;
        let storage = &*files.storage;
        match DataBlob::find(storage, &self.partition, &name, files.access)? {
            Found::Whole(blob) => Ok(blob),
            Found::Interrupted(blob) if files.access == Access::Read => {
                Ok(DataBlob::hollow(blob, files.layout))
            }
            Found::Interrupted(_) => {
                let _creating = files.creating.lock();
                // Looks again: another thread may have created it by now.
                DataBlob::open(storage, &self.partition, &name, files.access, files.layout)
            }
        }
    }

    /// Puts the file into the set, in place of an older handle of it if there is one.
    fn keep(&self, hand: &mut Hand, blob: &Arc<DataBlob>) -> Option<OpenFile> {
        let at = match self.in_set() {
            Some(_) => self.place(),
            None => self.files.free_slot(hand),
        };
        self.place.store(at as u32, Ordering::Relaxed);
        let file = OpenFile {
            id: self.id,
            blob: blob.clone(),
        };
        self.files.fill(hand, at, file)
    }
}

impl Drop for BlobFile {
    fn drop(&mut self) {
        // Without the look, 100,000 closed sections would take the lock for nothing.
        if self.in_set().is_some() {
            self.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::thread;

    use super::*;
    use crate::storage::data_blob::tests::{everywhere, plant};
    use crate::storage::suite::expect_error;
    use crate::storage::{Memory, OpenMode};

    fn set(storage: Arc<dyn Storage>, capacity: usize) -> Arc<OpenFiles> {
        OpenFiles::new(storage, capacity, Access::Write, Layout::V1)
    }

    /// The files of sections 0 to `count`, created, each with its number as data.
    fn sections(files: &Arc<OpenFiles>, count: u64) -> Vec<BlobFile> {
        let partition: Arc<str> = "p".into();
        let create = |section| {
            let file = BlobFile::new(files, &partition, section);
            let blob = file.create().unwrap();
            let number = section.to_be_bytes();
            blob.write_at(&[IoSlice::new(&number)], 0).unwrap();
            file
        };
        (0..count).map(create).collect()
    }

    fn number_in(blob: &DataBlob) -> u64 {
        let mut bytes = [0; 8];
        blob.read_at(&mut bytes, 0).unwrap();
        u64::from_be_bytes(bytes)
    }

    /// How many handles to files this process has below a folder.
    #[cfg(target_os = "linux")]
    fn handles(below: &std::path::Path) -> usize {
        let links = std::fs::read_dir("/proc/self/fd").unwrap();
        let targets = links.filter_map(|link| std::fs::read_link(link.ok()?.path()).ok());
        targets
            .filter(|t| t.starts_with(below) && t != below)
            .count()
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_bound_is_one_of_real_files() {
        let folder = tempfile::TempDir::new().unwrap();
        let disk = super::super::Disk::open(folder.path()).unwrap();
        let files = set(Arc::new(disk), 7);
        let sections = sections(&files, 50);
        for i in (0..500).map(|i| i * 17 % 50) {
            assert_eq!(number_in(&sections[i].get().unwrap()), i as u64);
            assert_eq!((files.open_count(), handles(folder.path())), (7, 7));
        }
        drop(sections);
        assert_eq!((files.open_count(), handles(folder.path())), (0, 0));
    }

    #[test]
    fn files_in_use_and_files_used_lately_stay() {
        let files = set(Arc::new(Memory::new()), 4);
        let sections = sections(&files, 20);
        let held = sections[0].get().unwrap();
        let mut lately = sections[1].get().unwrap();
        for section in &sections[2..] {
            section.get().unwrap();
            assert!(Arc::ptr_eq(&held, &sections[0].get().unwrap()));
            let again = sections[1].get().unwrap();
            assert!(Arc::ptr_eq(&lately, &again));
            lately = again;
        }
    }

    #[test]
    fn more_files_in_use_than_places() {
        let files = set(Arc::new(Memory::new()), 3);
        let sections = sections(&files, 10);
        let held: Vec<_> = sections.iter().map(|s| s.get().unwrap()).collect();
        for (i, blob) in held.iter().enumerate() {
            assert_eq!(number_in(blob), i as u64);
        }
        assert_eq!(files.open_count(), 3);
        assert_eq!(number_in(&sections[0].get().unwrap()), 0);
    }

    #[test]
    fn create_and_forget_leave_no_stale_file() {
        everywhere(|storage| {
            let files = set(storage.clone(), 4);
            let section = &sections(&files, 1)[0];
            let before = section.get().unwrap();
            let created = section.create().unwrap();
            assert!(Arc::ptr_eq(&created, &section.get().unwrap()));
            assert_eq!((created.len().unwrap(), number_in(&before)), (0, 0));
            assert_eq!(files.open_count(), 1);
            storage.remove("p", "0000000000000000").unwrap();
            section.forget();
            section.forget();
            assert_eq!(files.open_count(), 0);
            expect_error!(section.get(), Error::NotFound { .. });
        });
    }

    #[test]
    fn names_and_ids() {
        let storage: Arc<dyn Storage> = Arc::new(Memory::new());
        let files = set(storage.clone(), usize::MAX);
        let partition: Arc<str> = "p".into();
        let a = BlobFile::new(&files, &partition, u64::MAX);
        let b = BlobFile::new(&files, &partition, u64::MAX);
        assert!(a.id() != b.id() && size_of::<BlobFile>() <= 48);
        assert_eq!((a.partition(), a.section()), ("p", u64::MAX));
        assert_eq!(a.path(), storage.path("p", "ffffffffffffffff"));
        assert!(Arc::ptr_eq(a.files(), &files) && Arc::ptr_eq(files.storage(), &storage));
    }

    #[test]
    fn a_set_for_reading_changes_nothing() {
        everywhere(|storage| {
            plant(&*storage, "0000000000000000", b"CW");
            let files = OpenFiles::new(storage.clone(), 0, Access::Read, Layout::V1);
            assert_eq!(files.access(), Access::Read);
            let section = BlobFile::new(&files, &"p".into(), 0);
            assert_eq!(section.get().unwrap().len().unwrap(), 0);
            expect_error!(section.create(), Error::ReadOnly { .. });
            let blob = storage
                .open("p", "0000000000000000", OpenMode::Read)
                .unwrap();
            assert_eq!(blob.len().unwrap(), 2);
        });
    }

    #[test]
    fn many_threads_see_the_right_files() {
        let files = set(Arc::new(Memory::new()), 5);
        let sections = sections(&files, 16);
        thread::scope(|scope| {
            for thread in 0..4 {
                let sections = &sections;
                scope.spawn(move || {
                    for i in (0..4000).map(|i| (i * 7 + i / 50 + thread) % 16) {
                        assert_eq!(number_in(&sections[i].get().unwrap()), i as u64);
                    }
                });
            }
        });
        assert_eq!(files.open_count(), 5);
    }

    /// Readers that open a file while the writer creates it anew never go back to the old one.
    #[test]
    fn readers_follow_a_file_that_is_created_anew() {
        let files = set(Arc::new(Memory::new()), 1);
        let sections = sections(&files, 2);
        let round = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    loop {
                        let least = round.load(Ordering::Acquire);
                        let found = sections[0].get().unwrap().len().unwrap();
                        assert!(found >= least, "{found} after {least}");
                        sections[1].get().unwrap(); // pushes the other one out
                        if least == 2000 {
                            break;
                        }
                    }
                });
            }
            for len in 1..=2000 {
                // As a creation, but it never shows a shorter file.
                plant(
                    &**files.storage(),
                    "new",
                    &[&Layout::V1.encode()[..], &vec![0; len]].concat(),
                );
                files
                    .storage()
                    .rename("p", "new", "0000000000000000")
                    .unwrap();
                sections[0].forget();
                round.store(len as u64, Ordering::Release);
            }
        });
    }
}
