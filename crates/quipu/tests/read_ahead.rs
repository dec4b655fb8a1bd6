//! Many items a call, of which nothing is in memory: read ahead, through io_uring where there is one.

use std::collections::BTreeSet;
use std::io::IoSlice;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use quipu::storage::{Blob, Disk, Memory, OpenMode, Read, Storage};
use quipu::{Archive, Id, Options, Result, Status};

use self::common::delegate::delegate;
use self::common::{key, mix, value};

mod common;

type Store = Archive<[u8; 8]>;

/// A storage that reads at once and never has anything in memory; notes what is read. Clones share it.
#[derive(Clone, Debug)]
struct Cold {
    inner: Arc<dyn Storage>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Reads that were made with others: path, offset, length.
    together: Vec<(PathBuf, u64, usize)>,
    /// Reads of one blob alone, those that were asked for with others and could not be made so included.
    alone: Vec<PathBuf>,
}

#[derive(Debug)]
struct ColdBlob {
    inner: Arc<dyn Blob>,
    seen: Arc<Mutex<Seen>>,
}

impl Cold {
    fn on(inner: impl Storage) -> Self {
        Self {
            inner: Arc::new(inner),
            seen: Arc::default(),
        }
    }

    fn open_archive(&self, options: &Options) -> Store {
        options.clone().open_on(Arc::new(self.clone())).unwrap()
    }

    /// What was read since this was asked last.
    fn take_seen(&self) -> Seen {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

impl Storage for Cold {
    fn open(&self, partition: &str, name: &str, mode: OpenMode) -> Result<Arc<dyn Blob>> {
        Ok(Arc::new(ColdBlob {
            inner: self.inner.open(partition, name, mode)?,
            seen: Arc::clone(&self.seen),
        }))
    }
    fn reads_at_once(&self) -> bool {
        true
    }
    fn read_many(&self, reads: &[Read<'_>]) -> Vec<Result<Vec<u8>>> {
        let place = |read: &Read<'_>| (read.blob.path().to_path_buf(), read.offset, read.len);
        self.seen
            .lock()
            .unwrap()
            .together
            .extend(reads.iter().map(place));
        self.inner.read_many(reads)
    }
    fn serves_side_by_side(&self) -> bool {
        self.inner.serves_side_by_side()
    }

    delegate!(inner: remove, rename, list, sync_partition, remove_partition, lock, path_of);
}

impl Blob for ColdBlob {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.seen
            .lock()
            .unwrap()
            .alone
            .push(self.path().to_path_buf());
        self.inner.read_at(buf, offset)
    }
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.inner.as_fd()
    }

    delegate!(inner: write_at, resize, sync, len, path);
}

/// Over memory, over a disk as it is, and over one without io_uring.
fn each(check: impl Fn(&Cold)) {
    check(&Cold::on(Memory::new()));
    for rings in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        check(&Cold::on(
            Disk::create(folder.path()).unwrap().with_io_uring(rings),
        ));
    }
}

fn put(archive: &mut Store, indices: impl Iterator<Item = u64>) {
    for index in indices {
        let value = value(index, 20 + index as usize % 700);
        let _ = archive.put(index, &key(index), &value).unwrap();
    }
}

/// Random ids of both kinds, some of nothing.
fn ids(keys: &[[u8; 8]], count: u64) -> Vec<Id<'_, [u8; 8]>> {
    let id = |nth| {
        let number = mix(nth) % keys.len() as u64;
        match nth % 2 {
            0 => Id::Index(number),
            _ => Id::Key(&keys[number as usize]),
        }
    };
    (0..count).map(id).collect()
}

