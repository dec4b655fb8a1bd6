//! The workloads by name, and how large they are in a quick and in a full run.

use quipu_bench::{Phase, Workload};

pub(crate) struct Named {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) phases: &'static [Phase],
    value_size: usize,
    /// Items and look-ups of a quick run; none when only a full run has it.
    quick: Option<Size>,
    full: Size,
    /// Whether engines that would take hours are left out.
    pub(crate) long: bool,
}

struct Size {
    items: u64,
    gets: u64,
    window: u64,
    rounds: u32,
}

const fn size(items: u64, gets: u64, rounds: u32) -> Size {
    Size {
        items,
        gets,
        window: items / 10,
        rounds,
    }
}

/// Engines that take part in long workloads.
pub(crate) const LONG: [&str; 7] = [
    "quipu",
    "floor",
    "commonware_2026_4_0",
    "commonware_2026_10_0",
    "rocksdb",
    "heed",
    "fjall",
];

const ITEMS: &[Phase] = &[Phase::Put, Phase::Get, Phase::Prune];
const SCALE: &[Phase] = &[Phase::Put, Phase::Get];

impl Named {
    pub(crate) fn workload(&self, full: bool) -> Option<(Workload, u32)> {
        let size = if full {
            Some(&self.full)
        } else {
            self.quick.as_ref()
        }?;
        let workload = Workload {
            variant: None,
            items: size.items,
            value_size: self.value_size,
            batch: if self.value_size > 16 << 10 {
                100
            } else {
                1_000
            },
            gets: size.gets,
            window: size.window,
            items_per_section: if size.items < 1_000_000 {
                8_192
            } else {
                65_536
            },
            cache: 64 << 20,
        };
        Some((workload, size.rounds))
    }
}

const fn items(
    name: &'static str,
    what: &'static str,
    value_size: usize,
    quick: Size,
    full: Size,
) -> Named {
    Named {
        name,
        what,
        phases: ITEMS,
        value_size,
        quick: Some(quick),
        full,
        long: false,
    }
}

const fn other(
    name: &'static str,
    what: &'static str,
    phases: &'static [Phase],
    quick: Option<Size>,
    full: Size,
) -> Named {
    Named {
        name,
        what,
        phases,
        value_size: 256,
        quick,
        full,
        long: false,
    }
}

const fn scale(name: &'static str, what: &'static str, full: Size, long: bool) -> Named {
    Named {
        name,
        what,
        phases: SCALE,
        value_size: 64,
        quick: None,
        full,
        long,
    }
}

pub(crate) const ALL: &[Named] = &[
    items(
        "256B",
        "items of 256 bytes",
        256,
        size(200_000, 50_000, 2),
        size(1_000_000, 1_000_000, 3),
    ),
    items(
        "4KiB",
        "items of 4 KiB",
        4 << 10,
        size(20_000, 20_000, 1),
        size(100_000, 300_000, 3),
    ),
    items(
        "64KiB",
        "items of 64 KiB",
        64 << 10,
        size(2_000, 5_000, 1),
        size(20_000, 50_000, 3),
    ),
    other(
        "reopen",
        "an open after a clean end, and after a kill",
        &[
            Phase::Put,
            Phase::Reopen,
            Phase::PutKilled,
            Phase::ReopenKilled,
        ],
        Some(size(200_000, 0, 1)),
        size(1_000_000, 0, 3),
    ),
    other(
        "single",
        "one put and one flush, against a bare append and flush of 4 KiB",
        &[Phase::Single],
        Some(size(500, 0, 2)),
        size(2_000, 0, 3),
    ),
    other(
        "readers",
        "eight readers beside a writer",
        &[Phase::Readers],
        Some(size(150_000, 0, 1)),
        size(1_500_000, 0, 3),
    ),
    other(
        "backfill",
        "items in random order",
        &[Phase::Backfill, Phase::Get],
        Some(size(100_000, 20_000, 1)),
        size(1_000_000, 200_000, 1),
    ),
    other(
        "ring",
        "puts and prunes in step, a tenth of the items stays",
        &[Phase::Ring],
        Some(size(300_000, 0, 1)),
        size(10_000_000, 0, 1),
    ),
    other(
        "cold",
        "reads after the system's caches were dropped",
        &[Phase::Put, Phase::Cold],
        Some(size(200_000, 0, 1)),
        size(4_000_000, 0, 1),
    ),
    scale(
        "scale1M",
        "1 million items of 64 bytes",
        size(1_000_000, 300_000, 1),
        false,
    ),
    scale(
        "scale10M",
        "10 million items of 64 bytes",
        size(10_000_000, 300_000, 1),
        true,
    ),
    scale(
        "scale30M",
        "30 million items of 64 bytes",
        size(30_000_000, 300_000, 1),
        true,
    ),
];
