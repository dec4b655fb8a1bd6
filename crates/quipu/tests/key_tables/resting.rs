//! Sections that rest, or whose positions are presumed, although something of them is not as their marks say.

use quipu::format::crc32c;

use super::*;

const FIRST: &str = "0000000000000000";
const SECOND: &str = "000000000000000a";
/// Bytes of an entry; and of a page with one.
const ENTRY: usize = 28;
const ENTRY_PAGE: usize = ENTRY + 12;

/// Ten items in a section that has one entry a page, of which a stranger has changed some.
fn crafted(change: impl Fn(u64, &mut [u8]), check: impl Fn(Store)) {
    Bench::memory(options().page_size(ENTRY as u16), |bench| {
        bench.fill(10);
        let mut bytes = bench.read("index", FIRST);
        for (position, page) in (0..).zip(bytes[HEADER..].chunks_mut(ENTRY_PAGE)) {
            change(position, &mut page[..ENTRY]);
            let crc = crc32c(&page[..ENTRY]);
            page[ENTRY + 2..ENTRY + 6].copy_from_slice(&crc.to_be_bytes());
        }
        bench.write("index", FIRST, &bytes);
        let archive: Store = bench.open();
        assert_eq!(archive.stats().open_files, 0);
        check(archive);
    });
}

/// However many entries name one value, they do not make one call read it as often.
#[test]
fn a_section_at_rest_whose_entries_share_a_value() {
    let share = |position: u64, entry: &mut [u8]| {
        if (1..9).contains(&position) {
            entry[..8].copy_from_slice(&5_u64.to_be_bytes());
            entry[16..24].fill(0);
        }
    };
    crafted(share, |archive| {
        assert!(archive.get_all(5).is_err());
        assert_eq!(archive.status(5).unwrap(), Status::Damaged);
        assert_eq!(archive.ranges(), [0..=0, 9..=9]);
    });
}

#[test]
fn a_section_at_rest_with_an_entry_of_another() {
    let of_another = |position: u64, entry: &mut [u8]| {
        if position == 4 {
            entry[..8].copy_from_slice(&(1_u64 << 40).to_be_bytes());
        }
    };
    crafted(of_another, |archive| {
        assert_eq!(archive.status(4).unwrap(), Status::Damaged);
        assert_eq!(archive.ranges(), [0..=3, 5..=9]);
        assert_eq!(archive.missing_items(0, 9), [4]);
    });
}

/// Of a section that was filled in order, as its mark says, a look reads what it looks for alone: what else of
/// it is damaged is not found yet.
#[test]
fn a_section_that_wakes_is_not_read_whole() {
    each(|bench| {
        bench.fill(20);
        bench.flip("index", SECOND, HEADER + PAGE + 20);
        let archive: Store = bench.open();
        assert_eq!(archive.get(12).unwrap().unwrap(), value(12, 30));
        assert!(archive.has(&key(19)).unwrap());
        assert_eq!(archive.missing_items(0, 9), []);
        assert_eq!(archive.get_all(12).unwrap().len(), 1);
        assert!(archive.missing_items(0, 9).contains(&15));
    });
}

/// A value that the mark has a sample of is damaged, so the section is read when it wakes, and has a table of
/// its own from the next sync on.
#[test]
fn a_doubtful_section_is_read_once() {
    each(|bench| {
        bench.fill(20);
        bench.flip("values", SECOND, HEADER + 31);
        let archive: Store = bench.open();
        assert_eq!(archive.get(12).unwrap().unwrap(), value(12, 30));
        assert_eq!(archive.stats().keys - archive.stats().keys_in_tables, 10);
        archive.close().unwrap();
        let archive: Store = bench.open();
        assert_eq!(archive.get(12).unwrap().unwrap(), value(12, 30));
        assert_eq!(archive.stats().keys, archive.stats().keys_in_tables);
        assert_eq!(archive.status(10).unwrap(), Status::Damaged);
    });
}

/// The files of a section at rest are lost beside a reader that has not looked at it yet.
#[test]
fn a_section_at_rest_that_is_lost_beside_a_reader() {
    for partition in ["index", "values"] {
        each(|bench| {
            bench.fill(30);
            let beside: ReadOnly<[u8; 8]> =
                bench.options().open_read_only_on(bench.storage()).unwrap();
            bench.storage().remove(partition, SECOND).unwrap();
            assert!(beside.get(&key(12)).unwrap().is_none());
            assert_eq!(beside.ranges(), [0..=9, 20..=29]);
            assert_eq!(beside.status(12).unwrap(), Status::Damaged);
            let report = beside.verify(&mut |_| {}).unwrap();
            assert_eq!((report.unreadable_sections, report.lost_indices), (1, 10));
        });
    }
}

/// A table is lost, and brings nothing back of a section at rest whose index file turns out to be another's.
#[test]
fn a_lost_table_makes_nothing_of_a_foreign_section_known() {
    let other = |check: &dyn Fn(&Bench)| Bench::memory(options(), check);
    each(|bench| {
        let mut archive = bench.open();
        put(&mut archive, 0..20, 0);
        archive.close().unwrap();
        other(&|other| {
            let mut archive = other.open();
            put(&mut archive, 0..20, 1);
            archive.close().unwrap();
            bench.write("index", SECOND, &other.read("index", SECOND));
        });
        for name in tables(bench) {
            bench.flip("quipu", &name, 4096 + 100);
        }
        let archive: Store = bench.open();
        assert_eq!(archive.stats().open_files, 0);
        assert_holds(&archive, 0..10, 0);
        assert!(archive.stats().tables_lost > 0);
        for index in 10..20 {
            assert!(!archive.has(&key(index ^ (1 << 32))).unwrap(), "{index}");
            assert_eq!(archive.status(index).unwrap(), Status::Damaged);
        }
    });
}

/// Damage that is known, though the end of the marks that tell of it was torn; and marks of which nobody knows
/// what else they told. Neither lets a section be taken for what its own mark says.
#[test]
fn a_section_behind_incomplete_marks_is_read_whole() {
    for loses_marks in [false, true] {
        Bench::memory(options(), |bench| {
            bench.fill(40);
            if loses_marks {
                bench.flip("index", SECOND, HEADER + PAGE + 20);
                let marks = bench.read("quipu", "marks").len();
                bench.flip("quipu", "marks", marks - 1);
            } else {
                // Its sixth value.
                bench.flip("values", SECOND, HEADER + 5 * (30 + 4) + 3);
                let archive: Store = bench.open();
                assert!(archive.get(15).is_err());
                drop(archive);
                let marks = bench.read("quipu", "marks");
                bench.write("quipu", "marks", &marks[..marks.len() - 1]);
            }
            let archive: Store = bench.open();
            assert!(archive.recovery().marks_incomplete);
            let lost = archive.recovery().damaged;
            assert!((1..10).contains(&lost), "{lost}");
            assert_eq!(archive.missing_items(0, 100).len() as u128, lost);
        });
    }
}
