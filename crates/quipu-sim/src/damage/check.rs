//! One case from damage to mended: opened for reading, for writing, again, put, and again.

use std::panic::{AssertUnwindSafe, catch_unwind};

use quipu::storage::Memory;
use quipu::{Archive, KeyBytes, Put};

use super::case::{Case, Damage};
use super::files::{Files, OWN};
use super::look::{Account, Look};
use super::outcome::{Fault, Outcome};
use super::shape::{Item, Shape};

/// What the archives of a check draw random numbers from.
const SEED: u64 = 11;

/// Runs one case; none where the damage changes no byte.
pub fn check(shape: &Shape, case: &Case) -> Option<Outcome> {
    let damaged = case.apply(shape)?;
    let whole = shape.oracle.whole(&damaged);
    let run = || Check::new(shape, case, &damaged, whole.clone()).run();
    // A case does the same each time, and key tables are made by the thread that writes.
    quipu::seed_random_numbers(Some(SEED));
    let ended = catch_unwind(AssertUnwindSafe(run));
    quipu::seed_random_numbers(None);
    Some(match ended {
        Ok(outcome) => outcome,
        Err(payload) => {
            let text = payload.downcast_ref::<String>().cloned();
            let text = text.or_else(|| payload.downcast_ref::<&str>().map(|&text| text.into()));
            let mut outcome = Outcome::default();
            outcome.fault(Fault::Panic, text.unwrap_or_default());
            outcome
        }
    })
}

struct Check<'a> {
    shape: &'a Shape,
    case: &'a Case,
    damaged: &'a Files,
    /// For each item whether all of its bytes are there.
    whole: Vec<bool>,
    outcome: Outcome,
}

impl<'a> Check<'a> {
    fn new(shape: &'a Shape, case: &'a Case, damaged: &'a Files, whole: Vec<bool>) -> Self {
        Self {
            shape,
            case,
            damaged,
            whole,
            outcome: Outcome::default(),
        }
    }

    fn run(mut self) -> Outcome {
        if let Err(error) = self.steps() {
            self.outcome.fault(Fault::Refused, error.to_string());
        }
        self.outcome
    }

    fn steps(&mut self) -> quipu::Result<()> {
        self.outcome.least = self.whole.iter().filter(|&&whole| !whole).count() as u64;
        self.count(&vec![false; self.whole.len()]);
        let memory = self.damaged.to_memory()?;
        let by_reader = self.beside(&memory)?;
        let readable = self.first_open(&memory)?;
        self.count(&readable);
        if by_reader.is_some_and(|by_reader| by_reader != readable) {
            self.outcome.fault(Fault::ReaderDiffers, String::new());
        }
        self.compare_with_oracle(&readable);
        let items = self.mend(&memory, &readable)?;
        self.mended(&memory, &items)
    }

