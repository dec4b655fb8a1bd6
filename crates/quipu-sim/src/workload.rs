//! From a seed to a case.
//!
//! A seed draws a temper first (how often items come out of order, how often there are crashes,
//! faults, damage), then settings, then steps; one in three has a plot (`scenarios`) instead. Cases
//! are short: what many long cases would find, more short ones find sooner, and a short one can be
//! read.

use quipu::storage::simulated::{Fault, Survival};

use crate::case::{Again, Blob, Case, Crash, Damage, Kind, Put, Settings, Step, When};
use crate::random::Random;
use crate::scenarios;

/// Most steps of a case.
const MAX_STEPS: u64 = 40;
/// A recovery is stopped at most so many times in turn.
const MAX_AGAIN: u64 = 3;

/// Some twenty syncs fill the first, and many the last; a sync of more than a sixteenth goes to the section files.
pub(crate) const LOG_BYTES: [u64; 4] = [16_384, 16_900, 20_000, 65_536];

/// With a power loss, or the end of the process alone.
const SURVIVALS: [Survival; 6] = [
    Survival::Bytes,
    Survival::Sectors,
    Survival::Prefix,
    Survival::All,
    Survival::Nothing,
    Survival::Memory,
];

/// The case of a seed.
pub fn case(seed: u64) -> Case {
    let mut case = seeing_case(seed);
    // Drawn apart, so that a seed has the steps that it had before.
    let mut random = Random::new(!seed);
    if random.one_in(4) {
        for _ in 0..1 + random.below(3) {
            let at = random.below(case.steps.len() as u64 + 1) as usize;
            let most = random.pick(20, &[60, 200, 600]);
            let after = random.below(most);
            let fault = Fault::Unreadable;
            case.steps.insert(at, Step::Fault { after, fault });
        }
    }
    case
}

fn seeing_case(seed: u64) -> Case {
    let mut random = Random::new(seed);
    if random.one_in(3) {
        return scenarios::draw(&mut random);
    }
    let settings = settings(&mut random);
    let mut drawing = Drawing {
        base: base(&mut random, settings.items),
        next: 0,
        number: 0,
        keys: 0,
        temper: Temper::draw(&mut random),
        settings: settings.clone(),
        random,
    };
    let count = 4 + drawing.random.below(MAX_STEPS - 4);
    let steps = (0..count).map(|_| drawing.step()).collect();
    Case { settings, steps }
}

fn settings(random: &mut Random) -> Settings {
    Settings {
        items: random.pick(8, &[1, 3, 7, 8, 16, 64, 1000, u64::MAX]),
        // Entries have 28 bytes: pages of one entry, of parts, of several, of many.
        page: random.pick(50, &[13, 28, 56, 70, 100, 200, 500, 4084]),
        layout: u8::from(!random.one_in(3)),
        cap: random.pick(1, &[0, 1, 2, 8]),
        zstd: random.one_in(4),
        buffer: random.pick(64, &[1, 20, 64, 200, 1000, 1 << 20]),
        reserve: match random.one_in(6) {
            true => random.pick(500, &[100, 5000]),
            false => 0,
        },
        tables: match random.one_in(3) {
            true => random.pick(1, &[1, 2, 5, 12]),
            false => 0,
        },
        log: match random.one_in(2) {
            true => random.pick(20_000, &LOG_BYTES),
            false => 0,
        },
        twin: random.one_in(16),
    }
}

/// The index around which a case moves; both ends of u64 too.
fn base(random: &mut Random, items: u64) -> u64 {
    match random.below(8) {
        0 => u64::MAX - 40,
        1 => 1000 - random.below(20),
        2 => items.saturating_mul(3).min(u64::MAX - 100),
        _ => 0,
    }
}

/// How often what comes, in a hundred.
struct Temper {
    out_of_order: u64,
    crash: u64,
    fault: u64,
    damage: u64,
    take_away: u64,
    big_values: bool,
}

impl Temper {
    fn draw(random: &mut Random) -> Self {
        let damaging = random.one_in(5);
        Self {
            out_of_order: random.pick(0, &[0, 10, 40]),
            crash: random.pick(6, &[6, 12, 20]),
            fault: if random.one_in(3) { 8 } else { 0 },
            damage: if damaging { 8 } else { 0 },
            take_away: random.pick(6, &[0, 6, 16]),
            big_values: random.one_in(4),
        }
    }
}

struct Drawing {
    random: Random,
    temper: Temper,
    settings: Settings,
    base: u64,
    /// The next index in order, counted from the base.
    next: u64,
    /// The number of the last put.
    number: u32,
    /// Numbers up to here may come again, for a second index with the same key.
    keys: u32,
}

