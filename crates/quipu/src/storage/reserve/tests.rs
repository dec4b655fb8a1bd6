//! The reserve on its own.

use super::*;
use crate::storage::{Memory, suite};

const PARTITION: &str = "p";
const NAME: &str = "reserve";

fn open(storage: &Arc<dyn Storage>, size: u64) -> Arc<Reserve> {
    find(storage, size).unwrap().unwrap()
}

fn find(storage: &Arc<dyn Storage>, size: u64) -> Result<Option<Arc<Reserve>>> {
    Reserve::find(Arc::clone(storage), PARTITION, NAME, size)
}

fn len(storage: &dyn Storage, name: &str) -> Option<u64> {
    let blob = storage.open(PARTITION, name, OpenMode::Read).ok()?;
    blob.len().ok()
}

#[test]
fn keeps_every_rule_of_a_storage() {
    suite::run(&|| {
        let memory: Arc<dyn Storage> = Arc::new(Memory::new());
        let reserve = Reserve::find(memory, PARTITION, NAME, 1000).unwrap();
        Arc::new(Reserved::new(reserve.unwrap()))
    });
}

#[test]
fn another_size_is_put_right() {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    for size in [100_000, 300_000, 70_000, 1] {
        let reserve = open(&storage, size);
        assert!(reserve.settle().unwrap() && reserve.is_held());
        assert_eq!(len(&*storage, NAME), Some(size));
        assert_eq!(storage.list(PARTITION).unwrap(), [NAME]);
    }
    assert!(open(&storage, 0).settle().unwrap());
    assert!(storage.list(PARTITION).unwrap().is_empty());
    assert!(find(&storage, 0).unwrap().is_none());
}

#[test]
fn what_an_interrupted_fill_left_is_removed() {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    let left = storage.open(PARTITION, "reserve.new", OpenMode::Create);
    left.unwrap().write_at(&[IoSlice::new(b"x")], 0).unwrap();
    let reserve = open(&storage, 0);
    assert_eq!(len(&*storage, "reserve.new"), Some(1));
    assert!(reserve.settle().unwrap());
    assert!(storage.list(PARTITION).unwrap().is_empty());
}

/// Of two calls that find no room at a time, the second finds nothing left to be given back.
#[test]
fn what_another_thread_gave_back_serves_a_call_as_well() {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    let reserve = open(&storage, 1000);
    assert!(reserve.settle().unwrap());
    let full = || Error::StorageFull {
        action: "write",
        path: storage.path(PARTITION, NAME),
    };
    let calls = AtomicU64::new(0);
    let made = reserve.with_room(|| match calls.fetch_add(1, Ordering::Relaxed) {
        0 => {
            assert!(reserve.give_back());
            Err(full())
        }
        _ => Ok(()),
    });
    assert!(made.is_ok());
    // With nothing to be given back by anybody, it is made once.
    let made: Result<()> = reserve.with_room(|| {
        calls.fetch_add(1, Ordering::Relaxed);
        Err(full())
    });
    assert!(made.is_err());
    assert_eq!(calls.load(Ordering::Relaxed), 3);
}

#[test]
fn its_bytes_have_no_pattern() {
    let (mut whole, mut part) = (Vec::new(), Vec::new());
    noise(0, 4096, &mut whole);
    noise(1024, 1021, &mut part);
    assert_eq!(part, whole[1024..2045]);
    let words: std::collections::BTreeSet<&[u8]> = whole.chunks(8).collect();
    assert_eq!(words.len(), 512);
    let mut counts = [0; 256];
    whole
        .iter()
        .for_each(|&byte| counts[usize::from(byte)] += 1);
    assert!(counts.iter().all(|&n| (2..40).contains(&n)), "{counts:?}");
}

#[cfg(feature = "simulated")]
mod on_a_full_disk {
    use super::*;
    use crate::storage::simulated::{CallKind, Fault, Simulated, Survival};

    fn machine() -> (Simulated, Arc<dyn Storage>) {
        let machine = Simulated::new(0);
        (machine.clone(), Arc::new(machine))
    }

    fn create(storage: &dyn Storage, name: &str) -> Arc<dyn Blob> {
        storage.open(PARTITION, name, OpenMode::Create).unwrap()
    }

    #[test]
    fn a_call_that_finds_no_room_is_made_once_more() {
        let (machine, storage) = machine();
        let reserve = open(&storage, 1000);
        assert!(reserve.fill().unwrap());
        machine.set_capacity(Some(1500));
        let reserved = Reserved::new(Arc::clone(&reserve));
        let blob = create(&reserved, "b");
        let bufs = [IoSlice::new(&[1; 400]), IoSlice::new(&[2; 500])];
        blob.write_at(&bufs, 0).unwrap();
        assert!(!reserve.is_held());
        assert_eq!(len(&machine, NAME), Some(0));
        let mut bytes = [0; 900];
        blob.read_at(&mut bytes, 0).unwrap();
        assert!(bytes[..400] == [1; 400] && bytes[400..] == [2; 500]);
        // There is nothing more to give back.
        let written = blob.write_at(&[IoSlice::new(&[3; 700])], 900);
        assert!(matches!(written, Err(Error::StorageFull { .. })));
    }

