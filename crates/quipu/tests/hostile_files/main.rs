//! An archive can come from a stranger. No file makes the library panic, loop, or take more memory
//! than the files' own size plus what the options allow.
//!
//! "Files' own size" is meant as it counts in memory: an entry of an index file has a position, a
//! run and a key in maps, so up to 16 bytes for a byte, and 4 KiB for a file.
#![cfg(feature = "zstd")]

mod crafted;
mod frames;
mod holes;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crafted::*;
use peak_alloc::PeakAlloc;
use quipu::storage::Storage;
use quipu::{Bytes, Error, Status};

#[global_allocator]
static COUNTING: PeakAlloc = PeakAlloc;

/// Memory for an archive without items.
const BASE_BYTES: usize = 6 << 20;
/// A run that takes longer is one that does not end; all here take seconds at most.
const MOST_TIME: Duration = Duration::from_secs(60);

/// Memory is counted for the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(|error| error.into_inner())
}

/// Runs `body` within some memory beyond [`BASE_BYTES`], and within time.
fn within<T>(bytes: usize, body: impl FnOnce() -> T) -> T {
    let before = COUNTING.current_usage();
    COUNTING.reset_peak_usage();
    let started = Instant::now();
    let result = body();
    let (taken, time) = (
        COUNTING.peak_usage().saturating_sub(before),
        started.elapsed(),
    );
    assert!(taken <= bytes + BASE_BYTES, "{taken} bytes of memory");
    assert!(time < MOST_TIME, "{time:?}");
    result
}

/// Asks what there is to ask, and puts.
fn use_all(archive: &mut Any) {
    for item in archive.range(..).take(1000) {
        let _ = item.map(|item| archive.get(&item.key));
    }
    let _ = archive.range(..).rev().take(1000).count();
    for index in [0, 1, 7, 8, 9, u64::MAX] {
        let _ = (
            archive.get(index),
            archive.status(index),
            archive.key_of(index),
        );
        let _ = (archive.get_all(index), archive.next_gap(index));
        assert!(archive.missing_items(index, 10).len() <= 10);
        assert!(archive.missing_ranges(index, 10).len() <= 10);
    }
    let _ = (archive.stats(), archive.sections(), archive.ranges());
    let mut told = 0;
    let _ = archive.verify(&mut |_| told += 1);
    let key = vec![7; archive.settings().key_size];
    for index in [
        archive.floor(),
        11,
        archive.last_index().unwrap_or(0).wrapping_add(1),
    ] {
        let _ = archive.put(index, &key.clone().into(), b"new");
    }
    let _ = archive.sync();
}

/// Opens, uses, closes, and does so again.
fn open_and_use(crafted: &Crafted) -> quipu::Result<()> {
    for _ in 0..2 {
        let mut archive = crafted.open()?;
        use_all(&mut archive);
        archive.close()?;
    }
    Ok(())
}

#[test]
fn numbers_of_a_manifest_at_their_ends() {
    let _alone = alone();
    for (at, width) in [
        (KEY_SIZE, 4),
        (ITEMS_PER_SECTION, 8),
        (FLOOR, 8),
        (REWINDS, 8),
    ] {
        for number in [
            0,
            1,
            7,
            1 << 16,
            1 << 31,
            u64::from(u32::MAX),
            u64::MAX - 1,
            u64::MAX,
        ] {
            let crafted = Crafted::new();
            crafted.manifest(|bytes| {
                bytes[at..at + width].copy_from_slice(&number.to_be_bytes()[8 - width..]);
            });
            within(1 << 20, || _ = open_and_use(&crafted));
        }
    }
}

#[test]
fn a_rewind_to_any_index_at_any_count() {
    let _alone = alone();
    for index in [0, 3, 8, 1 << 40, u64::MAX - 1, u64::MAX] {
        let crafted = Crafted::new();
        crafted.manifest(|bytes| {
            bytes[REWINDS..REWINDS + 8].fill(0xff);
            bytes[STATE] = 2;
            bytes[STATE + 1..STATE + 9].copy_from_slice(&index.to_be_bytes());
        });
        within(1 << 20, || open_and_use(&crafted)).unwrap();
    }
}

#[test]
fn names_of_partitions_that_no_archive_has() {
    let _alone = alone();
    let long = "x".repeat(60_000);
    for name in [
        "values",
        "quipu",
        "",
        "..",
        "../../etc",
        "a/b",
        "\0",
        long.as_str(),
    ] {
        let crafted = Crafted::new();
        crafted.manifest(|bytes| {
            let field = [&(name.len() as u16).to_be_bytes(), name.as_bytes()].concat();
            bytes.splice(INDEX_PARTITION..INDEX_PARTITION + 7, field);
        });
        let opened = within(1 << 20, || crafted.open().map(drop));
        assert!(opened.is_err(), "{name:?}");
    }
}

