//! What only a disk can get wrong.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs;
use std::io::IoSlice;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{CWD, Mode, mkfifoat};
use tempfile::TempDir;

use super::*;
use crate::storage::suite::{self, expect_error};

fn disk() -> (TempDir, Disk) {
    let folder = TempDir::new().unwrap();
    let disk = Disk::open(folder.path()).unwrap();
    (folder, disk)
}

thread_local! {
    static FLUSHED: RefCell<Vec<(PathBuf, Vec<OsString>)>> = const { RefCell::new(Vec::new()) };
}

/// Notes that a folder is about to be flushed, and what stands in it then.
pub(super) fn note_flush(path: &Path) {
    let entries = fs::read_dir(path).into_iter().flatten();
    let names = entries.map(|entry| entry.unwrap().file_name()).collect();
    FLUSHED.with_borrow_mut(|flushed| flushed.push((path.to_path_buf(), names)));
}

/// That this thread flushed these folders since it was asked last, each with one name in it.
#[track_caller]
fn assert_flushed(folders: &[(&Path, &str)]) {
    let flushed = FLUSHED.take();
    let expected = folders.iter().map(|&(path, name)| {
        let names = vec![OsString::from(name)];
        (path.to_path_buf(), names)
    });
    assert_eq!(flushed, expected.collect::<Vec<_>>());
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn keeps_every_rule() {
    let folder = TempDir::new().unwrap();
    let count = AtomicUsize::new(0);
    suite::run(&|| {
        let name = count.fetch_add(1, Ordering::Relaxed).to_string();
        Arc::new(Disk::create(folder.path().join(name)).unwrap())
    });
}

/// Why it is refused, and what makes it.
type Stranger = (&'static str, fn(&Path));

fn strangers() -> [Stranger; 5] {
    [
        ("it is a folder", |x| fs::create_dir(x).unwrap()),
        ("it is a symbolic link", |x| {
            symlink(x.with_file_name("blob"), x).unwrap();
        }),
        ("it is a symbolic link", |x| symlink("nowhere", x).unwrap()),
        ("it is a FIFO", |x| {
            mkfifoat(CWD, x, Mode::RUSR | Mode::WUSR).unwrap();
        }),
        ("it is a socket", |x| drop(UnixListener::bind(x).unwrap())),
    ]
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T>, path: &Path, reason: &str) {
    match result {
        Err(Error::NotABlob { path: p, reason: r }) if p == path && r == reason => {}
        other => panic!("{}: expected {reason:?}, got {other:?}", path.display()),
    }
}

#[test]
fn strangers_in_a_partition() {
    for (reason, make) in strangers() {
        let (_folder, disk) = disk();
        disk.open("p", "blob", OpenMode::Create).unwrap();
        let x = disk.path("p", "x");
        make(&x);
        for mode in [OpenMode::Read, OpenMode::Write, OpenMode::Create] {
            refused(disk.open("p", "x", mode), &x, reason);
        }
        refused(disk.list("p"), &x, reason);
        refused(disk.lock("p", "x", "me"), &x, reason);
        refused(disk.remove("p", "x"), &x, reason);
        refused(disk.rename("p", "x", "y"), &x, reason);
        refused(disk.rename("p", "blob", "x"), &x, reason);
        assert!(x.symlink_metadata().is_ok() && !disk.path("p", "y").exists());
    }
}

#[test]
fn names_of_strangers() {
    for name in [".DS_Store", "a b", "ä"] {
        let (_folder, disk) = disk();
        disk.open("p", "blob", OpenMode::Create).unwrap();
        let path = disk.path("p", "").join(name);
        fs::write(&path, "").unwrap();
        refused(disk.list("p"), &path, "no blob has such a name");
    }
}

#[test]
fn a_stranger_in_place_of_a_partition() {
    let (folder, disk) = disk();
    fs::create_dir(folder.path().join("folder")).unwrap();
    fs::write(folder.path().join("file"), "kept").unwrap();
    symlink("folder", folder.path().join("link")).unwrap();
    for (name, reason) in [("file", "it is a file"), ("link", "it is a symbolic link")] {
        let path = disk.path(name, "");
        refused(disk.open(name, "b", OpenMode::Create), &path, reason);
        refused(disk.list(name), &path, reason);
        refused(disk.sync_partition(name), &path, reason);
        refused(disk.remove_partition(name), &path, reason);
    }
    assert_eq!(fs::read(folder.path().join("file")).unwrap(), b"kept");
}

#[test]
fn files_and_folders_are_the_owners_only() {
    let folder = TempDir::new().unwrap();
    let disk = Disk::create(folder.path().join("a/b")).unwrap();
    disk.open("p", "blob", OpenMode::Create).unwrap();
    let _lock = disk.lock("q", "lock", "me").unwrap();
    for path in [
        folder.path().join("a"),
        disk.path("", ""),
        disk.path("p", ""),
    ] {
        assert_eq!(mode_of(&path), 0o700, "{}", path.display());
    }
    assert_eq!(mode_of(&disk.path("p", "blob")), 0o600);
    assert_eq!(mode_of(&disk.path("q", "lock")), 0o600);
}

/// Under whatever umask the tests run: it takes bits away from files of others too.
#[test]
fn files_and_folders_get_the_mode_that_is_asked_for() {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    for (mode, of_folders) in [(0o640, 0o750), (0o666, 0o777), (0o600, 0o700)] {
        let folder = TempDir::new().unwrap();
        let (file, sub) = (folder.path().join("file"), folder.path().join("folder"));
        let mut options = fs::File::options();
        let options = options.write(true).create(true).mode(mode);
        options.open(&file).unwrap();
        fs::DirBuilder::new().mode(of_folders).create(&sub).unwrap();

        let disk = Disk::create_with_mode(folder.path().join("a/b"), mode).unwrap();
        disk.open("p", "blob", OpenMode::Create).unwrap();
        let _lock = disk.lock("q", "lock", "me").unwrap();
        for made in [disk.path("p", "blob"), disk.path("q", "lock")] {
            assert_eq!(mode_of(&made), mode_of(&file), "{}", made.display());
        }
        let above = folder.path().join("a");
        for made in [above, disk.path("", ""), disk.path("p", "")] {
            assert_eq!(mode_of(&made), mode_of(&sub), "{}", made.display());
        }
        // What exists stays as it is.
        let disk = Disk::open(disk.path("", "")).unwrap();
        disk.open("p", "blob", OpenMode::Create).unwrap();
        disk.open("p", "new", OpenMode::Create).unwrap();
        assert_eq!(mode_of(&disk.path("p", "blob")), mode_of(&file));
        assert_eq!(mode_of(&disk.path("p", "new")), 0o600);
    }
}

#[test]
fn modes_that_are_refused_make_nothing() {
    let folder = TempDir::new().unwrap();
    for mode in [0, 0o400, 0o755, 0o1640, 0o4600] {
        let root = folder.path().join("root");
        let refused = Disk::create_with_mode(&root, mode);
        expect_error!(refused, Error::InvalidOption { .. });
        let refused = Disk::open(folder.path()).unwrap().with_file_mode(mode);
        expect_error!(refused, Error::InvalidOption { .. });
        assert!(!root.exists());
    }
}

#[test]
fn roots_that_are_none() {
    let folder = TempDir::new().unwrap();
    let missing = folder.path().join("missing");
    expect_error!(Disk::open(&missing), Error::NotFound { .. });
    assert!(!missing.exists());
    let file = folder.path().join("file");
    fs::write(&file, "kept").unwrap();
    for root in [file.clone(), file.join("below")] {
        expect_error!(Disk::open(&root), Error::NotAnArchive { .. });
        expect_error!(Disk::create(&root), Error::NotAnArchive { .. });
    }
    let fifo = folder.path().join("fifo");
    mkfifoat(CWD, &fifo, Mode::RUSR).unwrap();
    expect_error!(Disk::create(&fifo), Error::NotAnArchive { .. });
}

#[test]
fn a_root_that_is_not_writable() {
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o500)).unwrap();
    if fs::create_dir(folder.path().join("probe")).is_ok() {
        return; // the superuser may write everywhere
    }
    let disk = Disk::open(folder.path()).unwrap();
    assert!(disk.list("p").unwrap().is_empty());
    for error in [
        Disk::create(folder.path()).unwrap_err(),
        Disk::create(folder.path().join("below")).unwrap_err(),
        disk.open("p", "b", OpenMode::Create).unwrap_err(),
    ] {
        let text = error.to_string();
        assert!(text.contains(folder.path().to_str().unwrap()) && text.contains("denied"));
    }
}