impl Drawing {
    fn step(&mut self) -> Step {
        let draw = self.random.below(100);
        let temper = &self.temper;
        let mut bound = temper.crash;
        if draw < bound {
            return Step::Crash(self.crash());
        }
        bound += temper.fault;
        if draw < bound {
            return self.fault();
        }
        bound += temper.damage;
        if draw < bound {
            return Step::Damage(self.damage());
        }
        bound += temper.take_away;
        if draw < bound {
            return self.take_away();
        }
        match self.random.below(42) {
            0..=7 => Step::Sync,
            8 | 9 => self.close(),
            10 => Step::Drop,
            11..=13 => Step::Read,
            14 | 15 => Step::Beside,
            16..=18 => self.batch(),
            40 | 41 => Step::Scrub(self.random.pick(1, &[200, 1 << 20])),
            _ => Step::Put {
                put: self.put(),
                multi: self.random.one_in(8),
                sync: self.random.one_in(4),
            },
        }
    }

    fn index(&mut self) -> u64 {
        let out_of_order = self.random.below(100) < self.temper.out_of_order;
        let offset = match self.random.below(12) {
            // A duplicate, or below the floor.
            0 => self.random.below(self.next + 1),
            1 => {
                self.next += self.random.below(4);
                self.next
            }
            2 if out_of_order => self.next + self.random.below(30),
            3..=8 if out_of_order => self.random.below(self.next + 10),
            _ => {
                self.next += 1;
                self.next - 1
            }
        };
        self.base.saturating_add(offset)
    }

    fn put(&mut self) -> Put {
        self.number += 1;
        let number = match self.random.one_in(12) {
            true => self.random.below(u64::from(self.keys) + 1) as u32,
            false => self.number,
        };
        self.keys = self.number;
        let len = match self.random.below(10) {
            0 => 0,
            1 => 1 + self.random.below(4),
            2 if self.temper.big_values => 300 + self.random.below(1500),
            _ => 5 + self.random.below(40),
        };
        Put {
            index: self.index(),
            number,
            len: len as u32,
        }
    }

    fn batch(&mut self) -> Step {
        let count = 1 + self.random.below(12);
        Step::Batch((0..count).map(|_| self.put()).collect())
    }

    fn close(&mut self) -> Step {
        let zstd = self.random.one_in(4).then(|| self.random.one_in(2));
        let buffer = self.random.one_in(4);
        Step::Close {
            zstd,
            buffer: buffer.then(|| self.random.pick(1, &[64, 300])),
            log: None,
        }
    }

    /// A prune, a rewind, a destruction, an adoption; most not far from where the puts are.
    fn take_away(&mut self) -> Step {
        let near = self.random.below(self.next + 2);
        let index = self.base.saturating_add(near);
        match self.random.below(12) {
            0..=4 => Step::Prune(self.base.saturating_add(near / 2)),
            5 => {
                let section = self.settings.section_of(index);
                Step::Rewind(section.saturating_sub(1))
            }
            6..=8 => {
                self.next = near;
                Step::Rewind(index)
            }
            9 => Step::Destroy,
            _ => Step::Adopt {
                cut: self.random.below(90).saturating_sub(40),
            },
        }
    }

    fn fault(&mut self) -> Step {
        if self.random.one_in(10) {
            return Step::Full(self.random.below(300));
        }
        if self.random.one_in(8) {
            return Step::Space;
        }
        let loud = [
            Fault::ErrorAfter,
            Fault::ShortWrite,
            Fault::NoSpace,
            Fault::FlushFails,
            Fault::ReadError,
            Fault::FlushFails,
        ];
        let silent = [Fault::ZeroedBlock, Fault::StaleBlock];
        let fault = match self.random.one_in(8) {
            true => self.random.pick(Fault::FlippedBit, &silent),
            false => self.random.pick(Fault::ErrorBefore, &loud),
        };
        Step::Fault {
            after: self.random.below(20),
            fault,
        }
    }

    fn damage(&mut self) -> Damage {
        Damage {
            kind: self
                .random
                .pick(Kind::Flip, &[Kind::Zero, Kind::Stale, Kind::Flip]),
            blob: self.random.pick(
                Blob::Index,
                &[
                    Blob::Values,
                    Blob::Index,
                    Blob::Values,
                    Blob::Marks,
                    Blob::Manifest,
                    Blob::Tables,
                    Blob::Log,
                ],
            ),
            pick: self.random.below(8),
            at: match self.random.one_in(4) {
                true => self.random.below(1 << 24),
                // Behind the header of layout 1, where the data is.
                false => 8 * 4096 + self.random.below(8 * 1024),
            },
        }
    }

    fn crash(&mut self) -> Crash {
        let first = self.again(60);
        let again = match self.random.one_in(3) {
            true => 1 + self.random.below(MAX_AGAIN),
            false => 0,
        };
        Crash {
            after: first.after,
            when: first.when,
            survival: first.survival,
            seed: first.seed,
            again: (0..again).map(|_| self.again(30)).collect(),
        }
    }

    fn again(&mut self, most: u64) -> Again {
        Again {
            after: self.random.below(most),
            when: self.random.pick(When::Before, &[When::After]),
            survival: self.random.pick(Survival::Bytes, &SURVIVALS),
            seed: self.random.below(1 << 20),
        }
    }
}
