//! Opening, also what a crash left.

use quipu::Error;
use quipu::storage::Storage;
use quipu::storage::simulated::Survival;

use super::{Store, World, Wrong};
use crate::case::{Put, Step};
use crate::model::{Expect, Pending};

/// Numbers of the puts that a case makes at its end.
const EPILOGUE_NUMBER: u32 = 900_000_000;

impl World {
    /// Opens the archive and compares what it holds.
    pub(super) fn open(&mut self) -> Result<(), Wrong> {
        if self.lost {
            return Ok(());
        }
        let mut tries = 3 + self.faults.len();
        loop {
            let before = self.faults.len();
            let opened = self.open_once();
            self.note_faults();
            tries -= 1;
            match opened {
                Ok(archive) if self.blind => {
                    self.go_on_blind(archive)?;
                    self.heal();
                }
                Ok(archive) => {
                    self.archive = Some(archive);
                    (self.refuses, self.may_refuse, self.shaken) = (false, false, false);
                    return self.check(Expect::Opened);
                }
                Err(_) if self.disk.is_stopped() => return Ok(()),
                Err(Error::StorageFull { .. }) if self.full => self.make_room(),
                Err(error) if tries > 0 && self.is_expected(&error, before) => self.heal(),
                Err(_) if self.model.suspect => {
                    // Nobody knows what was changed: it may be more than can be opened.
                    self.lost = true;
                    return Ok(());
                }
                Err(error) => return Err(format!("the archive does not open: {error}")),
            }
        }
    }

    /// One attempt; a store whose manifest was taken away is adopted.
    pub(super) fn open_once(&self) -> quipu::Result<Store> {
        let options = || self.settings.options().page_cache(self.cache.clone());
        let storage = || self.storage();
        match options().open_on(storage()) {
            Err(Error::NotAnArchive { .. }) if self.model.pending == Some(Pending::Adopt) => {
                options().key_size(8).adopt_on(storage())?;
                options().open_on(storage())
            }
            other => other,
        }
    }

    /// Lets the archive go and opens it again.
    pub(super) fn reopen(&mut self) -> Result<(), Wrong> {
        (self.archive, self.beside) = (None, None);
        self.open()
    }

    /// The disk has no bound any more.
    pub(super) fn make_room(&mut self) {
        self.disk.set_capacity(None);
        self.full = false;
    }

    /// The machine starts anew with all that its disk has, and without faults to come.
    pub(super) fn restart(&mut self) {
        self.disk.stop();
        self.change_disk(Survival::All, 0);
        self.faults.clear();
        self.make_room();
    }

    /// Another machine takes over what the disk kept of this one.
    pub(super) fn change_disk(&mut self, survival: Survival, seed: u64) {
        (self.archive, self.beside) = (None, None);
        self.counts.calls += self.disk.calls();
        let next = self.disk.after_crash(survival, seed);
        self.hash = self.hash.rotate_left(9) ^ self.disk.log_hash();
        self.disk = next;
        self.heal();
    }

    /// What comes after a recovery must be as durable as what came before it.
    pub(super) fn epilogue(&mut self) -> Result<(), Wrong> {
        let Some(index) = self.free_index().filter(|_| !self.lost) else {
            return Ok(());
        };
        for (number, sync) in [(0, true), (1, false)] {
            let put = Put {
                index,
                number: EPILOGUE_NUMBER + number,
                len: 30,
            };
            let multi = number > 0;
            self.try_step(&Step::Put { put, multi, sync })?;
        }
        self.disk.stop();
        self.change_disk(Survival::Nothing, 0);
        self.open()
    }

    pub(super) fn free_index(&self) -> Option<u64> {
        let taken = |index: &u64| {
            self.model.items.contains_key(index) || self.model.damaged.contains(index)
        };
        let last = self.model.items.keys().next_back();
        let from = last.and_then(|last| last.checked_add(1));
        let from = from.unwrap_or(self.model.floor).max(self.model.floor);
        (from..=u64::MAX).take(200).find(|index| !taken(index))
    }

    /// The names of a partition's blobs; none where the machine fails.
    pub(super) fn names(&self, partition: &str) -> Vec<String> {
        self.disk.list(partition).unwrap_or_default()
    }
}
