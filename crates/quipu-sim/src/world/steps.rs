//! All other steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quipu::ScrubOptions;
use quipu::storage::simulated::Fault;
use quipu::storage::{OpenMode, Storage};

use super::blind::is_find;
use super::{World, Wrong};
use crate::case::Step;
use crate::look::look;
use crate::model::{Expect, Pending, Sure};

/// All partitions of an archive.
pub(super) const PARTITIONS: [&str; 3] = ["index", "values", OWN_PARTITION];
/// The one that the reference program does not have.
pub(super) const OWN_PARTITION: &str = "quipu";

impl World {
    pub(super) fn do_step(&mut self, step: &Step) -> Result<(), Wrong> {
        if self.lost {
            return Ok(());
        }
        match step {
            Step::Put { put, multi, sync } => self.put(put, *multi, *sync),
            Step::Batch(puts) => self.batch(puts),
            Step::Sync => self.sync(),
            Step::Prune(min) => self.prune(*min),
            Step::Rewind(index) => self.rewind(*index),
            Step::Close { zstd, buffer, log } => self.close(*zstd, *buffer, *log),
            Step::Drop => self.reopen(),
            Step::Destroy => self.destroy(),
            Step::Adopt { cut } => self.adopt(*cut),
            Step::Read => self.check(self.live()),
            Step::Beside => self.look_beside(),
            Step::Scrub(bytes) => self.scrub(*bytes),
            Step::Fault { after, fault } => {
                let call = self.disk.calls().saturating_add(*after);
                self.disk.inject(call, *fault);
                if self.faults.is_empty() {
                    self.looked_at = self.disk.calls() as usize;
                }
                self.faults.push(*fault);
                self.counts.faults += 1;
                Ok(())
            }
            Step::Full(bytes) => {
                self.fill(*bytes);
                Ok(())
            }
            Step::Space => self.calm(),
            Step::Damage(damage) => self.damage(damage),
            Step::Crash(crash) => {
                self.arm(crash);
                Ok(())
            }
        }
    }

    pub(super) fn live(&self) -> Expect {
        match self.shaken {
            true => Expect::Shaken,
            false => Expect::Live,
        }
    }

    fn prune(&mut self, min: u64) -> Result<(), Wrong> {
        let floor = self.settings.section_of(min);
        let Some(archive) = self.archive.as_mut() else {
            return Ok(());
        };
        let before = self.faults.len();
        let result = archive.prune(min);
        let refused = self.refuses || is_refused(&result);
        self.note_faults();
        let raises = floor > self.model.floor;
        match self.answered(result, before)? {
            Some(_) if raises => self.model.pruned(floor),
            None if raises && !refused => self.model.pending = Some(Pending::Prune(floor)),
            _ => {}
        }
        Ok(())
    }

    fn rewind(&mut self, index: u64) -> Result<(), Wrong> {
        let Some(archive) = self.archive.as_mut() else {
            return Ok(());
        };
        let before = self.faults.len();
        let result = archive.rewind(index);
        self.note_faults();
        // It may have begun before the disk could not read something.
        let scarred = self.model.scarred && !self.blind;
        let damage = |error: &quipu::Error| scarred && error.is_corruption();
        let refused = self.refuses || is_refused(&result) || result.as_ref().is_err_and(damage);
        self.rewound = true;
        match self.answered(result, before)? {
            Some(()) => self.model.rewound(index),
            None if !refused => self.model.pending = Some(Pending::Rewind(index)),
            None => {}
        }
        Ok(())
    }

    /// Closes the archive; whether everything is durable now.
    pub(super) fn close_only(&mut self) -> Result<bool, Wrong> {
        let Some(archive) = self.archive.take() else {
            return Ok(false);
        };
        self.beside = None;
        let before = self.faults.len();
        let result = archive.close();
        self.note_faults();
        let closed = self.answered(result, before)?.is_some();
        if closed {
            self.model.synced();
        }
        Ok(closed)
    }

    fn close(
        &mut self,
        zstd: Option<bool>,
        buffer: Option<usize>,
        log: Option<u64>,
    ) -> Result<(), Wrong> {
        self.close_only()?;
        if let Some(zstd) = zstd {
            self.model.mixed |= zstd != self.settings.zstd;
            self.settings.zstd = zstd;
        }
        self.settings.buffer = buffer.unwrap_or(self.settings.buffer);
        self.settings.log = log.unwrap_or(self.settings.log);
        self.model.settings = self.settings.clone();
        self.open()
    }

    fn destroy(&mut self) -> Result<(), Wrong> {
        if self.refuses || self.model.pending.is_some() {
            self.reopen()?;
        }
        if self.model.pending.is_some() {
            // The machine stopped before anybody looked at what became of it.
            return Ok(());
        }
        let Some(archive) = self.archive.take() else {
            return Ok(());
        };
        self.beside = None;
        let before = self.faults.len();
        let result = archive.destroy();
        self.note_faults();
        self.model.pending = Some(Pending::Destroy);
        if self.answered(result, before)?.is_some() {
            self.model.pending = None;
            self.model.destroyed();
            for partition in PARTITIONS {
                let names = self.names(partition);
                if !names.is_empty() {
                    return Err(format!("a destroyed archive left {names:?} in {partition}"));
                }
            }
        }
        self.open()
    }

