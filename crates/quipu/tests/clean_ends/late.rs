//! The look when it comes: that it is announced, that it can fail, and who is beside it.

use std::sync::Barrier;
use std::thread;

use super::hooked::Hooked;
use super::*;
use quipu::{Error, Put, Status};

/// The second section's index file has bytes behind its end.
fn grown() -> Memory {
    let memory = filled();
    grow(&memory);
    memory
}

fn grow(memory: &Memory) {
    let mut bytes = read(memory, "index", SECOND);
    bytes.extend([7; 300]);
    write(memory, "index", SECOND, &bytes);
}

/// Before anything is cut, readers of an earlier writer are told that there is another.
#[test]
fn what_a_late_look_cuts_is_announced() {
    let wakes: [fn(&mut Store); 4] = [
        |archive| assert!(archive.get(12).unwrap().is_some()),
        |archive| assert!(archive.has(&key::<8>(12)).unwrap()),
        |archive| assert_eq!(archive.ranges(), [0..=14, 20..=39]),
        |archive| put(archive, 50..51),
    ];
    for wake in wakes {
        let memory = filled();
        let reader = open(&memory).reader();
        grow(&memory);
        let mut archive = open(&memory);
        let before = read(&memory, "quipu", "manifest");
        assert!(archive.get(33).unwrap().is_some());
        assert_eq!(read(&memory, "quipu", "manifest"), before);
        wake(&mut archive);
        assert_ne!(read(&memory, "quipu", "manifest"), before);
        assert_eq!(
            read(&memory, "quipu", "manifest"),
            read(&memory, "quipu", "manifest-copy")
        );
        assert!(matches!(reader.get(12), Err(Error::Closed { .. })));
        assert_eq!(archive.recovery().sections.len(), 1);
        put(&mut archive, 15..17);
        archive.prune(10).unwrap();
        archive.close().unwrap();
        let archive = open(&memory);
        assert!(archive.recovery().is_clean());
        assert_eq!(archive.get(16).unwrap().unwrap(), value(16, 30));
    }
}

/// A key of two items, of which one is damaged and the other was added by another program: whoever looks for it while somebody
/// else makes the look, and has been where the look adds it, looks again.
#[test]
fn a_key_is_found_that_the_look_adds_behind_the_look_up() {
    let memory = Memory::new();
    let last = 600;
    let mut archive = open(&memory);
    put(&mut archive, 0..last + 5);
    archive.close().unwrap();
    let other = copy_of(&memory);
    let mut archive = open(&other);
    let added = archive.put(last + 5, &key(3), b"whole").unwrap();
    assert_eq!(added, Put::Stored);
    archive.close().unwrap();
    let name = format!("{last:016x}");
    for partition in ["values", "index"] {
        let bytes = read(&other, partition, &name);
        write(&memory, partition, &name, &bytes);
    }
    let mut bytes = read(&memory, "values", FIRST);
    bytes[HEADER + 3 * 34 + 5] ^= 1;
    write(&memory, "values", FIRST, &bytes);
    let hooked = Hooked::new(memory);
    let few = options().max_open_files(32);
    let archive: Store = few.open_on(Arc::new(hooked.clone())).unwrap();
    // The first section is awake, and its files are not open any more.
    for index in (0..last).step_by(10) {
        assert!(archive.get(index).unwrap().is_some());
    }
    let reader = archive.reader();
    let looks = move || drop(thread::spawn(move || reader.ranges()).join().unwrap());
    hooked.once("open values/0000000000000000", looks);
    let found = archive.get(&key::<8>(3)).unwrap().unwrap();
    assert_eq!(found, b"whole"[..]);
}

/// What the look has found is told also where all of it was put again since.
#[test]
fn what_was_lost_is_told_once_it_was_put_again() {
    let memory = filled();
    let bytes = read(&memory, "values", SECOND);
    write(&memory, "values", SECOND, &bytes[..bytes.len() - 40]);
    let looked_at_once = copy_of(&memory);
    tell_of_end(&looked_at_once, u64::MAX);
    let told = [memory, looked_at_once].map(|memory| {
        let mut archive = open(&memory);
        let lost = archive.put(13, &key(13), &value(13, 30)).unwrap();
        assert_eq!(lost, Put::Stored);
        put(&mut archive, 14..15);
        assert_eq!(archive.ranges(), [0..=14, 20..=39]);
        archive.recovery().clone()
    });
    assert_eq!(told[0], told[1]);
    assert_eq!(told[0].damaged, 2);
}

