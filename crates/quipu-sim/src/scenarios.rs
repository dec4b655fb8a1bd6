//! Cases with a plot: what goes wrong only after several steps in the right order.
//!
//! ```text
//! torn twice    batch · stop in the sync · batch · stop in the sync …    one section, small pages
//! comes back    close · batch of many pages, torn · fewer and larger items · stop in the sync …
//! by sectors    the same, with pages of a sector each
//! left over     sync · put · a sync that fails · opened anew · power lost
//! taken back    batch · sync · rewind, stopped · larger values · sync · a reader beside
//! taken away    batch over several sections · sync · prune or destruction, stopped
//! small syncs   items one by one, each synced, through a commit log · a large batch · stopped, again and again
//! ```
//!
//! Drawn step by step, such histories come so rarely that a mistake in the way of one could stay
//! unseen for thousands of seeds.

use quipu::storage::simulated::{Fault, Survival};

use crate::case::{Again, Case, Crash, Put, Settings, Step, When};
use crate::random::Random;
use crate::workload::LOG_BYTES;

/// The case of one plot.
pub(crate) fn draw(random: &mut Random) -> Case {
    let plot = match random.below(9) {
        0 => Plot::torn_twice,
        1 | 2 => Plot::comes_back,
        3 => Plot::left_over,
        4 => Plot::by_sectors,
        5 => Plot::taken_away,
        6 | 7 => Plot::small_syncs,
        _ => Plot::taken_back,
    };
    let mut drawing = Plot {
        random,
        steps: Vec::new(),
        number: 0,
    };
    let settings = plot(&mut drawing);
    Case {
        settings,
        steps: drawing.steps,
    }
}

struct Plot<'a> {
    random: &'a mut Random,
    steps: Vec<Step>,
    number: u32,
}

