//! The look at the lengths of section files that an open after a clean end leaves for later.
//!
//! ```text
//! clean end   the marks say which number of opens the manifest has (see `manifest/marks`)
//! open        it still has that one: sections rest as they are named, no file is looked at
//! look        the lengths of all files; what differs from its mark wakes, as an open would have loaded it
//! ```
//!
//! Whoever changes section files stores another number before, so where the number is the same they are as the marks say, but for
//! what somebody did by hand, another program, or a disk lost. That is found by the look, which is made once: before the first
//! answer that says what is stored without a read of it, before a key is told to be nowhere, before the recovery is told,
//! and before the writer changes anything. An item that is asked for needs none: its section wakes, and is compared with its mark.
//!
//! # Invariants
//!
//! - As long as the look is due, the writer has changed nothing, and its manifest is that of the [cuts](BeforeCuts): what wakes
//!   may have to be cut, by any thread.
//! - What a section has beyond its mark is written again and flushed before anybody sees it, as by an open.
//! - Once the writer has gone, nothing is cut nor written: the files may be those of the next.
//!
//! # Cost
//!
//! A look at each file, once; afterwards the load of a flag. Sections wake beside it no sooner than it ends.

use std::collections::BTreeSet;

use super::listing::Lengths;
use super::load::Loaded;
use super::one_writer::BeforeCuts;
use super::recovery::Recovery;
use super::section::Section;
use super::section_table::Resting;
use super::shared::Shared;
use super::upkeep;
use super::writer::Writer;
use crate::error::{Error, Result};
use crate::journal::SectionReport;
use crate::manifest::{Manifest, Mark};
use crate::storage::Access;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};

/// Whether the look is still to come, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Look {
    is_due: AtomicBool,
    found: Mutex<Found>,
}

/// What an open would have told.
#[derive(Debug, Default)]
struct Found {
    /// What was cut, and why.
    reports: Vec<SectionReport>,
    /// Sections that are not as their marks say,
    differing: BTreeSet<u64>,
    /// and those of them of which nothing can be read.
    unreadable: BTreeSet<u64>,
    /// How many indices of theirs are lost, before the writer has put any of them again.
    damaged: u128,
    /// Why a cut or a flush of it failed: no later one is believed.
    failed: Option<String>,
}

impl Look {
    /// Sections rest whose files nobody has looked at.
    pub(super) fn leave_for_later(&self) {
        self.is_due.store(true, Ordering::Release);
    }

    #[inline]
    pub(super) fn is_due(&self) -> bool {
        self.is_due.load(Ordering::Acquire)
    }

    /// Nothing of a section can be read that an open would have found so.
    pub(super) fn note_unreadable(&self, number: u64) {
        if self.is_due() {
            let mut found = self.found.lock();
            found.differing.insert(number);
            found.unreadable.insert(number);
        }
    }

    fn fail(&self, error: &Error) {
        let mut found = self.found.lock();
        found.failed.get_or_insert_with(|| error.to_string());
    }
}

impl Shared {
    /// Makes the look, if it is due.
    ///
    /// # Errors
    /// Where the disk does not tell lengths now, or a section cannot be woken for a reason that may pass: the look is due as
    /// before. Where it never tells them, each section wakes, and who opens it tells.
    #[inline]
    pub(super) fn look(&self) -> Result<()> {
        match self.look.is_due() {
            true => self.look_now(),
            false => Ok(()),
        }
    }

    /// The same, for a look-up that begins anew: out of the way of those that do not.
    #[cold]
    #[inline(never)]
    pub(super) fn look_again(&self) -> Result<()> {
        self.look()
    }

    #[cold]
    #[inline(never)]
    fn look_now(&self) -> Result<()> {
        let _one_at_a_time = self.waking.lock();
        if !self.look.is_due() {
            return Ok(());
        }
        let resting = self.sections.all_resting();
        let lengths = match Lengths::read(self, resting.len()).map_err(|error| error.of_read(0)) {
            Err(error) if error.is_unreadable() => None,
            lengths => Some(lengths?),
        };
        // Where the writer has gone: what another has done to the files says nothing of these.
        self.checked(Ok(()))?;
        for resting in resting {
            let is_as_marked = lengths.as_ref().is_some_and(|lengths| {
                let found = lengths.of(resting.number);
                // It was there at the open: a file that went since is told by who needs it.
                found.is_none_or(|found| found == resting.bytes())
            });
            if !is_as_marked {
                self.wake_differing(&resting)?;
            }
        }
        self.count_lost();
        self.look.is_due.store(false, Ordering::Release);
        Ok(())
    }

    /// To be called while the look is due: what is put later would be taken for what was never lost.
    fn count_lost(&self) {
        let differing = self.look.found.lock().differing.clone();
        let lost = differing.iter().map(|&number| self.lost_of_section(number));
        let lost = lost.fold(0, u128::saturating_add);
        self.look.found.lock().damaged = lost;
    }