    fn account(&self) -> Account<'a> {
        Account {
            items: &self.shape.items,
            former: &self.shape.former,
            mended: false,
        }
    }

    /// Takes what can be read for what is left.
    fn count(&mut self, readable: &[bool]) {
        let both = || readable.iter().zip(&self.whole);
        self.outcome.lost = both().filter(|(readable, _)| !**readable).count() as u64;
        let beyond = both().filter(|(readable, whole)| !**readable && **whole);
        self.outcome.beyond = beyond.count() as u64;
    }

    /// Opened for reading: nothing is changed.
    fn beside(&mut self, memory: &Memory) -> quipu::Result<Option<Vec<bool>>> {
        let account = self.account();
        let readable = match self.shape.open_read_only(memory) {
            Ok(beside) => {
                let reader = beside.reader();
                let look = Look::at("beside", &reader, &account, &mut self.outcome);
                look.verify(self.case, &mut self.outcome);
                Some(look.readable)
            }
            Err(error) => {
                let text = error.to_string();
                self.outcome.fault(Fault::RefusedReadOnly, text);
                None
            }
        };
        let now = Files::of(memory)?;
        for file in now.changed_from(self.damaged) {
            self.outcome.fault(Fault::ReaderWrote, file.to_string());
        }
        Ok(readable)
    }

    fn first_open(&mut self, memory: &Memory) -> quipu::Result<Vec<bool>> {
        let account = self.account();
        let archive = self.shape.open(memory)?;
        let look = Look::at("at first", &archive, &account, &mut self.outcome);
        let readable = look.readable;
        self.close(archive);
        let keeps_length = matches!(self.case.damage, Damage::Flip { .. } | Damage::Zero { .. });
        if keeps_length {
            let now = Files::of(memory)?;
            let changed = now.changed_from(self.damaged);
            let sections = changed.iter().filter(|file| *file.partition != *OWN);
            for file in sections {
                self.outcome.fault(Fault::OpenChanged, file.to_string());
            }
        }
        Ok(readable)
    }

    fn close(&mut self, archive: Archive<KeyBytes>) {
        if let Err(error) = archive.close() {
            self.outcome.fault(Fault::CloseFails, error.to_string());
        }
    }

    fn compare_with_oracle(&mut self, readable: &[bool]) {
        let items = self
            .shape
            .items
            .iter()
            .zip(readable.iter().zip(&self.whole));
        for (item, (&readable, &whole)) in items {
            let fault = match (readable, whole) {
                (false, true) => Fault::LostBeyond,
                (true, false) => Fault::Oracle,
                _ => continue,
            };
            let text = format!("index {} key {:02x?}", item.index, item.key);
            self.outcome.fault(fault, text);
        }
    }

    /// Opened again, verified, and put what is lost, and one more item.
    fn mend(&mut self, memory: &Memory, before: &[bool]) -> quipu::Result<Vec<Item>> {
        let account = self.account();
        let mut archive = self.shape.open(memory)?;
        let look = Look::at("at second", &archive, &account, &mut self.outcome);
        look.verify(self.case, &mut self.outcome);
        if look.readable != before {
            self.outcome.fault(Fault::Unstable, String::new());
        }
        let lost = self.shape.items.iter().zip(look.readable);
        let lost: Vec<Item> = lost
            .filter(|(_, readable)| !readable)
            .map(|(item, _)| item.clone())
            .collect();
        let mut items = self.shape.items.clone();
        let new = self.shape.new_item(self.case.file.section());
        let floor = archive.floor();
        let new = new.filter(|new| new.index >= floor);
        items.extend(new.clone());
        for item in lost.iter().chain(&new) {
            self.put(&mut archive, item);
        }
        let account = Account {
            items: &items,
            former: &self.shape.former,
            mended: true,
        };
        let look = Look::at("mended", &archive, &account, &mut self.outcome);
        self.check_all(Fault::NotMended, &items, &look.readable);
        self.close(archive);
        Ok(items)
    }

    fn put(&mut self, archive: &mut Archive<KeyBytes>, item: &Item) {
        let key = KeyBytes::from(&*item.key);
        let value = item.value.as_slice();
        let put = match archive.put(item.index, &key, value) {
            Ok(Put::Exists) => {
                // Of several at one index, others must be whole.
                if !archive.get(item.index).is_ok_and(|found| found.is_some()) {
                    let text = format!("index {} exists and cannot be read", item.index);
                    self.outcome.fault(Fault::PutRefused, text);
                }
                archive.put_multi(item.index, &key, value)
            }
            other => other,
        };
        if let Err(error) = put {
            let text = format!("index {}: {error}", item.index);
            self.outcome.fault(Fault::PutRefused, text);
        }
    }

    fn mended(&mut self, memory: &Memory, items: &[Item]) -> quipu::Result<()> {
        let account = Account {
            items,
            former: &self.shape.former,
            mended: true,
        };
        let archive = self.shape.open(memory)?;
        let look = Look::at("mended, reopened", &archive, &account, &mut self.outcome);
        self.check_all(Fault::NotMendedLater, items, &look.readable);
        look.verify(self.case, &mut self.outcome);
        self.close(archive);
        Ok(())
    }

    fn check_all(&mut self, fault: Fault, items: &[Item], readable: &[bool]) {
        for (item, _) in items
            .iter()
            .zip(readable)
            .filter(|(_, readable)| !**readable)
        {
            self.outcome.fault(fault, format!("index {}", item.index));
        }
    }
}
