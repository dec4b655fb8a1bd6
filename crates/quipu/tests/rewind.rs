//! Rewinds: items above an index go, wherever they stand in their section.

mod common;

use common::{Bench, key};
use quipu::{Archive, Options};

fn filled(bench: &Bench, indices: &[u64]) -> Archive<[u8; 8]> {
    let mut archive = bench.open::<8>();
    for &index in indices {
        let _ = archive.put(index, &key(index), &index.to_string()).unwrap();
    }
    archive.sync().unwrap();
    archive
}

fn assert_holds(archive: &Archive<[u8; 8]>, kept: &[u64], gone: &[u64]) {
    for &index in kept {
        assert_eq!(archive.get(index).unwrap().unwrap(), index.to_string());
        assert_eq!(
            archive.get(&key::<8>(index)).unwrap().unwrap(),
            index.to_string()
        );
    }
    for &index in gone {
        assert_eq!(archive.get(index).unwrap(), None, "{index}");
        assert_eq!(archive.get(&key::<8>(index)).unwrap(), None, "{index}");
    }
    assert!(archive.verify(&mut |_| {}).unwrap().is_clean());
}

#[test]
fn the_last_entries_are_cut() {
    Bench::each(
        Options::new().items_per_section(10).page_size(50),
        |bench| {
            let all: Vec<u64> = (0..35).collect();
            let mut archive = filled(bench, &all);
            archive.rewind(14).unwrap();
            assert_holds(&archive, &all[..15], &all[15..]);
            assert_eq!(archive.sections().len(), 2);
            let _ = archive.put_sync(15, &key(15), "15").unwrap();
            drop(archive);
            let archive = bench.open::<8>();
            assert!(archive.recovery().is_clean());
            assert_holds(&archive, &all[..16], &all[16..]);
        },
    );
}

#[test]
fn entries_out_of_order_keep_what_lies_below() {
    Bench::each(
        Options::new().items_per_section(10).page_size(50),
        |bench| {
            let mut archive = filled(bench, &[9, 2, 7, 1, 8, 0, 15]);
            let beside = archive.reader();
            archive.rewind(5).unwrap();
            assert_holds(&archive, &[2, 1, 0], &[9, 7, 8, 15]);
            assert_eq!(beside.get(1).unwrap().unwrap(), "1");
            let _ = archive.put_sync(7, &key(70), "new").unwrap();
            drop(archive);
            let archive = bench.open::<8>();
            assert_holds(&archive, &[2, 1, 0], &[9, 8, 15]);
            assert_eq!(archive.get(7).unwrap().unwrap(), "new");
            assert_eq!(archive.get(&key::<8>(70)).unwrap().unwrap(), "new");
        },
    );
}

#[test]
fn edges() {
    Bench::each(Options::new().items_per_section(10), |bench| {
        let mut archive = filled(bench, &[0, 5, u64::MAX]);
        archive.rewind(u64::MAX).unwrap();
        assert_holds(&archive, &[0, 5, u64::MAX], &[]);
        archive.rewind(0).unwrap();
        assert_holds(&archive, &[0], &[5, u64::MAX]);
        archive.prune(20).unwrap();
        archive.rewind(3).unwrap();
        assert_eq!(archive.floor(), 20);
        assert_holds(&archive, &[], &[0]);
    });
}
