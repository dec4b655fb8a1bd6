//! What a workload is, and how large it is in a quick and in a full run.

mod list;

use quipu_bench::{Phase, Workload};

pub(crate) use list::ALL;

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

/// A full ring has 30 million items and a window of one.
const WINDOW: u64 = 30;

impl Named {
    pub(crate) fn workload(&self, full: bool) -> Option<(Workload, u32)> {
        let size = if full { Some(self.full) } else { self.quick }?;
        let by_items = match size.items {
            ..1_000_000 => 8_192,
            // Of these, half ends about where a section does.
            1_000_000 => 32_768,
            _ => 65_536,
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
