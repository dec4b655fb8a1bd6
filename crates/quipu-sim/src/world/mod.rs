//! One machine with one archive, and the model beside it.
//!
//! Each step is done to the archive and told to the model. What a step answers is checked at once;
//! what the archive holds is checked after each open and at each `read`. When the machine stops, at
//! whatever call, the step that was under way is doubtful, what the disk kept is opened, and the
//! model has to agree with it; then the steps go on.

mod blind;
mod crash;
mod damage;
mod files;
mod open;
mod puts;
mod steps;

use std::sync::Arc;

use quipu::storage::simulated::{Fault, Outcome, Simulated};
use quipu::{Archive, Error, PageCache, ReadOnly};

use crate::case::{Crash, Settings, Step};
use crate::item::Key;
use crate::look::{Seen, Trouble, look};
use crate::model::{Expect, Model, Pending, Sure};

type Store = Archive<Key>;

/// Why a case fails.
pub type Wrong = String;

/// What a case did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Steps that were done.
    pub steps: u64,
    /// Calls of the storage.
    pub calls: u64,
    /// Machines that stopped, those in a recovery included.
    pub crashes: u64,
    /// Faults that were set.
    pub faults: u64,
    /// Files that were damaged.
    pub damages: u64,
    /// Times that everything was read and compared.
    pub checks: u64,
}

impl Counts {
    /// Adds the counts of another case.
    pub fn add(&mut self, other: Self) {
        self.steps += other.steps;
        self.calls += other.calls;
        self.crashes += other.crashes;
        self.faults += other.faults;
        self.damages += other.damages;
        self.checks += other.checks;
    }
}

/// A machine, its archive, and what is known of it.
pub struct World {
    disk: Simulated,
    cache: PageCache,
    archive: Option<Store>,
    beside: Option<ReadOnly<Key>>,
    /// What is known of the archive.
    pub model: Model,
    settings: Settings,
    /// Added to the number of each put, so that twins have other items.
    shift: u32,
    /// The machine stops as this says.
    armed: Option<Crash>,
    /// Faults that are still to come.
    faults: Vec<Fault>,
    /// Calls of the log that were searched for them.
    looked_at: usize,
    /// A write failed: the archive refuses all others until it is opened again.
    refuses: bool,
    /// It may do so.
    may_refuse: bool,
    /// A flush failed since the archive was opened.
    shaken: bool,
    /// A flush has failed.
    flush_failed: bool,
    /// The disk could not read something since the archive was opened.
    blind: bool,
    /// Something was put while the disk could not read all.
    went_on_blind: bool,
    /// The disk has a bound.
    full: bool,
    /// Items were taken back: their values stay in the files.
    rewound: bool,
    /// It cannot be opened any more, and may be so: bytes were changed that nobody can name.
    lost: bool,
    /// The hash of all calls of the machines before this one.
    hash: u64,
    /// What was done.
    pub counts: Counts,
}

impl World {
    /// A machine with an empty disk.
    pub fn new(settings: Settings, seed: u64, shift: u32, cache: PageCache) -> Self {
        Self::on(Simulated::new(seed), settings, shift, cache)
    }

    fn on(disk: Simulated, settings: Settings, shift: u32, cache: PageCache) -> Self {
        Self {
            disk,
            cache,
            archive: None,
            beside: None,
            model: Model::new(settings.clone()),
            settings,
            shift,
            armed: None,
            faults: Vec::new(),
            looked_at: 0,
            refuses: false,
            may_refuse: false,
            shaken: false,
            flush_failed: false,
            blind: false,
            went_on_blind: false,
            full: false,
            rewound: false,
            lost: false,
            hash: 0,
            counts: Counts::default(),
        }
    }

    /// The machine, to stop it at a call.
    pub fn disk(&self) -> &Simulated {
        &self.disk
    }

    /// Does one step. When the machine stops in it, what it left is opened and compared.
    pub fn step(&mut self, step: &Step) -> Result<(), Wrong> {
        self.counts.steps += 1;
        if matches!(step, Step::Crash(_) | Step::Damage(_)) {
            // One at a time: the crash that is still to come comes now.
            self.crash_if_armed()?;
        }
        self.try_step(step)?;
        if self.disk.is_stopped() && self.armed.is_some() {
            self.crash_if_armed()?;
        }
        Ok(())
    }

    /// Does one step, without a recovery when the machine stops in it.
    pub fn try_step(&mut self, step: &Step) -> Result<(), Wrong> {
        // A crash may be meant for the first open, too.
        if self.archive.is_none() && !matches!(step, Step::Crash(_)) {
            self.open()?;
        }
        let done = self.do_step(step);
        self.note_faults();
        done?;
        self.see_again()
    }

    /// The end of a case: what was put after all crashes is as durable as what was put before.
    pub fn finish(&mut self) -> Result<(), Wrong> {
        self.crash_if_armed()?;
        if !self.faults.is_empty() {
            self.restart();
        }
        self.calm()?;
        self.check_value_ends()?;
        self.epilogue()?;
        self.counts.calls += self.disk.calls();
        Ok(())
    }

    /// One value for all calls that were made: two runs of one case have the same.
    pub fn log_hash(&self) -> u64 {
        self.hash.rotate_left(9) ^ self.disk.log_hash()
    }

