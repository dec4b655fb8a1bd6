//! Errors that may pass: of the process, or of a disk that reads the bytes another time. Nothing is made of them.

use super::*;

/// Too many open files say nothing of the file.
#[test]
fn a_failure_of_the_process_is_no_damage() {
    let store = filled();
    let names = store.inner.list("quipu").unwrap();
    let table = names.iter().find(|name| name.starts_with("keys-")).unwrap();
    for (partition, name) in [("quipu", &table[..]), ("quipu", "marks"), ("index", SECOND)] {
        store.spoil_open(partition, name, EMFILE);
        let opened = open(&store).and_then(|archive| archive.get(60));
        assert!(
            matches!(opened, Err(Error::Io { .. })),
            "{name}: {opened:?}"
        );
        store.heal();
        assert_eq!(store.inner.list("quipu").unwrap(), names);
        let archive = open(&store).unwrap();
        assert!(archive.recovery().is_clean(), "{name}");
        all_there(&archive, name);
    }
}

/// Nor does a read that gets no memory, wherever and for whatever it is made.
#[test]
fn nothing_is_made_of_a_read_that_fails_for_now() {
    for start in [filled(), killed(true), killed(false), powerless(true)] {
        for partition in ["index", "values", "quipu"] {
            for name in start.inner.list(partition).unwrap() {
                for at in (0..len(&start, partition, &name)).step_by(SECTOR as usize) {
                    let store = again(&start);
                    let context = format!("{partition}/{name} {at}");
                    store.fail(partition, &name, at..at + 1, ENOMEM);
                    try_all(&store, &context);
                    store.heal();
                    let archive = with_log(&store).unwrap();
                    assert!(!archive.recovery().commit_log_incomplete, "{context}");
                    assert_eq!(archive.recovery().damaged, 0, "{context}");
                    all_there(&archive, &context);
                    assert!(archive.verify(&mut |_| {}).unwrap().is_clean(), "{context}");
                }
            }
        }
    }
}

/// Whatever an archive can be asked for; what fails says why.
fn try_all(store: &BadSectors, context: &str) {
    let check = |error: Error| {
        let is_told = matches!(error, Error::Io { .. } | Error::Poisoned { .. });
        assert!(is_told, "{context}: {error}");
    };
    let mut archive = match with_log(store) {
        Ok(archive) => archive,
        Err(error) => return check(error),
    };
    for index in 0..ITEMS {
        archive.get(index).err().into_iter().for_each(check);
    }
    archive
        .verify(&mut |_| {})
        .err()
        .into_iter()
        .for_each(check);
    archive.rewind(ITEMS - 1).err().into_iter().for_each(check);
    archive.repair().err().into_iter().for_each(check);
    archive.close().err().into_iter().for_each(check);
}

#[test]
fn a_rewind_leaves_out_no_entry_that_may_be_read_another_time() {
    let store = filled();
    store.spoil("index", SECOND, HEADER..HEADER + 1);
    let mut archive = open(&store).unwrap();
    let seen = lost(&archive, "before");
    assert!(!seen.is_empty());
    let rewound = archive.rewind(90);
    assert!(
        matches!(rewound, Err(Error::Unreadable { .. })),
        "{rewound:?}"
    );
    // Nothing has begun.
    assert_eq!(lost(&archive, "refused"), seen);
    put(&mut archive, ITEMS, ITEMS + 1);
    archive.close().unwrap();
    store.heal();
    let mut archive = open(&store).unwrap();
    archive.rewind(90).unwrap();
    holds(&archive, 0..=90);
}

/// A repair puts aside what cannot be read then, and the rewind goes on without it.
#[test]
fn a_rewind_goes_on_once_the_section_is_repaired() {
    let store = filled();
    store.spoil("index", SECOND, HEADER..HEADER + 1);
    let mut archive = open(&store).unwrap();
    let seen = lost(&archive, "before");
    assert!(archive.rewind(90).is_err());
    archive.repair().unwrap();
    archive.rewind(90).unwrap();
    for index in (0..=90).filter(|index| !seen.contains(index)) {
        assert!(archive.get(index).unwrap().is_some(), "{index}");
    }
    assert_eq!(archive.last_index(), Some(90));
}

#[test]
fn a_rewind_keeps_values_that_may_be_read_another_time() {
    let store = filled();
    store.spoil("values", SECOND, HEADER..HEADER + 1);
    let mut archive = open(&store).unwrap();
    let seen = lost(&archive, "before");
    assert!(!seen.is_empty() && seen.iter().all(|&index| index < 90));
    archive.rewind(90).unwrap();
    archive.close().unwrap();
    store.heal();
    holds(&open(&store).unwrap(), 0..=90);
}

#[test]
fn a_repair_takes_out_nothing_that_can_be_read_again() {
    for partition in ["index", "values"] {
        let store = filled();
        store.spoil(partition, SECOND, HEADER..HEADER + 1);
        let mut archive = open(&store).unwrap();
        assert!(!lost(&archive, partition).is_empty());
        archive.verify(&mut |_| {}).unwrap();
        store.heal();
        archive.repair().unwrap();
        archive.close().unwrap();
        all_there(&open(&store).unwrap(), partition);
    }
}

/// Some items are damaged, and the disk cannot read the others: no reason to take the file for another section's.
#[test]
fn what_cannot_be_read_is_not_taken_for_the_bytes_of_another_file() {
    let store = filled();
    let blob = store.inner.open("values", SECOND, OpenMode::Write).unwrap();
    blob.write_at(&[IoSlice::new(&[0xA5; SECTOR as usize])], HEADER)
        .unwrap();
    let len = len(&store, "values", SECOND);
    store.spoil("values", SECOND, HEADER + SECTOR..len);
    let archive = open(&store).unwrap();
    let seen = lost(&archive, "unreadable");
    assert!(seen.len() > 30, "{seen:?}");
    archive.verify(&mut |_| {}).unwrap();
    archive.close().unwrap();
    store.heal();
    let archive = open(&store).unwrap();
    assert_eq!(lost(&archive, "read again"), (50..66).collect());
}

/// A scrub tells of a file that cannot be opened again, and goes on.
#[test]
fn a_scrub_goes_on_behind_a_file_that_cannot_be_opened_again() {
    let store = BadSectors::default();
    let options = options().items_per_section(10).max_open_files(8);
    let mut archive: Store = options.open_on(Arc::new(store.clone())).unwrap();
    put(&mut archive, 0, ITEMS);
    archive.sync().unwrap();
    all_there(&archive, "before");
    store.spoil_open("index", "000000000000000a", EIO);
    let mut scrub = archive.scrub(quipu::ScrubOptions::new()).unwrap();
    let mut progress = scrub.step(1 << 20).unwrap();
    while !progress.pass_ended {
        progress = scrub.step(1 << 20).unwrap();
    }
    assert!(progress.findings > 0);
}

fn holds(archive: &Store, indices: std::ops::RangeInclusive<u64>) {
    assert_eq!(archive.last_index(), Some(*indices.end()));
    for index in indices {
        let found = archive.get(index).unwrap();
        assert_eq!(found, Some(value(index, 30).into()), "{index}");
    }
}