fn assert_same(archive: &Store, ids: &[Id<'_, [u8; 8]>]) {
    let many = archive.get_many(ids.iter().copied()).unwrap();
    assert_eq!(many.len(), ids.len());
    for (id, many) in ids.iter().zip(many) {
        assert_eq!(many, archive.get(*id).unwrap(), "{id:?}");
    }
}

/// Sections at rest and awake, keys in tables and in memory, items that are not written yet, pruned ones, several
/// at an index: each id gets what it gets alone.
#[test]
fn what_is_read_ahead_is_what_each_read_alone_finds() {
    const ITEMS: u64 = 3000;
    let options = [
        Options::new().items_per_section(64).keys_per_table(200),
        Options::new().items_per_section(1000).page_size(60),
        Options::new().items_per_section(1000).max_open_files(8),
        #[cfg(feature = "zstd")]
        Options::new()
            .items_per_section(500)
            .compression(quipu::Compression::Zstd(3)),
    ];
    let keys: Vec<[u8; 8]> = (0..ITEMS + 200).map(key).collect();
    for options in options {
        each(|storage| {
            let mut archive = storage.open_archive(&options);
            put(
                &mut archive,
                (0..ITEMS - 300).filter(|index| index % 37 != 0),
            );
            for index in (0..600).step_by(4) {
                let _ = archive
                    .put_multi(index, &key(index + 1), &b"second"[..])
                    .unwrap();
            }
            archive.prune(130).unwrap();
            archive.close().unwrap();
            let mut archive = storage.open_archive(&options);
            for count in [4, 33, 2500] {
                assert_same(&archive, &ids(&keys, count));
            }
            put(&mut archive, ITEMS - 300..ITEMS - 100);
            archive.sync().unwrap();
            put(&mut archive, ITEMS - 100..ITEMS);
            assert_same(&archive, &ids(&keys, 2500));
        });
    }
}

/// The pages of index files come with one read each, and the values with one each: nothing is read alone.
#[test]
fn nothing_is_read_twice_and_nothing_alone() {
    const ITEMS: u64 = 5000;
    each(|storage| {
        let options = Options::new()
            .items_per_section(2000)
            .keys_per_table(1000)
            .page_size(500);
        let mut archive = storage.open_archive(&options);
        put(&mut archive, 0..ITEMS);
        archive.close().unwrap();
        let archive = storage.open_archive(&options);
        for section in [0, 2000, 4000] {
            // Opens its files, and what leads to the keys.
            let _ = (
                archive.get(section).unwrap(),
                archive.get(&key::<8>(section)).unwrap(),
            );
        }
        let keys: Vec<[u8; 8]> = (0..1000).map(|nth| key(mix(nth) % ITEMS)).collect();
        storage.take_seen();
        let found = archive.get_many(&keys).unwrap();
        assert!(found.iter().all(Option::is_some));
        let seen = storage.take_seen();
        let read = |partition: &str| {
            let is_in = |path: &Path| path.parent().is_some_and(|of| of.ends_with(partition));
            let mut places = seen.together.clone();
            places.retain(|(path, ..)| is_in(path));
            places
        };
        let (pages, values) = (read("index"), read("values"));
        assert_eq!(pages.len(), pages.iter().collect::<BTreeSet<_>>().len());
        assert!(pages.len() > 50, "{}", pages.len());
        assert_eq!(values.len(), keys.len());
        assert!(read("quipu").len() > 5, "{seen:?}");
        // A storage that has no rings reads each alone in the end; one that has them none.
        match storage.inner.reads_at_once() {
            true => assert!(seen.alone.is_empty(), "{:?}", seen.alone),
            false => assert_eq!(seen.alone.len(), seen.together.len()),
        }
    });
}

/// What was told by a call for all items, what their states are then, and what a call for those that are left finds.
type Told = (
    std::result::Result<Vec<Option<quipu::Bytes>>, String>,
    Vec<Status>,
    Vec<Option<quipu::Bytes>>,
);

/// With a bit turned at a place of the first section.
fn told_of_damage(partition: &str, at: u64, ahead: bool) -> Told {
    const ITEMS: u64 = 600;
    let memory = Memory::new();
    let options = Options::new().items_per_section(256).page_size(500);
    let open = |ahead| match ahead {
        true => Cold::on(memory.clone()).open_archive(&options),
        false => options.clone().open_on(Arc::new(memory.clone())).unwrap(),
    };
    let mut archive: Store = open(false);
    put(&mut archive, 0..ITEMS);
    archive.close().unwrap();
    let blob = memory
        .open(partition, "0000000000000000", OpenMode::Write)
        .unwrap();
    let mut byte = [0];
    blob.read_at(&mut byte, at).unwrap();
    blob.write_at(&[IoSlice::new(&[byte[0] ^ 8])], at).unwrap();
    let archive: Store = open(ahead);
    let all = archive
        .get_many((0..ITEMS).rev())
        .map_err(|error| error.to_string());
    let states: Vec<_> = (0..ITEMS)
        .map(|index| archive.status(index).unwrap())
        .collect();
    let left = (0..ITEMS).filter(|&index| states[index as usize] == Status::Present);
    let left = archive.get_many(left.collect::<Vec<_>>()).unwrap();
    (all, states, left)
}

/// Damage is told as it is without a read ahead, of the same items, and nothing else is lost by it.
#[test]
fn damage_is_told_as_it_is_alone() {
    for (partition, at) in [("values", 5000), ("index", 6000)] {
        let told = told_of_damage(partition, at, true);
        assert!(
            told.0.is_err() && told.1.contains(&Status::Damaged),
            "{partition}"
        );
        assert!(told.2.len() > 400 && told.2.iter().all(Option::is_some));
        assert_eq!(told, told_of_damage(partition, at, false));
    }
}

/// A file that cannot be opened any more is an error as for one read.
#[test]
fn files_that_are_gone_are_told() {
    each(|storage| {
        let options = Options::new().items_per_section(10).max_open_files(8);
        let mut archive = storage.open_archive(&options);
        put(&mut archive, 0..300);
        archive.close().unwrap();
        let archive = storage.open_archive(&options);
        storage.remove("values", "0000000000000064").unwrap();
        assert!(
            archive
                .get_many(0..100)
                .unwrap()
                .iter()
                .all(Option::is_some)
        );
        let told = archive.get_many(0..300).unwrap_err().to_string();
        assert_eq!(told, archive.get(105).unwrap_err().to_string());
        assert!(
            archive
                .get_many(110..300)
                .unwrap()
                .iter()
                .all(Option::is_some)
        );
    });
}
