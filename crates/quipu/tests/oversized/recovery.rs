//! Each torn state, and what an open makes of it.

use quipu::Error;
use quipu::journal::Record;
use quipu::storage::OpenMode;

use super::{Case, Entry, HEADER, PAGE, VALUE, append, holds, name};

#[test]
fn nothing_wrong_nothing_rewritten() {
    Case::each(|case| {
        case.write(&[(1, 10), (2, 10), (3, 10)]);
        let journal = case.open();
        assert!(journal.recovery().is_empty());
        (1..=3).for_each(|section| holds(&journal, section, 10));
        assert_eq!(
            (journal.oldest_section(), journal.newest_section()),
            (Some(1), Some(3))
        );
    });
}

#[test]
fn glob_cut_to_three_of_five_values() {
    Case::each(|case| {
        case.write(&[(1, 5)]);
        case.cut_glob(1, 3);
        case.expect(1, 3);
    });
}

#[test]
fn glob_cut_to_nothing() {
    for entries in [5, 1] {
        Case::each(|case| {
            case.write(&[(1, entries)]);
            case.cut_glob(1, 0);
            case.expect(1, 0);
        });
    }
}

#[test]
fn glob_file_removed() {
    Case::each(|case| {
        case.write(&[(1, 5)]);
        case.remove("values", 1);
        case.expect(1, 0);
    });
}

#[test]
fn glob_one_byte_short() {
    Case::each(|case| {
        case.write(&[(1, 5)]);
        case.cut("values", 1, HEADER + 5 * VALUE - 1);
        case.expect(1, 4);
    });
}

#[test]
fn sections_are_recovered_each_on_its_own() {
    Case::each(|case| {
        case.write(&[(1, 3), (2, 5), (3, 2)]);
        case.cut_glob(1, 1);
        case.cut_glob(2, 3);
        for (section, count) in [(1, 1), (2, 3), (3, 2)] {
            case.expect(section, count);
        }
    });
}

#[test]
fn checksums_of_the_last_page_overwritten() {
    Case::each(|case| {
        case.write(&[(1, 3)]);
        case.overwrite("index", 1, HEADER + 2 * PAGE + 20, &[0xff; 12]);
        case.expect(1, 2);
    });
}

#[test]
fn values_pruned_but_the_index_not() {
    Case::each(|case| {
        case.write(&[(1, 4), (2, 4), (3, 4)]);
        case.remove("values", 1);
        for (section, count) in [(1, 0), (2, 4), (3, 4)] {
            case.expect(section, count);
        }
    });
}

#[test]
fn index_file_of_one_section_removed() {
    Case::each(|case| {
        case.write(&[(1, 3), (2, 3), (3, 3)]);
        case.remove("index", 2);
        let journal = case.open();
        holds(&journal, 1, 3);
        holds(&journal, 3, 3);
        assert!(matches!(
            journal.get(2, 0),
            Err(Error::SectionOutOfRange { section: 2 })
        ));
        assert_eq!(case.storage.list("values").unwrap(), [name(1), name(3)]);
        drop(journal);
        case.write(&[(2, 1)]);
        holds(&case.open(), 2, 1);
    });
}

#[test]
fn unsynced_entries_whose_values_are_gone() {
    Case::each(|case| {
        case.write(&[(1, 3)]);
        case.write(&[(1, 5)]);
        case.cut_glob(1, 3);
        case.expect(1, 3);
    });
}

#[test]
fn index_cut_to_two_of_three_pages() {
    Case::each(|case| {
        case.write(&[(1, 3)]);
        case.cut_index(1, 2);
        let mut journal = case.open();
        holds(&journal, 1, 2);
        append(&mut journal, 1, 3);
        holds(&journal, 1, 5);
        journal.sync_all().unwrap();
        drop(journal);
        holds(&case.open(), 1, 5);
    });
}

#[test]
fn index_cut_to_a_part_of_a_page() {
    for (bytes, count) in [
        (PAGE + 10, 1),
        (2 * PAGE + 31, 2),
        (PAGE - 1, 0),
        (10, 0),
        (1, 0),
        (0, 0),
    ] {
        Case::each(|case| {
            case.write(&[(1, 3)]);
            case.cut("index", 1, HEADER + bytes);
            case.expect(1, count);
        });
    }
}

#[test]
fn index_file_of_ten_bytes_in_all() {
    Case::each(|case| {
        case.write(&[(1, 3)]);
        case.cut("index", 1, 10);
        case.expect(1, 0);
    });
}

#[test]
fn a_crash_inside_a_rewind() {
    Case::each(|case| {
        case.write(&[(1, 5), (2, 5)]);
        case.cut_index(1, 2);
        case.cut_glob(2, 2);
        case.expect(1, 2);
        case.expect(2, 2);
    });
}

