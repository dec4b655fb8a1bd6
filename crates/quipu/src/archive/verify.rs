//! Reading and checking everything.

use std::ops::{ControlFlow, RangeInclusive};
use std::sync::Arc;

use super::check::{self, Checked};
use super::section::Section;
use super::shared::Shared;
use crate::error::{Error, Result};
use crate::format::Layouts;
use crate::manifest::{self, Manifest, State};
use crate::sync::atomic::Ordering;

const READ_AHEAD_BYTES: usize = 1 << 20;

/// Told while an archive is verified.
#[derive(Debug)]
#[non_exhaustive]
pub enum VerifyEvent {
    /// So many bytes of index and value files are checked, of so many.
    Progress {
        /// Bytes checked.
        done: u64,
        /// Bytes of all sections.
        total: u64,
    },
    /// A file is gone, or damaged outside of its entries and values: a section's header, a copy of
    /// the manifest, a key table. A section's data is checked all the same, as far as it can be; the next open
    /// for writing mends the manifest, and a repair removes a key table that is damaged.
    File {
        /// The section that the file is of, if of one.
        section: Option<u64>,
        /// Which file, where in it, what was expected and what was found.
        error: Error,
    },
    /// An entry, or its value, is damaged.
    Damage(DamagedEntry),
    /// Nothing of a section can be read.
    Unreadable {
        /// Its number.
        section: u64,
        /// Which file, and what is wrong with it.
        error: Error,
    },
    /// These indices were stored and cannot be read; told last, of what was told before too.
    Lost(RangeInclusive<u64>),
}

/// A damaged entry or value.
#[derive(Debug)]
#[non_exhaustive]
pub struct DamagedEntry {
    /// Its section.
    pub section: u64,
    /// Its position in the section.
    pub position: u64,
    /// Its index, where the entry can be read.
    pub index: Option<u64>,
    /// Which file, where in it, what was expected and what was found.
    pub error: Error,
}

/// What a verification found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Sections checked.
    pub sections: u64,
    /// Entries checked, damaged ones included.
    pub entries: u64,
    /// Bytes of index and value files checked.
    pub bytes: u64,
    /// Entries that are damaged, or whose values are.
    pub damaged: u64,
    /// Files that are gone, or damaged outside of their entries and values.
    pub damaged_files: u64,
    /// Sections of which nothing can be read.
    pub unreadable_sections: u64,
    /// Whether the file of durable marks is cut short or damaged: what is lost at the end of a
    /// section can then be taken for a torn end. The next open for writing makes it anew.
    pub marks_incomplete: bool,
    /// Indices that were durable and cannot be read, in all, those included that a repair has
    /// taken out; each waits to be put again.
    pub lost_indices: u128,
}

impl VerifyReport {
    /// Whether everything that was durable is there and can be read: no bytes that do not check,
    /// no index that waits to be put again, and the marks whole.
    pub fn is_clean(&self) -> bool {
        !self.needs_repair() && self.lost_indices == 0 && !self.marks_incomplete
    }

    /// Whether there are bytes on disk that do not check. [`Archive::repair`](crate::Archive::repair)
    /// takes these out; the indices they held stay among
    /// [`lost_indices`](Self::lost_indices) until they are put again.
    pub fn needs_repair(&self) -> bool {
        self.damaged > 0 || self.damaged_files > 0 || self.unreadable_sections > 0
    }
}

