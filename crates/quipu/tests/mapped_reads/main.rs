//! Reads through memory maps: what fails in a map is the error of a call, and ends no process.

#[cfg(target_os = "linux")]
mod process;
mod threads;

use std::fs::{self, OpenOptions};
use std::path::Path;

use quipu::{Archive, Bytes, Options};

const ITEMS: u64 = 400;

fn value(index: u64) -> Vec<u8> {
    vec![index as u8; 2000]
}

fn open(folder: &Path, mapped: bool) -> Archive<[u8; 8], Bytes> {
    // Nothing of the index stays in the page cache, so that its pages are read again and again.
    let options = Options::new().page_cache(quipu::PageCache::new(0));
    options.mapped_reads(mapped).open(folder).unwrap()
}

fn make(folder: &Path) {
    let mut archive = open(folder, true);
    for index in 0..ITEMS {
        let _ = archive
            .put(index, &index.to_be_bytes(), &value(index)[..])
            .unwrap();
    }
    archive.close().unwrap();
}

fn only_file(folder: &Path) -> std::path::PathBuf {
    let mut files = fs::read_dir(folder).unwrap();
    let file = files.next().unwrap().unwrap().path();
    assert!(files.next().is_none());
    file
}

/// Reads all items; how many could not be read.
fn read(archive: &Archive<[u8; 8], Bytes>) -> u64 {
    let mut lost = 0;
    for index in 0..ITEMS {
        match archive.get(index) {
            Ok(found) => assert_eq!(found.unwrap(), value(index)),
            Err(error) => {
                assert!(error.is_corruption(), "{error}");
                lost += 1;
            }
        }
    }
    lost
}

#[test]
fn a_file_that_somebody_cuts_beside_its_reader() {
    for (partition, kept) in [("values", 100_000), ("values", 0), ("index", 4096)] {
        let mut found = Vec::new();
        for mapped in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            make(folder.path());
            let archive = open(folder.path(), mapped);
            assert_eq!((read(&archive), read(&archive)), (0, 0));
            let file = only_file(&folder.path().join(partition));
            let file = OpenOptions::new().write(true).open(file).unwrap();
            file.set_len(kept).unwrap();
            found.push((read(&archive), read(&archive)));
        }
        assert!(found[0].0 > 0);
        assert_eq!(found[0], found[1], "{partition} cut to {kept}");
    }
}

#[test]
fn a_rewind_and_other_items_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path());
    let mut archive = open(folder.path(), true);
    assert_eq!((read(&archive), read(&archive)), (0, 0));
    archive.rewind(9).unwrap();
    for index in 10..ITEMS {
        let _ = archive
            .put(index, &index.to_be_bytes(), &value(index)[..])
            .unwrap();
        assert_eq!(archive.get(index).unwrap().unwrap(), value(index));
    }
    archive.sync().unwrap();
    assert_eq!((read(&archive), read(&archive)), (0, 0));
}