    /// No fault, no bound, and an archive that takes puts.
    fn calm(&mut self) -> Result<(), Wrong> {
        self.make_room();
        if self.refuses || self.archive.is_none() {
            self.reopen()?;
        }
        Ok(())
    }

    /// Reads everything and compares it with the model.
    fn check(&mut self, expect: Expect) -> Result<(), Wrong> {
        let Some(archive) = &self.archive else {
            return Ok(());
        };
        let reader = archive.reader();
        let pending = match self.model.pending {
            Some(Pending::Rewind(above)) if expect != Expect::Opened => above,
            _ => u64::MAX,
        };
        self.counts.checks += 1;
        let Some(seen) = self.look(&reader, pending)? else {
            return Ok(());
        };
        if self.blind {
            return self.compare_blind(&seen);
        }
        self.model.compare(&seen, expect)?;
        if expect == Expect::Opened {
            self.check_clean()?;
            self.model.settle(&seen);
        }
        Ok(())
    }

    /// Looks at everything up to an index; none where a read failed and was to fail.
    fn look(&mut self, reader: &quipu::Reader<Key>, last: u64) -> Result<Option<Seen>, Wrong> {
        let mut interest = self.model.interest();
        if self.shaken {
            let durable = |index: &u64| self.model.is_durable(*index);
            interest.retain(durable);
        }
        let mut tries = 1 + self.faults.len();
        loop {
            let seen = look(reader, &interest, last);
            self.note_faults();
            tries -= 1;
            match seen {
                Ok(seen) => return Ok(Some(seen)),
                Err(_) if self.disk.is_stopped() => return Ok(None),
                // Data of a flush that failed may be gone, as every reader may find.
                Err(_) if self.shaken || self.blind || self.model.suspect => return Ok(None),
                Err(Trouble::Failed(_)) if tries > 0 => {}
                Err(Trouble::Failed(error)) => return Err(format!("a read failed: {error}")),
                Err(Trouble::Wrong(what)) => return Err(what),
            }
        }
    }

    /// Where nothing was damaged, a recovery finds no damage, and a verification neither.
    fn check_clean(&mut self) -> Result<(), Wrong> {
        let Some(archive) = &self.archive else {
            return Ok(());
        };
        if self.model.suspect || self.model.scarred {
            return Ok(());
        }
        let recovery = archive.recovery();
        if recovery.damaged != 0 {
            return Err(format!("the recovery tells of damage: {recovery:?}"));
        }
        let faulty = !self.faults.is_empty();
        let went_on = self.went_on_blind;
        let mut found = Vec::new();
        let report = archive.verify(&mut |event| {
            if blind::is_find(&event, went_on) {
                found.push(event);
            }
        });
        // A bit may have been turned by a read of the verification itself.
        self.note_faults();
        match report {
            _ if self.model.suspect || self.blind => Ok(()),
            Ok(report) if report.is_clean() || went_on && found.is_empty() => Ok(()),
            Err(_) if self.disk.is_stopped() || faulty => Ok(()),
            Err(error) => Err(format!("the verification fails: {error}")),
            Ok(_) => Err(format!("the verification is not clean: {found:?}")),
        }
    }

    /// Where nothing was taken back, each value file ends with the value of its last entry.
    fn check_value_ends(&self) -> Result<(), Wrong> {
        let unsure = self.model.suspect || self.model.scarred || self.rewound || self.lost;
        let waiting = self.model.items.values().flatten();
        if unsure || waiting.into_iter().any(|item| item.sure != Sure::Durable) {
            return Ok(());
        }
        for name in self.names("values") {
            let Some(section) = self.read_section(&name) else {
                continue;
            };
            let len = self.read_blob("values", &name).map_or(0, |all| all.len());
            let last = section.entries.last().map(|entry| entry.value.end);
            if last.unwrap_or(section.headers.1) != len as u64 {
                return Err(format!(
                    "values {name} end at {len}, its last entry at {last:?}"
                ));
            }
        }
        Ok(())
    }

    /// Faults that came are not to come any more.
    fn note_faults(&mut self) {
        if self.faults.is_empty() {
            return;
        }
        let log = self.disk.log();
        for call in log.iter().skip(self.looked_at) {
            let (Outcome::Failed(fault) | Outcome::Damaged(fault)) = call.outcome else {
                continue;
            };
            if let Some(at) = self.faults.iter().position(|&of| of == fault) {
                self.faults.remove(at);
            }
            self.model.suspect |= fault.is_silent();
            self.shaken |= fault == Fault::FlushFails;
            self.flush_failed |= fault == Fault::FlushFails;
            self.blind |= fault == Fault::Unreadable;
        }
        self.looked_at = log.len();
    }

    /// Whether an error has a cause that the case made: a fault, a full disk, a machine that stopped.
    fn is_expected(&self, error: &Error, faults_before: usize) -> bool {
        let scarred = self.model.scarred;
        let may_refuse = self.refuses || self.may_refuse || scarred;
        let poisoned = matches!(error, Error::Poisoned { .. }) && may_refuse;
        let damage = scarred && error.is_corruption();
        let full = matches!(error, Error::StorageFull { .. }) && self.full;
        let fault = self.faults.len() < faults_before;
        let blind = self.blind && error.is_corruption();
        poisoned || damage || blind || full || fault || self.disk.is_stopped() || self.model.suspect
    }

    fn storage(&self) -> Arc<Simulated> {
        Arc::new(self.disk.clone())
    }
}
