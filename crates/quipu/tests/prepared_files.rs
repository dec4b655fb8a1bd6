//! Files of the next section are made ahead, by a sync.

use std::sync::Arc;

use quipu::storage::Storage;
use quipu::storage::simulated::{CallKind, Simulated};
use quipu::{Archive, Options};

/// Both files of the next section are made by the sync that finds the last one nearly full, so that the put
/// that begins it makes no file and waits for no flush.
#[test]
fn the_put_that_begins_a_section_waits_for_no_flush() {
    let machine = Simulated::new(0);
    let mut archive: Archive<[u8; 8]> = Options::new()
        .items_per_section(8)
        .open_on(Arc::new(machine.clone()))
        .unwrap();
    let mut put = |index: u64| {
        let from = machine.log().len();
        let _ = archive
            .put(index, &index.to_be_bytes(), &b"value"[..])
            .unwrap();
        let calls = machine.log().split_off(from);
        archive.sync().unwrap();
        calls
    };
    for index in 0..40 {
        let calls = put(index);
        let flushes = calls
            .iter()
            .filter(|call| matches!(call.kind, CallKind::Sync | CallKind::Create));
        // The first put of all makes its own.
        assert!(index == 0 || flushes.count() == 0, "{index}: {calls:?}");
    }
    archive.close().unwrap();
    let names = machine.list("index").unwrap();
    assert_eq!(names.len(), 5, "{names:?}");
    assert_eq!(machine.list("values").unwrap(), names);
}

/// What was prepared is not needed where puts go elsewhere, and somebody may remove it.
#[test]
fn what_was_prepared_may_not_be_needed_or_be_gone() {
    let machine = Simulated::new(0);
    let options = || Options::new().items_per_section(8);
    let mut archive: Archive<[u8; 8]> = options().open_on(Arc::new(machine.clone())).unwrap();
    let mut last = 0;
    for index in [6, 30, 47, 46, 48, 62] {
        let _ = archive
            .put(index, &index.to_be_bytes(), &b"value"[..])
            .unwrap();
        archive.sync().unwrap();
        for partition in ["index", "values"] {
            let names = machine.list(partition).unwrap();
            let mut prepared = names.iter().filter(|name| name.ends_with(".new"));
            if let (true, Some(name)) = (index == 62, prepared.next()) {
                machine.remove(partition, name).unwrap();
            }
            assert!(prepared.next().is_none());
        }
        last = index;
    }
    let _ = archive.put(last + 2, &[9; 8], &b"next"[..]).unwrap();
    archive.sync().unwrap();
    drop(archive);
    for partition in ["index", "values"] {
        let names = machine.list(partition).unwrap();
        assert!(
            names.iter().all(|name| !name.ends_with(".new")),
            "{names:?}"
        );
    }
    let archive: Archive<[u8; 8]> = options().open_on(Arc::new(machine)).unwrap();
    assert_eq!(archive.get(last + 2).unwrap().unwrap(), "next");
    assert_eq!(archive.get(&[9; 8]).unwrap().unwrap(), "next");
}
