//! One section file, by name: what the journals hold instead of an open file.

use std::path::PathBuf;
use std::sync::Arc;

use super::super::OpenMode;
use super::super::data_blob::{DataWindow, Found};
use super::clock::{Clock, Member};
use super::{Access, DataBlob, Hands, MAX_WINDOWS, OpenFiles};
use crate::error::{Error, Result};
use crate::format::{Layout, section_name};
use crate::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use crate::sync::{OnceLock, Unique};

/// Unique in the process, so that caches can go by it.
static IDS: Unique = Unique::new();

/// One section file: opened when needed, kept in the bounded set, closed when others are needed
/// more.
#[derive(Debug)]
pub(crate) struct BlobFile {
    files: Arc<OpenFiles>,
    partition: Arc<str>,
    section: u64,
    pub(super) id: u64,
    /// The slot that this file was last seen in; the slot's id tells whether it still is.
    place: AtomicU32,
    /// The same, of its window.
    window_place: AtomicU32,
    /// Counts creations and forgets. A file that was opened before the last of them is stale.
    era: AtomicU32,
    /// The file to go on with, whatever has the name by now.
    pinned: OnceLock<Arc<DataBlob>>,
    /// The layout that the file has, or is known to have, as its code.
    layout: AtomicU8,
}

impl BlobFile {
    /// Names the file of a section; opens nothing.
    pub(crate) fn new(files: &Arc<OpenFiles>, partition: &Arc<str>, section: u64) -> Self {
        Self {
            files: files.clone(),
            partition: partition.clone(),
            section,
            id: IDS.next(),
            place: AtomicU32::new(0),
            window_place: AtomicU32::new(0),
            era: AtomicU32::new(0),
            pinned: OnceLock::new(),
            layout: AtomicU8::new(Layout::code(None)),
        }
    }

    /// Tells the layout that the file had when its header was right.
    pub(crate) fn know_layout(&self, layout: Option<Layout>) {
        self.layout.store(Layout::code(layout), Ordering::Relaxed);
    }

