//! What a call that has returned promised stays when the power goes, byte by byte.

use std::collections::BTreeMap;

use quipu::storage::simulated::{Simulated, Survival, When};

use super::work::{adopt, store, work};
use super::{ALL, blobs, next_process, open, options, plant};

type Blobs = BTreeMap<(String, String), Vec<u8>>;

/// Everything that is seen is durable, but for what may lag: the marks' last records, and who held
/// the lock last. What is not finished counts for nothing.
#[track_caller]
fn assert_durable(machine: &Simulated, partitions: &[&str], context: &str) {
    let left = |survival| {
        let mut blobs = blobs(&machine.after_crash(survival, 0));
        blobs.retain(|(_, name), _| name != "lock" && !name.ends_with(".new"));
        blobs.retain(|(partition, _), _| partitions.contains(&&**partition));
        blobs
    };
    let (mut kept, mut seen): (Blobs, Blobs) = (left(Survival::Nothing), left(Survival::All));
    let marks = ("quipu".to_owned(), "marks".to_owned());
    if let (Some(kept), Some(seen)) = (kept.remove(&marks), seen.remove(&marks)) {
        assert!(seen.starts_with(&kept), "{context}: the marks");
    }
    for (place, bytes) in &seen {
        assert!(kept.contains_key(place), "{context}: the name {place:?}");
        assert_eq!(kept[place].len(), bytes.len(), "{context}: {place:?}");
        assert!(kept[place] == *bytes, "{context}: the bytes of {place:?}");
    }
    let back: Vec<_> = kept
        .keys()
        .filter(|place| !seen.contains_key(place))
        .collect();
    assert!(back.is_empty(), "{context}: {back:?} come back");
}

#[test]
fn what_a_call_has_done_is_durable_when_it_returns() {
    for reserve in [0, 10_000] {
        let machine = Simulated::new(0);
        let mut calls = 0;
        work(&machine, &options().disk_reserve(reserve), &mut |call| {
            calls += 1;
            assert_durable(&machine, &ALL, call);
        })
        .unwrap();
        assert!(calls > 15);
    }
}

/// Blobs that are not the archive's keep the folders, so that the removals in them count.
#[test]
fn a_destruction_beside_strangers_is_durable_when_it_returns() {
    let machine = Simulated::new(0);
    work(&machine, &options().disk_reserve(10_000), &mut |call| {
        if call == "create" {
            plant(&machine, "quipu", "stranger", b"stays");
        }
        if call == "repair" {
            plant(&machine, "quarantine", "stranger", b"stays");
        }
        assert_durable(&machine, &ALL, call);
    })
    .unwrap();
    let left = blobs(&machine.after_crash(Survival::Nothing, 0));
    assert_eq!(left.len(), 2, "{:?}", left.keys());
}

#[test]
fn an_adoption_is_durable_when_it_returns() {
    let machine = Simulated::new(0);
    store(&machine);
    let recovery = adopt(&machine).unwrap();
    assert!(recovery.is_clean(), "{recovery:?}");
    assert_durable(&machine, &ALL, "adopt");
}

/// Whatever call the process before was killed at, and whatever of it is in memory alone.
#[test]
fn what_an_open_shows_is_durable() {
    let whole = Simulated::new(0);
    work(&whole, &options(), &mut |_| {}).unwrap();
    for call in 0..whole.calls() {
        for when in [When::Before, When::After] {
            let machine = Simulated::new(0);
            machine.stop_at(call, when);
            let _ = work(&machine, &options(), &mut |_| {});
            let next = next_process(&machine);
            let archive = open(&next).unwrap();
            // What a repair has copied counts once it goes on, and it was cut off.
            let partitions = &ALL[..3];
            let last = machine.log().pop().unwrap();
            assert_durable(&next, partitions, &format!("{when:?} {last}"));
            drop(archive);
        }
    }
}
