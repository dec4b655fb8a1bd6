//! The simulated storage: what a crash may keep, and what each fault does.

mod crash;
mod damage;
mod faults;
mod names;
mod runs;

use std::collections::BTreeSet;
use std::io::IoSlice;
use std::sync::Arc;

use quipu::storage::simulated::{Simulated, Survival};
use quipu::storage::{Blob, OpenMode, Storage};

/// How many crashes are looked at where something must come up among them.
const SEEDS: u64 = 400;

fn create(machine: &Simulated, name: &str, bytes: &[u8]) -> Arc<dyn Blob> {
    let blob = machine.open("p", name, OpenMode::Create).unwrap();
    write(&*blob, 0, bytes);
    blob
}

fn write(blob: &dyn Blob, offset: u64, bytes: &[u8]) {
    blob.write_at(&[IoSlice::new(bytes)], offset).unwrap();
}

/// A machine with a blob `b` whose bytes and name are durable.
fn with_durable(bytes: &[u8]) -> (Simulated, Arc<dyn Blob>) {
    let machine = Simulated::new(0);
    let blob = create(&machine, "b", bytes);
    blob.sync().unwrap();
    machine.sync_partition("p").unwrap();
    (machine, blob)
}

/// All bytes of a blob, or none when it is not there.
fn read(machine: &Simulated, name: &str) -> Option<Vec<u8>> {
    let blob = machine.open("p", name, OpenMode::Read).ok()?;
    let mut bytes = Vec::new();
    blob.read_into(&mut bytes, 0, blob.len().unwrap() as usize)
        .unwrap();
    Some(bytes)
}

/// Every content of `b` that many crashes leave.
fn contents(machine: &Simulated, survival: Survival) -> BTreeSet<Vec<u8>> {
    let crash = |seed| read(&machine.after_crash(survival, seed), "b").unwrap();
    (0..SEEDS).map(crash).collect()
}

/// Every set of names, with what is in the blobs, that many crashes leave.
fn name_sets(machine: &Simulated, survival: Survival) -> BTreeSet<Vec<(String, Vec<u8>)>> {
    let crash = |seed| {
        let after = machine.after_crash(survival, seed);
        let names = after.list("p").unwrap().into_iter();
        names
            .map(|name| (name.clone(), read(&after, &name).unwrap()))
            .collect()
    };
    (0..SEEDS).map(crash).collect()
}