impl Plot<'_> {
    /// Syncs of many small pages that are torn one after the other: what one recovery cut must not
    /// come back behind what was put since. New values are as long as the old, or longer, so that an
    /// old entry that came back would find bytes where its value stood.
    fn torn_twice(&mut self) -> Settings {
        let mut len = self.random.pick(9, &[0, 3, 40]);
        for round in 0..3 + self.random.below(4) {
            let first = round * 10;
            let count = 1 + self.random.below(6);
            self.batch(first..first + count, len);
            let crash = self.crash(2, 4);
            let survival = [Survival::Bytes, Survival::Bytes, Survival::Prefix];
            let crash = Crash {
                survival: self.random.pick(Survival::Sectors, &survival),
                ..crash
            };
            self.steps.extend([Step::Crash(crash), Step::Sync]);
            len += self.random.pick(0, &[20, 100]);
        }
        Settings {
            items: 1000,
            page: self.random.pick(13, &[14, 28, 28, 56]),
            layout: 0,
            buffer: self.random.pick(64, &[1 << 20]),
            ..Settings::default()
        }
    }

    /// As torn twice, but aimed: all that is kept is marked, and so not flushed again by the open that
    /// cuts a torn sync; what takes the place of its first pages is as long as all of its values.
    fn comes_back(&mut self) -> Settings {
        self.batch(0..1, 9);
        for round in 1..7 {
            let first = round * 60;
            self.steps.push(Step::Close {
                zstd: None,
                buffer: None,
                log: None,
            });
            let many = 4 + self.random.below(20);
            self.batch(first..first + many, 5);
            self.stop_in_sync(Survival::Bytes);
            let few = 1 + self.random.below(8);
            self.batch(first + 30..first + 30 + few, 250);
            self.stop_in_sync(Survival::Bytes);
        }
        Settings {
            items: 1000,
            page: self.random.pick(28, &[28, 28, 14, 56]),
            layout: 0,
            buffer: 1 << 20,
            ..Settings::default()
        }
    }

    /// A page is on the disk, or it is not: so the first pages of a torn sync are often gone and a later one is
    /// whole, and is back where what was cut is, once other items fill the pages before it.
    fn by_sectors(&mut self) -> Settings {
        let few = 1 + self.random.below(17);
        self.batch(0..few, 9);
        for round in 1..5 {
            let first = round * 200;
            self.steps.push(Step::Close {
                zstd: None,
                buffer: None,
                log: None,
            });
            let many = 36 + self.random.below(30);
            self.batch(first..first + many, 5);
            self.stop_in_sync(Survival::Sectors);
            let fewer = 18 + self.random.below(24);
            self.batch(first + 100..first + 100 + fewer, 12);
            self.stop_in_sync(Survival::Sectors);
        }
        Settings {
            items: 1000,
            // With its two slots of six bytes each it has 512.
            page: 500,
            layout: 1,
            buffer: 1 << 20,
            ..Settings::default()
        }
    }

    /// Prunes and destructions that are stopped between their removals, and before or after what says that
    /// they are under way.
    fn taken_away(&mut self) -> Settings {
        let settings = self.settings();
        for _ in 0..2 + self.random.below(3) {
            let count = 8 + self.random.below(12);
            self.batch(0..count, 9);
            self.steps.push(Step::Sync);
            let survival = [Survival::Nothing, Survival::Bytes, Survival::All];
            let crash = Crash {
                survival: self.random.pick(Survival::All, &survival),
                ..self.crash(0, 24)
            };
            self.steps.push(Step::Crash(crash));
            self.steps.push(match self.random.one_in(2) {
                true => Step::Destroy,
                false => Step::Prune(1 + self.random.below(count)),
            });
        }
        settings
    }

    /// Syncs that go through a commit log, until that is full or something larger comes; crashes anywhere in them, and
    /// in what brings the log to the section files.
    fn small_syncs(&mut self) -> Settings {
        let settings = Settings {
            items: self.random.pick(8, &[3, 16, 1000]),
            log: self.random.pick(20_000, &LOG_BYTES),
            tables: self.random.pick(0, &[0, 0, 3]),
            zstd: self.random.one_in(6),
            ..self.settings()
        };
        let mut next = 0;
        for _ in 0..3 + self.random.below(4) {
            let count = 1 + self.random.below(10);
            for index in next..next + count {
                let len = self.random.pick(9, &[0, 5, 30, 70]);
                self.batch(index..index + 1, len);
                if !self.random.one_in(4) {
                    self.steps.push(Step::Sync);
                }
            }
            next += count;
            match self.random.below(8) {
                0 => self.steps.push(Step::Beside),
                1 => self.steps.push(Step::Drop),
                2 => {
                    next = self.random.below(next);
                    self.steps.push(Step::Rewind(next));
                    next += 1;
                }
                3 => self.steps.push(Step::Prune(self.random.below(next))),
                4 => {
                    self.batch(next..next + 40, 9);
                    self.steps.push(Step::Sync);
                    next += 40;
                }
                5 => self.steps.push(Step::Close {
                    zstd: None,
                    buffer: None,
                    log: None,
                }),
                _ => {}
            }
            let again = (0..self.random.below(3)).map(|_| Again {
                after: self.random.below(12),
                when: When::Before,
                survival: self.survival(),
                seed: self.random.below(1 << 20),
            });
            let crash = Crash {
                again: again.collect(),
                survival: self.survival(),
                ..self.crash(0, 12)
            };
            self.steps.push(Step::Crash(crash));
        }
        settings
    }

    fn survival(&mut self) -> Survival {
        let more = [Survival::Sectors, Survival::Nothing, Survival::Memory];
        self.random.pick(Survival::Bytes, &more)
    }

    /// A sync that mostly stops when the entries are written and not flushed.
    fn stop_in_sync(&mut self, survival: Survival) {
        let crash = Crash {
            after: self.random.pick(3, &[3, 3, 2, 4]),
            when: When::Before,
            survival,
            ..self.crash(0, 1)
        };
        self.steps.extend([Step::Crash(crash), Step::Sync]);
    }

    /// Syncs that fail with their work half done; the next open shows what the system still has in
    /// memory, and then the power goes.
    fn left_over(&mut self) -> Settings {
        for round in 0..2 + self.random.below(3) {
            let first = round * 10;
            let count = 1 + self.random.below(4);
            self.batch(first..first + count, 9);
            if self.random.one_in(3) {
                self.steps.push(Step::Sync);
                self.batch(first + 5..first + 5 + count, 20);
            }
            let faults = [Fault::FlushFails, Fault::ErrorAfter, Fault::FlushFails];
            self.steps.extend([
                Step::Fault {
                    after: self.random.below(8),
                    fault: self.random.pick(Fault::ErrorBefore, &faults),
                },
                Step::Sync,
                Step::Drop,
            ]);
            if self.random.one_in(3) {
                self.batch(first + 9..first + 10, 9);
            }
            let survival = [Survival::Nothing, Survival::Prefix, Survival::Bytes];
            let crash = Crash {
                survival: self.random.pick(Survival::Nothing, &survival),
                ..self.crash(0, 5)
            };
            self.steps.extend([Step::Crash(crash), Step::Sync]);
        }
        self.settings()
    }

    /// Rewinds that are stopped, or not, with items above them in several sections and out of
    /// order; larger values come in place of what went, while a reader looks.
    fn taken_back(&mut self) -> Settings {
        let mut len = 9;
        for _ in 0..2 + self.random.below(3) {
            let count = 3 + self.random.below(8);
            let first = self.random.below(6);
            self.batch(first..first + count, len);
            if self.random.one_in(3) {
                self.batch(0..first + 1, len);
            }
            self.steps.push(Step::Sync);
            if self.random.one_in(2) {
                self.steps.push(Step::Beside);
            }
            if !self.random.one_in(3) {
                let survival = [Survival::Nothing, Survival::Prefix, Survival::Sectors];
                let crash = Crash {
                    survival: self.random.pick(Survival::Bytes, &survival),
                    ..self.crash(0, 40)
                };
                self.steps.push(Step::Crash(crash));
            }
            let index = self.random.below(first + count);
            self.steps.push(Step::Rewind(index));
            len += self.random.below(40);
            self.batch(index + 1..index + 1 + count, len);
            if self.random.one_in(2) {
                self.steps.push(Step::Beside);
            }
            let end = match self.random.one_in(2) {
                true => Step::Sync,
                false => Step::Read,
            };
            self.steps.push(end);
        }
        self.settings()
    }

    fn settings(&mut self) -> Settings {
        Settings {
            items: self.random.pick(8, &[2, 3, 5, 1000]),
            page: self.random.pick(50, &[13, 28, 100]),
            layout: u8::from(self.random.one_in(2)),
            buffer: self.random.pick(64, &[1, 1000]),
            ..Settings::default()
        }
    }

    fn batch(&mut self, indices: std::ops::Range<u64>, len: u64) {
        let puts = indices.map(|index| {
            self.number += 1;
            Put {
                index,
                number: self.number,
                len: len as u32,
            }
        });
        self.steps.push(Step::Batch(puts.collect()));
    }

    /// A crash at one of so many calls, from the first that is asked for on.
    fn crash(&mut self, first: u64, calls: u64) -> Crash {
        Crash {
            after: first + self.random.below(calls),
            when: self.random.pick(When::Before, &[When::After]),
            survival: Survival::Bytes,
            seed: self.random.below(1 << 20),
            again: Vec::new(),
        }
    }
}
