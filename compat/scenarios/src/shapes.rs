//! The shapes of the golden archives, with data of their own.

use crate::items::Maker;
use crate::scenario::{Op, Scenario};

/// All shapes, in the order in which they run.
pub fn shapes() -> Vec<Scenario> {
    vec![
        plain(),
        zstd(),
        synced_each_put(),
        gaps(),
        multi(),
        pruned(),
        aligned(),
    ]
}

fn shape(name: &str, page_size: u16, items_per_section: u64, ops: Vec<Op>) -> Scenario {
    Scenario {
        name: name.to_owned(),
        page_size,
        items_per_section,
        zstd: None,
        ops,
    }
}

/// In order, one sync at the end, several sections.
fn plain() -> Scenario {
    let mut maker = Maker::new(1, 200_000);
    let ops = (0..100).map(|index| Op::Put(maker.item_of(index, index * 37 % 400)));
    shape("plain", 1024, 16, ops.collect())
}

/// Compressed, a sync every seven puts.
fn zstd() -> Scenario {
    let mut maker = Maker::new(2, 200_000);
    let ops = (0..100).flat_map(|index| {
        let put = Op::Put(maker.item_of(index, index * 53 % 700));
        [Some(put), (index % 7 == 6).then_some(Op::Sync)]
            .into_iter()
            .flatten()
    });
    Scenario {
        zstd: Some(3),
        ..shape("zstd", 1024, 16, ops.collect())
    }
}

/// A sync after every put: partial pages are written again, entries straddle pages.
fn synced_each_put() -> Scenario {
    let mut maker = Maker::new(3, 200_000);
    let ops = (0..64).flat_map(|index| [Op::Put(maker.item_of(index, 1 + index % 90)), Op::Sync]);
    shape("synced-each-put", 100, 64, ops.collect())
}

/// Out of order, with gaps, in sections far apart.
fn gaps() -> Scenario {
    let far = 1 << 63;
    let indices = [
        5,
        3,
        4,
        0,
        29,
        12,
        19,
        10,
        47,
        40,
        999_999,
        1_000_000,
        1_000_002,
        far,
        far + 3,
        far + 1,
    ];
    let mut maker = Maker::new(4, 200_000);
    shape(
        "gaps",
        256,
        10,
        indices
            .map(|index| Op::Put(maker.item_of(index, 64)))
            .into(),
    )
}

/// Several items at one index, and a put that finds its index taken.
fn multi() -> Scenario {
    let mut maker = Maker::new(5, 200_000);
    let mut ops: Vec<Op> = [1, 1, 2, 1, 9, 9, 25]
        .map(|index| Op::PutMulti(maker.item_of(index, 20 + index)))
        .into();
    ops.push(Op::Put(maker.item_of(9, 5)));
    shape("multi", 256, 8, ops)
}

/// Pruned inside a section.
fn pruned() -> Scenario {
    let mut maker = Maker::new(6, 200_000);
    let mut ops: Vec<Op> = (0..200)
        .map(|index| Op::Put(maker.item_of(index, index % 50)))
        .collect();
    ops.extend([Op::Sync, Op::Prune(75)]);
    shape("pruned", 512, 32, ops)
}

/// A page and its checksums take 4,096 bytes.
fn aligned() -> Scenario {
    let mut maker = Maker::new(7, 200_000);
    let ops = (0..1000).map(|index| Op::Put(maker.item_of(index, 16 + index % 20)));
    shape("aligned", 4084, 512, ops.collect())
}
