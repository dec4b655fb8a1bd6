//! Scrubbing: what verification finds, in steps, from the newest section down, across restarts.

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Bench, key, value};
use quipu::{Archive, Error, Options, ScrubOptions, ScrubProgress, Status, VerifyEvent};

const ITEMS: u64 = 40;
const HEADER: usize = 4096;
/// Bytes of an entry and of a value with its checksum.
const ITEM_BYTES: u64 = 28 + 34;
const ALL: u64 = ITEMS * ITEM_BYTES;

type Store = Archive<[u8; 8]>;
type Told = Arc<Mutex<Vec<String>>>;

fn options() -> Options {
    Options::new().items_per_section(8).page_size(60)
}

/// An event in words, but for the progress.
fn words(event: &VerifyEvent) -> Option<String> {
    match event {
        VerifyEvent::Progress { .. } => None,
        other => Some(format!("{other:?}")),
    }
}

fn telling() -> (ScrubOptions, Told) {
    let told = Told::default();
    let to = Arc::clone(&told);
    let options =
        ScrubOptions::new().on_event(move |event| to.lock().unwrap().extend(words(&event)));
    (options, told)
}

/// Steps of so many bytes to the end of the pass; how many, and the last one's progress.
fn pass(archive: &Store, bytes: u64) -> (u64, ScrubProgress) {
    let mut scrub = archive.scrub(ScrubOptions::new()).unwrap();
    for steps in 1.. {
        let progress = scrub.step(bytes).unwrap();
        if progress.pass_ended {
            return (steps, progress);
        }
        assert!(progress.checked > 0);
    }
    unreachable!()
}

#[test]
fn a_pass_checks_every_byte_once_whatever_the_steps() {
    Bench::each(options(), |bench| {
        bench.fill(ITEMS);
        let archive: Store = bench.open();
        for (passes, bytes) in (1..).zip([1, 100, 1000, u64::MAX]) {
            let (steps, progress) = pass(&archive, bytes);
            assert_eq!((progress.done, progress.total), (ALL, ALL));
            assert_eq!((progress.findings, progress.passes), (0, passes));
            // The step that finds nothing more ends the pass.
            let at_least = if bytes == u64::MAX {
                1
            } else {
                ALL.div_ceil(bytes + ITEM_BYTES)
            };
            assert!((at_least..=ITEMS + 1).contains(&steps), "{steps}");
            let stats = archive.stats();
            assert_eq!((stats.scrub_done, stats.scrub_total), (ALL, ALL));
            assert_eq!((stats.scrub_passes, stats.scrub_findings), (passes, 0));
        }
    });
}

#[test]
fn a_step_is_bounded_by_its_bytes_and_one_item() {
    Bench::each(options(), |bench| {
        bench.fill(ITEMS);
        let archive: Store = bench.open();
        let mut scrub = archive.scrub(ScrubOptions::new()).unwrap();
        for bytes in [1, ITEM_BYTES, ITEM_BYTES + 1, 10 * ITEM_BYTES] {
            let checked = scrub.step(bytes).unwrap().checked;
            assert!((bytes..bytes + ITEM_BYTES).contains(&checked), "{checked}");
        }
    });
}

#[test]
fn it_finds_exactly_what_verify_finds() {
    Bench::each(options(), |bench| {
        bench.fill(ITEMS);
        bench.flip("values", "0000000000000008", HEADER + 40);
        bench.flip("values", "0000000000000020", HEADER + 7 * 34);
        bench.flip("index", "0000000000000010", HEADER + 72 + 3);
        bench.flip("index", "0000000000000018", 3);
        for bytes in [1, 150, u64::MAX] {
            let archive: Store = bench.open();
            let (options, told) = telling();
            let mut scrub = archive.scrub(options).unwrap();
            while !scrub.step(bytes).unwrap().pass_ended {}
            let mut found = told.lock().unwrap().clone();
            let mut verified = Vec::new();
            let report = archive
                .verify(&mut |event| verified.extend(words(&event)))
                .unwrap();
            found.sort();
            verified.sort();
            assert_eq!(found, verified);
            let all = report.damaged + report.damaged_files + report.unreadable_sections;
            assert_eq!(archive.stats().scrub_findings, all);
            assert!(all >= 6);
        }
    });
}

#[test]
fn what_it_finds_is_damaged_and_missing_also_after_a_restart() {
    Bench::each(options(), |bench| {
        bench.fill(ITEMS);
        let archive: Store = bench.open();
        bench.flip("values", "0000000000000008", HEADER + 40);
        assert_eq!(archive.missing_items(0, 9), []);
        assert_eq!(pass(&archive, 100).1.findings, 1);
        assert_eq!(archive.missing_items(0, 9), [9]);
        archive.close().unwrap();
        let archive: Store = bench.open();
        assert_eq!(archive.missing_items(0, 9), [9]);
        assert_eq!(archive.status(9).unwrap(), Status::Damaged);
    });
}

