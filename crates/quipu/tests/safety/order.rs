//! The order of calls: what has to be durable before the next call may come.

use quipu::storage::simulated::{Call, CallKind, Simulated};

use super::audit::Disk;
use super::work::{adopt, store, work};
use super::{filled, options};

/// Whether a rule is kept by a call; none where it says nothing about it.
type Rule = fn(&Disk, &Call) -> Option<bool>;

/// Every call of every operation keeps the rule, and it says something about some of them.
#[track_caller]
fn holds(rule: Rule) {
    let worked = Simulated::new(0);
    work(&worked, &options().disk_reserve(100_000), &mut |_| {}).unwrap();
    let logged = Simulated::new(0);
    let small = options().commit_log_after(0).commit_log_bytes(20_000);
    work(&logged, &small, &mut |_| {}).unwrap();
    let adopted = Simulated::new(0);
    store(&adopted);
    adopt(&adopted).unwrap();
    let mut said = 0;
    for machine in [worked, logged, adopted, recovered()] {
        let mut disk = Disk::default();
        for call in machine.log() {
            if let Some(kept) = rule(&disk, &call) {
                said += 1;
                assert!(kept, "{call}");
            }
            disk.apply(&call);
        }
    }
    assert!(said > 0);
}

/// An archive whose files had torn ends when it was opened.
fn recovered() -> Simulated {
    let machine = filled(0..6);
    for partition in ["index", "values"] {
        use quipu::storage::{OpenMode, Storage};
        let name = "0000000000000000";
        let blob = machine.open(partition, name, OpenMode::Write).unwrap();
        let len = blob.len().unwrap();
        blob.write_at(&[std::io::IoSlice::new(&[7; 200])], len)
            .unwrap();
        blob.sync().unwrap();
    }
    let mut archive = super::open(&machine).unwrap();
    super::put(&mut archive, 6..8).unwrap();
    archive.close().unwrap();
    machine
}

fn is_section(partition: &str, name: &str) -> bool {
    ["index", "values"].contains(&partition) && !name.ends_with(".new")
}

#[test]
fn a_blob_is_flushed_before_it_gets_its_name() {
    holds(|disk, call| {
        let is_rename = call.kind == CallKind::Rename;
        is_rename.then(|| disk.is_flushed(&call.partition, &call.name))
    });
}

/// Else a crash may bring back what was cut, behind what came in its place.
#[test]
fn a_cut_is_flushed_before_anything_is_written_behind_it() {
    holds(|disk, call| {
        let cuts = call.kind == CallKind::Resize && is_section(&call.partition, &call.name);
        let writes = call.kind == CallKind::Write && !call.name.ends_with(".new");
        (cuts || writes).then(|| cuts || !disk.is_cut(&call.partition, &call.name))
    });
}

#[test]
fn entries_are_written_once_their_values_are_durable() {
    holds(|disk, call| {
        let writes = call.kind == CallKind::Write && &*call.partition == "index";
        let entries = writes && !call.name.ends_with(".new");
        entries.then(|| {
            let in_file = disk.is_flushed("values", &call.name);
            let is_durable = in_file || logged(disk, "quipu", "commit-log");
            is_durable && disk.has_durable_name("values", &call.name)
        })
    });
}

/// Whether there is a log and what is in it is durable.
fn logged(disk: &Disk, partition: &str, name: &str) -> bool {
    disk.has(partition, name) && disk.is_flushed(partition, name)
}

/// A removal, and an index file in another's place, are announced in the manifest or the marks.
#[test]
fn sections_go_once_the_announcement_is_durable() {
    holds(|disk, call| {
        let removes = call.kind == CallKind::Remove && is_section(&call.partition, &call.name);
        let target = call.target.as_deref().unwrap_or_default();
        let replaces = call.kind == CallKind::Rename
            && is_section(&call.partition, target)
            && disk.has(&call.partition, target);
        (removes || replaces).then(|| disk.is_named("quipu"))
    });
}

/// Values alone are removed by the next open; entries alone would be damage.
#[test]
fn values_are_removed_once_the_removal_of_their_entries_is_durable() {
    holds(|disk, call| {
        let removes = call.kind == CallKind::Remove && is_section(&call.partition, &call.name);
        (removes && &*call.partition == "values").then(|| disk.is_named("index"))
    });
}

#[test]
fn a_repair_switches_once_its_copies_are_durable() {
    holds(|disk, call| {
        let target = call.target.as_deref().unwrap_or_default();
        let into = call.kind == CallKind::Rename && is_section(&call.partition, target);
        (into && disk.has(&call.partition, target)).then(|| disk.is_settled("quarantine"))
    });
}

/// A manifest or marks that tell of what was done to sections come after it.
#[test]
fn what_was_done_is_durable_before_it_is_told() {
    holds(|disk, call| {
        let tells = call.kind == CallKind::Rename && &*call.partition == "quipu";
        tells.then(|| disk.is_named("index") && disk.is_named("values"))
    });
}

#[test]
fn the_manifest_goes_last() {
    holds(|disk, call| {
        let own = call.kind == CallKind::Remove && &*call.partition == "quipu";
        let ends = own && ["manifest", "manifest-copy"].contains(&&*call.name);
        ends.then(|| {
            ["index", "values", "quarantine", "quipu"]
                .iter()
                .all(|of| disk.is_named(of))
        })
    });
}

#[test]
fn marks_of_the_reference_program_go_once_their_copies_are_durable() {
    holds(|disk, call| {
        let goes = call.kind == CallKind::Remove && &*call.partition == "metadata";
        goes.then(|| disk.is_settled("metadata-before-quipu"))
    });
}