impl Shared {
    pub(super) fn verify(&self, tell: &mut dyn FnMut(VerifyEvent)) -> Result<VerifyReport> {
        self.look()?;
        let total = self
            .sections
            .all()
            .iter()
            .map(|known| known.disk_len())
            .fold(0_u64, |total, (index, values)| {
                total.saturating_add(index).saturating_add(values)
            });
        let mut report = VerifyReport::default();
        for error in manifest::damaged_copies(&*self.storage)? {
            report.damaged_files += 1;
            tell(VerifyEvent::File {
                section: None,
                error,
            });
        }
        self.verify_marks(&mut report, tell)?;
        self.verify_tables(&mut |error| {
            report.damaged_files += 1;
            tell(VerifyEvent::File {
                section: None,
                error,
            });
        })?;
        for number in self.sections.numbers() {
            // Dropped meanwhile, or told with what cannot be read.
            let Some(section) = self.section(number)? else {
                continue;
            };
            let verified = self.verify_section(&section, &mut report, tell);
            match verified {
                verified if self.is_dropped(&section, &verified) => {}
                // A file of it cannot be opened again.
                Err(error) if error.is_corruption() => {
                    report.damaged_files += 1;
                    let section = Some(section.number);
                    tell(VerifyEvent::File { section, error });
                }
                verified => verified?,
            }
            report.sections += 1;
            report.bytes = report.bytes.saturating_add(disk_len(&section));
            tell(VerifyEvent::Progress {
                done: report.bytes,
                total,
            });
        }
        self.verify_lost(&mut report, tell);
        report.marks_incomplete |= self.marks_incomplete.load(Ordering::Relaxed);
        Ok(report)
    }

    /// Tells what is wrong with the marks, and which sections they know of that are gone.
    fn verify_marks(
        &self,
        report: &mut VerifyReport,
        tell: &mut dyn FnMut(VerifyEvent),
    ) -> Result<()> {
        let resting = |manifest: &Manifest| manifest.state == State::Open;
        let Some(manifest) = Manifest::load(&*self.storage)?.filter(resting) else {
            return Ok(());
        };
        let (marks, damage) = manifest::examine_marks(&*self.storage, &manifest)?;
        let gone = self.gone(&marks)?;
        // A writer beside says first that files are about to go, or to be replaced.
        let is_same = |now: &Manifest| now.has_same_files(&manifest);
        if !Manifest::load(&*self.storage)?
            .as_ref()
            .is_some_and(is_same)
        {
            return Ok(());
        }
        if let Some(error) = damage {
            report.marks_incomplete = true;
            tell(VerifyEvent::File {
                section: None,
                error,
            });
        }
        for section in gone {
            report.unreadable_sections += 1;
            let (records, _) = self.files_of(section, Layouts::default());
            let error = check::gone(records.path());
            tell(VerifyEvent::Unreadable { section, error });
        }
        Ok(())
    }

    fn verify_section(
        &self,
        section: &Arc<Section>,
        report: &mut VerifyReport,
        tell: &mut dyn FnMut(VerifyEvent),
    ) -> Result<()> {
        let files = self.damage_of_files(section)?;
        // After the look: its files go only once it is retired.
        if section.is_retired() {
            return Ok(());
        }
        for error in files {
            report.damaged_files += 1;
            tell(VerifyEvent::File {
                section: Some(section.number),
                error,
            });
        }
        self.check_entries(section, 0, READ_AHEAD_BYTES, &mut |checked| {
            report.entries += 1;
            if let Some(damaged) = self.note_checked(section, checked) {
                report.damaged += 1;
                tell(VerifyEvent::Damage(damaged));
            }
            ControlFlow::Continue(())
        })
    }

    /// Damage that a check of an entry found counts from now on.
    pub(super) fn note_checked(
        &self,
        section: &Section,
        checked: Checked<'_>,
    ) -> Option<DamagedEntry> {
        let error = checked.damage?;
        if let Some(index) = checked.index {
            self.note_damage(section, checked.position, index, !error.is_unreadable());
        }
        Some(DamagedEntry {
            section: section.number,
            position: checked.position,
            index: checked.index,
            error,
        })
    }

    /// Sections that cannot be read at all, and indices that were stored and cannot be read.
    pub(super) fn verify_lost(&self, report: &mut VerifyReport, tell: &mut dyn FnMut(VerifyEvent)) {
        for section in self.unreadable() {
            if let Err(error) = self.check_readable(section) {
                report.unreadable_sections += 1;
                tell(VerifyEvent::Unreadable { section, error });
            }
        }
        let lost = self.damage.read().indices.clone();
        report.lost_indices = lost.count();
        for run in lost.ranges() {
            tell(VerifyEvent::Lost(run));
        }
    }
}

pub(super) fn disk_len(section: &Section) -> u64 {
    section
        .pair
        .records
        .disk_len()
        .saturating_add(section.pair.values.disk_len())
}
