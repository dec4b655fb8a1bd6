//! The files of the next section, made before a put needs them, beside the writer where the storage serves that: making
//! two files takes four flushes, as long as several syncs.
//!
//! What is made ahead is an empty section, as a crash behind the creation of one leaves it. A thread of its own makes it
//! and nothing else; who creates a section, or removes what is not needed, waits for it first, and hears what failed.

use std::io;
use std::sync::Arc;

use super::shared::Shared;
use super::writer::Writer;
use crate::entropy;
use crate::error::{Error, Result};
use crate::format::Layouts;
use crate::sync::thread;

/// What is made ahead.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// The section whose files were made last, or are being made.
    section: Option<u64>,
    job: Option<thread::JoinHandle<Result<()>>>,
}

impl Writer {
    /// Prepares the files of the next section once the last one is nearly full, so that no put waits for
    /// them. Not out of the disk reserve: what that is for was not asked for here.
    pub(super) fn prepare_next(&mut self) -> Result<()> {
        let is_done = thread::JoinHandle::is_finished;
        if self.ahead.job.as_ref().is_some_and(is_done) {
            self.settle_prepared()?;
        }
        let Ok(end) = u64::try_from(self.unused_from) else {
            return Ok(());
        };
        let span = self.shared.items_per_section;
        let into = end % span;
        let next = (end - into).checked_add(span);
        let Some(next) = next.filter(|_| into >= span - span / 4) else {
            return Ok(());
        };
        if self.ahead.section == Some(next) || self.reserve.is_some() {
            return Ok(());
        }
        let is_known = self.shared.sections.contains(next)
            || self.shared.unreadable.read().contains(&next)
            || self.marks.marks().sections.contains_key(&next);
        if is_known {
            return Ok(());
        }
        // Of another one that was not needed after all.
        self.discard_prepared(|_| true)?;
        self.ahead.section = Some(next);
        self.prepare(next)
    }

    fn prepare(&mut self, section: u64) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        if shared.storage.serves_side_by_side() && !entropy::is_simulated() {
            let name = "quipu-files".to_owned();
            let job = move || shared.prepare_section(section);
            if let Ok(job) = thread::Builder::new().name(name).spawn(job) {
                self.ahead.job = Some(job);
                return Ok(());
            }
        }
        let prepared = self.shared.prepare_section(section);
        self.take_prepared(prepared)
    }

    /// Waits for files that are being made, and tells what failed of that.
    pub(super) fn settle_prepared(&mut self) -> Result<()> {
        let Some(job) = self.ahead.job.take() else {
            return Ok(());
        };
        let prepared = job.join().unwrap_or_else(|_| {
            let panicked = io::Error::other("the thread that makes them panicked");
            Err(Error::io(
                "make the next files of",
                self.shared.path(),
                panicked,
            ))
        });
        self.take_prepared(prepared)
    }

    fn take_prepared(&mut self, prepared: Result<()>) -> Result<()> {
        match prepared {
            // The put that needs the files tells, if there is no room by then either.
            Err(Error::StorageFull { .. }) => {
                let _ = self.shared.discard_prepared(|_| true);
                Ok(())
            }
            prepared => self.poison_on_error(prepared),
        }
    }

    /// Removes the files that were made ahead and that no section has, of sections that `goes` says.
    pub(super) fn discard_prepared(&mut self, goes: impl Fn(u64) -> bool) -> Result<()> {
        let settled = self.settle_prepared();
        let discarded = self.shared.discard_prepared(goes);
        settled.and(self.poison_on_error(discarded))
    }
}

impl Shared {
    /// Makes the files of a section ahead of its creation.
    fn prepare_section(&self, number: u64) -> Result<()> {
        let (records, values) = self.files_of(number, Layouts::default());
        values.prepare()?;
        records.prepare()?;
        self.storage.sync_partition(values.partition())?;
        self.storage.sync_partition(records.partition())
    }

    fn discard_prepared(&self, goes: impl Fn(u64) -> bool) -> Result<()> {
        self.files.discard_prepared(&self.partitions.index, &goes)?;
        self.files.discard_prepared(&self.partitions.values, goes)
    }
}
