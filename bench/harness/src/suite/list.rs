//! The workloads by name.

use quipu_bench::Phase;

use super::{Named, named, size};

/// Those that need no hours for tens of millions of items.
const LONG: &[&str] = &[
    "quipu",
    "quipu:memory",
    "floor",
    "commonware_2026_4_0",
    "commonware_2026_10_0",
    "rocksdb",
    "heed",
    "fjall",
];

/// Those that can put without a flush, and flush apart from it.
const APART: &[&str] = &[
    "quipu",
    "quipu:memory",
    "floor",
    "commonware_2026_4_0",
    "commonware_2026_10_0",
    "rocksdb",
    "rocksdb:blobs",
    "fjall",
];

/// Those that keep sections.
const SECTIONS: &[&str] = &[
    "quipu",
    "quipu:memory",
    "commonware_2026_4_0",
    "commonware_2026_10_0",
];

const ITEMS: &[Phase] = &[Phase::Put, Phase::Get, Phase::Prune];
const REOPEN: &[Phase] = &[
    Phase::PutKilled,
    Phase::ReopenKilled,
    Phase::Put,
    Phase::Reopen,
];
const SCALE: &[Phase] = &[
    Phase::PutKilled,
    Phase::ReopenKilled,
    Phase::Put,
    Phase::Get,
];

pub(crate) const ALL: &[Named] = &[
    named(
        "256B",
        "items of 256 bytes",
        ITEMS,
        Some(size(100_000, 20_000, 2)),
        size(1_000_000, 1_000_000, 3),
    ),
    named(
        "4KiB",
        "items of 4 KiB",
        ITEMS,
        Some(size(20_000, 10_000, 1)),
        size(100_000, 300_000, 3),
    )
    .of(4 << 10),
    named(
        "64KiB",
        "items of 64 KiB",
        ITEMS,
        Some(size(2_000, 2_000, 1)),
        size(20_000, 50_000, 3),
    )
    .of(64 << 10),
    named(
        "reopen",
        "an open after a clean end, and after a kill",
        REOPEN,
        Some(size(80_000, 0, 1)),
        size(1_000_000, 0, 3),
    ),
    named(
        "single",
        "one put and one flush, against a bare append and flush of 4 KiB",
        &[Phase::Single],
        Some(size(300, 0, 2)),
        size(2_000, 0, 3),
    ),
    named(
        "tasks",
        "64 tasks that each wait for their put to be durable, against one",
        &[Phase::Tasks],
        Some(size(1_500, 0, 1)),
        size(20_000, 0, 3),
    ),
    named(
        "latency",
        "puts of 64 bytes one by one, a flush by another thread after each 1,000",
        &[Phase::Latency],
        Some(size(200_000, 0, 1)),
        size(10_000_000, 0, 3),
    )
    .of(64)
    .by(APART),
    named(
        "readers",
        "eight readers beside a writer",
        &[Phase::Readers],
        Some(size(60_000, 0, 1)),
        size(1_500_000, 0, 3),
    ),
    named(
        "backfill",
        "items in random order",
        &[Phase::Backfill, Phase::Get],
        Some(size(30_000, 5_000, 1)),
        size(1_000_000, 200_000, 1),
    ),
    named(
        "ring",
        "puts and prunes in step through a window of a thirtieth",
        &[Phase::Ring],
        Some(size(300_000, 0, 1)),
        size(30_000_000, 0, 1),
    )
    .by(LONG),
    named(
        "cold",
        "reads after the system's caches were dropped",
        &[Phase::Put, Phase::Cold],
        Some(size(80_000, 0, 1)),
        size(4_000_000, 0, 1),
    ),
    named(
        "sections",
        "an open of many sections: 100,000 in a full run",
        REOPEN,
        Some(size(1_200, 0, 1)),
        size(400_000, 0, 1),
    )
    .sections_of(4)
    .by(SECTIONS),
    named(
        "scale1M",
        "1 million items of 64 bytes",
        SCALE,
        None,
        size(1_000_000, 300_000, 1),
    )
    .of(64)
    .sections_of(65_536)
    .by(LONG),
    named(
        "scale10M",
        "10 million items of 64 bytes",
        SCALE,
        None,
        size(10_000_000, 300_000, 1),
    )
    .of(64)
    .by(LONG),
    named(
        "scale30M",
        "30 million items of 64 bytes",
        SCALE,
        None,
        size(30_000_000, 300_000, 1),
    )
    .of(64)
    .by(LONG),
];
