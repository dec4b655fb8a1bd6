//! What does not belong there, in place of each file and folder of an archive: it is refused with an
//! error that names it, is never followed and never waited for, and nothing is changed.

#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use quipu::{Archive, Bytes, Error, Options, ReadOnly};
use rustix::fs::{CWD, FileType, Mode, makedev, mkfifoat, mknodat};

type Store = Archive<[u8; 8]>;

/// What takes a place, and how the error calls it. Whether it could be made: a device needs rights.
type Stranger = (&'static str, fn(&Path, &Path) -> bool);

const STRANGERS: [Stranger; 6] = [
    ("it is a folder", |place, _| fs::create_dir(place).is_ok()),
    ("it is a symbolic link", |place, original| {
        symlink(original, place).is_ok()
    }),
    ("it is a symbolic link", |place, _| {
        symlink("nowhere", place).is_ok()
    }),
    ("it is a FIFO", |place, _| {
        mkfifoat(CWD, place, Mode::RUSR | Mode::WUSR).is_ok()
    }),
    ("it is a socket", |place, _| {
        UnixListener::bind(place).is_ok()
    }),
    ("it is a special file", |place, _| {
        let null = makedev(1, 3);
        mknodat(CWD, place, FileType::CharacterDevice, Mode::RUSR, null).is_ok()
    }),
];

const PARTITIONS: [&str; 3] = ["index", "values", "quipu"];

fn options() -> Options {
    Options::new().items_per_section(8).create(false)
}

/// An archive with three sections and a reserve.
fn make(root: &Path) {
    let options = options().create(true).disk_reserve(1000);
    let mut archive: Store = options.open(root).unwrap();
    for index in 0..20 {
        let _ = archive.put(index, &[index as u8; 8], b"value").unwrap();
    }
    archive.close().unwrap();
}

/// Everything below a folder: what it is, what it may, what is in it.
fn snapshot(folder: &Path) -> BTreeMap<PathBuf, (String, u32, Vec<u8>)> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let kind = metadata.file_type();
            let content = if kind.is_symlink() {
                fs::read_link(&path)
                    .unwrap()
                    .into_os_string()
                    .into_encoded_bytes()
            } else if kind.is_file() {
                fs::read(&path).unwrap()
            } else {
                Vec::new()
            };
            if kind.is_dir() {
                folders.push(path.clone());
            }
            let special = (kind.is_fifo(), kind.is_socket(), kind.is_char_device());
            let kind = format!("{kind:?} {special:?}");
            all.insert(path, (kind, metadata.permissions().mode(), content));
        }
    }
    all
}

/// Runs what must not wait for anybody.
fn at_once<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(run()));
    let result = receive.recv_timeout(Duration::from_secs(60));
    result.expect("the call waits, or has panicked")
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: quipu::Result<T>, place: &Path, reason: &str) {
    match result {
        Err(Error::NotABlob { path, reason: r }) if path == place && r == reason => {}
        other => panic!("{}: expected {reason:?}, got {other:?}", place.display()),
    }
}

