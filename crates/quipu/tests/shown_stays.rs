//! What an open for writing has shown stays, although the process before it was cut off in the middle
//! of a call and left names and bytes in the system's memory alone.
#![cfg(feature = "simulated")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{key, value};
use quipu::storage::simulated::{Fault, Simulated, Survival};
use quipu::{Archive, Options, Result};

type Store = Archive<[u8; 8]>;
type Shown = (u64, BTreeMap<u64, Vec<u8>>);

fn open(machine: &Simulated) -> Result<Store> {
    let options = Options::new().items_per_section(4).page_size(60);
    options.write_buffer(40).open_on(Arc::new(machine.clone()))
}

/// Puts, syncs, drops from both ends; ends at the first call that fails.
fn work(machine: &Simulated) -> Result<()> {
    let mut archive = open(machine)?;
    for index in 0..14 {
        let _ = archive.put(index, &key(index), &value(index, 20))?;
        if index % 3 == 2 {
            archive.sync()?;
        }
    }
    archive.prune(5)?;
    archive.rewind(9)?;
    let _ = archive.put_sync(10, &key(110), &value(110, 20))?;
    archive.close()
}

fn shown(archive: &Store) -> Shown {
    let items = archive.range(..).map(|item| {
        let item = item.unwrap();
        (item.index, item.value.to_vec())
    });
    (archive.floor(), items.collect())
}

/// Cuts the work off at a call, looks what an open then shows, takes the power away, and looks again.
/// False where the fault means nothing to that call or a later one.
fn cut_off_at(call: u64, fault: Fault) -> bool {
    let machine = Simulated::new(call);
    machine.inject(call, fault);
    if work(&machine).is_ok() {
        return false;
    }
    // The fault may wait for a call of another kind.
    let opened = open(&machine).or_else(|_| open(&machine));
    let before = shown(&opened.unwrap());
    for survival in [Survival::Nothing, Survival::Bytes] {
        let left = machine.after_crash(survival, call);
        let archive = open(&left).unwrap();
        assert_eq!(shown(&archive), before, "{fault:?} at {call}, {survival:?}");
        assert!(archive.verify(&mut |_| {}).unwrap().is_clean());
    }
    true
}

#[test]
fn what_an_open_shows_stays_wherever_the_work_before_was_cut_off() {
    let whole = Simulated::new(0);
    work(&whole).unwrap();
    for fault in [Fault::ErrorBefore, Fault::ErrorAfter, Fault::FlushFails] {
        let cut_off = (0..whole.calls())
            .filter(|&call| cut_off_at(call, fault))
            .count();
        assert!(
            cut_off > 100,
            "{fault:?}: {cut_off} of {} calls",
            whole.calls()
        );
    }
}
