//! The journals on their own: what has returned is durable, and what a process that was killed left
//! in memory is made so.

use std::sync::Arc;

use quipu::journal::{Config, Fixed, Glob, Located, Oversized, Record};
use quipu::storage::simulated::{Simulated, Survival, When};
use quipu::{Error, Result};

use super::{next_process, without_power};

/// Pages of two records, and a bit.
const PAGE_SIZE: u16 = 50;
const SECTION: u64 = 3;

/// One of three journals, as a list of equal items by section.
trait Journal: Sized {
    fn open(machine: &Simulated) -> Result<Self>;
    fn append(&mut self, section: u64) -> Result<()>;
    fn sync(&mut self) -> Result<()>;
    /// Keeps the first `count` items of a section, and drops all later sections.
    fn rewind(&mut self, section: u64, count: u64) -> Result<()>;
    fn prune(&mut self, min: u64) -> Result<()>;
    fn count(&self, section: u64) -> u64;
}

#[derive(Clone, Copy)]
struct Entry(u64, u32);

impl Record for Entry {
    const SIZE: usize = 20;

    fn encode(&self, out: &mut [u8]) {
        out[..8].copy_from_slice(&self.0.to_be_bytes());
        out[8..12].copy_from_slice(&self.1.to_be_bytes());
        out[12..].copy_from_slice(b"an entry");
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let number = |bytes: &[u8]| bytes.iter().fold(0, |n, &byte| n << 8 | u64::from(byte));
        match &bytes[12..] {
            b"an entry" => Ok(Self(number(&bytes[..8]), number(&bytes[8..12]) as u32)),
            _ => Err(Error::Codec("no entry".to_owned())),
        }
    }
}

impl Located for Entry {
    fn location(&self) -> (u64, u32) {
        (self.0, self.1)
    }

    fn locate(&mut self, offset: u64, size: u32) {
        (self.0, self.1) = (offset, size);
    }
}

fn config() -> Config {
    Config::with_page_size(PAGE_SIZE)
}

impl Journal for Fixed<Entry> {
    fn open(machine: &Simulated) -> Result<Self> {
        Self::open(Arc::new(machine.clone()), "p", config())
    }

    fn append(&mut self, section: u64) -> Result<()> {
        Fixed::append(self, section, &Entry(1, 2)).map(drop)
    }

    fn sync(&mut self) -> Result<()> {
        self.sync_all()
    }

    fn rewind(&mut self, section: u64, count: u64) -> Result<()> {
        Fixed::rewind(self, section, count * Entry::SIZE as u64)
    }

    fn prune(&mut self, min: u64) -> Result<()> {
        Fixed::prune(self, min).map(drop)
    }

    fn count(&self, section: u64) -> u64 {
        self.section_len(section).unwrap_or(0)
    }
}

impl Journal for Glob {
    fn open(machine: &Simulated) -> Result<Self> {
        Self::open(Arc::new(machine.clone()), "p", config())
    }

    fn append(&mut self, section: u64) -> Result<()> {
        Glob::append(self, section, b"ten bytes.").map(drop)
    }

    fn sync(&mut self) -> Result<()> {
        self.sync_all()
    }

    fn rewind(&mut self, section: u64, count: u64) -> Result<()> {
        Glob::rewind(self, section, count * 14)
    }

    fn prune(&mut self, min: u64) -> Result<()> {
        Glob::prune(self, min).map(drop)
    }

    fn count(&self, section: u64) -> u64 {
        self.size(section).unwrap_or(0) / 14
    }
}

impl Journal for Oversized<Entry> {
    fn open(machine: &Simulated) -> Result<Self> {
        Self::open(Arc::new(machine.clone()), "p", "q", config())
    }

    fn append(&mut self, section: u64) -> Result<()> {
        Oversized::append(self, section, Entry(0, 0), b"ten bytes.").map(drop)
    }

    fn sync(&mut self) -> Result<()> {
        self.sync_all()
    }

    fn rewind(&mut self, section: u64, count: u64) -> Result<()> {
        Oversized::rewind(self, section, count * Entry::SIZE as u64)
    }