#[test]
fn many_spans_of_compression_in_no_order() {
    let _alone = alone();
    let crafted = Crafted::new();
    let spans = 50_000_u64;
    crafted.manifest(|bytes| {
        bytes.truncate(SPANS);
        bytes.extend_from_slice(&(spans as u32).to_be_bytes());
        for span in 0..spans {
            let first = span.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            bytes.extend_from_slice(&first.to_be_bytes());
            bytes.extend_from_slice(&first.rotate_left(9).to_be_bytes());
            bytes.push(span as u8 % 3);
        }
    });
    within(16 * 17 * spans as usize, || _ = open_and_use(&crafted));
}

#[test]
fn a_count_of_spans_that_are_not_there() {
    let _alone = alone();
    let crafted = Crafted::new();
    crafted.manifest(|bytes| {
        bytes.truncate(SPANS);
        bytes.extend_from_slice(&u32::MAX.to_be_bytes());
    });
    let opened = within(1 << 16, || crafted.open().map(drop));
    assert!(matches!(opened, Err(Error::Manifest { .. })));
}

#[test]
fn marks_of_more_than_there_can_be() {
    let _alone = alone();
    const HUGE: [u64; 5] = [11, 1 << 32, 1 << 60, u64::MAX - 1, u64::MAX];
    for records in HUGE {
        for value_bytes in HUGE {
            let crafted = Crafted::new();
            crafted.marks([mark(0, records, value_bytes, &[(0, u64::MAX)])]);
            within(1 << 20, || _ = open_and_use(&crafted));
        }
    }
}

#[test]
fn marks_of_every_size() {
    let _alone = alone();
    for shift in (4..64).step_by(4) {
        let crafted = Crafted::new();
        crafted.marks([mark(0, 1 << shift, 1 << shift, &[(0, 7)])]);
        let started = Instant::now();
        within(1 << 20, || _ = open_and_use(&crafted));
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "2^{shift}: {:?}",
            started.elapsed()
        );
    }
}

