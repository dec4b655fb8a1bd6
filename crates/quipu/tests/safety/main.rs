//! One safety step each: what a crash, the end of a process or damage would do without it.

mod audit;
#[path = "../common/mod.rs"]
mod common;
mod durable;
mod journals;
mod marks;
mod openings;
mod order;
mod repairs;
mod work;

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::sync::Arc;

use quipu::storage::simulated::{Simulated, Survival};
use quipu::storage::{OpenMode, Storage};
use quipu::{Archive, Bytes, Options, Result};

type Store = Archive<[u8; 8]>;

/// Bytes of the header of a section file.
const HEADER: u64 = 4096;
/// Every partition that an archive, or a store that it was, has.
const ALL: [&str; 6] = [
    "index",
    "values",
    "quipu",
    "quarantine",
    "metadata",
    "metadata-before-quipu",
];
/// Pages of two entries: an entry has 28 bytes.
const PAGE: u16 = 56;

fn options() -> Options {
    let options = Options::new().items_per_section(8).page_size(PAGE);
    options.write_buffer(100)
}

fn open(machine: &Simulated) -> Result<Store> {
    options().open_on::<[u8; 8], Bytes>(Arc::new(machine.clone()))
}

/// An archive with these items, closed.
fn filled(indices: std::ops::Range<u64>) -> Simulated {
    let machine = Simulated::new(0);
    let mut archive = open(&machine).unwrap();
    put(&mut archive, indices).unwrap();
    archive.close().unwrap();
    machine
}

fn put(archive: &mut Store, indices: std::ops::Range<u64>) -> Result<()> {
    indices.into_iter().try_for_each(|index| {
        let value = common::value(index, 30);
        archive.put(index, &common::key(index), &value).map(drop)
    })
}

/// The machine after a loss of power.
fn without_power(machine: &Simulated) -> Simulated {
    machine.after_crash(Survival::Nothing, 0)
}

/// The machine after the end of the process.
fn next_process(machine: &Simulated) -> Simulated {
    machine.after_crash(Survival::Memory, 0)
}

fn bytes_of(machine: &Simulated, partition: &str, name: &str) -> Vec<u8> {
    let blob = machine.open(partition, name, OpenMode::Read).unwrap();
    let mut bytes = Vec::new();
    blob.read_into(&mut bytes, 0, blob.len().unwrap() as usize)
        .unwrap();
    bytes
}

/// Puts bytes in a blob's place, durably.
fn plant(machine: &Simulated, partition: &str, name: &str, bytes: &[u8]) {
    let blob = machine.open(partition, name, OpenMode::Create).unwrap();
    blob.resize(0).unwrap();
    blob.write_at(&[IoSlice::new(bytes)], 0).unwrap();
    blob.sync().unwrap();
    machine.sync_partition(partition).unwrap();
}

/// All blobs, by partition and name.
fn blobs(machine: &Simulated) -> BTreeMap<(String, String), Vec<u8>> {
    let mut blobs = BTreeMap::new();
    for partition in ALL {
        for name in machine.list(partition).unwrap() {
            let bytes = bytes_of(machine, partition, &name);
            blobs.insert((partition.to_owned(), name), bytes);
        }
    }
    blobs
}
