//! A piece of work with every call that changes an archive, told step by step.

use std::sync::Arc;

use quipu::storage::simulated::Simulated;
use quipu::{Bytes, Options, Recovery, Result, ScrubOptions};

use super::common::{key, value};
use super::{HEADER, Store, open, options, put};

/// Does all of it; `after` is told the name of each call that has returned and promised that what it
/// did is durable.
pub(super) fn work(
    machine: &Simulated,
    options: &Options,
    after: &mut dyn FnMut(&str),
) -> Result<()> {
    let open = || {
        options
            .clone()
            .open_on::<[u8; 8], Bytes>(Arc::new(machine.clone()))
    };
    let mut archive = open()?;
    after("create");
    grow(&mut archive, after)?;
    drop_items(&mut archive, after)?;
    archive.close()?;
    after("close");
    hurt(machine);
    let mut archive = open()?;
    after("open");
    archive.repair()?;
    after("repair");
    put(&mut archive, 24..30)?;
    archive.sync()?;
    after("sync");
    let mut scrub = archive.scrub(ScrubOptions::new())?;
    while !scrub.step(1 << 20)?.pass_ended {}
    after("scrub");
    drop(scrub);
    archive.destroy()?;
    after("destroy");
    Ok(())
}

fn grow(archive: &mut Store, after: &mut dyn FnMut(&str)) -> Result<()> {
    for first in [0, 5, 10, 15, 20] {
        put(archive, first..first + 5)?;
        archive.sync()?;
        after("sync");
    }
    // Out of order, so that a rewind has to write an index file anew.
    for index in [47, 41, 45, 43, 42] {
        let _ = archive.put_sync(index, &key(index), &value(index, 30))?;
        after("put_sync");
    }
    let _ = archive.put_multi_sync(43, &key(143), &value(143, 500))?;
    after("put_multi_sync");
    Ok(())
}

fn drop_items(archive: &mut Store, after: &mut dyn FnMut(&str)) -> Result<()> {
    archive.prune(9)?;
    after("prune");
    archive.rewind(44)?;
    after("rewind within a section");
    put(archive, 48..60)?;
    archive.rewind(50)?;
    after("rewind over sections");
    archive.rewind(39)?;
    after("rewind to a section's end");
    put(archive, 32..36)?;
    archive.sync()?;
    after("sync");
    Ok(())
}

/// Damage of every kind that a repair mends in its own way.
fn hurt(machine: &Simulated) {
    let flip = |partition, name, byte: u64| machine.flip_bit(partition, name, byte * 8).unwrap();
    // A value; a page; both headers, of which one is that of a section without other damage.
    flip("values", "0000000000000008", HEADER + 3);
    flip("index", "0000000000000010", HEADER + 3);
    flip("values", "0000000000000010", 1);
    flip("index", "0000000000000020", 1);
}

/// A store as the reference program leaves it, with the marks that it keeps: the settings are those
/// of [`options`].
pub(super) fn store(machine: &Simulated) {
    use quipu::storage::Storage;
    let mut archive = open(machine).unwrap();
    put(&mut archive, 0..20).unwrap();
    archive.close().unwrap();
    for name in machine.list("quipu").unwrap() {
        machine.remove("quipu", &name).unwrap();
        machine.sync_partition("quipu").unwrap();
    }
    for name in ["6c656674", "7269676874"] {
        super::plant(machine, "metadata", name, name.as_bytes());
    }
}

/// Makes a store an archive.
pub(super) fn adopt(machine: &Simulated) -> Result<Recovery> {
    let options = options().key_size(8);
    options.adopt_on(Arc::new(machine.clone()))
}