    /// Takes away what the reference program does not have, and adopts the rest.
    fn adopt(&mut self, cut: u64) -> Result<(), Wrong> {
        let model = &self.model;
        let unfit = model.mixed || model.suspect || model.scarred || self.full;
        let quiet = self.faults.is_empty() && model.pending.is_none();
        if unfit || !quiet || self.refuses || model.items.is_empty() {
            return Ok(());
        }
        if !self.close_only()? {
            return self.open();
        }
        self.model.pending = Some(Pending::Adopt);
        for name in self.names(OWN_PARTITION) {
            // Where the machine stops here, it leaves an archive or a store: both are opened.
            let _ = self.disk.remove(OWN_PARTITION, &name);
        }
        let gone = self.disk.sync_partition(OWN_PARTITION);
        if gone.is_ok() && cut > 0 {
            self.tear_values(cut);
        }
        self.open()
    }

    /// Cuts the last value file. Items whose value is not whole any more are not expected.
    fn tear_values(&mut self, cut: u64) {
        let names = self.names("values");
        let Some(name) = names.last() else { return };
        let Some(section) = self.read_section(name) else {
            return;
        };
        let blob = self.disk.open("values", name, OpenMode::Write);
        let len = blob.as_ref().map_or(Ok(0), |blob| blob.len()).unwrap_or(0);
        // The first value stays: by it an adoption sees that the settings fit.
        let first = section.entries.first().map_or(len, |entry| entry.value.end);
        let end = len.saturating_sub(cut).max(first);
        let torn = section.entries.iter().filter(|entry| entry.value.end > end);
        for entry in torn {
            let at = self.model.items.get_mut(&entry.index);
            at.into_iter()
                .flatten()
                .for_each(|item| item.sure = Sure::Doubtful);
        }
        if let Ok(blob) = blob {
            let _ = blob.resize(end).and_then(|()| blob.sync());
        }
    }

    /// A reader as of another process: new, or refreshed.
    fn look_beside(&mut self) -> Result<(), Wrong> {
        let model = &self.model;
        let calm = !self.refuses && !self.shaken && !model.suspect && !model.scarred;
        let quiet = self.faults.iter().all(|&fault| fault == Fault::Unreadable);
        if !calm || model.pending.is_some() || !quiet {
            self.beside = None;
            return Ok(());
        }
        let opened = match self.beside.take() {
            Some(mut beside) => beside.refresh().map(|()| beside),
            None => {
                let options = self.settings.options().page_cache(self.cache.clone());
                options.open_read_only_on(self.storage())
            }
        };
        self.note_faults();
        let beside = match opened {
            Ok(beside) => beside,
            Err(_) if self.disk.is_stopped() => return Ok(()),
            Err(error) if self.blind && error.is_corruption() => return Ok(()),
            Err(error) => return Err(format!("a reader beside does not open: {error}")),
        };
        self.counts.checks += 1;
        let seen = look(&beside.reader(), &self.model.interest(), u64::MAX);
        self.note_faults();
        match seen {
            Ok(seen) if self.blind => self.compare_blind(&seen)?,
            Err(_) if self.blind => {}
            Ok(seen) => self.model.compare(&seen, Expect::Beside)?,
            Err(_) if self.disk.is_stopped() => {}
            Err(trouble) => return Err(format!("a reader beside: {trouble:?}")),
        }
        self.beside = Some(beside);
        Ok(())
    }

    /// A step of background verification: where nothing was damaged it finds nothing, and what it
    /// fails with is no reason for a write to be refused.
    fn scrub(&mut self, bytes: u64) -> Result<(), Wrong> {
        let Some(archive) = &self.archive else {
            return Ok(());
        };
        let before = self.faults.len();
        let found = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&found);
        let went_on = self.went_on_blind;
        let options = ScrubOptions::new().on_event(move |event| {
            let is_find = is_find(&event, went_on);
            count.fetch_add(u64::from(is_find), Ordering::Relaxed);
        });
        let scrubbed = archive
            .scrub(options)
            .and_then(|mut scrub| scrub.step(bytes));
        self.note_faults();
        let calm = !self.shaken && !self.blind && !self.model.suspect && !self.model.scarred;
        match scrubbed {
            Ok(_) if calm && found.load(Ordering::Relaxed) > 0 => {
                Err("a scrub finds damage, though nothing is damaged".to_owned())
            }
            Ok(_) => Ok(()),
            Err(error) if self.is_expected(&error, before) || !calm => Ok(()),
            Err(error) => Err(format!("a scrub fails without a cause: {error}")),
        }
    }

    /// The disk gets a bound so many bytes above what it holds.
    fn fill(&mut self, bytes: u64) {
        let mut used = 0;
        for partition in PARTITIONS {
            for name in self.names(partition) {
                let blob = self.disk.open(partition, &name, OpenMode::Read);
                used += blob.and_then(|blob| blob.len()).unwrap_or(0);
            }
        }
        self.disk.set_capacity(Some(used + bytes));
        self.full = true;
    }
}

/// Whether nothing was done, since an earlier write failed.
fn is_refused<T>(result: &quipu::Result<T>) -> bool {
    matches!(result, Err(quipu::Error::Poisoned { .. }))
}
