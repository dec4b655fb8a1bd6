//! What a writer does, from a seed alone: the writer carries it out, the checker works out from the
//! number of steps that were acknowledged what must be there.

use crate::content::SERIALS_PER_ROUND;

/// From so many holes on some are filled in one batch, in random order: that goes to many sections,
const SOME_HOLES: usize = 40;
/// and from so many on no more are left.
const MANY_HOLES: usize = 2000;

/// One put: where, and which item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Put {
    pub index: u64,
    pub serial: u64,
}

/// One step of the writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Put(Put),
    /// A further item at an index that holds one.
    Multi(Put),
    Batch(Vec<Put>),
    Sync,
    /// Drops the sections below that of the index.
    Prune(u64),
    /// Drops what is above the index.
    Rewind(u64),
    /// Closes and opens again.
    Reopen,
}

impl Step {
    /// Whether the writer reports this step when it is done.
    pub fn is_reported(&self) -> bool {
        !matches!(self, Self::Put(_) | Self::Multi(_) | Self::Batch(_))
    }

    /// The word that the writer reports it with.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Put(_) | Self::Multi(_) | Self::Batch(_) => "put",
            Self::Sync => "sync",
            Self::Prune(_) => "prune",
            Self::Rewind(_) => "rewind",
            Self::Reopen => "reopen",
        }
    }
}

/// Where a round of writing begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Args)]
pub struct Start {
    /// Decides everything, with the round
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The round; items of another round are other items
    #[arg(long, default_value_t = 0)]
    pub round: u64,
    /// No index from here on is stored
    #[arg(long, default_value_t = 0)]
    pub next_index: u64,
    /// The first index that is not pruned
    #[arg(long, default_value_t = 0)]
    pub floor: u64,
    /// Indices a section spans
    #[arg(long, default_value_t = 64)]
    pub section: u64,
    /// Never prune
    #[arg(long)]
    pub keep: bool,
}

/// The steps of a round, without an end.
#[derive(Clone, Debug)]
pub struct Plan {
    rng: fastrand::Rng,
    section: u64,
    keep: bool,
    floor: u64,
    /// The next index in order.
    next: u64,
    serial: u64,
    /// Indices that were left out, to be filled later.
    holes: Vec<u64>,
    /// Indices that hold an item, for another one.
    taken: Vec<u64>,
    /// Puts until the next step that is reported.
    puts_left: u32,
}

impl Plan {
    pub fn new(start: &Start) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(start.seed << 20 ^ start.round),
            section: start.section,
            keep: start.keep,
            floor: start.floor,
            next: start.next_index.max(start.floor),
            serial: start.round * SERIALS_PER_ROUND,
            holes: Vec::new(),
            taken: Vec::new(),
            puts_left: 3,
        }
    }

    fn put_at(&mut self, index: u64) -> Put {
        self.serial += 1;
        self.taken.push(index);
        Put {
            index,
            serial: self.serial,
        }
    }

    fn put_next(&mut self) -> Put {
        self.next += 1;
        self.put_at(self.next - 1)
    }

    fn put(&mut self) -> Step {
        match self.rng.u32(..100) {
            // Out of order: some indices are left out, or filled.
            0..8 => {
                let end = self.next + self.rng.u64(1..6);
                self.holes.extend(self.next..end);
                self.next = end;
                Step::Put(self.put_next())
            }
            8..16 if !self.holes.is_empty() => Step::Put(self.put_in_hole()),
            16..22 if !self.taken.is_empty() => {
                let at = self.rng.usize(..self.taken.len());
                let index = self.taken.swap_remove(at);
                Step::Multi(self.put_at(index))
            }
            22..26 => {
                let len = self.rng.usize(2..30);
                Step::Batch((0..len).map(|_| self.put_next()).collect())
            }
            // Far ahead: whole sections are never there.
            26 => {
                self.next += self.section * self.rng.u64(1..4);
                Step::Put(self.put_next())
            }
            // Some sections are left out, and filled later in random order.
            27 if self.holes.len() < MANY_HOLES => {
                let end = self.next + self.section.min(64) * self.rng.u64(4..16);
                self.holes.extend(self.next..end);
                self.next = end;
                Step::Put(self.put_next())
            }
            28..36 if self.holes.len() > SOME_HOLES => {
                let len = self.rng.usize(4..SOME_HOLES);
                Step::Batch((0..len).map(|_| self.put_in_hole()).collect())
            }
            _ => Step::Put(self.put_next()),
        }
    }

    fn put_in_hole(&mut self) -> Put {
        let at = self.rng.usize(..self.holes.len());
        let index = self.holes.swap_remove(at);
        self.put_at(index)
    }

    fn reported(&mut self) -> Step {
        match self.rng.u32(..100) {
            0..10 if self.next > self.floor && !self.keep => {
                let kept = self.rng.u64(self.section..self.section * 8 + 200);
                let min = self.next.saturating_sub(kept).max(self.floor);
                self.floor = min / self.section * self.section;
                let floor = self.floor;
                self.holes.retain(|&index| index >= floor);
                self.taken.retain(|&index| index >= floor);
                Step::Prune(min)
            }
            10..16 if self.next > self.floor + 1 => {
                let most = (self.next - self.floor).min(self.section * 2 + 20);
                let last = self.next - self.rng.u64(1..most);
                self.next = last + 1;
                self.holes.retain(|&index| index <= last);
                self.taken.retain(|&index| index <= last);
                Step::Rewind(last)
            }
            16..22 => Step::Reopen,
            _ => Step::Sync,
        }
    }
}

impl Iterator for Plan {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        if self.puts_left == 0 {
            self.puts_left = self.rng.u32(1..16);
            return Some(self.reported());
        }
        self.puts_left -= 1;
        Some(self.put())
    }
}