    fn wake_differing(&self, resting: &Resting) -> Result<()> {
        match self.wake_resting(resting) {
            Err(Error::NotFound { .. }) => Ok(()),
            // Its files go only once it is not among the sections.
            Err(_) if !self.sections.contains(resting.number) => Ok(()),
            woken => woken.map(drop),
        }
    }

    /// Opens the files of a section that nobody has looked at, and does what an open does with what it finds in them.
    pub(super) fn open_unseen(&self, resting: &Resting) -> Result<Option<Loaded>> {
        let cuts = self.files.cuts();
        let opened = self.open_resting(resting).and_then(|loaded| {
            if let Some(loaded) = &loaded {
                self.settle_unseen(loaded, resting)?;
            }
            Ok(loaded)
        });
        opened.inspect_err(|error| {
            if self.files.cuts() != cuts {
                self.look.fail(error);
            }
        })
    }

    fn settle_unseen(&self, loaded: &Loaded, resting: &Resting) -> Result<()> {
        let Loaded { section, report } = loaded;
        let (records, values) = (&section.pair.records, &section.pair.values);
        let marked = (resting.mark.records, resting.mark.value_bytes);
        let is_longer_or_shorter = (records.len(), values.len()) != marked;
        let lacks_some = records.ends_damaged() || values.found_len() < marked.1;
        if report.is_clean() && !is_longer_or_shorter && !lacks_some {
            return Ok(());
        }
        let mut found = self.look.found.lock();
        found.differing.insert(section.number);
        if !report.is_clean() {
            found.reports.push(report.clone());
        }
        drop(found);
        if is_longer_or_shorter {
            // For its mark.
            self.damage.write().unmarked.insert(section.number);
            self.write_unseen(section, &resting.mark)?;
        }
        Ok(())
    }

    /// Makes durable what a section has beyond its mark, before anybody sees it.
    fn write_unseen(&self, section: &Section, mark: &Mark) -> Result<()> {
        if self.files.access() == Access::Read {
            return Ok(());
        }
        let written = upkeep::rewrite_section(section, (mark.records, mark.value_bytes));
        written.inspect_err(|error| self.look.fail(error))
    }

    /// What an open has found, with what the look has.
    pub(super) fn recovery(&self, at_open: &Recovery) -> Recovery {
        let lengths_unread = self.look().is_err();
        if lengths_unread {
            self.count_lost();
        }
        let found = self.look.found.lock();
        let mut recovery = Recovery {
            lengths_unread,
            ..at_open.clone()
        };
        recovery.sections.extend(found.reports.iter().cloned());
        recovery.sections.sort_by_key(|report| report.section);
        recovery.unreadable.extend(&found.unreadable);
        recovery.unreadable.sort_unstable();
        recovery.damaged = recovery.damaged.saturating_add(found.damaged);
        recovery
    }

    /// How many indices of a section are lost.
    fn lost_of_section(&self, number: u64) -> u128 {
        let last = number.saturating_add(self.items_per_section - 1);
        let damage = self.damage.read();
        let runs = damage.indices.ranges_from(number);
        let within = runs.map(|run| (*run.start().max(&number), *run.end().min(&last)));
        let lens = within
            .take_while(|(first, last)| first <= last)
            .map(|(first, last)| u128::from(last - first) + 1);
        lens.sum()
    }
}

impl Writer {
    /// Makes the look, if it is due, and what an open does behind it. To be called before anything is changed.
    #[inline]
    pub(super) fn look(&mut self) -> Result<()> {
        match self.cuts {
            Some(_) => self.look_at_last(),
            None => Ok(()),
        }
    }

    #[cold]
    fn look_at_last(&mut self) -> Result<()> {
        self.shared.look()?;
        self.take_manifest();
        self.unused_from = self.shared.unused_from();
        let found = self.shared.look.found.lock();
        let (differs, failed) = (!found.differing.is_empty(), found.failed.clone());
        drop(found);
        if let Some(cause) = failed {
            return self.poison_on_error(Err(Error::Poisoned { cause }));
        }
        if !differs {
            return Ok(());
        }
        let marked = self.mark_found();
        self.poison_on_error(marked)
    }

    /// What an open does once it has loaded the sections.
    pub(super) fn mark_found(&mut self) -> Result<()> {
        self.forget_lost_positions()?;
        self.mark_loaded()?;
        self.note_loaded();
        Ok(())
    }

    /// From now on nothing is cut but by the writer, and the manifest is its own.
    pub(super) fn take_manifest(&mut self) {
        if let Some(cuts) = self.cuts.take() {
            self.manifest = cuts.end(&self.shared);
        }
    }

    /// The manifest as the disk has it.
    pub(super) fn stored_manifest(&self) -> Manifest {
        let of_cuts = self.cuts.as_ref().map(BeforeCuts::manifest);
        of_cuts.unwrap_or_else(|| self.manifest.clone())
    }
}
