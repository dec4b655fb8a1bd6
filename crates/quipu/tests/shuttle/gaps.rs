//! Runs and gaps, which are looked at in pieces of two runs here, beside puts, a prune and a rewind.

use quipu::Reader;
use shuttle::thread;

use super::setup::{Key, explore, options, put, with_items};

/// Of what the writer leaves alone, 4 to 12, each index is told as what it is; of the rest nothing lies below the floor.
fn check(reader: &Reader<Key>) {
    let floor = reader.floor();
    let ranges = reader.ranges();
    let apart = |two: &[std::ops::RangeInclusive<u64>]| two[0].end() + 1 < *two[1].start();
    assert!(ranges.windows(2).all(apart), "{ranges:?}");
    let stored: Vec<u64> = ranges.into_iter().flatten().collect();
    let items = reader.missing_items(0, 99);
    let ranges: Vec<u64> = reader.missing_ranges(0, 99).into_iter().flatten().collect();
    for missing in [items, ranges] {
        for index in 4..=12 {
            let told = (stored.contains(&index), missing.contains(&index));
            assert_eq!(told, (index % 2 == 0, index % 2 == 1), "{index}");
        }
        for told in [&stored, &missing] {
            assert!(told.iter().all(|&index| index >= floor), "{told:?}");
        }
    }
    assert!([1, 15].iter().all(|index| !stored.contains(index)));
}

#[test]
fn runs_and_gaps_beside_a_writer() {
    explore(|| {
        let (_storage, mut archive) = with_items(options(), (0..=14).step_by(2));
        let reader = archive.reader();
        let beside = thread::spawn(move || (0..3).for_each(|_| check(&reader)));
        put(&mut archive, 3, 0);
        put(&mut archive, 13, 0);
        archive.prune(4).unwrap();
        put(&mut archive, 17, 0);
        archive.rewind(12).unwrap();
        put(&mut archive, 16, 0);
        beside.join().unwrap();
        assert_eq!(archive.ranges(), [4, 6, 8, 10, 12, 16].map(|of| of..=of));
        assert_eq!(archive.missing_ranges(9, 9), [9..=9, 11..=11, 13..=15]);
        assert_eq!(
            (archive.first_index(), archive.last_index()),
            (Some(4), Some(16))
        );
    });
}
