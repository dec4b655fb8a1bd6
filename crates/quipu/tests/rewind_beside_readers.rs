//! Readers beside a writer that takes items back: no bytes ever come under another's index or key.

mod common;
#[allow(dead_code, unreachable_pub)]
#[path = "common/hooked.rs"]
mod hooked;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use common::{Bench, key, mix, value};
use hooked::Hooked;
use quipu::index::FourCap;
use quipu::storage::Memory;
use quipu::{Archive, Error, Item, Options, PageCache, ReadOnly, Reader, Status};

type Key = [u8; 16];

/// A key that tells its index and how often the index was put.
fn named(index: u64, generation: u64) -> Key {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&index.to_be_bytes());
    key[8..].copy_from_slice(&generation.to_be_bytes());
    key
}

fn assert_of_one_item(item: &Item<Key, quipu::Bytes>) {
    assert_eq!(item.value, item.key.repeat(2), "{}", item.index);
    assert_eq!(item.key[..8], item.index.to_be_bytes());
}

/// Reads at random until the writer is done.
fn read_on(reader: &Reader<Key>, mut step: u64, done: &AtomicBool) {
    while !done.load(Ordering::Acquire) {
        step = mix(step);
        let index = step % 400;
        let name = named(index, step >> 32 & 63);
        if let Some(found) = reader.get(&name).unwrap() {
            assert_eq!(found, name.repeat(2));
        }
        if let Some(found) = reader.get_item(index).unwrap() {
            assert_of_one_item(&found);
        }
        for found in reader.get_all(index).unwrap() {
            assert_eq!(found[..8], index.to_be_bytes());
        }
        for found in reader.range(index..index + 20) {
            assert_of_one_item(&found.unwrap());
        }
        if step.is_multiple_of(64) {
            assert!(reader.verify(&mut |_| {}).unwrap().is_clean());
            assert_eq!(reader.stats().damaged, 0);
        }
    }
}

#[test]
fn no_item_is_mixed_up_or_called_damaged() {
    let options = Options::new()
        .items_per_section(32)
        .page_size(200)
        .max_open_files(8)
        .write_buffer(500);
    Bench::each(options, |bench| {
        let mut archive: Archive<Key> = bench.open::<16>();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let (reader, done) = (archive.reader(), &done);
                scope.spawn(move || read_on(&reader, thread, done));
            }
            for generation in 0..60 {
                for step in 0..300 {
                    // A few out of order, so that rewinds leave gaps in the file.
                    let index = if step % 7 == 0 { step + 3 } else { step };
                    let key = named(index, generation);
                    let _ = archive.put(index, &key, &key.repeat(2)).unwrap();
                }
                archive.sync().unwrap();
                archive.rewind(mix(generation) % 300).unwrap();
            }
            done.store(true, Ordering::Release);
        });
        let before = archive.ranges();
        archive.close().unwrap();
        let archive = bench.open::<16>();
        assert_eq!((archive.ranges(), archive.stats().damaged), (before, 0));
    });
}

fn beside(bench: &Bench) -> ReadOnly<[u8; 8]> {
    bench.options().open_read_only_on(bench.storage()).unwrap()
}

fn fill(archive: &mut Archive<[u8; 8]>, indices: std::ops::Range<u64>, offset: u64) {
    for index in indices {
        let number = index + offset;
        let _ = archive
            .put(index, &key(number), &value(number, 20))
            .unwrap();
    }
    archive.sync().unwrap();
}

#[test]
fn an_old_key_never_gets_a_new_value_in_another_process() {
    for items_per_section in [4, 1000] {
        let options = Options::new()
            .items_per_section(items_per_section)
            .page_size(100);
        Bench::each(options, |bench| {
            let mut archive = bench.open::<8>();
            fill(&mut archive, 0..20, 0);
            let mut beside = beside(bench);
            let before = beside.reader();
            for index in 0..20 {
                assert!(beside.get(index).unwrap().is_some());
            }
            archive.rewind(9).unwrap();
            fill(&mut archive, 10..20, 1000);
            let old_or_none = |reader: &Reader<[u8; 8]>| {
                for number in (0..20).chain(1010..1020) {
                    match reader.get(&key::<8>(number)) {
                        Ok(found) => assert!(found.is_none_or(|found| found == value(number, 20))),
                        Err(error) => assert!(matches!(error, Error::Stale { .. }), "{error}"),
                    }
                }
            };
            old_or_none(&beside);
            beside.refresh().unwrap();
            old_or_none(&before);
            assert_eq!(
                beside.get(&key::<8>(1012)).unwrap().unwrap(),
                value(1012, 20)
            );
            assert_eq!(beside.get(&key::<8>(12)).unwrap(), None);
            assert_eq!(beside.get(12).unwrap().unwrap(), value(1012, 20));
        });
    }
}