/// Each page that is said to be missing is looked at, so that there must not be a million.
#[test]
fn marks_of_more_than_there_can_be_in_pages_of_one_byte() {
    let _alone = alone();
    let crafted = Crafted::in_pages_of(1, options());
    let sections = crafted.memory.list("index").unwrap().len() as u64;
    crafted.marks((0..sections).map(|nth| mark(nth * 8, 1 << 40, 0, &[])));
    let started = Instant::now();
    within(1 << 20, || open_and_use(&crafted)).unwrap();
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn marks_of_sections_that_the_settings_do_not_have() {
    let _alone = alone();
    let crafted = Crafted::new();
    let sections = [1, 7, 9, 1 << 50, u64::MAX - 7, u64::MAX];
    crafted.marks(sections.map(|section| mark(section, 3, 30, &[(0, 0), (5, u64::MAX)])));
    crafted.manifest(|bytes| bytes[FLOOR..FLOOR + 8].copy_from_slice(&8_u64.to_be_bytes()));
    within(1 << 20, || open_and_use(&crafted)).unwrap();
}

#[test]
fn a_million_notes_of_damage() {
    let _alone = alone();
    let crafted = Crafted::new();
    let notes = 200_000_u64;
    let any = |n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    crafted.marks((0..notes).map(|n| damage(n % 3 * 8, n / 5, any(n))));
    within(16 * 33 * notes as usize, || _ = open_and_use(&crafted));
}

#[test]
fn entries_that_name_what_is_not_there() {
    let _alone = alone();
    let places = [
        0,
        1,
        1 << 31,
        1 << 62,
        i64::MAX as u64,
        u64::MAX - 4,
        u64::MAX,
    ];
    let sizes = [0, 3, 4, 5, 1 << 30, u32::MAX - 1, u32::MAX];
    for offset in places {
        for size in sizes {
            for marked in [false, true] {
                let crafted = Crafted::new();
                let entries = [(0, offset, size), (2, 8, 9), (1 << 33, 8, 9), (3, 8, 9)];
                let values = [vec![7; 8], stored(b"hello")].concat();
                crafted.section(0, &entries, &values);
                if marked {
                    crafted.marks([mark(0, 4, 17, &[(0, 3)])]);
                }
                within(1 << 20, || open_and_use(&crafted)).unwrap();
                let archive = crafted.open().unwrap();
                assert_eq!(archive.get(2).unwrap().unwrap(), "hello");
                // Damaged, or filled again by the put.
                let refilled = archive.get(0).is_ok_and(|value| value.unwrap() == "new");
                assert!(refilled || archive.status(0).unwrap() == Status::Damaged);
            }
        }
    }
}

/// The checksum of no bytes is 0, so an entry of size 0 once passed for an empty value when its
/// neighbours were read with it.
#[test]
fn a_size_below_that_of_a_checksum_is_no_value_in_a_range() {
    let _alone = alone();
    for size in 0..4 {
        let crafted = Crafted::new();
        let end = 9 + u64::from(size);
        let entries = [(0, 0, 9), (1, 9, size), (2, end, 9)];
        let mut values = stored(b"hello");
        values.resize(end as usize, 0);
        values.extend_from_slice(&stored(b"world"));
        crafted.section(0, &entries, &values);
        let archive = crafted.open().unwrap();
        let read: Vec<_> = archive
            .range(..3)
            .map(|item| item.map(|item| item.index).ok())
            .collect();
        assert_eq!(read, [Some(0), None, Some(2)], "size {size}");
        assert!(archive.get(1).is_err());
    }
}

/// Each was compared with all before it.
#[test]
fn many_damaged_entries_at_one_index() {
    let _alone = alone();
    let crafted = Crafted::new();
    let count = 200_000;
    let mut entries = vec![(5, 1 << 40, 100); count];
    entries.push((6, 0, 9));
    crafted.section(0, &entries, &stored(b"hello"));
    within(16 * 28 * count, || {
        let archive = crafted.open().unwrap();
        assert_eq!(archive.status(5).unwrap(), Status::Damaged);
        assert_eq!(archive.get(6).unwrap().unwrap(), "hello");
        archive.close().unwrap();
    });
}

/// All items of an index are read at once: each of them took memory of its own.
#[test]
fn many_entries_that_name_the_same_bytes() {
    let _alone = alone();
    let (count, len) = (10_000, 60_000);
    for at in [0, 4] {
        let crafted = Crafted::new();
        let mut entries = vec![(5, 0, len + 4); count];
        if at > 0 {
            // Values that overlap are the same bytes, too.
            let stagger = |(n, entry): (u64, &mut Entry)| entry.1 = n / 1000;
            (0..).zip(&mut entries).for_each(stagger);
        }
        entries.push((6, u64::from(len) + 4, 9));
        let values = [stored(&vec![7; len as usize]), stored(b"hello")].concat();
        crafted.section(0, &entries, &values);
        within(16 * 28 * count + (4 << 20), || {
            let archive = crafted.open().unwrap();
            assert_eq!(archive.get_all(5).unwrap().len(), 1);
            assert_eq!(archive.range(5..6).count(), 1);
            assert_eq!(archive.get(6).unwrap().unwrap(), "hello");
            archive.close().unwrap();
        });
    }
}

/// It got other items' values there once these were put.
#[test]
fn an_entry_that_named_bytes_beyond_the_end_claims_none_later() {
    let _alone = alone();
    let crafted = Crafted::new();
    crafted.section(0, &[(0, 0, 9), (1, 20, 70)], &stored(b"hello"));
    crafted.marks([mark(0, 2, 9, &[(0, 1)])]);
    let mut archive = crafted.open().unwrap();
    assert_eq!(archive.status(1).unwrap(), Status::Damaged);
    for index in 2..8 {
        let key = quipu::KeyBytes::from(vec![index as u8; 8]);
        let _ = archive
            .put(index, &key, &Bytes::from_static(b"some more bytes"))
            .unwrap();
    }
    archive.close().unwrap();
    let archive = crafted.open().unwrap();
    for index in 2..8 {
        assert_eq!(archive.get(index).unwrap().unwrap(), "some more bytes");
    }
    assert_eq!(archive.status(1).unwrap(), Status::Damaged);
}

/// The values at the end of a store to adopt are checked: entries that all name the same bytes had
/// them read once for each.
#[test]
fn many_entries_that_name_the_same_bytes_when_adopted() {
    let _alone = alone();
    let crafted = Crafted::new();
    let (count, len) = (50_000, 4_000_000);
    crafted.section(0, &vec![(5, 0, len); count], &vec![7; len as usize]);
    crafted.section(8, &[(9, 0, 9)], &stored(b"hello"));
    for name in crafted.memory.list("quipu").unwrap() {
        crafted.memory.remove("quipu", &name).unwrap();
    }
    let options = options()
        .items_per_section(8)
        .page_size(PAGE_SIZE as u16)
        .key_size(8);
    let storage: Arc<dyn Storage> = Arc::new(crafted.memory.clone());
    let allowed = 16 * 28 * count + 4 * len as usize;
    within(allowed, || {
        options.max_value_size(u32::MAX).adopt_on(storage)
    })
    .unwrap();
    assert_eq!(crafted.open().unwrap().get(9).unwrap().unwrap(), "hello");
}

#[test]
fn a_huge_number_of_lost_indices_is_not_listed() {
    let _alone = alone();
    let crafted = Crafted::new();
    crafted.manifest(|bytes| bytes[ITEMS_PER_SECTION..ITEMS_PER_SECTION + 8].fill(0xff));
    crafted.marks([mark(0, 10, 130, &[(0, u64::MAX - 1)])]);
    within(1 << 20, || {
        let Ok(archive) = crafted.open() else {
            return;
        };
        assert!(archive.missing_items(0, 100).len() <= 100);
        assert!(archive.missing_ranges(0, usize::MAX).len() <= 4);
        let _ = archive.range(..).take(100).count();
    });
}

#[test]
fn a_hundred_thousand_tiny_sections() {
    let _alone = alone();
    let crafted = Crafted::new();
    let sections = 100_000_u64;
    for number in (2..sections).map(|section| section * 8) {
        crafted.section(number, &[(number, 0, 9)], &stored(b"hello"));
    }
    // Both files of a section count.
    within(2 * 4096 * sections as usize, || {
        let archive = crafted.open().unwrap();
        assert_eq!(archive.stats().sections, sections);
        assert_eq!(archive.get(8 * 7777).unwrap().unwrap(), "hello");
    });
}
