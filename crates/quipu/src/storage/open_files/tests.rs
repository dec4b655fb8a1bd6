//! The set's bound, its choice of victims, and races with a writer.

use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::Weak;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::*;
use crate::error::{Error, Result};
use crate::storage::data_blob::tests::{everywhere, plant};
use crate::storage::suite::expect_error;
use crate::storage::{Blob, Lock, Memory, OpenMode};

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
    let mut lately: Weak<DataBlob> = Arc::downgrade(&sections[1].get().unwrap());
    for section in &sections[2..] {
        lately = match lately.upgrade() {
            Some(blob) if Arc::ptr_eq(&blob, &sections[1].get().unwrap()) => lately,
            _ => panic!("closed, though used a moment ago"),
        };
        section.get().unwrap();
    }
    assert!(Arc::ptr_eq(&held, &sections[0].get().unwrap()));
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

fn number_read(file: &BlobFile) -> Result<u64> {
    let mut bytes = Vec::new();
    file.read_into(&mut bytes, 0, 8)?;
    Ok(u64::from_be_bytes(bytes.try_into().unwrap()))
}

#[test]
fn closed_files_are_read_through_their_windows() {
    let storage = Arc::new(Interfering::default());
    let files = set(storage.clone(), 3);
    let sections = sections(&files, 20);
    let before_windows = files.memory();
    let read_all = || {
        for (number, section) in (0..).zip(&sections) {
            assert_eq!(number_read(section).unwrap(), number);
        }
        storage.opens.load(Ordering::Relaxed)
    };
    // Files that were opened before the set was full have none yet.
    let opened = read_all();
    assert_eq!(read_all(), opened);
    assert_eq!(files.open_count(), 3);
    assert!(files.memory() > before_windows);
    // What a window does not show is read from the file.
    let section = &sections[5];
    expect_error!(
        section.read_into(&mut Vec::new(), 3, 6),
        Error::OutOfBounds {
            offset: 3,
            wanted: 6,
            len: 8,
            ..
        }
    );
    assert_eq!(storage.opens.load(Ordering::Relaxed), opened + 1);
}

#[test]
fn create_and_forget_leave_no_stale_window() {
    everywhere(|storage| {
        let files = set(storage.clone(), 1);
        let sections = sections(&files, 3);
        let read_often = || {
            (0..100).for_each(|nth| drop(number_read(&sections[nth % 3])));
        };
        read_often();
        sections[0].create().unwrap();
        read_often();
        expect_error!(number_read(&sections[0]), Error::OutOfBounds { .. });
        storage
            .rename("p", "0000000000000001", "0000000000000002")
            .unwrap();
        sections[2].forget();
        sections[0].get().unwrap();
        assert_eq!(number_read(&sections[2]).unwrap(), 1);
        sections[1].forget();
        expect_error!(number_read(&sections[1]), Error::NotFound { .. });
        read_often();
        sections.iter().for_each(BlobFile::forget);
        assert_eq!(files.hands.lock().windows.members(), 0);
    });
}

#[test]
fn names_and_ids() {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    let files = set(storage.clone(), usize::MAX);
    let partition: Arc<str> = "p".into();
    let a = BlobFile::new(&files, &partition, u64::MAX);
    let b = BlobFile::new(&files, &partition, u64::MAX);
    assert!(a.id != b.id && size_of::<BlobFile>() <= 72);
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

/// A memory that does something of the test's, once, right after it opened a blob; and counts what it opened.
#[derive(Default)]
struct Interfering {
    memory: Memory,
    after_open: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    opens: AtomicUsize,
}

impl std::fmt::Debug for Interfering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.memory.fmt(f)
    }
}

impl Storage for Interfering {
    fn open(&self, partition: &str, name: &str, mode: OpenMode) -> Result<Arc<dyn Blob>> {
        let blob = self.memory.open(partition, name, mode);
        self.opens.fetch_add(1, Ordering::Relaxed);
        let interfere = self.after_open.lock().take();
        if let Some(interfere) = interfere {
            interfere();
        }
        blob
    }
    fn remove(&self, partition: &str, name: &str) -> Result<()> {
        self.memory.remove(partition, name)
    }
    fn rename(&self, partition: &str, from: &str, to: &str) -> Result<()> {
        self.memory.rename(partition, from, to)
    }
    fn list(&self, partition: &str) -> Result<Vec<String>> {
        self.memory.list(partition)
    }
    fn sync_partition(&self, partition: &str) -> Result<()> {
        self.memory.sync_partition(partition)
    }
    fn remove_partition(&self, partition: &str) -> Result<()> {
        self.memory.remove_partition(partition)
    }
    fn lock(&self, partition: &str, name: &str, holder: &str) -> Result<Box<dyn Lock>> {
        self.memory.lock(partition, name, holder)
    }
    fn path(&self, partition: &str, name: &str) -> PathBuf {
        self.memory.path(partition, name)
    }
}

/// A reader opens section 0; before it has put the file into the set, `interfere` happens.
fn get_while(interfere: impl FnOnce(&BlobFile) + Send + 'static) -> Result<Arc<DataBlob>> {
    let storage = Arc::new(Interfering::default());
    let files = set(storage.clone(), 2);
    let section = Arc::new(sections(&files, 1).remove(0));
    files
        .storage()
        .open("p", "other", OpenMode::Create)
        .unwrap();
    section.forget();
    let same = section.clone();
    *storage.after_open.lock() = Some(Box::new(move || interfere(&same)));
    section.get()
}

#[test]
fn a_reader_does_not_keep_what_was_replaced_while_it_opened() {
    let anew = get_while(|section| drop(section.create().unwrap())).unwrap();
    assert_eq!(anew.len().unwrap(), 0);
    let anew = get_while(|section| {
        section.create().unwrap();
        for other in [1, 2] {
            let other = BlobFile::new(section.files(), &"p".into(), other);
            other.create().unwrap();
            std::mem::forget(other); // stays in the set and pushes the first one out
        }
    });
    assert_eq!(anew.unwrap().len().unwrap(), 0);
    let gone = get_while(|section| {
        let storage = section.files().storage();
        storage.remove("p", "0000000000000000").unwrap();
        section.forget();
    });
    expect_error!(gone, Error::NotFound { .. });
}

#[test]
fn an_interrupted_creation_is_put_right_once() {
    let blob = get_while(|section| {
        let storage = section.files().storage();
        plant(&**storage, "0000000000000000", b"CW");
        let first = BlobFile::new(section.files(), &"p".into(), 0);
        first
            .get()
            .unwrap()
            .write_at(&[IoSlice::new(b"x")], 0)
            .unwrap();
    });
    assert_eq!(blob.unwrap().len().unwrap(), 1);
}
