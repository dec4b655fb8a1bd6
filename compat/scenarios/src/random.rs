//! Scenarios that a seed decides.
//!
//! Three things are left out, since the engines rightly differ in them: a put below a floor after
//! the archive was opened again (the files of the format do not keep the floor), compression that
//! is switched on or off, and indices more than 2^20 apart in one section (the reference's memory
//! grows with that distance).

use crate::items::Maker;
use crate::rng::Rng;
use crate::scenario::{KEY_SIZE, Op, Scenario};

/// The size of an entry of the index file, in bytes.
const ENTRY_SIZE: u64 = KEY_SIZE as u64 + 20;

/// The farthest that an index lies from the start of its section.
const SPREAD: u64 = 1 << 20;

/// The value bytes of one scenario, about.
const VALUE_BYTES: u64 = 250_000;

/// The scenario of a seed.
pub fn random(seed: u64) -> Scenario {
    let mut rng = Rng::new(seed);
    let page_size = page_size(&mut rng);
    let items_per_section = items_per_section(&mut rng);
    let count = item_count(&mut rng, page_size, items_per_section);
    let indices = indices(&mut rng, count, items_per_section);
    let zstd = rng
        .percent(40)
        .then(|| rng.pick(&[1, 1, 2, 3, 3, 5, 7, 9, 12, 19]));
    let name = format!("seed {seed}");
    let empty = Scenario {
        name,
        page_size,
        items_per_section,
        zstd,
        ops: Vec::new(),
    };
    let ops = Writer::new(rng, maker(seed), &empty).ops(&indices);
    empty.with_ops(ops)
}

fn maker(seed: u64) -> Maker {
    let mut rng = Rng::new(!seed);
    let mut maker = Maker::new(seed, VALUE_BYTES);
    if rng.percent(30) {
        maker.collide(rng.between(2, 10) as usize);
    }
    if rng.percent(20) {
        maker.repeat_keys(5);
    }
    maker
}

fn page_size(rng: &mut Rng) -> u16 {
    let size = match rng.below(100) {
        0..5 => 1,
        5..15 => rng.between(2, ENTRY_SIZE - 1),
        15..40 => rng.between(ENTRY_SIZE, 300),
        40..60 => rng.pick(&[52, 104, 260, 500, 1024, 4084, 4096, 5200, 32_756, 65_524]),
        60..85 => rng.between(1, 4096),
        85..97 => rng.between(4097, 65_535),
        _ => 65_535,
    };
    size as u16
}

fn items_per_section(rng: &mut Rng) -> u64 {
    match rng.below(100) {
        0..10 => 1,
        10..35 => rng.between(2, 16),
        35..75 => rng.between(17, 200),
        75..90 => rng.between(201, 100_000),
        90..97 => rng.pick(&[1 << 16, 1 << 20, 1 << 40, 1 << 63]),
        _ => u64::MAX,
    }
}

/// Few where a page holds next to nothing, or each section next to nothing.
fn item_count(rng: &mut Rng, page_size: u16, items_per_section: u64) -> u64 {
    let most = match (page_size, items_per_section) {
        (1, _) => 12,
        (2..8, _) => 40,
        (_, 1..4) => 60,
        _ => 300,
    };
    if rng.percent(5) {
        return rng.below(4);
    }
    let most = rng.pick(&[most / 4, most / 2, most]);
    rng.between(3, most)
}

/// The indices in the order in which they are put.
fn indices(rng: &mut Rng, count: u64, items_per_section: u64) -> Vec<u64> {
    let step = rng.pick(&[1, 1, 1, 2, 5, 40]);
    let groups = if rng.percent(60) {
        1
    } else {
        rng.between(2, 6)
    };
    let mut indices = Vec::new();
    for _ in 0..groups {
        let mut at = base(rng, items_per_section);
        for _ in 0..count.div_ceil(groups) {
            indices.push(at);
            at = at.saturating_add(rng.between(1, step));
        }
    }
    match rng.below(10) {
        0..6 => {}
        6..9 => indices.chunks_mut(8).for_each(|chunk| rng.shuffle(chunk)),
        _ => rng.shuffle(&mut indices),
    }
    indices
}

/// Where a group of indices begins: never far into a section.
fn base(rng: &mut Rng, items_per_section: u64) -> u64 {
    let wish = match rng.below(10) {
        0..5 => 0,
        5 => 1,
        6 => rng.below(1_000_000),
        7 => (1 << 32) - rng.below(50),
        8 => (1 << 63) - rng.below(50),
        _ => u64::MAX - rng.below(60),
    };
    let offset = wish % items_per_section;
    wish - offset + offset % (SPREAD / 2)
}

/// Turns indices into operations.
struct Writer<'a> {
    rng: Rng,
    maker: Maker,
    settings: &'a Scenario,
    ops: Vec<Op>,
    used: Vec<u64>,
    floor: u64,
    /// Whether the floor was set since the archive was opened.
    floor_known: bool,
}