    #[test]
    fn creations_resizes_and_renames_are_made_once_more_and_flushes_are_not() {
        let (machine, storage) = machine();
        let reserve = open(&storage, 1000);
        let reserved = Reserved::new(Arc::clone(&reserve));
        let blob = create(&reserved, "b");
        let calls: [&dyn Fn() -> Result<()>; 4] = [
            &|| blob.resize(10),
            &|| reserved.open(PARTITION, "new", OpenMode::Create).map(drop),
            &|| reserved.rename(PARTITION, "new", "newer"),
            &|| blob.write_at(&[IoSlice::new(b"x")], 0),
        ];
        for call in calls {
            assert!(reserve.fill().unwrap());
            machine.inject(machine.calls(), Fault::NoSpace);
            call().unwrap();
            assert!(!reserve.is_held());
        }
        assert!(reserve.fill().unwrap());
        machine.inject(machine.calls(), Fault::FlushFails);
        let from = machine.calls() as usize;
        assert!(blob.sync().is_err());
        let calls = machine.log();
        assert_eq!(calls[from..].len(), 1);
        assert!(reserve.is_held());
    }

    #[test]
    fn a_try_on_a_full_disk_costs_one_write() {
        let (machine, storage) = machine();
        machine.set_capacity(Some(150_000));
        let reserve = open(&storage, 200_000);
        assert!(!reserve.fill().unwrap());
        let from = machine.calls();
        assert!(!reserve.fill().unwrap());
        assert_eq!(machine.calls() - from, 1);
        // What was written is given back when it is needed,
        let reserved = Reserved::new(Arc::clone(&reserve));
        let blob = create(&reserved, "b");
        blob.write_at(&[IoSlice::new(&[1; 100_000])], 0).unwrap();
        // and filled up when there is room.
        blob.resize(0).unwrap();
        machine.set_capacity(None);
        assert!(reserve.fill().unwrap());
        assert_holds(&machine, 200_000);
    }

    #[test]
    fn a_flush_that_failed_is_not_believed() {
        let (machine, storage) = machine();
        let reserve = open(&storage, 100_000);
        // Of the flushes of the partition and of the bytes, each once.
        for (behind, kind) in [(0, CallKind::SyncPartition), (3, CallKind::Sync)] {
            machine.inject(machine.calls() + behind, Fault::FlushFails);
            assert!(reserve.fill().is_err() && !reserve.is_held());
            let flushes = |kind| machine.log().iter().any(|call| call.kind == kind);
            assert!(flushes(kind));
        }
        assert!(reserve.fill().unwrap());
        assert_holds(&machine.after_crash(Survival::Nothing, 0), 100_000);
    }

    /// That the reserve has so many bytes, and no hole.
    #[track_caller]
    fn assert_holds(machine: &Simulated, bytes: usize) {
        let (mut there, mut wanted) = (Vec::new(), Vec::new());
        let blob = machine.open(PARTITION, NAME, OpenMode::Read).unwrap();
        blob.read_into(&mut there, 0, bytes).unwrap();
        noise(0, bytes, &mut wanted);
        assert!(there == wanted);
        assert_eq!(len(machine, NAME), Some(bytes as u64));
    }

    /// Else a crash would bring back what takes room.
    #[test]
    fn what_was_cut_given_back_or_removed_stays_so() {
        let (machine, storage) = machine();
        let left = |name| len(&machine.after_crash(Survival::Nothing, 0), name);
        assert!(open(&storage, 3000).settle().unwrap());
        assert_eq!(left(NAME), Some(3000));
        assert!(open(&storage, 1000).settle().unwrap());
        assert_eq!(left(NAME), Some(1000));
        open(&storage, 1000).give_back();
        assert_eq!(left(NAME), Some(0));
        let unfinished = create(&*storage, "reserve.new");
        unfinished.sync().unwrap();
        storage.sync_partition(PARTITION).unwrap();
        assert!(open(&storage, 0).settle().unwrap());
        assert_eq!((left(NAME), left("reserve.new")), (None, None));
    }

    /// Under its final name it has no holes, whatever a crash leaves.
    #[test]
    fn its_length_tells_what_it_holds() {
        let healthy = run(None);
        for call in 0..healthy.calls() {
            let machine = run(Some(call));
            for seed in 0..20 {
                let after = machine.after_crash(Survival::Bytes, seed);
                if let Ok(blob) = after.open(PARTITION, NAME, OpenMode::Read) {
                    let (mut there, mut wanted) = (Vec::new(), Vec::new());
                    let len = blob.len().unwrap() as usize;
                    blob.read_into(&mut there, 0, len).unwrap();
                    noise(0, len, &mut wanted);
                    assert!(there == wanted, "call {call}, seed {seed}");
                }
                let storage: Arc<dyn Storage> = Arc::new(after);
                assert!(open(&storage, 3000).settle().unwrap());
                assert_eq!(storage.list(PARTITION).unwrap(), [NAME]);
            }
        }
        assert!(
            healthy
                .log()
                .iter()
                .any(|call| call.kind == CallKind::Rename)
        );
    }

    /// Fills, uses, fills again and resizes a reserve, as far as the machine goes.
    fn run(stop: Option<u64>) -> Simulated {
        let (machine, storage) = machine();
        if let Some(call) = stop {
            machine.stop_at(call, crate::storage::simulated::When::After);
        }
        for size in [1000, 2000, 1500] {
            let Ok(Some(reserve)) = find(&storage, size) else {
                return machine;
            };
            let _ = reserve.settle();
            reserve.give_back();
            let _ = reserve.fill();
        }
        machine
    }
}