#[test]
fn a_root_may_be_a_link_and_may_move() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("real")).unwrap();
    symlink("real", folder.path().join("link")).unwrap();
    let disk = Disk::create(folder.path().join("link")).unwrap();
    disk.open("p", "one", OpenMode::Create).unwrap();
    fs::rename(folder.path().join("real"), folder.path().join("moved")).unwrap();
    disk.open("p", "two", OpenMode::Create).unwrap();
    assert!(folder.path().join("moved/p/two").exists());
}

#[test]
fn a_removed_lock_can_be_taken_by_the_next() {
    let (_folder, disk) = disk();
    let gone = disk.lock("p", "lock", "first").unwrap();
    disk.remove("p", "lock").unwrap();
    let _second = disk.lock("p", "lock", "second").unwrap();
    drop(gone);
    let third = disk.lock("p", "lock", "third");
    assert!(third.unwrap_err().to_string().ends_with("in use by second"));
}

#[test]
fn a_name_leads_to_its_file_only() {
    let (_folder, disk) = disk();
    disk.open("p", "x", OpenMode::Create).unwrap();
    let p = disk.partition("p").unwrap().unwrap();
    let file = p.open_file("x", OFlags::RDONLY).unwrap();
    assert!(p.leads_to("x", &file).unwrap());
    disk.remove("p", "x").unwrap();
    assert!(!p.leads_to("x", &file).unwrap());
    disk.open("p", "x", OpenMode::Create).unwrap();
    assert!(!p.leads_to("x", &file).unwrap());
}

