//! Readers that are used for longer than the archive they came from.

mod common;

use common::{Bench, key, value};
use quipu::{Archive, Error, Options, ReadOnly};
#[cfg(feature = "simulated")]
use {
    common::delegate::delegate,
    quipu::storage::Storage,
    quipu::storage::simulated::{Fault, Simulated},
    quipu::{Bytes, Reader},
    std::sync::Arc,
    std::sync::atomic::{AtomicU64, Ordering},
};

type Store = Archive<[u8; 8]>;

fn options() -> Options {
    Options::new().items_per_section(8).write_buffer(16)
}

fn fill(archive: &mut Store, indices: std::ops::Range<u64>, round: u64) {
    for index in indices {
        let number = round * 1000 + index;
        let _ = archive
            .put(index, &key(number), &value(number, 20))
            .unwrap();
    }
}

#[test]
fn they_read_on_until_another_writer_comes() {
    Bench::each(options(), |bench| {
        let mut archive: Store = bench.open();
        fill(&mut archive, 0..20, 1);
        let reader = archive.reader();
        archive.close().unwrap();
        assert_eq!(reader.get(7).unwrap().unwrap(), value(1007, 20));
        assert_eq!(reader.range(..).filter(Result::is_ok).count(), 20);
        let mut next: Store = bench.open();
        assert_eq!(reader.get(7).unwrap().unwrap(), value(1007, 20));
        fill(&mut next, 20..21, 1);
        assert!(matches!(reader.get(7), Err(Error::Closed { .. })));
        assert!(matches!(reader.has(7), Err(Error::Closed { .. })));
        assert!(matches!(
            reader.get(&key::<8>(1007)),
            Err(Error::Closed { .. })
        ));
        let items: Vec<_> = reader.range(..).collect();
        assert!(matches!(&items[..], [Err(Error::Closed { .. })]));
        assert!(next.get(7).unwrap().is_some());
    });
}

#[test]
fn they_never_give_the_bytes_of_another_writer() {
    Bench::each(options(), |bench| {
        let mut archive: Store = bench.open();
        fill(&mut archive, 0..4, 1);
        archive.sync().unwrap();
        // Written, but not synced: the next writer puts others in their place.
        fill(&mut archive, 4..8, 1);
        let reader = archive.reader();
        drop(archive);
        let mut next: Store = bench.open();
        fill(&mut next, 4..8, 2);
        next.sync().unwrap();
        for index in 4..8 {
            assert!(matches!(reader.get(index), Err(Error::Closed { .. })));
            assert_eq!(next.get(index).unwrap().unwrap(), value(2000 + index, 20));
        }
    });
}

/// One that put nothing has not said in the manifest that it was there, so the next one may have its number.
#[test]
fn those_of_writers_that_put_nothing_read_on_until_one_changes_something() {
    let changes: [fn(&mut Store); 3] = [
        |next| fill(next, 20..21, 2),
        |next| assert_eq!(next.prune(8).unwrap(), 1),
        |next| next.rewind(17).unwrap(),
    ];
    for change in changes {
        Bench::each(options(), |bench| {
            // Of one that put nothing since it made the archive, too.
            let mut readers = vec![bench.open::<8>().reader()];
            let mut archive: Store = bench.open();
            fill(&mut archive, 0..20, 1);
            assert!(matches!(readers[0].get(9), Err(Error::Closed { .. })));
            archive.close().unwrap();
            readers.clear();
            readers.push(bench.open::<8>().reader());
            let idle: Store = bench.open();
            readers.push(idle.reader());
            idle.close().unwrap();
            let mut next: Store = bench.open();
            for reader in &readers {
                assert_eq!(reader.get(9).unwrap().unwrap(), value(1009, 20));
                // Key tables may be others by now.
                let by_key = |of| reader.get(&key::<8>(1000 + of)).unwrap().unwrap();
                (0..20).for_each(|of| assert_eq!(by_key(of), value(1000 + of, 20)));
            }
            change(&mut next);
            let are_closed = || {
                let mut answers = readers.iter().map(|reader| reader.get(9));
                answers.all(|answer| matches!(answer, Err(Error::Closed { .. })))
            };
            assert!(are_closed());
            drop(next);
            assert!(are_closed());
        });
    }
}

#[test]
fn those_of_a_writer_that_put_nothing_never_give_the_bytes_of_another() {
    Bench::each(options().max_open_files(8), |bench| {
        let mut archive: Store = bench.open();
        fill(&mut archive, 0..100, 1);
        archive.close().unwrap();
        let reader = bench.open::<8>().reader();
        assert_eq!(reader.range(..).filter(Result::is_ok).count(), 100);
        let mut next: Store = bench.open();
        next.rewind(90).unwrap();
        for index in 91..100 {
            let (index, number) = (index ^ 3, 2000 + index);
            let _ = next.put(index, &key(number), &value(number, 20)).unwrap();
        }
        next.sync().unwrap();
        for index in 0..100 {
            let by_key = reader.get(&key::<8>(1000 + index));
            assert!(matches!(by_key, Err(Error::Closed { .. })), "{by_key:?}");
            assert!(matches!(reader.get(index), Err(Error::Closed { .. })));
        }
    });
}

