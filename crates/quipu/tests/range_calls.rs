//! What a range reads.

use std::sync::Arc;

use quipu::storage::simulated::{CallKind, Simulated};
use quipu::{Archive, Options, PageCache};

const ITEMS: u64 = 2000;

fn options() -> Options {
    // Without a cache, so that every page that is asked for is read.
    Options::new()
        .items_per_section(500)
        .page_cache(PageCache::new(0))
}

fn key(index: u64) -> [u8; 8] {
    index.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes()
}

fn value(index: u64) -> Vec<u8> {
    vec![index as u8; 20 + (index % 50) as usize]
}

/// An archive of items put in this order, that was closed and opened again.
fn reopened(indices: impl Iterator<Item = u64>) -> (Simulated, Archive<[u8; 8]>) {
    let machine = Simulated::new(0);
    let mut archive = options().open_on(Arc::new(machine.clone())).unwrap();
    for index in indices {
        let _ = archive
            .put(index, &key(index), value(index).as_slice())
            .unwrap();
    }
    archive.close().unwrap();
    let archive = options().open_on(Arc::new(machine.clone())).unwrap();
    (machine, archive)
}

/// Every item of an order, and how many reads of files it took.
fn scan(machine: &Simulated, archive: &Archive<[u8; 8]>, backwards: bool) -> usize {
    let from = machine.log().len();
    let mut items: Vec<_> = match backwards {
        true => archive.range(..).rev().map(Result::unwrap).collect(),
        false => archive.range(..).map(Result::unwrap).collect(),
    };
    if backwards {
        items.reverse();
    }
    assert_eq!(items.len() as u64, ITEMS);
    for (index, item) in (0..).zip(items) {
        assert_eq!((item.index, item.key), (index, key(index)));
        assert_eq!(*item.value, *value(index));
    }
    let calls = machine.log().split_off(from);
    let reads = calls.iter().filter(|call| call.kind == CallKind::Read);
    reads.count()
}

/// Items that were put in order cost a read of values for each batch and section, and one of entries for some pages.
#[test]
fn a_range_over_what_was_put_in_order_makes_few_reads() {
    for backwards in [false, true] {
        let (machine, archive) = reopened(0..ITEMS);
        let reads = scan(&machine, &archive, backwards);
        assert!(reads < 60, "{reads} reads, backwards: {backwards}");
    }
}

/// What was not is read all the same.
#[test]
fn a_range_over_what_was_put_out_of_order_finds_it() {
    let swapped = (0..ITEMS).map(|nth| nth ^ 1);
    let (machine, archive) = reopened(swapped);
    scan(&machine, &archive, false);
    scan(&machine, &archive, true);
    let by_threes = (0..3).flat_map(|first| (first..ITEMS).step_by(3));
    let (machine, archive) = reopened(by_threes);
    scan(&machine, &archive, false);
    scan(&machine, &archive, true);
}
