//! The commit log: an archive is opened where no sync can be lost.

use super::*;

#[test]
fn a_closed_commit_log_that_cannot_be_read_stops_no_open() {
    let store = BadSectors::default();
    let mut archive = with_log(&store).unwrap();
    for index in 0..ITEMS {
        put(&mut archive, index, index + 1);
        archive.sync().unwrap();
    }
    archive.close().unwrap();
    for at in (0..len(&store, "quipu", LOG)).step_by(SECTOR as usize) {
        let store = again(&store);
        store.spoil("quipu", LOG, at..at + 1);
        all_there(&beside(&store).unwrap(), "log");
        let mut archive = with_log(&store).unwrap();
        assert!(
            archive.recovery().is_clean(),
            "{at}: {:?}",
            archive.recovery()
        );
        all_there(&archive, "log");
        for index in ITEMS..ITEMS + 10 {
            put(&mut archive, index, index + 1);
            archive.sync().unwrap();
        }
        archive.close().unwrap();
        let archive = with_log(&store).unwrap();
        assert!(
            archive.recovery().is_clean(),
            "{at}: {:?}",
            archive.recovery()
        );
        assert_eq!(archive.last_index(), Some(ITEMS + 9));
    }
}

/// Either nothing that counts was there, or the archive is not opened and nothing is changed.
#[test]
fn no_sync_is_lost_with_a_block_of_the_commit_log() {
    for is_second in [false, true] {
        let store = powerless(is_second);
        all_there(&with_log(&again(&store)).unwrap(), "whole");
        let (mut opened, mut refused) = (0, 0);
        for at in (0..=len(&store, "quipu", LOG)).step_by(SECTOR as usize) {
            let store = again(&store);
            match at < len(&store, "quipu", LOG) {
                true => store.spoil("quipu", LOG, at..at + 1),
                false => store.spoil_open("quipu", LOG, EIO),
            }
            match is_opened_whole(&store, &format!("log {at}, {is_second}")) {
                true => opened += 1,
                false => refused += 1,
            }
        }
        // Of the blocks, the header's and those of the records count, and the file as such; of the generation's none.
        assert_eq!((opened, refused), (96, 33));
    }
}

/// Whether an archive is opened, which has everything then; else it is once the log can be read.
fn is_opened_whole(store: &BadSectors, context: &str) -> bool {
    let opened = match (beside(store), with_log(store)) {
        (Ok(reader), Ok(archive)) => {
            all_there(&reader, context);
            assert!(!archive.recovery().commit_log_incomplete, "{context}");
            all_there(&archive, context);
            return true;
        }
        (Err(Error::Unreadable { .. }), Err(error @ Error::Unreadable { .. })) => error,
        other => panic!("{context}: {other:?}"),
    };
    assert!(opened.to_string().contains(LOG), "{opened}");
    store.heal();
    let archive = with_log(store).unwrap();
    assert!(!archive.recovery().commit_log_incomplete, "{context}");
    all_there(&archive, context);
    false
}

/// What the log is to be brought to is read first: where that fails, nothing is changed.
#[test]
fn no_sync_is_lost_with_a_sector_that_the_commit_log_is_for() {
    let store = powerless(false);
    let (mut opened, mut refused) = (0, 0);
    for partition in ["index", "values"] {
        for name in store.inner.list(partition).unwrap() {
            let sectors = len(&store, partition, &name).div_ceil(SECTOR);
            for sector in 0..=sectors {
                let store = again(&store);
                match sector < sectors {
                    true => store.spoil(partition, &name, sector * SECTOR..sector * SECTOR + 1),
                    false => store.spoil_open(partition, &name, EIO),
                }
                let context = format!("{partition}/{name} {sector}");
                match with_log(&store) {
                    Ok(archive) => {
                        opened += 1;
                        assert!(!archive.recovery().commit_log_incomplete, "{context}");
                        lost(&archive, &context);
                    }
                    Err(error) => {
                        refused += 1;
                        assert!(error.to_string().contains(&name), "{context}: {error}");
                    }
                }
                store.heal();
                all_there(&with_log(&store).unwrap(), &context);
            }
        }
    }
    assert!(opened > 40 && refused > 4, "{opened} {refused}");
}

/// Of a log that was cleared for a rewind the block may be bad that says so: what it held before is not brought back.
#[test]
fn a_log_that_may_have_been_cleared_undoes_no_rewind() {
    let store = powerless(false);
    let mut archive = with_log(&store).unwrap();
    for index in ITEMS..ITEMS + 10 {
        put(&mut archive, index, index + 1);
        archive.sync().unwrap();
    }
    archive.rewind(60).unwrap();
    let killed = copy_of(&store.inner);
    drop(archive);
    let mut refused = 0;
    for at in [4096, 8192] {
        let store = BadSectors::of(copy_of(&killed));
        store.spoil("quipu", LOG, at..at + 1);
        if let Err(error) = with_log(&store) {
            assert!(matches!(error, Error::Unreadable { .. }), "{error}");
            assert!(beside(&store).is_err());
            store.heal();
            refused += 1;
        }
        let archive = with_log(&store).unwrap();
        assert!(
            archive.recovery().is_clean(),
            "{at}: {:?}",
            archive.recovery()
        );
        assert_eq!(archive.last_index(), Some(60));
        assert_eq!(archive.status(ITEMS).unwrap(), Status::Missing);
    }
    assert!(refused <= 1);
}

/// Without marks nobody knows whether the files are those that the log is for.
#[test]
fn a_log_that_may_have_been_cleared_is_brought_to_no_unknown_files() {
    let mut refused = 0;
    for at in [4096, 8192] {
        let store = powerless(true);
        store.inner.remove("quipu", "marks").unwrap();
        store.spoil("quipu", LOG, at..at + 1);
        match with_log(&store) {
            Ok(archive) => all_there(&archive, "its own generation"),
            Err(error) => {
                assert!(error.to_string().contains("cleared"), "{error}");
                refused += 1;
            }
        }
        store.heal();
        all_there(&with_log(&store).unwrap(), "read again");
    }
    assert_eq!(refused, 1);
}