/// A cut takes what was put and never synced: to a reader that has it, it would look like damage.
#[test]
fn what_the_next_open_cuts_is_no_damage() {
    Bench::each(options(), |bench| {
        let mut archive: Store = bench.open();
        fill(&mut archive, 0..4, 1);
        archive.sync().unwrap();
        fill(&mut archive, 4..7, 1);
        let reader = archive.reader();
        drop(archive);
        let next: Store = bench.open();
        assert!(!next.recovery().is_clean());
        assert_eq!(next.ranges(), [0..=3]);
        for index in 0..7 {
            assert!(matches!(reader.get(index), Err(Error::Closed { .. })));
            let by_key = reader.get(&key::<8>(1000 + index));
            assert!(matches!(by_key, Err(Error::Closed { .. })));
        }
        let verified = reader.verify(&mut |event| panic!("{event:?}"));
        assert!(matches!(verified, Err(Error::Closed { .. })));
        // Who opened last has said so already.
        let manifest = bench.read("quipu", "manifest");
        drop(next);
        let next: Store = bench.open();
        assert!(next.recovery().is_clean());
        assert_eq!(bench.read("quipu", "manifest"), manifest);
    });
}

#[test]
fn an_open_that_cuts_nothing_writes_no_manifest() {
    Bench::each(options(), |bench| {
        let mut archive: Store = bench.open();
        fill(&mut archive, 0..20, 1);
        archive.close().unwrap();
        let manifest = bench.read("quipu", "manifest");
        for _ in 0..2 {
            assert!(bench.open::<8>().recovery().is_clean());
            assert_eq!(bench.read("quipu", "manifest"), manifest);
        }
    });
}

#[test]
fn a_destroyed_archive_has_no_readers() {
    Bench::each(options(), |bench| {
        let mut archive: Store = bench.open();
        fill(&mut archive, 0..20, 1);
        let reader = archive.reader();
        archive.destroy().unwrap();
        assert!(matches!(reader.get(7), Err(Error::Closed { .. })));
    });
}

/// What it has of a section's end stays, though it looks while the last page is not whole on the disk.
#[test]
fn what_it_has_of_a_last_page_stays() {
    Bench::each(options().page_size(100), |bench| {
        bench.fill(7);
        let mut beside: ReadOnly<[u8; 8]> =
            bench.options().open_read_only_on(bench.storage()).unwrap();
        assert_eq!(beside.get(6).unwrap().unwrap(), value(6, 30));
        // Of seven entries of 28 bytes, the last ones.
        bench.flip("index", "0000000000000000", 4096 + 112 + 20);
        beside.refresh().unwrap();
        (0..7).for_each(|index| assert_eq!(beside.get(index).unwrap().unwrap(), value(index, 30)));
    });
}

/// It opened the whole archive each time it looked whether the rewind had ended.
#[cfg(feature = "simulated")]
#[test]
fn one_that_waits_for_a_rewind_looks_at_the_manifest_alone() {
    use quipu::storage::simulated::{Survival, When};

    let written = |stop: Option<u64>| {
        let machine = Simulated::new(7);
        let mut archive: Archive<[u8; 8], Bytes> =
            options().open_on(Arc::new(machine.clone())).unwrap();
        for index in 0..40_u64 {
            let _ = archive.put(index, &key(index), &value(index, 20)).unwrap();
        }
        archive.sync().unwrap();
        let before = machine.calls();
        if let Some(call) = stop {
            machine.stop_at(before + call, When::After);
        }
        assert_eq!(archive.rewind(11).is_err(), stop.is_some());
        (machine, before)
    };
    let (whole, before) = written(None);
    let renames = whole.log().into_iter().filter(|call| call.number >= before);
    let mut renames = renames.filter(|call| call.target.is_some());
    let announced = renames.nth(1).unwrap().number - before;
    let machine = written(Some(announced + 1)).0.after_crash(Survival::All, 0);
    let beside: ReadOnly<[u8; 8], Bytes> = options()
        .open_read_only_on(Arc::new(machine.clone()))
        .unwrap();
    assert_eq!(beside.get(11).unwrap().unwrap(), value(11, 20));
    let log = machine.log();
    let of_manifest = log.iter().filter(|call| &*call.name == "manifest");
    assert!(of_manifest.count() > 200, "it waited");
    let of_a_section = log.iter().filter(|call| call.name.starts_with("000000"));
    // Five sections of two files, with an open, a length and a few reads each.
    assert!(of_a_section.count() < 200);
}