#[test]
fn another_archive_at_the_path_is_told_from_the_one_before() {
    // Without a seed, all that the two manifests could differ in is their id.
    Bench::each(Options::new().translator(FourCap), |bench| {
        let mut archive = bench.open::<8>();
        fill(&mut archive, 0..10, 0);
        let mut beside = beside(bench);
        archive.destroy().unwrap();
        assert!(matches!(beside.refresh(), Err(Error::NotAnArchive { .. })));
        fill(&mut bench.open::<8>(), 0..10, 500);
        beside.refresh().unwrap();
        assert_eq!(beside.get(3).unwrap().unwrap(), value(503, 20));
        assert_eq!(beside.get(&key::<8>(3)).unwrap(), None);
    });
}

#[test]
fn what_was_pruned_since_the_last_refresh_is_none() {
    let options = Options::new().items_per_section(4).max_open_files(8);
    Bench::disk(options, |bench| {
        let mut archive = bench.open::<8>();
        fill(&mut archive, 0..100, 0);
        let beside = beside(bench);
        archive.prune(80).unwrap();
        for index in 0..100 {
            let expected = (index >= 80).then(|| value(index, 20));
            assert_eq!(
                beside.get(index).unwrap().as_deref(),
                expected.as_deref(),
                "{index}"
            );
            assert_eq!(
                beside.get(&key::<8>(index)).unwrap().as_deref(),
                expected.as_deref()
            );
        }
        assert_eq!(beside.range(..).filter(Result::is_ok).count(), 20);
        assert_eq!(beside.floor(), 80);
        assert!(beside.verify(&mut |_| {}).unwrap().is_clean());
    });
}

/// What goes while it looks is no damage, and a reader of another process that has old files says so.
#[test]
fn a_dry_run_of_a_repair_beside_a_prune_and_a_rewind() {
    let moments = [
        "open quipu/marks",
        "open index/0000000000000000",
        "open index/0000000000000008",
        "open values/0000000000000008",
        "open index/0000000000000018",
    ];
    for moment in moments {
        for (nth, beside, prunes) in (0..12).map(|of| (of / 4, of % 2 == 0, of / 2 % 2 == 0)) {
            let storage = Hooked::new(Memory::new());
            let options = Options::new().items_per_section(8);
            let mut archive: Archive<[u8; 8]> = options.open_on(Arc::new(storage.clone())).unwrap();
            fill(&mut archive, 0..40, 0);
            let other = Arc::new(storage.clone());
            let other: ReadOnly<[u8; 8]> = Options::new().open_read_only_on(other).unwrap();
            let reader = match beside {
                true => other.reader(),
                false => archive.reader(),
            };
            let archive = Arc::new(Mutex::new(archive));
            let writer = Arc::clone(&archive);
            storage.nth(nth, moment, move || match prunes {
                true => assert_eq!(writer.lock().unwrap().prune(16).unwrap(), 2),
                false => writer.lock().unwrap().rewind(3).unwrap(),
            });
            let planned = reader.plan_repair();
            drop(archive);
            match planned {
                Ok(planned) => assert!(planned.sections.is_empty(), "{moment}: {planned:?}"),
                Err(Error::Stale { .. }) if beside && !prunes => {}
                Err(error) => panic!("{moment}: {error}"),
            }
        }
    }
}

