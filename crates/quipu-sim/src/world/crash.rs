//! A machine that stops, and recoveries that are stopped in turn.

use quipu::PageCache;
use quipu::storage::simulated::{Simulated, Survival};

use super::{World, Wrong};
use crate::case::{Crash, Settings};
use crate::model::Model;
use crate::run::CACHE_BYTES;

impl World {
    /// From now on the machine stops at a call.
    pub(super) fn arm(&mut self, crash: &Crash) {
        let call = self.disk.calls().saturating_add(crash.after);
        self.disk.stop_at(call, crash.when);
        self.armed = Some(crash.clone());
    }

    /// The machine stops now, if it has not already, and what it left is opened and compared.
    pub(super) fn crash_if_armed(&mut self) -> Result<(), Wrong> {
        let Some(crash) = self.armed.take() else {
            return Ok(());
        };
        self.note_faults();
        // One that came in the very call that stopped the machine is not in the log.
        self.model.suspect |= self.faults.iter().any(|fault| fault.is_silent());
        self.faults.clear();
        self.disk.stop();
        self.counts.crashes += 1;
        self.change_disk(crash.survival, crash.seed);
        for again in &crash.again {
            let call = self.disk.calls().saturating_add(again.after);
            self.disk.stop_at(call, again.when);
            drop(self.open_once());
            self.disk.stop();
            self.counts.crashes += 1;
            self.change_disk(again.survival, again.seed);
        }
        self.make_room();
        self.open()
    }

    /// What a stopped machine may have left of its disk, opened and compared; with `on`, the archive
    /// goes on and is looked at again.
    pub fn recover(
        disk: &Simulated,
        model: &Model,
        survival: Survival,
        seed: u64,
        on: bool,
    ) -> Result<(), Wrong> {
        let settings: Settings = model.settings.clone();
        let disk = disk.after_crash(survival, seed);
        let mut world = Self::on(disk, settings, 0, PageCache::new(CACHE_BYTES));
        world.model = model.clone();
        world.open()?;
        match on {
            true => world.epilogue(),
            false => Ok(()),
        }
    }
}
