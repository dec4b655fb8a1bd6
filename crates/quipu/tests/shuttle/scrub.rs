//! A scrub, in steps and on a thread of its own, beside the writer and readers.

use std::sync::Arc;
use std::time::Duration;

use quipu::{Archive, Error, Scrub, ScrubOptions, Status};
use shuttle::thread;

use super::setup::{
    Key, Told, assert_found, explore, hurt, key, open, options, put, value, with_items,
};

/// So fast that no step is waited for.
fn fast() -> ScrubOptions {
    ScrubOptions::new().bytes_per_second(u64::MAX)
}

/// Steps of one entry each to the end of a pass; what it found.
fn pass(scrub: &mut Scrub) -> u64 {
    loop {
        let progress = scrub.step(1).unwrap();
        if progress.pass_ended {
            return progress.findings;
        }
    }
}

/// Three sections; the last two are not in order.
fn three_sections() -> Archive<Key> {
    let indices = [0, 1, 2, 3, 4, 5, 10, 8, 12, 13];
    with_items(options(), indices).1
}

/// Puts, a prune, and a rewind that writes one section anew and drops another, whose name goes to a
/// new one with the values at other offsets.
fn change(archive: &mut Archive<Key>) {
    put(archive, 9, 0);
    archive.prune(4).unwrap();
    archive.rewind(8).unwrap();
    put(archive, 13, 1);
    put(archive, 12, 1);
    archive.sync().unwrap();
    put(archive, 9, 1);
}

fn assert_changed(archive: &Archive<Key>) {
    let ranges = [4..=5, 8..=9, 12..=13];
    assert_eq!((archive.floor(), archive.ranges()), (4, ranges.to_vec()));
    [4, 5, 8]
        .iter()
        .for_each(|&index| assert_found(archive, index, 0));
    [9, 12, 13]
        .iter()
        .for_each(|&index| assert_found(archive, index, 1));
    assert_eq!(archive.stats().damaged, 0);
}

fn steps_beside_the_writer() {
    let mut archive = three_sections();
    let mut scrub = archive.scrub(fast()).unwrap();
    let scrubbing = thread::spawn(move || {
        assert_eq!(pass(&mut scrub), 0);
        scrub
    });
    change(&mut archive);
    let mut scrub = scrubbing.join().unwrap();
    assert_changed(&archive);
    assert_eq!(pass(&mut scrub), 0);
    // The pass that ended last had all of it.
    let stats = archive.stats();
    assert_eq!((stats.scrub_passes, stats.scrub_findings), (2, 0));
}

#[test]
fn a_scrub_takes_nothing_for_damage_that_the_writer_changes() {
    explore(steps_beside_the_writer);
}

fn background_beside_the_writer() {
    let mut archive = three_sections();
    let scrub = archive.scrub(fast().passes(2).rest(Duration::ZERO));
    let scrubbing = scrub.unwrap().spawn().unwrap();
    change(&mut archive);
    scrubbing.join().unwrap();
    assert_changed(&archive);
    let stats = archive.stats();
    assert_eq!((stats.scrub_passes, stats.scrub_findings), (2, 0));
}

#[test]
fn a_scrub_in_the_background_takes_nothing_for_damage_that_the_writer_changes() {
    explore(background_beside_the_writer);
}

/// Between two passes it sleeps for an hour: who closes or stops it must wake it.
fn end_of_the_archive(stop: bool) {
    let (storage, archive) = with_items(options(), 0..6);
    let reader = archive.reader();
    let scrubbing = archive.scrub(fast()).unwrap().spawn().unwrap();
    let closing = thread::spawn(move || match stop {
        true => (scrubbing.stop().unwrap(), Some(archive)).1,
        false => {
            archive.close().unwrap();
            // Nobody told the thread itself to stop.
            scrubbing.join().unwrap();
            None
        }
    });
    assert_found(&reader, 5, 0);
    let archive = closing.join().unwrap();
    match archive {
        // Another scrub can come, and goes on from its place.
        Some(archive) => drop(archive.scrub(fast()).unwrap()),
        None => drop(open(&storage, options())),
    }
}

#[test]
fn a_closed_archive_wakes_its_scrub_and_waits_for_it() {
    explore(|| end_of_the_archive(false));
}

#[test]
fn a_scrub_that_is_stopped_wakes_and_lets_another_in() {
    explore(|| end_of_the_archive(true));
}

/// A step that is under way when the archive is closed ends before the next writer can come.
fn steps_beside_a_close() {
    let (storage, archive) = with_items(options(), 0..6);
    let closed = Arc::new(Told::default());
    let not_closed = {
        let closed = Arc::clone(&closed);
        move |_| assert_eq!(closed.get(), 0, "a step outlives the archive")
    };
    let mut scrub = archive.scrub(fast().on_event(not_closed)).unwrap();
    let scrubbing = thread::spawn(move || {
        while let Ok(progress) = scrub.step(100) {
            assert_eq!(progress.findings, 0);
            // Pass after pass, so that a scheduler of few switches must be told.
            thread::yield_now();
        }
        let error = scrub.step(100).unwrap_err();
        assert!(matches!(error, Error::Closed { .. }), "{error}");
    });
    archive.close().unwrap();
    closed.tell(1);
    let mut next = open(&storage, options());
    assert!(next.recovery().sections.is_empty());
    put(&mut next, 6, 1);
    scrubbing.join().unwrap();
    assert_found(&next, 6, 1);
}

#[test]
fn no_step_of_a_scrub_outlives_the_archive() {
    explore(steps_beside_a_close);
}

/// The scrub, readers and a put come to the same damage.
fn steps_beside_damage() {
    let options = options().items_per_section(8);
    let (storage, archive) = with_items(options.clone(), 0..6);
    archive.close().unwrap();
    hurt(&storage, 0, 3);
    let mut archive = open(&storage, options);
    let mut scrub = archive.scrub(fast()).unwrap();
    let scrubbing = thread::spawn(move || pass(&mut scrub));
    let reader = archive.reader();
    let reading = thread::spawn(move || {
        assert!(reader.get(&key(3, 0)).is_err());
        assert_found(&reader, 4, 0);
    });
    let mut filled = false;
    for _ in 0..2 {
        let put = archive.put(3, &key(3, 1), &value(3, 1)).unwrap();
        filled |= put == quipu::Put::Stored;
        archive.sync().unwrap();
    }
    // Whoever was first to note it, the scrub found it too.
    assert_eq!(scrubbing.join().unwrap(), 1);
    reading.join().unwrap();
    if !filled {
        assert_eq!(archive.status(3).unwrap(), Status::Damaged);
        assert_eq!(archive.missing_items(0, 9), [3]);
        put(&mut archive, 3, 1);
    }
    assert_found(&archive, 3, 1);
    assert_eq!(
        (archive.ranges(), archive.stats().damaged),
        (vec![0..=5], 0)
    );
}

#[test]
fn a_scrub_finds_damage_that_others_find_and_fill() {
    explore(steps_beside_damage);
}