    fn prune(&mut self, min: u64) -> Result<()> {
        Oversized::prune(self, min).map(drop)
    }

    fn count(&self, section: u64) -> u64 {
        let records = self.size(section).unwrap_or(0) / Entry::SIZE as u64;
        assert_eq!(self.value_size(section).unwrap_or(0), records * 14);
        records
    }
}

/// Three sections of ten items.
fn filled<J: Journal>(machine: &Simulated) -> Result<J> {
    let mut journal = J::open(machine)?;
    for section in SECTION..SECTION + 3 {
        for _ in 0..10 {
            journal.append(section)?;
        }
    }
    journal.sync()?;
    Ok(journal)
}

fn counts<J: Journal>(machine: &Simulated) -> [u64; 3] {
    let journal = J::open(machine).unwrap();
    [0, 1, 2].map(|after| journal.count(SECTION + after))
}

fn what_has_returned_is_durable<J: Journal>() {
    let machine = Simulated::new(0);
    let mut journal: J = filled(&machine).unwrap();
    assert_eq!(counts::<J>(&without_power(&machine)), [10, 10, 10]);
    journal.prune(SECTION + 1).unwrap();
    assert_eq!(counts::<J>(&without_power(&machine)), [0, 10, 10]);
    for kept in (0..10).rev() {
        journal.rewind(SECTION + 1, kept).unwrap();
        assert_eq!(counts::<J>(&without_power(&machine)), [0, kept, 0]);
    }
}

#[test]
fn what_a_journal_has_returned_is_durable() {
    what_has_returned_is_durable::<Fixed<Entry>>();
    what_has_returned_is_durable::<Glob>();
    what_has_returned_is_durable::<Oversized<Entry>>();
}

/// The process is killed at each call of its work; the next one syncs, and the power goes.
fn a_killed_process_left_nothing_that_is_lost<J: Journal>() {
    let whole = Simulated::new(0);
    filled::<J>(&whole).unwrap();
    for call in 0..whole.calls() {
        let machine = Simulated::new(0);
        machine.stop_at(call, When::Before);
        assert!(filled::<J>(&machine).is_err());
        let next = next_process(&machine);
        let mut journal = J::open(&next).unwrap();
        let found = journal.count(SECTION);
        journal.append(SECTION).unwrap();
        journal.sync().unwrap();
        let kept = counts::<J>(&without_power(&next));
        assert_eq!(kept[0], found + 1, "killed at {call}");
    }
}

#[test]
fn what_a_killed_process_left_is_durable_after_the_next_sync() {
    a_killed_process_left_nothing_that_is_lost::<Fixed<Entry>>();
    a_killed_process_left_nothing_that_is_lost::<Glob>();
    a_killed_process_left_nothing_that_is_lost::<Oversized<Entry>>();
}

/// Wherever a rewind within a page is cut off, its page is whole and holds one of the two lengths.
#[test]
fn a_rewind_that_is_cut_off_leaves_one_of_its_two_ends() {
    let rewind = |stop: Option<u64>| {
        let machine = Simulated::new(0);
        let mut journal: Fixed<Entry> = filled(&machine).unwrap();
        let before = machine.calls();
        if let Some(call) = stop {
            machine.stop_at(before + call, When::After);
        }
        let _ = journal.rewind_section(SECTION, 6 * 20);
        let _ = journal.rewind_section(SECTION, 20);
        (machine.calls() - before, machine)
    };
    let mut ends = std::collections::BTreeSet::new();
    for call in 0..rewind(None).0 {
        let (_, machine) = rewind(Some(call));
        for seed in 0..64 {
            let left = machine.after_crash(Survival::Bytes, seed);
            let journal = <Fixed<Entry> as Journal>::open(&left).unwrap();
            let count = journal.count(SECTION);
            assert!((0..count).all(|at| journal.get(SECTION, at).is_ok()));
            ends.insert(count);
        }
    }
    let ends: Vec<u64> = ends.into_iter().collect();
    assert!(
        ends.first() == Some(&1) && ends.last() == Some(&10),
        "{ends:?}"
    );
}
