//! What comes before what: of each order here the reverse loses what was acknowledged.

use std::sync::Arc;

use quipu::storage::simulated::{Fault, Simulated, Survival, When};
use quipu::{Bytes, Options};

use super::common::key;
use super::{LOG, Store, bytes, open, options, put_syncs, whole};

/// A killed process, an open that stops at any call, and then the power: the log goes on when the files have all.
#[test]
fn an_open_begins_the_log_anew_once_the_files_are_flushed() {
    for page in [28, 100] {
        let options = || options().items_per_section(10).page_size(page);
        let machine = Simulated::new(1);
        let mut archive = open(&machine, options());
        put_syncs(&mut archive, 0..8);
        put_syncs(&mut archive, 10..18);
        put_syncs(&mut archive, 8..10);
        let calls = {
            let machine = machine.after_crash(Survival::Memory, 0);
            let _archive = open(&machine, options());
            machine.calls()
        };
        for call in 0..calls {
            let machine = machine.after_crash(Survival::Memory, 0);
            machine.stop_at(call, When::After);
            let _: quipu::Result<Store> = options().open_on(Arc::new(machine.clone()));
            for survival in [Survival::Nothing, Survival::Bytes, Survival::Sectors] {
                let archive = open(&machine.after_crash(survival, call), options());
                assert_eq!(whole(&archive, 0..18), 18, "{page} {call} {survival:?}");
                assert!(!archive.recovery().commit_log_incomplete);
            }
        }
    }
}

/// A log of another size is another file, and that gets the syncs.
#[test]
fn syncs_go_to_the_log_that_has_the_name() {
    let machine = Simulated::new(1);
    let mut archive = open(&machine, options().commit_log_bytes(20_000));
    put_syncs(&mut archive, 0..8);
    drop(archive);
    let mut archive = open(&machine, options());
    put_syncs(&mut archive, 8..30);
    let after = machine.after_crash(Survival::Nothing, 0);
    assert_eq!(whole(&open(&after, options()), 0..30), 30);
}

/// However many syncs there are.
#[test]
fn the_log_stays_as_long_as_it_was_made() {
    let machine = Simulated::new(1);
    let mut archive = open(&machine, options().commit_log_bytes(20_000));
    put_syncs(&mut archive, 0..300);
    assert_eq!(bytes(&machine, "quipu", LOG).len(), 20_000);
}

/// So many entries wait that their section is flushed before a sync asks for it: so are those that the log has syncs of.
#[test]
fn a_large_batch_takes_nothing_from_syncs_of_other_sections() {
    const SPAN: u64 = 1_000_000;
    let options = || {
        Options::new()
            .items_per_section(SPAN)
            .page_size(4084)
            .commit_log_after(0)
    };
    let machine = Simulated::new(1);
    let mut archive: Store = open(&machine, options());
    put_syncs(&mut archive, 0..8);
    put_syncs(&mut archive, SPAN..SPAN + 8);
    put_syncs(&mut archive, 8..20);
    // More than 4 MiB of entries.
    let items = (SPAN + 8..SPAN + 170_000).map(|of| (of, key(of), Bytes::from_static(b"x")));
    archive.put_batch(items).unwrap();
    let after = machine.after_crash(Survival::Nothing, 0);
    assert_eq!(whole(&open(&after, options()), 0..20), 20);
}

/// The flush of a checkpoint fails, and what was written is gone from the file: what was acknowledged is read from memory.
#[test]
fn what_the_log_has_is_read_from_memory_until_it_is_flushed() {
    for nth in 0..12 {
        let machine = Simulated::new(1);
        let mut archive = open(&machine, options());
        put_syncs(&mut archive, 0..30);
        machine.inject(machine.calls() + nth, Fault::FlushFails);
        let _ = archive.rewind(100);
        assert_eq!(whole(&archive, 0..30), 30, "{nth}");
    }
}