/// Puts each stranger in turn where `of` is in an archive, and hands (root, place, reason) on.
fn with_strangers(of: &str, check: impl Fn(&Path, &Path, &'static str)) {
    let mut made = 0;
    for (reason, make_stranger) in STRANGERS {
        if reason == "it is a folder" && PARTITIONS.contains(&of) {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let (root, aside) = (folder.path().join("a"), folder.path().join("aside"));
        make(&root);
        let place = root.join(of);
        fs::rename(&place, &aside).unwrap();
        if !make_stranger(&place, &aside) {
            println!("{of}: {reason}: it takes rights that are not there, left out");
            continue;
        }
        made += 1;
        let before = snapshot(folder.path());
        check(&root, &place, reason);
        assert!(snapshot(folder.path()) == before, "{of}: {reason}");
        // Back in its place it is whole.
        match place.symlink_metadata().unwrap().is_dir() {
            true => fs::remove_dir(&place).unwrap(),
            false => fs::remove_file(&place).unwrap(),
        }
        fs::rename(&aside, &place).unwrap();
        let archive: Store = options().open(&root).unwrap();
        assert!(archive.recovery().is_clean(), "{of}: {reason}");
        assert!((0..20).all(|index| archive.get(index).unwrap().unwrap() == "value"));
    }
    assert!(made >= 4, "{of}: {made}");
}

fn open(root: &Path, disk_reserve: u64) -> quipu::Result<Store> {
    let root = root.to_path_buf();
    at_once(move || options().disk_reserve(disk_reserve).open(root))
}

fn open_read_only(root: &Path) -> quipu::Result<ReadOnly<[u8; 8], Bytes>> {
    let root = root.to_path_buf();
    at_once(move || options().open_read_only(root))
}

fn refused_by_all(of: &str) {
    with_strangers(of, |root, place, reason| {
        refused(open(root, 0), place, reason);
        refused(open(root, 1000), place, reason);
        refused(open_read_only(root), place, reason);
    });
}

/// Only a writer uses it.
fn refused_by_writers(of: &str) {
    with_strangers(of, |root, place, reason| {
        refused(open(root, 0), place, reason);
        refused(open(root, 1000), place, reason);
        assert_eq!(open_read_only(root).unwrap().last_index(), Some(19));
    });
}

#[test]
fn in_place_of_the_partition_of_index_files() {
    refused_by_all("index");
}

#[test]
fn in_place_of_the_partition_of_value_files() {
    refused_by_all("values");
}

#[test]
fn in_place_of_the_partition_that_is_ours() {
    refused_by_all("quipu");
}

#[test]
fn in_place_of_an_index_file() {
    refused_by_all("index/0000000000000008");
}

#[test]
fn in_place_of_a_value_file() {
    refused_by_all("values/0000000000000010");
}

#[test]
fn in_place_of_the_manifest() {
    refused_by_all("quipu/manifest");
}

#[test]
fn in_place_of_the_marks() {
    refused_by_all("quipu/marks");
}

#[test]
fn in_place_of_the_lock() {
    refused_by_writers("quipu/lock");
}

#[test]
fn in_place_of_the_reserve() {
    refused_by_writers("quipu/reserve");
}

/// Beside the files: under a name that an unfinished one would have.
#[test]
fn in_place_of_unfinished_files() {
    for name in ["index/0000000000000008.new", "quipu/reserve.new"] {
        for (reason, make_stranger) in STRANGERS {
            let folder = tempfile::tempdir().unwrap();
            let (root, nowhere) = (folder.path().join("a"), folder.path().join("nowhere"));
            make(&root);
            let place = root.join(name);
            if !make_stranger(&place, &nowhere) {
                continue;
            }
            let before = snapshot(folder.path());
            refused(open(&root, 0), &place, reason);
            refused(open(&root, 1000), &place, reason);
            assert!(snapshot(folder.path()) == before, "{name}: {reason}");
        }
    }
}

/// A file that is replaced under an open archive.
#[test]
fn in_place_of_a_file_while_the_archive_is_open() {
    for (reason, make_stranger) in STRANGERS {
        let folder = tempfile::tempdir().unwrap();
        let (root, aside) = (folder.path().join("a"), folder.path().join("aside"));
        make(&root);
        let reader = open_read_only(&root).unwrap();
        for partition in ["index", "values"] {
            let place = root.join(partition).join("0000000000000008");
            fs::rename(&place, &aside).unwrap();
            if !make_stranger(&place, &aside) {
                fs::rename(&aside, &place).unwrap();
                continue;
            }
            let archive = reader.clone();
            // Whether its file is still open is the archive's to choose; the answer is right then.
            match at_once(move || archive.get(9)) {
                Ok(value) => assert_eq!(value.unwrap(), "value"),
                other => refused(other, &place, reason),
            }
            match place.symlink_metadata().unwrap().is_dir() {
                true => fs::remove_dir(&place).unwrap(),
                false => fs::remove_file(&place).unwrap(),
            }
            fs::rename(&aside, &place).unwrap();
        }
    }
}

/// A store to adopt is looked at with the same care.
#[test]
fn adopting_refuses_strangers() {
    for (reason, make_stranger) in STRANGERS {
        for of in ["index/0000000000000008", "values/0000000000000010"] {
            let folder = tempfile::tempdir().unwrap();
            let (root, aside) = (folder.path().join("a"), folder.path().join("aside"));
            make(&root);
            fs::remove_dir_all(root.join("quipu")).unwrap();
            let place = root.join(of);
            fs::rename(&place, &aside).unwrap();
            if !make_stranger(&place, &aside) {
                continue;
            }
            let before = snapshot(folder.path());
            let path = root.clone();
            let adopt = move || options().key_size(8).adopt(path);
            refused(at_once(adopt), &place, reason);
            assert!(snapshot(folder.path()) == before, "{of}: {reason}");
        }
    }
}

/// Of folders that a destruction comes to last, too.
#[test]
fn a_destruction_that_is_refused_for_a_folder_changes_nothing() {
    for folder in ["quarantine", "quipu"] {
        let root = tempfile::tempdir().unwrap();
        make(root.path());
        let archive: Store = options().open(root.path()).unwrap();
        let stranger = root.path().join(folder).join("notes");
        fs::create_dir_all(&stranger).unwrap();
        let error = archive.destroy().unwrap_err();
        assert!(error.to_string().contains("notes"), "{error}");
        fs::remove_dir(&stranger).unwrap();
        let archive: Store = options().open(root.path()).unwrap();
        assert_eq!(archive.ranges(), [0..=19], "{folder}");
        assert_eq!(archive.get(7).unwrap().unwrap(), "value");
    }
}