#[test]
fn locks_hold_while_their_file_is_removed_again_and_again() {
    let (_folder, disk) = disk();
    let held = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    let Ok(_lock) = disk.lock("p", "lock", "me") else {
                        continue;
                    };
                    assert_eq!(held.fetch_add(1, Ordering::SeqCst), 0);
                    held.fetch_sub(1, Ordering::SeqCst);
                    // From here on the next one may take the lock, on a new file.
                    disk.remove("p", "lock").unwrap();
                }
            });
        }
    });
}

#[test]
fn a_lock_without_a_text_is_a_lock() {
    let (_folder, disk) = disk();
    let lock = disk.lock("p", "lock", "me").unwrap();
    fs::write(disk.path("p", "lock"), "\n\x1b[2J\n").unwrap();
    let text = disk.lock("p", "lock", "you").unwrap_err().to_string();
    assert!(text.ends_with("in use by [2J"), "{text}");
    drop(lock);
    assert_eq!(fs::read(disk.path("p", "lock")).unwrap(), b"");
}

#[test]
fn no_room_left_says_so() {
    // No file system to fill here; a device that is always full gives the same error.
    let full = fs::File::options().write(true).open("/dev/full");
    let Ok(full) = full else {
        return; // this system has no such device
    };
    let blob = DiskBlob::new(full, "full".into(), true, None);
    let written = blob.write_at(&[IoSlice::new(b"x")], 0);
    expect_error!(
        written,
        Error::StorageFull {
            action: "write",
            ..
        }
    );
}

/// The name of a folder is in the one above it. Each is durable before what is made in it, and whoever finds a
/// folder may have come after one who was killed before it could flush.
#[test]
fn names_of_folders_are_flushed_where_they_stand() {
    let folder = TempDir::new().unwrap();
    let top = folder.path();
    let (a, b, root) = (top.join("a"), top.join("a/b"), top.join("a/b/root"));
    let disk = Disk::create(&root).unwrap();
    assert_flushed(&[(top, "a"), (&a, "b"), (&b, "root")]);
    let other = Disk::create(&root).unwrap();
    assert_flushed(&[(&b, "root")]);

    disk.open("p", "one", OpenMode::Create).unwrap();
    assert_flushed(&[(&root, "p")]);
    let _lock = other.lock("p", "lock", "me").unwrap();
    assert_flushed(&[(&root, "p")]);
    // Once is enough.
    for disk in [&disk, &other] {
        disk.open("p", "two", OpenMode::Create).unwrap();
        disk.open("p", "two", OpenMode::Write).unwrap();
    }
    assert_flushed(&[]);
}

/// The system flushes it, and nothing is saved.
#[test]
fn a_flush_of_a_removed_file_is_an_error() {
    let (_folder, disk) = disk();
    for removes in [true, false] {
        let blob = disk.open("p", "x", OpenMode::Create).unwrap();
        blob.write_at(&[IoSlice::new(b"x")], 0).unwrap();
        blob.sync().unwrap();
        if removes {
            disk.remove("p", "x").unwrap();
        } else {
            disk.open("p", "y", OpenMode::Create).unwrap();
            disk.rename("p", "y", "x").unwrap();
        }
        expect_error!(blob.sync(), Error::NotFound { .. });
    }
}
