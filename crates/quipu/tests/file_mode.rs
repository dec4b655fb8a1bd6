//! The permissions of an archive's files, under several umasks.

#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use quipu::{Archive, Error, Options};

/// Where a process of this program, with an umask of its own, makes an archive.
const FOLDER: &str = "QUIPU_TEST_FOLDER";
const MODE: &str = "QUIPU_TEST_MODE";

fn options() -> Options {
    Options::new().items_per_section(2).disk_reserve(1000)
}

fn work(options: Options, path: &Path) {
    let mut archive: Archive<[u8; 4]> = options.open(path).unwrap();
    let floor = archive.floor();
    for index in floor..floor + 6 {
        let _ = archive.put(index, b"key.", b"value").unwrap();
    }
    archive.sync().unwrap();
    archive.rewind(floor + 4).unwrap();
    archive.prune(floor + 2).unwrap();
    archive.close().unwrap();
}

/// Does nothing but in the process that the tests below start.
#[test]
fn make_an_archive() {
    let (Ok(folder), Ok(mode)) = (std::env::var(FOLDER), std::env::var(MODE)) else {
        return;
    };
    let mode = mode.parse().unwrap();
    work(options().file_mode(mode), Path::new(&folder));
}

fn make_under_umask(umask: u32, mode: u32, folder: &Path) {
    let program = std::env::current_exe().unwrap();
    let script = format!("umask {umask:04o}; exec \"$0\" --exact make_an_archive");
    let output = Command::new("sh")
        .args(["-c", &script])
        .arg(program)
        .env(FOLDER, folder)
        .env(MODE, mode.to_string())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// (files, folders): every mode that is found below a folder, itself among them.
fn modes(folder: &Path, files: &mut Vec<u32>, folders: &mut Vec<u32>) {
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    folders.push(mode(folder));
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => modes(&path, files, folders),
            false => files.push(mode(&path)),
        }
    }
}

#[test]
fn files_are_the_owners_alone_unless_an_option_says_otherwise() {
    for (umask, mode, of_files, of_folders) in [
        (0o000, 0o600, 0o600, 0o700),
        (0o000, 0o640, 0o640, 0o750),
        (0o000, 0o666, 0o666, 0o777),
        (0o022, 0o640, 0o640, 0o750),
        (0o022, 0o660, 0o640, 0o750),
        (0o077, 0o644, 0o600, 0o700),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("above/archive");
        make_under_umask(umask, mode, &root);
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        modes(&folder.path().join("above"), &mut files, &mut folders);
        // Manifest, marks, lock, reserve, two sections of two files each.
        assert!(files.len() >= 8 && folders.len() == 5, "{files:?}");
        assert!(files.iter().all(|&mode| mode == of_files), "{files:?}");
        let same = folders.iter().all(|&mode| mode == of_folders);
        assert!(same, "{folders:?}");
    }
}

#[test]
fn files_of_an_archive_that_exists_keep_theirs() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("archive");
    make_under_umask(0, 0o600, &root);
    make_under_umask(0, 0o640, &root);
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    modes(&root, &mut files, &mut folders);
    assert!(
        files.contains(&0o600) && files.contains(&0o640),
        "{files:?}"
    );
    assert!(folders.iter().all(|&mode| mode == 0o700), "{folders:?}");
}

#[test]
fn other_bits_are_refused_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    for mode in [0, 0o400, 0o755, 0o1640, 0o4600] {
        let root = folder.path().join("archive");
        let opened = options()
            .file_mode(mode)
            .open::<[u8; 4], quipu::Bytes>(&root);
        assert!(matches!(
            opened,
            Err(Error::InvalidOption {
                option: "file_mode",
                ..
            })
        ));
        assert!(!root.exists());
    }
}
