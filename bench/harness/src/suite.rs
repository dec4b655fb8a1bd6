//! The workloads by name, and how large they are in a quick and in a full run.

use quipu_bench::{Phase, Workload};

pub(crate) struct Named {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) phases: &'static [Phase],
    value_size: usize,
    /// None when only a full run has it.
    quick: Option<Size>,
    full: Size,
    /// All when none are named.
    engines: &'static [&'static str],
    /// Indices of a section, where the number of items does not decide it.
    section: Option<u64>,
}

#[derive(Clone, Copy)]
struct Size {
    items: u64,
    gets: u64,
    rounds: u32,
}

const fn size(items: u64, gets: u64, rounds: u32) -> Size {
    Size {
        items,
        gets,
        rounds,
    }
}

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

/// A full ring has 30 million items and a window of one.
const WINDOW: u64 = 30;

impl Named {
    pub(crate) fn workload(&self, full: bool) -> Option<(Workload, u32)> {
        let size = if full { Some(self.full) } else { self.quick }?;
        let by_items = if size.items < 1_000_000 {
            8_192
        } else {
            65_536
        };
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
            window: window(size.items),
            items_per_section: self.section.unwrap_or(by_items),
            cache: 64 << 20,
        };
        Some((workload, size.rounds))
    }

    pub(crate) fn takes(&self, engine: &str) -> bool {
        self.engines.is_empty() || self.engines.contains(&engine)
    }

    const fn of(mut self, value_size: usize) -> Self {
        self.value_size = value_size;
        self
    }

    const fn by(mut self, engines: &'static [&'static str]) -> Self {
        self.engines = engines;
        self
    }

    const fn sections_of(mut self, indices: u64) -> Self {
        self.section = Some(indices);
        self
    }
}

/// What stays of a ring.
pub(crate) fn window(items: u64) -> u64 {
    items / WINDOW
}

/// Of 256 bytes, by all engines, unless it says otherwise.
const fn named(
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
        engines: &[],
        section: None,
    }
}

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
        Some(size(200_000, 50_000, 2)),
        size(1_000_000, 1_000_000, 3),
    ),
    named(
        "4KiB",
        "items of 4 KiB",
        ITEMS,
        Some(size(20_000, 20_000, 1)),
        size(100_000, 300_000, 3),
    )
    .of(4 << 10),
    named(
        "64KiB",
        "items of 64 KiB",
        ITEMS,
        Some(size(2_000, 5_000, 1)),
        size(20_000, 50_000, 3),
    )
    .of(64 << 10),
    named(
        "reopen",
        "an open after a clean end, and after a kill",
        REOPEN,
        Some(size(150_000, 0, 1)),
        size(1_000_000, 0, 3),
    ),
    named(
        "single",
        "one put and one flush, against a bare append and flush of 4 KiB",
        &[Phase::Single],
        Some(size(400, 0, 2)),
        size(2_000, 0, 3),
    ),
    named(
        "tasks",
        "64 tasks that each wait for their put to be durable, against one",
        &[Phase::Tasks],
        Some(size(2_000, 0, 1)),
        size(20_000, 0, 3),
    ),
    named(
        "latency",
        "puts of 64 bytes one by one, a flush by another thread after each 1,000",
        &[Phase::Latency],
        Some(size(300_000, 0, 1)),
        size(10_000_000, 0, 3),
    )
    .of(64)
    .by(APART),
    named(
        "readers",
        "eight readers beside a writer",
        &[Phase::Readers],
        Some(size(90_000, 0, 1)),
        size(1_500_000, 0, 3),
    ),
    named(
        "backfill",
        "items in random order",
        &[Phase::Backfill, Phase::Get],
        Some(size(50_000, 10_000, 1)),
        size(1_000_000, 200_000, 1),
    ),
    named(
        "ring",
        "puts and prunes in step through a window of a thirtieth",
        &[Phase::Ring],
        Some(size(600_000, 0, 1)),
        size(30_000_000, 0, 1),
    )
    .by(LONG),
    named(
        "cold",
        "reads after the system's caches were dropped",
        &[Phase::Put, Phase::Cold],
        Some(size(150_000, 0, 1)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_is_of_thirty_million_items_and_a_window_of_one() {
        let ring = ALL.iter().find(|named| named.name == "ring").unwrap();
        let (workload, _) = ring.workload(true).unwrap();
        assert_eq!((workload.items, workload.window), (30_000_000, 1_000_000));
    }

    #[test]
    fn engines_that_workloads_name_are_known() {
        let known: Vec<String> = crate::engines::all()
            .iter()
            .map(ToString::to_string)
            .collect();
        for name in ALL.iter().flat_map(|named| named.engines) {
            assert!(known.iter().any(|known| known == name), "{name}");
        }
    }
}