#[test]
fn the_newest_section_comes_first() {
    Bench::each(options(), |bench| {
        bench.fill(ITEMS);
        for section in [0, 8, 16, 24, 32u64] {
            bench.flip("values", &format!("{section:016x}"), HEADER + 3);
        }
        let archive: Store = bench.open();
        let found: Arc<Mutex<Vec<u64>>> = Arc::default();
        let to = Arc::clone(&found);
        let options = ScrubOptions::new().on_event(move |event| {
            if let VerifyEvent::Damage(damage) = event {
                to.lock().unwrap().push(damage.section);
            }
        });
        let mut scrub = archive.scrub(options).unwrap();
        for done in 1..=5 {
            scrub.step(8 * ITEM_BYTES - 34).unwrap();
            assert_eq!(found.lock().unwrap().len(), done);
        }
        assert_eq!(*found.lock().unwrap(), [32, 24, 16, 8, 0]);
    });
}

#[test]
fn a_restart_goes_on_where_it_was() {
    Bench::each(options(), |bench| {
        bench.fill(ITEMS);
        bench.flip("values", "0000000000000020", HEADER);
        bench.flip("values", "0000000000000000", HEADER);
        let (mut checked, mut restarts) = (0, 0);
        let ended = loop {
            let archive: Store = bench.open();
            let mut scrub = archive.scrub(ScrubOptions::new()).unwrap();
            assert_eq!(scrub.progress().done, checked);
            let progress = scrub.step(5 * ITEM_BYTES).unwrap();
            checked += progress.checked;
            assert_eq!(archive.stats().scrub_done, progress.done);
            if progress.pass_ended {
                break progress;
            }
            restarts += 1;
            drop(scrub);
            drop(archive);
        };
        // Of a damaged value the size is not counted.
        assert_eq!(checked, ALL - 2 * 34);
        assert_eq!((ended.findings, ended.passes), (2, 1));
        assert_eq!(restarts, 7);
    });
}

#[test]
fn a_crash_goes_on_from_the_place_that_was_written() {
    Bench::each(options(), |bench| {
        bench.fill(ITEMS);
        let archive: Store = bench.open();
        let mut scrub = archive.scrub(ScrubOptions::new()).unwrap();
        scrub.step(15 * ITEM_BYTES).unwrap();
        drop(scrub);
        let written = bench.read("quipu", "scrub");
        let mut scrub = archive.scrub(ScrubOptions::new()).unwrap();
        scrub.step(9 * ITEM_BYTES).unwrap();
        // Not every step writes it.
        assert_eq!(bench.read("quipu", "scrub"), written);
        std::mem::forget(scrub);
        drop(archive);
        let archive: Store = bench.open();
        let scrub = archive.scrub(ScrubOptions::new()).unwrap();
        assert_eq!(scrub.progress().done, 15 * ITEM_BYTES);
    });
}

#[test]
fn a_place_that_is_damaged_or_gone_begins_a_new_pass() {
    Bench::each(options(), |bench| {
        bench.fill(ITEMS);
        let archive: Store = bench.open();
        archive
            .scrub(ScrubOptions::new())
            .unwrap()
            .step(ITEM_BYTES)
            .unwrap();
        bench.flip("quipu", "scrub", 30);
        assert_eq!(pass(&archive, 1000).1.done, ALL);
        bench.storage().remove("quipu", "scrub").unwrap();
        let (_, progress) = pass(&archive, 1000);
        assert_eq!((progress.done, progress.passes), (ALL, 1));
        bench.write("quipu", "scrub", b"");
        assert_eq!(pass(&archive, 1000).1.passes, 1);
    });
}

#[test]
fn what_is_put_meanwhile_belongs_to_the_next_pass() {
    Bench::each(options(), |bench| {
        bench.fill(ITEMS);
        let mut archive: Store = bench.open();
        archive.rewind(35).unwrap();
        let mut scrub = archive.scrub(ScrubOptions::new()).unwrap();
        assert_eq!(scrub.step(ITEM_BYTES).unwrap().checked, ITEM_BYTES);
        for index in 36..60 {
            let _ = archive.put(index, &key(index), &value(index, 30)).unwrap();
        }
        archive.sync().unwrap();
        let rest = scrub.step(u64::MAX).unwrap();
        assert!(rest.pass_ended);
        assert_eq!(rest.checked, 35 * ITEM_BYTES);
        assert_eq!(scrub.step(u64::MAX).unwrap().checked, 60 * ITEM_BYTES);
    });
}

#[test]
fn sections_that_are_pruned_or_written_anew_meanwhile_are_left() {
    Bench::each(options(), |bench| {
        bench.fill(ITEMS);
        bench.flip("values", "0000000000000018", HEADER);
        let mut archive: Store = bench.open();
        let mut scrub = archive.scrub(ScrubOptions::new()).unwrap();
        assert_eq!(scrub.step(9 * ITEM_BYTES).unwrap().findings, 1);
        // The scrub is in the middle of section 24.
        assert_eq!(archive.repair().unwrap().lost_indices(), 1);
        archive.prune(16).unwrap();
        let rest = scrub.step(u64::MAX).unwrap();
        assert!(rest.pass_ended);
        assert_eq!((rest.checked, rest.findings), (8 * ITEM_BYTES, 1));
        drop(scrub);
        assert_eq!(pass(&archive, 1000).1.findings, 0);
    });
}

