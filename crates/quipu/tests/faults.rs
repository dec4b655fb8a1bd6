//! Calls that fail, and a machine that stops at every single call.

mod common;

#[allow(unreachable_pub)]
#[path = "common/faulty.rs"]
mod faulty;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{copy_of, key, value};
use faulty::{Fault, Faulty};
use quipu::storage::{Memory, Storage};
use quipu::{Archive, Error, Options, Result, Status};

type Store = Archive<[u8; 8]>;

fn options() -> Options {
    Options::new()
        .items_per_section(8)
        .page_size(50)
        .write_buffer(200)
}

/// What must be there and what may be, as a workload goes on.
#[derive(Default)]
struct Promise {
    /// Items that a sync has covered, and nothing has begun to take away.
    must: BTreeMap<u64, Vec<u8>>,
    /// Items that were put at some time.
    may: BTreeMap<u64, Vec<u8>>,
    floor: u64,
    /// A prune to here has begun.
    floor_begun: u64,
}

impl Promise {
    fn put(&mut self, archive: &mut Store, index: u64) -> Result<()> {
        let value = value(index, (index % 40) as usize);
        self.may.insert(index, value.clone());
        archive.put(index, &key(index), &value).map(drop)
    }

    fn sync(&mut self, archive: &mut Store) -> Result<()> {
        archive.sync()?;
        self.must.clone_from(&self.may);
        Ok(())
    }

    fn prune(&mut self, archive: &mut Store, min: u64) -> Result<()> {
        self.floor_begun = min - min % 8;
        self.must = self.must.split_off(&self.floor_begun);
        archive.prune(min)?;
        self.floor = self.floor_begun;
        self.may = self.may.split_off(&self.floor);
        Ok(())
    }

    fn rewind(&mut self, archive: &mut Store, index: u64) -> Result<()> {
        let mut all = self.must.clone();
        all.retain(|&of, _| of <= index);
        self.must = all;
        archive.rewind(index)?;
        self.may.retain(|&of, _| of <= index);
        self.must.clone_from(&self.may);
        Ok(())
    }

    /// Opens what the crash left and compares.
    fn check(&self, memory: &Memory, context: &str) {
        let archive: Store = options()
            .open_on(Arc::new(memory.clone()))
            .unwrap_or_else(|error| panic!("{context}: {error}"));
        assert!(
            archive.floor() == self.floor || archive.floor() == self.floor_begun,
            "{context}"
        );
        for (index, value) in &self.must {
            let found = archive
                .get(*index)
                .unwrap_or_else(|error| panic!("{context}, index {index}: {error}"));
            assert_eq!(
                found.as_deref(),
                Some(&value[..]),
                "{context}, index {index}"
            );
            assert_eq!(
                archive.get(&key::<8>(*index)).unwrap().as_deref(),
                Some(&value[..]),
                "{context}"
            );
        }
        for item in archive.range(..) {
            let item = item.unwrap();
            assert_eq!(
                self.may.get(&item.index).map(|value| &value[..]),
                Some(&item.value[..]),
                "{context}"
            );
            assert_eq!(item.key, key::<8>(item.index));
        }
        assert!(archive.verify(&mut |_| {}).unwrap().is_clean(), "{context}");
        assert_eq!(archive.stats().damaged, 0, "{context}");
    }
}

fn workload(storage: Arc<dyn Storage>, promise: &mut Promise) -> Result<()> {
    let mut archive: Store = options().open_on(Arc::clone(&storage))?;
    for index in 0..30 {
        promise.put(&mut archive, index)?;
        if index % 5 == 4 {
            promise.sync(&mut archive)?;
        }
    }
    // Out of order, so that the rewind has to write an index file anew.
    for index in [39, 33, 37, 35, 32, 34] {
        promise.put(&mut archive, index)?;
    }
    promise.sync(&mut archive)?;
    promise.prune(&mut archive, 10)?;
    promise.rewind(&mut archive, 35)?;
    promise.rewind(&mut archive, 26)?;
    for index in 27..45 {
        promise.put(&mut archive, index)?;
    }
    promise.sync(&mut archive)?;
    archive.close()?;
    let mut archive: Store = options().open_on(storage)?;
    promise.put(&mut archive, 45)?;
    promise.sync(&mut archive)?;
    promise.put(&mut archive, 46)?;
    archive.close()?;
    promise.must.clone_from(&promise.may);
    Ok(())
}

/// Runs the workload with a fault at every call in turn, until it is not reached any more.
fn at_every_call(fault: Fault, check: impl Fn(&Memory, &Promise, Result<()>, u64)) {
    for at in 0.. {
        let memory = Memory::new();
        let storage = Arc::new(Faulty::new(memory.clone(), at, fault));
        let mut promise = Promise::default();
        let done = workload(storage.clone(), &mut promise);
        check(&memory, &promise, done, at);
        if !storage.was_hit() {
            assert!(at > 100, "the workload makes only {at} calls");
            return;
        }
    }
}

#[test]
fn a_crash_at_every_call_loses_nothing_that_was_synced() {
    for fault in [Fault::CrashBefore, Fault::CrashAfter] {
        at_every_call(fault, |memory, promise, _, at| {
            promise.check(memory, &format!("{fault:?} {at}"))
        });
    }
}

#[test]
fn a_recovery_that_crashes_at_every_call_is_finished_by_the_next() {
    at_every_call(Fault::CrashBefore, |memory, promise, _, at| {
        for again in 0..200 {
            let copy = copy_of(memory);
            let storage = Arc::new(Faulty::new(copy.clone(), again, Fault::CrashBefore));
            let opened = options().open_on::<[u8; 8], quipu::Bytes>(storage.clone());
            drop(opened);
            promise.check(&copy, &format!("crash {at}, again {again}"));
            if !storage.was_hit() {
                return;
            }
        }
    });
}