    /// The layout that the file has, or is known to have; none while it was never opened.
    pub(crate) fn layout(&self) -> Option<Layout> {
        Layout::of_code(self.layout.load(Ordering::Relaxed))
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

    /// As [`get`](Self::get), for who looks again what is there: a file without a header may have been created
    /// anew since.
    pub(crate) fn get_again(&self) -> Result<Arc<DataBlob>> {
        if self.look_in_set(|blob| blob.is_hollow()) == Some(true) {
            self.forget();
        }
        self.get()
    }

    /// Appends `len` bytes of the data from `offset` on to `buf`; as [`DataBlob::read_into`]. The file is opened if it
    /// is not, and its window does not show them.
    #[inline]
    pub(crate) fn read_into(&self, buf: &mut Vec<u8>, offset: u64, len: usize) -> Result<()> {
        if let Some(done) = self.look_in_set(|blob| blob.read_into(buf, offset, len)) {
            return done;
        }
        let window = self.look_at_window(|window| window.read_into(buf, offset, len));
        match window == Some(true) {
            true => Ok(()),
            false => self.open()?.read_into(buf, offset, len),
        }
    }

    /// As [`Blob::mapped_at`](super::super::Blob::mapped_at), also of a file that is closed.
    #[inline]
    pub(crate) fn mapped_at(&self, offset: u64) -> Option<usize> {
        match self.look_in_set(|blob| blob.mapped_at(offset)) {
            Some(mapped) => mapped,
            None => self.look_at_window(|window| window.mapped_at(offset))?,
        }
    }

    /// What `read` makes of the open file; opened if it is not. It counts as held for that time only as far
    /// as it stays open: others may take its place in the set.
    #[inline]
    pub(crate) fn with<T>(&self, mut read: impl FnMut(&DataBlob) -> Result<T>) -> Result<T> {
        match self.look_in_set(|blob| read(blob)) {
            Some(done) => done,
            None => read(&*self.open()?),
        }
    }

    /// Creates the file with no data, in place of one that may be there.
    ///
    /// Errors as [`DataBlob::create`], and [`Error::ReadOnly`] in a set for reading.
    pub(crate) fn create(&self) -> Result<Arc<DataBlob>> {
        let name = section_name(self.section);
        let files = &*self.files;
        if files.access() == Access::Read {
            return Err(Error::ReadOnly { path: self.path() });
        }
        let created = {
            let mut prepared = files.creating.lock();
            let storage = &*files.storage;
            let is_prepared = prepared.remove(&(self.partition.clone(), self.section));
            let open = || DataBlob::open_created(storage, &self.partition, &name, files.layout);
            match is_prepared.then(open) {
                // Somebody has removed it.
                None | Some(Err(Error::NotFound { .. })) => {
                    DataBlob::create(storage, &self.partition, &name, files.layout)
                }
                Some(opened) => opened,
            }
        };
        // A failed creation may have replaced the file all the same.
        let blob = Arc::new(created.inspect_err(|_| self.forget())?);
        self.know_layout(Some(blob.layout()));
        let mut hands = files.hands.lock();
        self.era.fetch_add(1, Ordering::Release);
        let old = self.keep(&mut hands, &blob);
        drop(hands);
        drop(old);
        Ok(blob)
    }

    /// Creates the file ahead of [`create`](Self::create), which makes no file then. Where one is there
    /// already, leaves it as it is.
    pub(crate) fn prepare(&self) -> Result<()> {
        let name = section_name(self.section);
        let files = &*self.files;
        let storage = &*files.storage;
        let mut prepared = files.creating.lock();
        match storage.open(&self.partition, &name, OpenMode::Read) {
            Err(Error::NotFound { .. }) => {}
            other => return other.map(drop),
        }
        DataBlob::create(storage, &self.partition, &name, files.layout)?;
        prepared.insert((self.partition.clone(), self.section));
        Ok(())
    }

    /// Takes the file out of the set; the next [`get`](Self::get) opens it again.
    pub(crate) fn forget(&self) {
        let mut hands = self.files.hands.lock();
        self.era.fetch_add(1, Ordering::Release);
        let file = match self.is_in_set() {
            true => self.files.files.empty(&mut hands.files, self.place()),
            false => None,
        };
        let window = self.empty_window(&mut hands);
        drop(hands);
        drop((file, window));
    }

    /// Keeps the file that has the name now open for as long as this is used: the name is about to
    /// go to another.
    pub(crate) fn pin(&self) -> Result<()> {
        let blob = self.get()?;
        self.pinned.get_or_init(|| blob);
        Ok(())
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

    /// What no other file of the process has, while this is there or later.
    pub(crate) fn id(&self) -> u64 {
        self.id
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
        self.look_in_set(Arc::clone)
    }

    fn is_in_set(&self) -> bool {
        self.look_in_set(|_| ()).is_some()
    }

    /// What `look` makes of the open file, if it is in the set.
    #[inline]
    fn look_in_set<T>(&self, look: impl FnOnce(&Arc<DataBlob>) -> T) -> Option<T> {
        self.files.files.look(self.place(), self.id, look)
    }

    /// What `look` makes of the file's window, if that is kept.
    fn look_at_window<T>(&self, look: impl FnOnce(&Arc<DataWindow>) -> T) -> Option<T> {
        let place = self.window_place.load(Ordering::Relaxed);
        self.files
            .windows
            .get()?
            .look(place as usize, self.id, look)
    }

    #[cold]
    fn open(&self) -> Result<Arc<DataBlob>> {
        loop {
            let era = self.era.load(Ordering::Acquire);
            let window = self.look_at_window(Arc::clone);
            let opened = self.open_now(window.as_deref());
            // Before an error counts, too: that a file is gone may be because of it.
            self.files.guard.get().map_or(Ok(()), |guard| guard())?;
            // After the name was looked up: it goes to another file only once this one is pinned.
            if let Some(blob) = self.pinned.get() {
                return Ok(Arc::clone(blob));
            }
            let opened = opened?;
            let mut hands = self.files.hands.lock();
            // Another thread may have opened it meanwhile.
            if let Some(blob) = self.in_set() {
                return Ok(blob);
            }
            if self.era.load(Ordering::Acquire) == era {
                self.know_layout(Some(opened.layout()));
                let blob = Arc::new(opened);
                let old = self.keep(&mut hands, &blob);
                drop(hands);
                drop(old);
                return Ok(blob);
            }
        }
    }

    fn open_now(&self, window: Option<&DataWindow>) -> Result<DataBlob> {
        let name = section_name(self.section);
        let files = &*self.files;
        let storage = &*files.storage;
        let known = self.layout();
        let access = files.access();
        let found = DataBlob::find(storage, &self.partition, &name, access, known, window)?;
        match found {
            Found::Whole(blob) => Ok(blob),
            Found::Interrupted(blob) if access == Access::Read => {
                Ok(DataBlob::hollow(blob, files.layout))
            }
            Found::Interrupted(_) => {
                let _creating = files.creating.lock();
                // Looks again: another thread may have created it by now.
                DataBlob::open(storage, &self.partition, &name, access, files.layout, known)
            }
        }
    }

    /// Puts the file into the set, in place of an older handle of it if there is one, and its window beside it once
    /// the set is full. What leaves is returned.
    fn keep(&self, hands: &mut Hands, blob: &Arc<DataBlob>) -> Left {
        let files = &self.files.files;
        let at = match self.is_in_set() {
            true => self.place(),
            false => files.free_slot(&mut hands.files),
        };
        self.place.store(at as u32, Ordering::Relaxed);
        let file = files.fill(&mut hands.files, at, self.id, Arc::clone(blob));
        let is_full = hands.files.members() >= files.capacity();
        let window = match blob.window().filter(|_| is_full) {
            Some(window) => self.keep_window(hands, window),
            None => self.empty_window(hands),
        };
        (file, window)
    }

    fn keep_window(
        &self,
        hands: &mut Hands,
        window: DataWindow,
    ) -> Option<Arc<Member<DataWindow>>> {
        let windows = self.files.windows.get_or_init(|| Clock::new(MAX_WINDOWS));
        let at = match self.look_at_window(|_| ()) {
            Some(()) => self.window_place.load(Ordering::Relaxed) as usize,
            None => windows.free_slot(&mut hands.windows),
        };
        self.window_place.store(at as u32, Ordering::Relaxed);
        windows.fill(&mut hands.windows, at, self.id, Arc::new(window))
    }

    fn empty_window(&self, hands: &mut Hands) -> Option<Arc<Member<DataWindow>>> {
        self.look_at_window(|_| ())?;
        let at = self.window_place.load(Ordering::Relaxed) as usize;
        self.files.windows.get()?.empty(&mut hands.windows, at)
    }
}

/// What left the two sets.
type Left = (
    Option<Arc<Member<DataBlob>>>,
    Option<Arc<Member<DataWindow>>>,
);

impl Drop for BlobFile {
    fn drop(&mut self) {
        // Without the look, 100,000 closed sections would take the lock for nothing.
        if self.is_in_set() || self.look_at_window(|_| ()).is_some() {
            self.forget();
        }
    }
}