#[test]
fn a_crash_inside_recovery() {
    Case::each(|case| {
        case.write(&[(1, 5)]);
        case.cut_glob(1, 3);
        case.cut_index(1, 4);
        case.expect(1, 3);
    });
}

#[test]
fn value_files_without_index_are_removed() {
    for orphans in [&[3u64][..], &[2, 3, 4]] {
        Case::each(|case| {
            case.write(&[(1, 2)]);
            let bytes = [quipu_header(), vec![7; 40]].concat();
            for &orphan in orphans {
                let blob = case
                    .storage
                    .open("values", &name(orphan), OpenMode::Create)
                    .unwrap();
                blob.write_at(&[std::io::IoSlice::new(&bytes)], 0).unwrap();
            }
            let journal = case.open();
            assert_eq!(journal.newest_section(), Some(1));
            assert_eq!(case.storage.list("values").unwrap(), [name(1)]);
            holds(&journal, 1, 2);
        });
    }
}

fn quipu_header() -> Vec<u8> {
    let mut header = b"CWIK\0\x01\0\0\x28\x13\xd8\xdc".to_vec();
    header.resize(HEADER as usize, 0);
    header
}

#[test]
fn values_and_no_index_at_all() {
    Case::each(|case| {
        case.write(&[(1, 2), (2, 2), (3, 2)]);
        (1..=3).for_each(|section| case.remove("index", section));
        let journal = case.open();
        assert_eq!(
            (journal.oldest_section(), journal.newest_section()),
            (None, None)
        );
        assert_eq!(case.storage.list("values").unwrap(), [""; 0]);
    });
}

#[test]
fn every_second_index_file_missing() {
    Case::each(|case| {
        case.write(&[(1, 2), (2, 2), (3, 2), (4, 2), (5, 2), (6, 2)]);
        for section in [2, 4, 6] {
            case.remove("index", section);
        }
        let journal = case.open();
        assert_eq!(
            (journal.oldest_section(), journal.newest_section()),
            (Some(1), Some(5))
        );
        assert_eq!(case.storage.list("values").unwrap(), [1, 3, 5].map(name));
        for section in [1, 3, 5] {
            holds(&journal, section, 2);
        }
    });
}

#[test]
fn index_emptied_and_an_orphan_behind_it() {
    Case::each(|case| {
        case.write(&[(1, 2), (2, 2)]);
        case.cut_index(1, 0);
        case.remove("index", 2);
        let journal = case.open();
        assert_eq!(
            (journal.oldest_section(), journal.newest_section()),
            (Some(1), Some(1))
        );
        holds(&journal, 1, 0);
        assert_eq!(case.storage.list("values").unwrap(), [name(1)]);
    });
}

#[test]
fn index_emptied_and_a_whole_section_behind_it() {
    Case::each(|case| {
        case.write(&[(1, 2), (2, 2)]);
        case.cut_index(1, 0);
        holds(&case.open(), 2, 2);
        case.expect(1, 0);
        case.expect(2, 2);
    });
}

#[test]
fn garbage_behind_the_last_value() {
    Case::each(|case| {
        case.write(&[(1, 2)]);
        case.overwrite("values", 1, HEADER + 2 * VALUE, &[0x5a; 100]);
        assert_eq!(case.open().recovery()[0].value_bytes_cut, 100);
        assert_eq!(case.len_of("values", 1), HEADER + 2 * VALUE);
        case.expect(1, 2);
    });
}

#[test]
fn an_offset_that_overflows() {
    Case::each(|case| {
        case.write(&[(1, 1)]);
        let mut page = vec![0; 32];
        Entry {
            id: 0,
            offset: u64::MAX - 10,
            size: 100,
        }
        .encode(&mut page[..20]);
        let crc = quipu::format::crc32c(&page[..20]);
        page[20..22].copy_from_slice(&20u16.to_be_bytes());
        page[22..26].copy_from_slice(&crc.to_be_bytes());
        case.overwrite("index", 1, HEADER, &page);
        case.expect(1, 0);
    });
}

#[test]
fn sections_at_the_end_of_the_numbers() {
    Case::each(|case| {
        let sections = [u64::MAX - 3, u64::MAX - 2, u64::MAX - 1];
        case.write(&sections.map(|section| (section, 1)));
        case.cut("values", u64::MAX - 2, HEADER + VALUE / 2);
        [1, 0, 1]
            .iter()
            .zip(sections)
            .for_each(|(&count, section)| case.expect(section, count));
    });
}

#[test]
fn section_two_and_no_section_one() {
    Case::each(|case| {
        case.write(&[(2, 3)]);
        assert_eq!(case.open().oldest_section(), Some(2));
        case.expect(2, 3);
    });
}

#[test]
fn a_value_whose_checksum_does_not_match_at_the_end() {
    Case::each(|case| {
        case.write(&[(1, 3)]);
        case.overwrite("values", 1, HEADER + 2 * VALUE + 3, &[0xff]);
        case.expect(1, 2);
    });
}