#[test]
fn a_call_that_fails_once_poisons_and_loses_nothing() {
    at_every_call(Fault::FailOnce, |memory, promise, done, at| {
        if done.is_err() {
            promise.check(memory, &format!("fail {at}"));
        }
    });
}

#[test]
fn a_failed_sync_is_never_believed_later() {
    let memory = Memory::new();
    let count = |at| {
        let storage = Arc::new(Faulty::new(copy_of(&memory), at, Fault::FailOnce));
        let mut archive: Store = options().open_on(storage.clone()).ok()?;
        let _ = archive.put(1, &key(1), "one").ok()?;
        let first = archive.sync();
        Some((first, archive, storage.was_hit()))
    };
    let mut failures = 0;
    for at in 0..60 {
        let Some((first, mut archive, _)) = count(at) else {
            continue;
        };
        if first.is_ok() {
            continue;
        }
        failures += 1;
        assert!(matches!(archive.sync(), Err(Error::Poisoned { .. })));
        assert!(matches!(
            archive.put(2, &key(2), "two"),
            Err(Error::Poisoned { .. })
        ));
        assert_eq!(archive.get(1).unwrap().unwrap(), "one");
        assert_eq!(archive.get(&key::<8>(1)).unwrap().unwrap(), "one");
    }
    assert!(failures >= 4, "{failures}");
}

#[test]
fn a_sync_flushes_values_before_it_writes_entries() {
    let storage = Arc::new(Faulty::new(Memory::new(), u64::MAX, Fault::FailOnce));
    let mut archive: Store = options().open_on(storage.clone()).unwrap();
    let _ = archive.put(1, &key(1), "one").unwrap();
    let before = storage.log().len();
    archive.sync().unwrap();
    let log = storage.log()[before..].to_vec();
    let at = |what: &str| {
        log.iter()
            .position(|call| call.starts_with(what))
            .unwrap_or_else(|| panic!("{what}: {log:#?}"))
    };
    let root = storage.path("", "").display().to_string();
    let call = |what: &str, path: &str| at(&format!("{what} {root}/{path}"));
    let values_named = log
        .iter()
        .position(|call| *call == format!("sync {root}/values"))
        .unwrap();
    assert!(call("write", "values/") < call("sync", "values/"));
    assert!(call("sync", "values/") < call("write", "index/"));
    assert!(values_named < call("write", "index/"));
    assert!(call("write", "index/") < call("sync", "index/"));
}

#[test]
fn a_second_sync_of_nothing_makes_no_call() {
    let storage = Arc::new(Faulty::new(Memory::new(), u64::MAX, Fault::FailOnce));
    let mut archive: Store = options().open_on(storage.clone()).unwrap();
    let _ = archive.put_sync(1, &key(1), "one").unwrap();
    let before = storage.log().len();
    archive.sync().unwrap();
    assert_eq!(storage.log().len(), before);
}

#[test]
fn no_space_says_so_and_keeps_what_was_durable() {
    for at in (0..120).step_by(3) {
        let memory = Memory::new();
        let storage = Arc::new(Faulty::new(memory.clone(), at, Fault::NoSpace));
        let mut promise = Promise::default();
        let done = workload(storage, &mut promise);
        if let Err(error) = done {
            assert!(matches!(error, Error::StorageFull { .. }), "{error}");
            promise.check(&memory, &format!("full at {at}"));
        }
    }
}

#[test]
fn an_archive_destroyed_at_every_call_is_gone_or_whole() {
    for at in 0..200 {
        let memory = Memory::new();
        let mut promise = Promise::default();
        workload(Arc::new(memory.clone()), &mut promise).unwrap();
        let storage = Arc::new(Faulty::new(memory.clone(), at, Fault::CrashBefore));
        let opened = options().open_on::<[u8; 8], quipu::Bytes>(storage.clone());
        let destroyed = opened.and_then(Archive::destroy);
        let archive: Store = options().open_on(Arc::new(memory)).unwrap();
        let whole = archive.last_index() == Some(46);
        assert!(
            whole || archive.ranges().is_empty(),
            "at {at}: {:?}",
            archive.ranges()
        );
        assert!(whole || archive.floor() == 0);
        if destroyed.is_ok() {
            assert!(!whole);
            return;
        }
    }
    panic!("it was never destroyed");
}

#[test]
fn status_and_gaps_are_clean_after_a_crash() {
    at_every_call(Fault::CrashBefore, |memory, promise, _, _| {
        let archive: Store = options().open_on(Arc::new(memory.clone())).unwrap();
        for index in 0..60 {
            let status = archive.status(index).unwrap();
            let must = promise.must.contains_key(&index);
            assert!(!must || status == Status::Present);
            assert_ne!(status, Status::Damaged);
        }
    });
}

/// The checksum by which a section's file is known again is looked at twice before the section is taken for
/// another one.
#[test]
fn a_checksum_that_is_misread_once_costs_nothing() {
    const CHECKSUM: usize = 4;
    let memory = Memory::new();
    let mut archive: Store = options().open_on(Arc::new(memory.clone())).unwrap();
    for index in 0..8 {
        let _ = archive.put(index, &key(index), &value(index, 30)).unwrap();
    }
    archive.close().unwrap();
    let storage = Arc::new(Faulty::new(memory, 0, Fault::Misread(CHECKSUM)));
    let archive: Store = options().open_on(storage.clone()).unwrap();
    assert!(storage.was_hit());
    for index in 0..8 {
        assert_eq!(archive.status(index).unwrap(), Status::Present);
        assert_eq!(archive.get(index).unwrap().unwrap(), value(index, 30));
    }
    assert!(archive.recovery().is_clean());
}
