//! Files of a section that are away for a while: a folder that was not mounted, a copy that was not done.

mod common;
#[allow(dead_code, unreachable_pub)]
#[path = "common/faulty.rs"]
mod faulty;

use std::sync::Arc;

use common::{Bench, copy_of, key};
use faulty::{Fault, Faulty};
use quipu::storage::Memory;
use quipu::{Archive, Compression, Error, Options, ReadOnly, Status};

const SECTION: &str = "0000000000000004";
const BOTH_FILES: &[&str] = &["index", "values"];

fn options() -> Options {
    Options::new().items_per_section(4)
}

fn value(index: u64) -> String {
    format!("value value value {index}")
}

/// Items 0 to 11, in three sections, the one in the middle of which is to go away.
fn filled(options: Options) -> Bench {
    filled_on(Memory::new(), options)
}

fn filled_on(memory: Memory, options: Options) -> Bench {
    let bench = Bench::on(Arc::new(memory), options);
    let mut archive = bench.open::<8>();
    for index in 0..12 {
        let _ = archive
            .put_sync(index, &key(index), value(index).as_bytes())
            .unwrap();
    }
    archive.close().unwrap();
    bench
}

/// What a rewind leaves that is cut off before each of its calls.
fn cut_off_rewinds(to: u64, mut check: impl FnMut(&Bench)) {
    let memory = Memory::new();
    drop(filled_on(memory.clone(), options()));
    for at in 0..300 {
        let copy = copy_of(&memory);
        let faulty = Faulty::new(copy.clone(), at, Fault::CrashBefore);
        let opened: quipu::Result<Archive<[u8; 8]>> = options().open_on(Arc::new(faulty));
        let Ok(mut archive) = opened else { continue };
        if archive.rewind(to).is_ok() {
            break;
        }
        drop(archive);
        check(&Bench::on(Arc::new(copy), options()));
    }
}

/// Takes files of the section away.
fn take_away<'a>(bench: &Bench, partitions: &[&'a str]) -> Vec<(&'a str, Vec<u8>)> {
    let take = |&partition: &&'a str| {
        let bytes = bench.read(partition, SECTION);
        bench.storage().remove(partition, SECTION).unwrap();
        (partition, bytes)
    };
    partitions.iter().map(take).collect()
}

fn bring_back(bench: &Bench, files: &[(&str, Vec<u8>)]) {
    for (partition, bytes) in files {
        bench.write(partition, SECTION, bytes);
    }
}

#[test]
fn the_setting_of_compression_changes_meanwhile() {
    const BOTH: [Compression; 2] = [Compression::Off, Compression::Zstd(3)];
    for (before, after) in [(BOTH[0], BOTH[1]), (BOTH[1], BOTH[0])] {
        for away in [&["index"][..], &["values"], &["index", "values"]] {
            let bench = filled(options().compression(before));
            let files = take_away(&bench, away);
            let other: Archive<[u8; 8]> = options()
                .compression(after)
                .open_on(bench.storage())
                .unwrap();
            other.close().unwrap();
            bring_back(&bench, &files);
            let archive: Archive<[u8; 8]> = options().open_on(bench.storage()).unwrap();
            for index in 0..12 {
                match archive.get(index) {
                    // Entries without values were seen: that stays known until they are put again.
                    Err(Error::Damaged { .. }) if away == ["values"] => {}
                    found => assert_eq!(found.unwrap().unwrap(), value(index), "{away:?}"),
                }
            }
        }
    }
}

/// Its last page was not full, which nobody can see meanwhile.
#[test]
fn nothing_is_damaged_afterwards() {
    for away in [&["index"][..], &["index", "values"]] {
        let bench = filled(options());
        let files = take_away(&bench, away);
        for index in 12..14 {
            let mut archive = bench.open::<8>();
            let _ = archive.put_sync(index, &key(index), b"meanwhile").unwrap();
            archive.close().unwrap();
        }
        bring_back(&bench, &files);
        let archive = bench.open::<8>();
        assert_eq!(archive.ranges(), [0..=13], "{away:?}");
        let report = archive.verify(&mut |_| {}).unwrap();
        assert!(report.is_clean(), "{away:?}: {report:?}");
    }
}

/// Nor replaced by what is put into their section before the archive is opened again.
#[test]
fn files_that_are_back_while_it_is_open_are_not_replaced() {
    let bench = filled(options());
    let files = take_away(&bench, BOTH_FILES);
    let mut archive = bench.open::<8>();
    bring_back(&bench, &files);
    let put = archive.put_sync(5, &key(5), b"other");
    assert!(matches!(put, Err(Error::Damaged { .. })), "{put:?}");
    let _ = archive.put_sync(12, &key(12), b"behind").unwrap();
    archive.close().unwrap();
    let archive = bench.open::<8>();
    assert_eq!(archive.ranges(), [0..=12]);
    assert_eq!(archive.get(6).unwrap().unwrap(), value(6));
}

