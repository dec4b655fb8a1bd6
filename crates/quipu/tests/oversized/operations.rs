//! Operations and their errors, without anything torn.

use std::ops::ControlFlow;

use quipu::{Error, Result};

use super::{Case, Entry, append, holds, name};

#[test]
fn sizes_that_no_value_has() {
    Case::each(|case| {
        case.write(&[(1, 3)]);
        let journal = case.open();
        for (offset, size) in [
            (0, 0),
            (0, 1),
            (0, 2),
            (0, 3),
            (0, 4),
            (0, 5),
            (0, 19),
            (0, 21),
            (40, 21),
            (60, 1),
            (60, 20),
        ] {
            let error = journal.get_value(1, offset, size).unwrap_err();
            assert!(error.is_corruption(), "{offset} {size}: {error}");
        }
        for (offset, size) in [
            (u64::MAX, 4),
            (u64::MAX - 3, 4),
            (u64::MAX, u32::MAX),
            (0, u32::MAX),
        ] {
            assert!(matches!(
                journal.get_value(1, offset, size),
                Err(Error::OutOfBounds { .. })
            ));
        }
        assert!(journal.get(1, u64::MAX).is_err());
    });
}

#[test]
fn pruned_sections_name_the_oldest_kept() {
    Case::each(|case| {
        case.write(&[(1, 2), (2, 2), (5, 2)]);
        let mut journal = case.open();
        assert!(journal.prune(5).unwrap());
        assert!(!journal.prune(5).unwrap());
        let pruned =
            |result: Result<()>| matches!(result, Err(Error::SectionPruned { oldest: 5, .. }));
        assert!(pruned(journal.get(1, 0).map(drop)));
        assert!(pruned(journal.get_value(2, 0, 20).map(drop)));
        assert!(pruned(journal.sync(4)) || journal.sync(4).is_ok());
        assert!(pruned(
            journal
                .append(
                    4,
                    Entry {
                        id: 0,
                        offset: 0,
                        size: 0
                    },
                    b""
                )
                .map(drop)
        ));
        assert!(pruned(journal.rewind(4, 0)));
        assert_eq!(journal.oldest_section(), Some(5));
        assert_eq!(case.storage.list("values").unwrap(), [name(5)]);
    });
}

#[test]
fn rewinds_keep_whole_entries_with_their_values() {
    Case::each(|case| {
        case.write(&[(1, 5), (2, 5), (3, 5)]);
        let mut journal = case.open();
        journal.rewind(2, 3 * 20 + 7).unwrap();
        assert_eq!(journal.newest_section(), Some(2));
        holds(&journal, 2, 3);
        journal.rewind_section(1, 40).unwrap();
        holds(&journal, 1, 2);
        holds(&journal, 2, 3);
        drop(journal);
        case.expect(1, 2);
        case.expect(2, 3);
    });
}

#[test]
fn a_destroyed_journal_leaves_nothing() {
    Case::each(|case| {
        case.write(&[(1, 5), (2, 5)]);
        case.open().destroy().unwrap();
        for partition in ["index", "values"] {
            assert_eq!(case.storage.list(partition).unwrap(), [""; 0]);
        }
        assert_eq!(case.open().oldest_section(), None);
    });
}

#[test]
fn a_replay_begins_where_it_is_told() {
    Case::each(|case| {
        case.write(&[(1, 3), (2, 4), (7, 2)]);
        let journal = case.open();
        let mut seen = Vec::new();
        let from = |section, position, seen: &mut Vec<(u64, u64, u64)>| {
            seen.clear();
            journal
                .replay(section, position, |section, position, entry| {
                    seen.push((section, position, entry.unwrap().id));
                    if seen.len() == 5 {
                        ControlFlow::Break(())
                    } else {
                        ControlFlow::Continue(())
                    }
                })
                .unwrap();
        };
        from(2, 2, &mut seen);
        assert_eq!(seen, [(2, 2, 2), (2, 3, 3), (7, 0, 0), (7, 1, 1)]);
        from(0, 0, &mut seen);
        assert_eq!(seen.len(), 5);
        from(8, 0, &mut seen);
        assert!(seen.is_empty());
    });
}

#[test]
fn the_last_entry_and_entries_that_wait() {
    Case::each(|case| {
        let mut journal = case.open();
        assert!(matches!(
            journal.last(1),
            Err(Error::SectionOutOfRange { section: 1 })
        ));
        append(&mut journal, 1, 3);
        assert_eq!(journal.last(1).unwrap().unwrap().id, 2);
        holds(&journal, 1, 3);
        assert_eq!(journal.size(9).unwrap() + journal.value_size(9).unwrap(), 0);
        // Never synced: none of it is there after a crash, and nothing is half there.
        drop(journal);
        let journal = case.open();
        let left = journal.size(1).unwrap() / 20;
        holds(&journal, 1, left);
    });
}