/// A crash in a sync has left a page behind one that never reached the disk. What stands in it the next
/// writer cuts, and other items get its place: no reader may show it before.
#[test]
fn a_refresh_stops_where_an_open_does() {
    let page = 280;
    let options = || Options::new().items_per_section(1_000).page_size(page);
    Bench::each(options(), |bench| {
        let mut archive: Store = bench.open();
        fill(&mut archive, 0..10, 1);
        archive.sync().unwrap();
        let marks = bench.read("quipu", "marks");
        fill(&mut archive, 10..100, 1);
        archive.sync().unwrap();
        drop(archive);
        bench.write("quipu", "marks", &marks);
        let name = "0000000000000000";
        let mut index = bench.read("index", name);
        let physical = usize::from(page) + 12;
        index[4096 + 4 * physical..][..physical].fill(0);
        bench.write("index", name, &index);
        let mut beside: ReadOnly<[u8; 8]> = options().open_read_only_on(bench.storage()).unwrap();
        assert_eq!(beside.ranges(), [0..=39]);
        beside.refresh().unwrap();
        assert_eq!(beside.ranges(), [0..=39]);
        assert_eq!(beside.get(90).unwrap(), None);
        let mut next: Store = bench.open();
        assert_eq!(next.ranges(), [0..=39]);
        fill(&mut next, 300..400, 2);
        next.sync().unwrap();
        beside.refresh().unwrap();
        assert_eq!(beside.ranges(), [0..=39, 300..=399]);
        for (index, round) in (0..40)
            .map(|index| (index, 1))
            .chain((300..400).map(|index| (index, 2)))
        {
            let found = beside.get(index).unwrap().unwrap();
            assert_eq!(found, value(round * 1000 + index, 20), "{index}");
        }
    });
}

/// A section that rests is opened with its first read, as by the writer that the reader came from: what another one has
/// written since, and not synced, looked like a torn end.
#[test]
fn they_cut_nothing_of_what_the_next_writer_has_put() {
    let options = options().items_per_section(50).keys_per_table(1);
    Bench::each(options, |bench| {
        let mut archive: Store = bench.open();
        fill(&mut archive, 0..120, 1);
        archive.close().unwrap();
        let reader = bench.open::<8>().reader();
        let mut next: Store = bench.open();
        // Values are written as the write buffer fills, their entries wait for the sync.
        fill(&mut next, 120..130, 1);
        assert!(matches!(reader.get(110), Err(Error::Closed { .. })));
        assert_eq!(reader.range(..).filter(Result::is_ok).count(), 0);
        next.sync().unwrap();
        drop(next);
        let next: Store = bench.open();
        assert!(next.verify(&mut |_| {}).unwrap().is_clean());
        for index in 0..130 {
            assert_eq!(next.get(index).unwrap().unwrap(), value(1000 + index, 20));
        }
    });
}

/// It may be one of the next writer's by now.
#[test]
fn they_remove_no_damaged_key_table() {
    Bench::each(options().keys_per_table(1), |bench| {
        let mut archive: Store = bench.open();
        fill(&mut archive, 0..20, 1);
        archive.close().unwrap();
        let reader = bench.open::<8>().reader();
        let names = bench.storage().list("quipu").unwrap();
        let table = names.iter().find(|name| name.starts_with("keys-")).unwrap();
        let mut bytes = bench.read("quipu", table);
        bytes[4096..].fill(0xA5);
        bench.write("quipu", table, &bytes);
        let found = reader.get(&key::<8>(1007)).unwrap();
        assert_eq!(found.unwrap(), value(1007, 20));
        assert_eq!(bench.storage().list("quipu").unwrap(), names);
    });
}

/// A rewind that failed once the marks told of it dropped sections there; the next open removes their files before it
/// ends the rewind.
#[cfg(feature = "simulated")]
#[test]
fn what_the_next_open_removes_for_a_rewind_is_no_damage() {
    let mut removed = 0;
    for call in 0..60 {
        let machine = Simulated::new(7);
        let mut archive: Store = options().open_on(Arc::new(machine.clone())).unwrap();
        fill(&mut archive, 0..40, 1);
        archive.sync().unwrap();
        let reader = archive.reader();
        machine.inject(machine.calls() + call, Fault::ErrorAfter);
        let _ = archive.rewind(11);
        drop(archive);
        let watched = Watched {
            inner: machine,
            reader: reader.clone(),
            removed: Arc::default(),
        };
        drop(options().open_on::<[u8; 8], Bytes>(Arc::new(watched.clone())));
        removed += watched.removed.load(Ordering::Relaxed);
    }
    assert!(removed > 20, "{removed}");
}

/// Nothing of a section goes before the reader knows of another writer.
#[cfg(feature = "simulated")]
#[derive(Clone, Debug)]
struct Watched {
    inner: Simulated,
    reader: Reader<[u8; 8]>,
    removed: Arc<AtomicU64>,
}

#[cfg(feature = "simulated")]
impl Storage for Watched {
    fn remove(&self, partition: &str, name: &str) -> quipu::Result<()> {
        if partition == "index" && !name.ends_with(".new") {
            let verified = self.reader.verify(&mut drop);
            assert!(
                matches!(verified, Err(Error::Closed { .. })),
                "{verified:?}"
            );
            self.removed.fetch_add(1, Ordering::Relaxed);
        }
        self.inner.remove(partition, name)
    }

    delegate!(inner: open, rename, list, sync_partition, remove_partition, lock, path_of);
}