/// The reader has the marks from before the prune, and the folders from after it.
#[test]
fn what_is_pruned_while_a_reader_opens_is_no_damage() {
    for moment in [
        "open quipu/marks",
        "open quipu/commit-log",
        "open index/0000000000000008",
        "open index/0000000000000010",
    ] {
        for options in [Options::new(), Options::new().keys_per_table(1)] {
            let memory = Memory::new();
            let options = options.items_per_section(8);
            let mut archive: Archive<[u8; 8]> =
                options.clone().open_on(Arc::new(memory.clone())).unwrap();
            fill(&mut archive, 0..40, 0);
            let archive = Arc::new(Mutex::new(archive));
            let writer = Arc::clone(&archive);
            let storage = Hooked::new(memory);
            storage.once(moment, move || {
                assert_eq!(writer.lock().unwrap().prune(16).unwrap(), 2);
            });
            let reader: ReadOnly<[u8; 8]> = options.open_read_only_on(Arc::new(storage)).unwrap();
            if archive.lock().unwrap().floor() == 0 {
                // A section that rests is not opened.
                continue;
            }
            let told: Vec<_> = (0..16).map(|of| reader.status(of).unwrap()).collect();
            assert_eq!(told, [Status::Pruned; 16], "{moment}");
            assert_eq!(
                (reader.floor(), reader.stats().damaged),
                (16, 0),
                "{moment}"
            );
            assert_eq!(reader.ranges(), [16..=39], "{moment}");
            assert!(reader.missing_items(0, 99).is_empty(), "{moment}");
        }
    }
}

/// What goes while a reader beside is opened is not damage to it.
#[test]
fn a_rewind_in_the_middle_of_an_open_for_reading() {
    let files = [
        "open quipu/marks",
        "open index/0000000000000000",
        "open index/0000000000000004",
        "open values/0000000000000000",
        "open values/0000000000000004",
    ];
    let options = || Options::new().items_per_section(4);
    for at in files {
        for nth in 0..3 {
            let storage = Hooked::new(Memory::new());
            let mut writer: Archive<Key> =
                options().open_on(Arc::new(storage.inner.clone())).unwrap();
            for index in 0..7 {
                let key = named(index, 0);
                let _ = writer.put_sync(index, &key, &key.repeat(2)[..]).unwrap();
            }
            let writer = Arc::new(Mutex::new(writer));
            let rewound = Arc::clone(&writer);
            storage.nth(nth, at, move || rewound.lock().unwrap().rewind(1).unwrap());
            let reader: ReadOnly<Key> = options()
                .open_read_only_on(Arc::new(storage.clone()))
                .unwrap();
            let last = writer.lock().unwrap().last_index().unwrap();
            assert_eq!(reader.ranges(), [0..=last], "{at} {nth}");
            for index in 0..7 {
                let expected = match index <= last {
                    true => Status::Present,
                    false => Status::Missing,
                };
                assert_eq!(
                    reader.status(index).unwrap(),
                    expected,
                    "{at} {nth} {index}"
                );
            }
        }
    }
}

/// A key whose entry gets another position between the look at its place and that at its section.
#[test]
fn a_key_is_found_that_a_rewind_moves_meanwhile() {
    let storage = Hooked::new(Memory::new());
    let options = Options::new()
        .items_per_section(4)
        .page_cache(PageCache::new(0))
        .translator(FourCap)
        // An entry a page, and so few files that a read opens one.
        .page_size(36)
        .max_open_files(8);
    let mut archive: Archive<Key> = options.open_on(Arc::new(storage.clone())).unwrap();
    // All of one short form, but for the one that goes, whose place that of index 5 takes.
    for index in [0, 6, 5, 1, 12, 16] {
        let key = named(if index == 6 { u64::MAX } else { index }, 0);
        let _ = archive
            .put_sync(index, &key, &index.to_be_bytes()[..])
            .unwrap();
    }
    let reader = archive.reader();
    for index in [12, 16] {
        assert!(reader.get(index).unwrap().is_some());
    }
    let archive = Arc::new(Mutex::new(archive));
    let writer = Arc::clone(&archive);
    // The first item of that form is looked at first.
    storage.once("open index/0000000000000000", move || {
        writer.lock().unwrap().rewind(5).unwrap();
    });
    let found = reader.get(&named(5, 0)).unwrap();
    assert_eq!(archive.lock().unwrap().ranges(), [0..=1, 5..=5]);
    assert_eq!(*found.unwrap(), 5_u64.to_be_bytes());
}