/// What cannot be looked at is told by all that can tell, and nothing is changed meanwhile.
#[test]
fn a_look_that_fails_is_told_and_made_again() {
    let counted = Counted::new(grown());
    let open = || -> Store { options().open_on(Arc::new(counted.clone())).unwrap() };
    let mut archive = open();
    counted.refuse(true);
    let blobs = |name| read(&counted.inner, "quipu", name);
    let before = (blobs("manifest"), blobs("marks"));
    assert_eq!(archive.get(33).unwrap().unwrap(), value(33, 30));
    assert!(matches!(archive.has(33), Err(Error::Io { .. })));
    assert!(matches!(archive.status(33), Err(Error::Io { .. })));
    assert!(matches!(archive.get(&key::<8>(99)), Err(Error::Io { .. })));
    let items: Vec<_> = archive.range(..).collect();
    assert!(matches!(&items[..], [Err(Error::Io { .. })]));
    let verified = archive.verify(&mut |_| {});
    assert!(matches!(verified, Err(Error::Io { .. })));
    assert!(matches!(archive.plan_repair(), Err(Error::Io { .. })));
    assert!(matches!(archive.repair(), Err(Error::Io { .. })));
    assert!(matches!(archive.prune(10), Err(Error::Io { .. })));
    assert!(matches!(archive.rewind(10), Err(Error::Io { .. })));
    let new = archive.put(50, &key(50), b"new");
    assert!(matches!(new, Err(Error::Io { .. })));
    let scrub = archive.scrub(quipu::ScrubOptions::new());
    assert!(matches!(scrub, Err(Error::Io { .. })));
    // As the marks say.
    assert_eq!(archive.ranges(), [0..=14, 20..=39]);
    assert_eq!(archive.last_index(), Some(39));
    assert_eq!(archive.stats().items_tracked, 35);
    assert!(archive.recovery().lengths_unread && !archive.recovery().is_clean());
    assert_eq!((blobs("manifest"), blobs("marks")), before);
    counted.refuse(false);
    assert_eq!(archive.put(33, &key(1), b"new").unwrap(), Put::Exists);
    assert_eq!(archive.put_sync(50, &key(50), b"new").unwrap(), Put::Stored);
    assert_eq!(archive.status(12).unwrap(), Status::Present);
    archive.close().unwrap();
    assert!(!open().recovery().lengths_unread);
}

/// The files that a killed process has cut are as long as their marks say; that they are others shows where one is read.
#[test]
fn another_file_that_was_cut_and_not_marked_is_told_by_a_read() {
    let memory = filled();
    let bytes = read(&memory, "values", FIRST);
    write(&memory, "values", SECOND, &bytes);
    let archive = open(&memory);
    assert!(archive.get(12).unwrap_err().is_corruption());
    let killed = copy_of(&memory);
    drop(archive);
    let mut archive = open(&killed);
    assert_eq!(archive.ranges(), [0..=14, 20..=39]);
    assert!(archive.get(12).unwrap_err().is_corruption());
    assert_eq!(archive.ranges(), [0..=9, 20..=39]);
    put(&mut archive, 10..15);
    archive.close().unwrap();
    let archive = open(&killed);
    assert_eq!(archive.ranges(), [0..=14, 20..=39]);
    (10..15).for_each(|of| assert_eq!(archive.get(of).unwrap().unwrap(), value(of, 30)));
}

/// They see what the look finds, as they go on without the writer, and change nothing.
#[test]
fn readers_that_outlive_their_writer_cut_nothing() {
    let memory = grown();
    let reader = open(&memory).reader();
    let before = read(&memory, "index", SECOND);
    assert_eq!(reader.ranges(), [0..=14, 20..=39]);
    assert_eq!(reader.get(12).unwrap().unwrap(), value(12, 30));
    assert_eq!(read(&memory, "index", SECOND), before);
    let mut next = open(&memory);
    put(&mut next, 15..16);
    next.sync().unwrap();
    assert!(read(&memory, "index", SECOND).len() < before.len());
    assert!(matches!(reader.get(12), Err(Error::Closed { .. })));
    assert!(matches!(reader.has(12), Err(Error::Closed { .. })));
}

/// Threads ask everything at once, and the writer puts: nobody is told otherwise than by a look at the open.
#[test]
fn a_look_beside_readers_and_the_writer() {
    for round in 0..20 {
        let memory = match round % 2 {
            0 => grown(),
            _ => filled(),
        };
        if round % 4 == 3 {
            let bytes = read(&memory, "values", SECOND);
            write(&memory, "values", SECOND, &bytes[..bytes.len() - 20]);
        }
        let lost: Vec<u64> = if round % 4 == 3 { vec![14] } else { vec![] };
        let mut archive = open(&memory);
        let start = Barrier::new(4);
        thread::scope(|scope| {
            for nth in 0..3_u64 {
                let (reader, start, lost) = (archive.reader(), &start, &lost);
                scope.spawn(move || {
                    start.wait();
                    for index in (0..40).map(|of| (of * 7 + nth * 13) % 40) {
                        let there = !(15..20).contains(&index) && !lost.contains(&index);
                        match nth {
                            0 => assert_eq!(reader.has(index).unwrap(), there),
                            1 => assert_eq!(matches!(reader.get(index), Ok(Some(_))), there),
                            _ => {
                                let found = reader.get(&key::<8>(index));
                                assert_eq!(matches!(found, Ok(Some(_))), there, "{index}");
                            }
                        }
                    }
                });
            }
            start.wait();
            put(&mut archive, 40..60);
            archive.sync().unwrap();
        });
        assert_eq!(archive.last_index(), Some(59));
        archive.close().unwrap();
        let archive = open(&memory);
        let missing = archive.missing_items(0, 100);
        let expected: Vec<u64> = lost.into_iter().chain(15..20).collect();
        assert_eq!(missing, expected, "{round}");
    }
}