impl<'a> Writer<'a> {
    fn new(rng: Rng, maker: Maker, settings: &'a Scenario) -> Self {
        let (ops, used) = (Vec::new(), Vec::new());
        Self {
            rng,
            maker,
            settings,
            ops,
            used,
            floor: 0,
            floor_known: false,
        }
    }

    fn ops(mut self, indices: &[u64]) -> Vec<Op> {
        let count = indices.len() as u64;
        let sync_every = match self.rng.below(10) {
            0..3 => u64::MAX,
            3 => 1,
            4..7 => self.rng.between(2, 7),
            _ => self.rng.between(8, 50),
        };
        let multi_percent = self.rng.pick(&[0, 0, 0, 5, 40]);
        let prunes = self.turns(count, &[0, 0, 1, 1, 2]);
        let reopens = self.turns(count, &[0, 0, 1, 2, 4]);
        for (turn, index) in (1..).zip(indices) {
            self.put(*index, multi_percent);
            if turn % sync_every == 0 {
                self.ops.push(Op::Sync);
            }
            if prunes.contains(&turn) {
                self.prune();
            }
            if reopens.contains(&turn) {
                self.ops.push(Op::Reopen);
                self.floor_known = false;
            }
        }
        self.ops
    }

    /// After which puts something is done, so many times as one of the choices says.
    fn turns(&mut self, count: u64, choices: &[u64]) -> Vec<u64> {
        (0..self.rng.pick(choices))
            .map(|_| self.rng.between(1, count.max(1)))
            .collect()
    }

    fn put(&mut self, index: u64, multi_percent: u64) {
        if index < self.floor && !self.floor_known {
            return;
        }
        let item = self.maker.item(index);
        self.ops.push(if self.rng.percent(50) {
            Op::Put(item)
        } else {
            Op::PutMulti(item)
        });
        self.used.push(index);
        while self.rng.percent(multi_percent) {
            let item = self.maker.item(index);
            self.ops.push(Op::PutMulti(item));
        }
        if self.rng.percent(4) {
            self.put_again();
        }
    }

    /// A put at an index that is taken, or below the floor.
    fn put_again(&mut self) {
        let index = self.rng.pick(&self.used);
        if index >= self.floor || self.floor_known {
            let item = self.maker.item(index);
            self.ops.push(Op::Put(item));
        }
    }

    /// Mostly in the lower half of what is stored, now and then far above it.
    fn prune(&mut self) {
        let mut live: Vec<u64> = self
            .used
            .iter()
            .copied()
            .filter(|at| *at >= self.floor)
            .collect();
        live.sort_unstable();
        let min = match (self.rng.below(20), live.len()) {
            (_, 0) => self.floor,
            (0, _) => live[live.len() - 1].saturating_add(self.rng.below(3)),
            (1, _) => self.floor / 2,
            (_, count) => live[self.rng.below(count as u64 / 2 + 1) as usize],
        };
        self.ops.push(Op::Prune(min));
        self.floor = self.floor.max(self.settings.section(min));
        self.floor_known = self.settings.section(min) >= self.floor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Expected;

    #[test]
    fn a_seed_always_makes_the_same_scenario() {
        assert_eq!(format!("{:?}", random(7)), format!("{:?}", random(7)));
        assert_ne!(
            format!("{:?}", random(7).ops),
            format!("{:?}", random(8).ops)
        );
    }

    #[test]
    fn two_hundred_seeds_meet_every_kind_of_thing() {
        let all: Vec<Scenario> = (0..200).map(random).collect();
        let met = |what: &dyn Fn(&Scenario) -> bool| all.iter().filter(|one| what(one)).count();
        let has = |is: fn(&Op) -> bool| met(&|one| one.ops.iter().any(is));
        assert!(met(&|one| one.page_size == 1) >= 3);
        assert!(met(&|one| one.page_size == u16::MAX) >= 1);
        assert!(met(&|one| one.items_per_section == 1) >= 5);
        assert!(met(&|one| one.items_per_section > 1 << 32) >= 3);
        assert!(met(&|one| one.zstd.is_some()) >= 40);
        assert!(has(|op| matches!(op, Op::Prune(_))) >= 40);
        assert!(has(|op| matches!(op, Op::Reopen)) >= 40);
        assert!(has(|op| op.item().is_some_and(|item| item.value.len() > 60_000)) >= 10);
        assert!(has(|op| op.item().is_some_and(|item| item.index == u64::MAX)) >= 1);
        assert!(met(&|one| !Expected::of(one).pruned_keys.is_empty()) >= 20);
        assert!(met(&|one| Expected::of(one).items.is_empty()) >= 1);
    }

    #[test]
    fn no_index_lies_far_from_the_start_of_its_section() {
        for scenario in (0..500).map(random) {
            let items = scenario.ops.iter().filter_map(Op::item);
            let far = items
                .map(|item| item.index - scenario.section(item.index))
                .max();
            assert!(far.unwrap_or(0) < SPREAD, "{}", scenario.name);
        }
    }
}
