//! Files of which almost everything is a hole: large by their length alone.

use quipu::storage::{Disk, Storage};
use quipu::{Archive, Bytes, Options};

use super::crafted::{self, Any, PAGE_SIZE, index_file, stored};
use super::{alone, within};

/// A hole of a TiB costs a stranger nothing.
#[test]
fn section_files_with_a_hole_of_a_tebibyte() {
    let _alone = alone();
    for partition in ["index", "values"] {
        let folder = tempfile::tempdir().unwrap();
        let open = || -> quipu::Result<Archive<[u8; 8], Bytes>> {
            Options::new().items_per_section(8).open(folder.path())
        };
        let mut archive = open().unwrap();
        let _ = archive.put(1, &[1; 8], b"one").unwrap();
        archive.close().unwrap();
        let file = folder.path().join(partition).join("0000000000000000");
        let file = std::fs::File::options().write(true).open(file).unwrap();
        if file.set_len(1 << 40).is_err() {
            eprintln!("this file system has no file of a TiB; nothing was tested");
            return;
        }
        within(1 << 26, || {
            let archive = open().unwrap();
            assert_eq!(archive.get(1).unwrap().unwrap(), "one");
        });
    }
}

/// An entry that names a value behind a hole has it believed until somebody reads it. To read the hole would
/// take minutes.
#[test]
fn a_value_behind_a_hole_of_many_gibibytes() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let open = || -> quipu::Result<Any> {
        let options = crafted::options().items_per_section(8).key_size(8);
        options.page_size(PAGE_SIZE as u16).open(folder.path())
    };
    let mut archive = open().unwrap();
    let key = 1_u64.to_be_bytes().to_vec().into();
    let _ = archive.put(1, &key, b"one").unwrap();
    archive.close().unwrap();
    let name = "0000000000000000";
    let end = (1 << 36) - 9;
    let entries = index_file(&[(1, 0, 7), (2, end, 9)]);
    std::fs::write(folder.path().join("index").join(name), entries).unwrap();
    let file = folder.path().join("values").join(name);
    std::fs::write(&file, [b"CWIC\0\0\0\0", &stored(b"one")[..]].concat()).unwrap();
    let file = std::fs::File::options().write(true).open(file).unwrap();
    if file.set_len(8 + (1 << 36)).is_err() {
        eprintln!("this file system has no file of 64 GiB; nothing was tested");
        return;
    }
    within(1 << 26, || {
        let archive = open().unwrap();
        assert_eq!(archive.get(1).unwrap().unwrap(), "one");
        assert!(archive.get(2).is_err());
    });
}

/// Neither is read whole before a look at what it begins with.
#[test]
fn a_manifest_and_marks_with_a_hole_of_a_tebibyte() {
    let _alone = alone();
    for names in [
        &["marks"][..],
        &["manifest"],
        &["manifest", "manifest-copy"],
    ] {
        let folder = tempfile::tempdir().unwrap();
        let open = || -> quipu::Result<Archive<[u8; 8], Bytes>> { Archive::open(folder.path()) };
        open().unwrap().close().unwrap();
        for name in names {
            let file = folder.path().join("quipu").join(name);
            let file = std::fs::File::options().write(true).open(file).unwrap();
            if file.set_len(1 << 40).is_err() {
                eprintln!("this file system has no file of a TiB; nothing was tested");
                return;
            }
        }
        let opened = within(1 << 26, || open().map(drop));
        assert_eq!(opened.is_ok(), names.len() == 1, "{names:?}: {opened:?}");
        assert!(Disk::open(folder.path()).unwrap().list("quipu").is_ok());
    }
}