/// Positions are others by then.
#[test]
fn a_section_that_was_written_anew_between_two_scrubs_begins_anew() {
    Bench::each(options(), |bench| {
        bench.fill(ITEMS);
        bench.flip("values", "0000000000000020", HEADER);
        let mut archive: Store = bench.open();
        archive
            .scrub(ScrubOptions::new())
            .unwrap()
            .step(4 * ITEM_BYTES)
            .unwrap();
        archive.repair().unwrap();
        bench.flip("values", "0000000000000020", HEADER + 4 * 34);
        archive.close().unwrap();
        let archive: Store = bench.open();
        let mut scrub = archive.scrub(ScrubOptions::new()).unwrap();
        assert_eq!(scrub.step(u64::MAX).unwrap().findings, 2);
    });
}

#[test]
fn there_is_one_at_a_time_and_none_without_the_archive() {
    Bench::each(options(), |bench| {
        bench.fill(ITEMS);
        let archive: Store = bench.open();
        let mut scrub = archive.scrub(ScrubOptions::new()).unwrap();
        let second = archive.scrub(ScrubOptions::new());
        assert!(matches!(second, Err(Error::Locked { .. })), "{second:?}");
        let nothing = archive.scrub(ScrubOptions::new().bytes_per_second(0));
        assert!(matches!(nothing, Err(Error::InvalidOption { .. })));
        scrub.step(1).unwrap();
        archive.close().unwrap();
        let closed = scrub.step(1);
        assert!(matches!(closed, Err(Error::Closed { .. })), "{closed:?}");
        // Nothing is written any more: the next writer has the lock.
        assert!(
            !bench
                .storage()
                .list("quipu")
                .unwrap()
                .contains(&"scrub".to_owned())
        );
        let archive: Store = bench.open();
        drop(scrub);
        archive.scrub(ScrubOptions::new()).unwrap();
    });
}

#[test]
fn destroying_takes_the_place_along() {
    Bench::each(options(), |bench| {
        bench.fill(ITEMS);
        let archive: Store = bench.open();
        pass(&archive, u64::MAX);
        let mut scrub = archive.scrub(ScrubOptions::new()).unwrap();
        scrub.step(1).unwrap();
        archive.destroy().unwrap();
        assert!(matches!(scrub.step(1), Err(Error::Closed { .. })));
        drop(scrub);
        assert!(bench.storage().list("quipu").unwrap().is_empty());
    });
}

#[test]
fn an_archive_without_items_has_short_passes() {
    Bench::each(options(), |bench| {
        let archive: Store = bench.open();
        for passes in 1..4 {
            let (steps, progress) = pass(&archive, 1);
            assert_eq!((steps, progress.passes, progress.total), (1, passes, 0));
        }
    });
}

#[test]
fn in_the_background_beside_puts_and_reads() {
    Bench::each(options(), |bench| {
        bench.fill(ITEMS);
        bench.flip("values", "0000000000000008", HEADER + 40);
        let mut archive: Store = bench.open();
        let (scrub, told) = telling();
        let scrub = scrub
            .bytes_per_second(u64::MAX)
            .passes(3)
            .rest(Duration::ZERO);
        let handle = archive.scrub(scrub).unwrap().spawn().unwrap();
        for index in ITEMS..2 * ITEMS {
            let _ = archive.put(index, &key(index), &value(index, 30)).unwrap();
            assert_eq!(archive.get(index).unwrap().unwrap(), value(index, 30));
        }
        archive.sync().unwrap();
        handle.join().unwrap();
        let stats = archive.stats();
        assert_eq!((stats.scrub_passes, stats.scrub_findings), (3, 1));
        let told = told.lock().unwrap();
        assert_eq!(told.iter().filter(|of| of.starts_with("Damage")).count(), 3);
    });
}

#[test]
fn a_thread_that_rests_ends_with_its_handle_or_its_archive() {
    Bench::each(options(), |bench| {
        bench.fill(ITEMS);
        let rest = Duration::from_secs(1 << 20);
        // At a byte a second the first step alone is worth hours.
        let slow = || ScrubOptions::new().bytes_per_second(1).rest(rest);
        let archive: Store = bench.open();
        archive
            .scrub(slow())
            .unwrap()
            .spawn()
            .unwrap()
            .stop()
            .unwrap();
        drop(archive.scrub(slow()).unwrap().spawn().unwrap());
        let handle = archive.scrub(slow()).unwrap().spawn().unwrap();
        archive.close().unwrap();
        handle.join().unwrap();
        let _: Store = bench.open();
    });
}
