//! Scrubbing: verification in the background, a bounded piece at a time.
//!
//! ```text
//! pass:   newest section ──► … ──► oldest section      what is put meanwhile belongs to the next
//!              │
//! step:        └─ from (section, position) on, about so many bytes of entries and values
//! place:  quipu/scrub, written every 16 MiB, at the end of a pass and when the scrub is dropped
//! ```
//!
//! # Invariants
//!
//! - It finds what [`verify`](super::Reader::verify) finds, with the same check.
//! - A section that is dropped or written anew while it is checked is left, and the next one taken.
//! - No step outlives the archive: closing it waits for the one under way, which ends at the next
//!   entry.
//! - Damage counts from when it is found, and reaches the marks as that which a read finds.
//!
//! # Recovery
//!
//! The place only saves work. After a crash the pass goes on from the last one that was written; without
//! one that can be used, a new pass begins.
//!
//! # Cost
//!
//! A step reads its bytes and a page or two of the index file twice. The place costs a small file and
//! three flushes every 16 MiB.

mod background;
mod options;
mod state;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::check::Checked;
use super::section::Section;
use super::section_table::Known;
use super::shared::Shared;
use super::verify::{VerifyEvent, VerifyReport};
use super::writer::Writer;
use crate::entropy;
use crate::error::{Error, Result};
use crate::format::EntryLayout;
use crate::manifest::Place;
pub use background::ScrubHandle;
pub use options::ScrubOptions;
pub(super) use state::ScrubState;

/// Bytes of an index file that are read at a time, at the least and at the most.
const MIN_READ_AHEAD: u64 = 4096;
const MAX_READ_AHEAD: u64 = 1 << 20;
/// So many bytes may have to be checked again after a crash.
const BYTES_PER_PLACE: u64 = 16 << 20;

/// Verification of an archive in steps. There is one at a time for each archive that is open.
pub struct Scrub {
    shared: Arc<Shared>,
    options: ScrubOptions,
    place: Place,
    /// The section at the place, once it was looked up.
    current: Option<Arc<Section>>,
    /// Bytes checked since the place was written.
    unsaved: u64,
}

/// How far a scrub has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScrubProgress {
    /// Bytes of entries and values that this step checked.
    pub checked: u64,
    /// Bytes that the pass has checked, of
    pub done: u64,
    /// so many that there were when it began.
    pub total: u64,
    /// Damaged entries and files, and sections that cannot be read, that the pass has found.
    pub findings: u64,
    /// Passes that have ended, since the archive was created or the place was lost.
    pub passes: u64,
    /// When the pass began, in seconds since 1970.
    pub began: u64,
    /// Whether the pass ended with this step; the next step begins another.
    pub pass_ended: bool,
}

impl Scrub {
    pub(super) fn new(writer: &Writer, options: ScrubOptions) -> Result<Self> {
        options.check()?;
        let shared = Arc::clone(&writer.shared);
        shared.look()?;
        shared.scrub.take(shared.path())?;
        // From here on its drop lets others in again.
        let mut scrub = Self {
            options,
            place: Place::default(),
            current: None,
            unsaved: 0,
            shared,
        };
        let found = Place::load(&*scrub.shared.storage)?;
        scrub.place = found
            .filter(|place| place.id == writer.manifest.id)
            .unwrap_or_default();
        if scrub.place.rewinds != writer.manifest.rewinds {
            // Its section may have been written anew since.
            scrub.place.position = 0;
        }
        scrub.place.id = writer.manifest.id;
        scrub.place.rewinds = writer.manifest.rewinds;
        scrub.shared.scrub.publish(&scrub.place);
        Ok(scrub)
    }

    /// Checks about so many bytes of entries and values, one entry at the least, and ends early at
    /// the end of the pass.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] once the archive is closed; what [`verify`](super::Reader::verify) fails
    /// with, and then the next step tries the same entry again. A place that cannot be written is
    /// an error too, but for want of room; the archive is none the worse.
    pub fn step(&mut self, max_bytes: u64) -> Result<ScrubProgress> {
        let shared = Arc::clone(&self.shared);
        let Some(_gate) = shared.scrub.enter() else {
            return Err(Error::Closed {
                path: shared.path(),
            });
        };
        if !self.place.under_way {
            self.begin()?;
        }
        let max_bytes = max_bytes.max(1);
        let mut checked = 0;
        let mut pass_ended = false;
        while checked < max_bytes && !shared.scrub.is_closing() {
            let Some(section) = self.section()? else {
                pass_ended = true;
                break;
            };
            let before = self.place.done;
            let result = self.check(&section, max_bytes - checked);
            checked += self.place.done - before;
            if !shared.is_dropped(&section, &result) {
                result?;
            }
        }
        self.unsaved = self.unsaved.saturating_add(checked);
        if pass_ended {
            self.end();
        }
        self.report(checked, pass_ended)
    }

    /// How far it has come, as of the last step.
    pub fn progress(&self) -> ScrubProgress {
        ScrubProgress {
            checked: 0,
            done: self.place.done,
            total: self.place.total,
            findings: self.place.findings,
            passes: self.place.passes,
            began: self.place.began,
            pass_ended: false,
        }
    }

    fn begin(&mut self) -> Result<()> {
        let sections = self.shared.sections.all();
        let entry = self.shared.entry;
        let since = match entropy::is_simulated() {
            // Of one seed all runs are the same.
            true => Duration::ZERO,
            false => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
        };
        self.place = Place {
            under_way: true,
            began: since.as_secs(),
            total: sections.iter().map(|known| bytes_of(known, entry)).sum(),
            done: 0,
            findings: 0,
            ..self.place
        };
        self.go_to(None)
    }

