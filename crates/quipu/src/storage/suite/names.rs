//! Names, partitions and locks.

use super::super::{MAX_NAME_LEN, OpenMode, Storage};
use super::{PARTITION, create, must, open, read_all, write};
use crate::error::Error;

/// Every call refuses a name that could lead out of its folder or that not every storage can have.
pub fn bad_names(storage: &dyn Storage) {
    let too_long = "x".repeat(MAX_NAME_LEN + 1);
    let bad = ["", ".", "..", "/", "../x", "a/b", "a\\b", "a b", "ä", "a\0"];
    create(storage, "good", b"");
    for bad in bad.into_iter().chain([".hidden", too_long.as_str()]) {
        for mode in [OpenMode::Read, OpenMode::Write, OpenMode::Create] {
            expect_error!(storage.open(bad, "good", mode), Error::InvalidName { .. });
            expect_error!(
                storage.open(PARTITION, bad, mode),
                Error::InvalidName { .. }
            );
        }
        for (partition, name) in [(bad, "good"), (PARTITION, bad)] {
            expect_error!(storage.remove(partition, name), Error::InvalidName { .. });
            expect_error!(
                storage.rename(partition, name, "x"),
                Error::InvalidName { .. }
            );
            expect_error!(
                storage.lock(partition, name, "me"),
                Error::InvalidName { .. }
            );
        }
        expect_error!(
            storage.rename(PARTITION, "good", bad),
            Error::InvalidName { .. }
        );
        expect_error!(storage.list(bad), Error::InvalidName { .. });
        expect_error!(storage.sync_partition(bad), Error::InvalidName { .. });
        expect_error!(storage.remove_partition(bad), Error::InvalidName { .. });
    }
    assert_eq!(must(storage.list(PARTITION)), ["good"]);
    let longest = "x".repeat(MAX_NAME_LEN);
    must(storage.open(&longest, &longest, OpenMode::Create));
    assert_eq!(must(storage.list(&longest)), [longest]);
}

/// What is not there is an error that names it, or nothing where nothing was asked for.
pub fn missing_things(storage: &dyn Storage) {
    for with_partition in [false, true] {
        if with_partition {
            create(storage, "other", b"");
        }
        let path = storage.path(PARTITION, "none");
        for mode in [OpenMode::Read, OpenMode::Write] {
            match storage.open(PARTITION, "none", mode) {
                Err(Error::NotFound { path: named }) if named == path => {}
                other => panic!("{other:?}"),
            }
        }
        expect_error!(storage.remove(PARTITION, "none"), Error::NotFound { .. });
        expect_error!(
            storage.rename(PARTITION, "none", "x"),
            Error::NotFound { .. }
        );
        expect_error!(
            storage.rename(PARTITION, "none", "none"),
            Error::NotFound { .. }
        );
    }
    assert!(must(storage.list("nowhere")).is_empty());
    must(storage.remove_partition("nowhere"));
    expect_error!(storage.sync_partition("nowhere"), Error::NotFound { .. });
    // None of this made anything.
    assert_eq!(must(storage.list(PARTITION)), ["other"]);
}

/// Creating keeps what is there; a handle for reading does not write.
pub fn open_modes(storage: &dyn Storage) {
    create(storage, "blob", b"content");
    let again = open(storage, "blob", OpenMode::Create);
    assert_eq!(read_all(&*again), b"content");
    assert_eq!(again.path(), storage.path(PARTITION, "blob"));
    let reader = open(storage, "blob", OpenMode::Read);
    let written = reader.write_at(&[std::io::IoSlice::new(b"x")], 0);
    expect_error!(written, Error::ReadOnly { .. });
    expect_error!(reader.resize(0), Error::ReadOnly { .. });
    write(&*open(storage, "blob", OpenMode::Write), b"C", 0);
    assert_eq!(read_all(&*reader), b"Content");
}

/// A rename takes the target's place; handles keep the bytes they were opened for.
pub fn rename_replaces(storage: &dyn Storage) {
    let new = create(storage, "new", b"new bytes");
    let old = create(storage, "old", b"old bytes");
    must(storage.rename(PARTITION, "new", "old"));
    must(storage.sync_partition(PARTITION));
    assert_eq!(must(storage.list(PARTITION)), ["old"]);
    assert_eq!(
        read_all(&*open(storage, "old", OpenMode::Read)),
        b"new bytes"
    );
    assert_eq!(read_all(&*old), b"old bytes");
    write(&*new, b"NEW", 0);
    assert_eq!(
        read_all(&*open(storage, "old", OpenMode::Read)),
        b"NEW bytes"
    );
    must(storage.rename(PARTITION, "old", "old"));
    must(storage.rename(PARTITION, "old", "elsewhere"));
    assert_eq!(must(storage.list(PARTITION)), ["elsewhere"]);
}

/// A removed blob is readable through open handles; one created under its name is another.
pub fn remove_with_open_handle(storage: &dyn Storage) {
    let removed = create(storage, "blob", b"removed");
    must(storage.remove(PARTITION, "blob"));
    must(storage.sync_partition(PARTITION));
    assert!(must(storage.list(PARTITION)).is_empty());
    expect_error!(storage.remove(PARTITION, "blob"), Error::NotFound { .. });
    let created = create(storage, "blob", b"");
    assert_eq!(must(created.len()), 0);
    assert_eq!(read_all(&*removed), b"removed");
}

/// A list has every name once, in byte order, in its own partition only, and so has one with lengths.
pub fn list_is_sorted(storage: &dyn Storage) {
    let names = [
        "b",
        "a",
        "B",
        "a.new",
        "0",
        "a-b",
        "a_b",
        "000000000000000f",
    ];
    for name in names {
        create(storage, name, name.as_bytes());
    }
    must(storage.open("another", "x", OpenMode::Create));
    let mut sorted = names;
    sorted.sort_unstable();
    assert_eq!(must(storage.list(PARTITION)), sorted);
    let lengths = sorted.map(|name| (name.to_owned(), name.len() as u64));
    assert_eq!(must(storage.lengths(PARTITION)), lengths);
    assert!(must(storage.lengths("nowhere")).is_empty());
}

/// A partition that holds something stays; an empty one goes, and can be made again.
pub fn partitions_come_and_go(storage: &dyn Storage) {
    for _ in 0..2 {
        create(storage, "blob", b"kept");
        must(storage.sync_partition(PARTITION));
        if storage.remove_partition(PARTITION).is_ok() {
            panic!("a partition that holds a blob was removed");
        }
        assert_eq!(read_all(&*open(storage, "blob", OpenMode::Read)), b"kept");
        must(storage.remove(PARTITION, "blob"));
        must(storage.remove_partition(PARTITION));
        must(storage.remove_partition(PARTITION));
        expect_error!(storage.sync_partition(PARTITION), Error::NotFound { .. });
    }
}

/// One holder at a time, whom the others are told; names do not get in each other's way.
pub fn locks(storage: &dyn Storage) {
    for holder in ["process 1", "2"] {
        let lock = must(storage.lock(PARTITION, "lock", holder));
        let path = storage.path(PARTITION, "lock");
        match storage.lock(PARTITION, "lock", "a second one") {
            Err(Error::Locked { path: p, holder: h }) if p == path && h == holder => {}
            other => panic!("expected a lock held by {holder}, got {other:?}"),
        }
        drop(must(storage.lock(PARTITION, "another", "me")));
        drop(must(storage.lock("elsewhere", "lock", "me")));
        drop(lock);
    }
    drop(must(storage.lock(PARTITION, "lock", "again")));
}