/// What a rewind dropped would be there again.
#[test]
fn a_rewind_is_refused_meanwhile() {
    let bench = filled(options());
    let files = take_away(&bench, &["index", "values"]);
    let mut archive = bench.open::<8>();
    let rewound = archive.rewind(5);
    assert!(matches!(rewound, Err(Error::Damaged { .. })), "{rewound:?}");
    assert_eq!(archive.status(9).unwrap(), Status::Present);
    archive.close().unwrap();
    bring_back(&bench, &files);
    let mut archive = bench.open::<8>();
    assert_eq!(archive.ranges(), [0..=11]);
    archive.rewind(5).unwrap();
    assert_eq!(archive.ranges(), [0..=5]);
}

/// A rewind drops a section above it all the same, also one that is away: it goes when it comes back.
#[test]
fn what_a_rewind_dropped_meanwhile_goes_when_it_comes_back() {
    for puts_again in [false, true] {
        let bench = filled(options());
        let files = take_away(&bench, BOTH_FILES);
        let mut archive = bench.open::<8>();
        archive.rewind(2).unwrap();
        archive.rewind(1).unwrap();
        archive.close().unwrap();
        bring_back(&bench, &files);
        assert_dropped(&bench, 1, puts_again);
    }
}

/// Before the archive is opened, or while it is; after a repair that let go of what is away.
#[test]
fn however_they_went_away() {
    for (to, repairs, opens_first) in [(2, true, false), (5, true, false), (2, false, true)] {
        let bench = filled(options());
        let first = opens_first.then(|| bench.open::<8>());
        let files = take_away(&bench, BOTH_FILES);
        let mut archive = first.unwrap_or_else(|| bench.open::<8>());
        if repairs {
            drop(archive.repair().unwrap());
        }
        archive.rewind(to).unwrap();
        archive.close().unwrap();
        bring_back(&bench, &files);
        assert_dropped(&bench, to.min(3), to < 4);
    }
}

/// A rewind that was cut off anywhere, and is ended while they are away.
#[test]
fn a_rewind_that_ends_without_them_takes_them_with_it() {
    let mut ended = 0;
    cut_off_rewinds(1, |bench| {
        let there = |&&of: &&&str| {
            let names = bench.storage().list(of).unwrap();
            names.iter().any(|name| name == SECTION)
        };
        let there: Vec<&str> = BOTH_FILES.iter().filter(there).copied().collect();
        let files = take_away(bench, &there);
        let archive = bench.open::<8>();
        let is_done = archive.status(9).unwrap() == Status::Missing;
        archive.close().unwrap();
        bring_back(bench, &files);
        if is_done {
            ended += 1;
            assert_dropped(bench, 1, true);
        }
    });
    assert!(ended > 5, "{ended}");
}

/// Nothing behind an index is there, and what is put again there stays.
fn assert_dropped(bench: &Bench, last: u64, puts_again: bool) {
    let read =
        || -> ReadOnly<[u8; 8]> { bench.options().open_read_only_on(bench.storage()).unwrap() };
    assert_eq!(read().ranges(), [0..=last]);
    let mut archive = bench.open::<8>();
    assert_eq!(archive.ranges(), [0..=last]);
    assert_eq!(archive.get(&key(5)).unwrap(), None);
    if puts_again {
        let _ = archive.put_sync(5, &key(5), b"again").unwrap();
        assert_eq!(*read().get(5).unwrap().unwrap(), *b"again");
        archive.close().unwrap();
        let archive = bench.open::<8>();
        assert!(archive.recovery().is_clean());
        assert_eq!(archive.ranges(), [0..=last, 5..=5]);
    }
}

/// A section that is gone for good is let go of by a repair, and a rewind into it is done then.
#[test]
fn a_repair_ends_the_waiting() {
    let bench = filled(options());
    drop(take_away(&bench, &["index", "values"]));
    let mut archive = bench.open::<8>();
    assert!(archive.rewind(5).is_err());
    drop(archive.repair().unwrap());
    archive.rewind(5).unwrap();
    assert_eq!(archive.ranges(), [0..=3]);
    let _ = archive.put_sync(6, &key(6), b"new").unwrap();
    archive.close().unwrap();
    assert_eq!(bench.open::<8>().ranges(), [0..=3, 6..=6]);
}

/// One item above the section, so that something is put where nothing was dropped.
const BEHIND: u64 = 20;

#[test]
fn a_rewind_that_was_cut_off_waits_for_them() {
    let mut waited = 0;
    cut_off_rewinds(5, |bench| waited += u32::from(waits_and_ends(bench)));
    assert!(waited > 5, "{waited}");
}

/// Whether a rewind waited while the files of its section were away. Once they are back nothing is there of what it
/// dropped, if it was begun.
fn waits_and_ends(bench: &Bench) -> bool {
    let files = take_away(bench, &["index", "values"]);
    let mut archive = bench.open::<8>();
    let put = archive.put_sync(BEHIND, &key(BEHIND), b"behind");
    let waits = matches!(put, Err(Error::RewindPending { index: 5, .. }));
    assert!(waits || put.is_ok(), "{put:?}");
    let begun = waits || archive.status(9).unwrap() == Status::Missing;
    archive.close().unwrap();
    bring_back(bench, &files);
    let archive = bench.open::<8>();
    let dropped = [6, 7, 9].map(|index| archive.status(index).unwrap());
    let expected = if begun {
        Status::Missing
    } else {
        Status::Present
    };
    assert_eq!(dropped, [expected; 3]);
    assert_eq!(archive.get(5).unwrap().unwrap(), value(5));
    waits
}