    /// Goes to the last section before one; to the last of all where none is given. None where there is none.
    fn go_to(&mut self, before: Option<u64>) -> Result<()> {
        self.current = None;
        let mut before = before;
        while let Some(number) = self.shared.sections.before(before) {
            if let Some(section) = self.shared.section(number)? {
                self.place.section = number;
                self.place.position = 0;
                self.place.entries = entries_of(&section);
                self.current = Some(section);
                break;
            }
            // Dropped meanwhile, or told at the end with what cannot be read.
            before = Some(number);
        }
        Ok(())
    }

    /// The section to go on with; none at the end of the pass.
    fn section(&mut self) -> Result<Option<Arc<Section>>> {
        let now = self.shared.section(self.place.section)?;
        let same = match (&now, &self.current) {
            (Some(now), Some(current)) => Arc::ptr_eq(now, current),
            // After a restart.
            (Some(_), None) => true,
            (None, _) => false,
        };
        if same && self.place.position < self.place.entries {
            self.current.clone_from(&now);
            return Ok(now);
        }
        self.go_to(Some(self.place.section))?;
        Ok(self.current.clone())
    }

    /// Checks entries of a section from the place on.
    fn check(&mut self, section: &Arc<Section>, max_bytes: u64) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let (position, entries) = (self.place.position, self.place.entries);
        if position == 0 {
            self.check_files(section)?;
        }
        let read_ahead = max_bytes.clamp(MIN_READ_AHEAD, MAX_READ_AHEAD) as usize;
        let end = self.place.done.saturating_add(max_bytes);
        let mut at_end = true;
        let checked = shared.check_entries(section, position, read_ahead, &mut |checked| {
            if checked.position >= entries {
                return ControlFlow::Break(());
            }
            self.take(section, checked);
            match self.place.done >= end || shared.scrub.is_closing() {
                true => {
                    at_end = false;
                    ControlFlow::Break(())
                }
                false => ControlFlow::Continue(()),
            }
        });
        match checked {
            // A file of it cannot be opened again: the pass goes on with the next section.
            Err(error) if error.is_corruption() && !section.is_retired() => {
                let section = Some(section.number);
                self.find(VerifyEvent::File { section, error });
            }
            checked => checked?,
        }
        if at_end {
            self.place.position = entries;
        }
        Ok(())
    }

    fn check_files(&mut self, section: &Section) -> Result<()> {
        let files = self.shared.damage_of_files(section)?;
        if !section.is_retired() {
            for error in files {
                self.find(VerifyEvent::File {
                    section: Some(section.number),
                    error,
                });
            }
        }
        Ok(())
    }

    fn take(&mut self, section: &Section, checked: Checked<'_>) {
        let entry = self.shared.entry;
        // What a damaged entry says of its size is nothing to count with.
        let value = checked.entry.filter(|_| checked.damage.is_none());
        let value = value.map_or(0, |bytes| u64::from(entry.location(bytes).1));
        self.place.position = checked.position + 1;
        self.place.done = self.place.done.saturating_add(entry.size() as u64 + value);
        if let Some(damaged) = self.shared.note_checked(section, checked) {
            self.find(VerifyEvent::Damage(damaged));
        }
    }

    fn find(&mut self, event: VerifyEvent) {
        self.place.findings = self.place.findings.saturating_add(1);
        self.tell(event);
    }

    fn tell(&mut self, event: VerifyEvent) {
        if let Some(on_event) = &mut self.options.on_event {
            on_event(event);
        }
    }

    fn end(&mut self) {
        let mut report = VerifyReport::default();
        let shared = Arc::clone(&self.shared);
        shared.verify_lost(&mut report, &mut |event| self.tell(event));
        let place = &mut self.place;
        place.findings = place.findings.saturating_add(report.unreadable_sections);
        place.passes = place.passes.saturating_add(1);
        place.under_way = false;
        place.done = place.total;
        self.current = None;
    }

    /// Publishes and tells how far it has come, and writes that down now and then.
    fn report(&mut self, checked: u64, pass_ended: bool) -> Result<ScrubProgress> {
        self.shared.scrub.publish(&self.place);
        self.tell(VerifyEvent::Progress {
            done: self.place.done,
            total: self.place.total,
        });
        if pass_ended || self.unsaved >= BYTES_PER_PLACE {
            match self.place.store(&self.shared.for_derived) {
                // The next one may find room; until then a later scrub has more to check.
                Err(Error::StorageFull { .. }) => {}
                stored => {
                    stored?;
                    self.unsaved = 0;
                }
            }
        }
        Ok(ScrubProgress {
            checked,
            pass_ended,
            ..self.progress()
        })
    }
}

/// Entries of a section that belong to a pass: one at the least, so that the files of an empty section
/// are looked at too.
fn entries_of(section: &Section) -> u64 {
    section.pair.records.len().max(1)
}

/// Bytes of a section that a pass checks.
fn bytes_of(section: &Known, entry: EntryLayout) -> u64 {
    let (entries, value_bytes) = section.len();
    let entries = entries.saturating_mul(entry.size() as u64);
    entries.saturating_add(value_bytes)
}

impl std::fmt::Debug for Scrub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scrub")
            .field("options", &self.options)
            .field("progress", &self.progress())
            .finish_non_exhaustive()
    }
}

impl Drop for Scrub {
    fn drop(&mut self) {
        let shared = Arc::clone(&self.shared);
        if let Some(_gate) = shared.scrub.enter()
            && self.unsaved > 0
        {
            // Without it the next scrub has a little more to check.
            let _ = self.place.store(&shared.for_derived);
        }
        shared.scrub.leave();
    }
}
