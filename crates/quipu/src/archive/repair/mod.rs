//! Repair: sections written anew without their damage, the old bytes kept.
//!
//! ```text
//! examine      read and check everything of a section; nothing is changed
//! quarantine   the old index file, the bytes of damaged values: copied, flushed, named, flushed
//! announce     the manifest says which section, so that readers do not mix old and new pages
//! rewrite      the entries that are whole, in a new index file; one rename switches
//! mark         so many entries are durable now; the lost indices stay in the mark's runs
//! ```
//!
//! # Invariants
//!
//! - The value file stays as it is: what is kept stands where it stood. A file with a damaged header
//!   is copied behind a right one, and a rename switches.
//! - The mark is lowered after the rename, and notes of damage that would mean another entry of the new
//!   file are forgotten before it: see [`rewrite`](super::rewrite).
//! - What was lost stays told until it is put again: the marks keep its indices.
//!
//! # Recovery
//!
//! A crash leaves each section as it was, or repaired; the next open only takes back what was
//! announced. A second repair goes on with what is left, and keeps its own copies.
//!
//! # Cost
//!
//! One read of all files. For each section with damage: a copy of its index file, the writing of a
//! new one, about eight flushes.

mod examine;
mod quarantine;
mod report;

use std::io::IoSlice;
use std::sync::Arc;

use super::follow;
use super::prune::remove_files;
use super::section::Section;
use super::shared::Shared;
use super::writer::Writer;
use crate::error::{Error, Result};
use crate::format::{Layout, NEW_SUFFIX, section_name};
use crate::manifest::{Manifest, Mark, Marks, MarksLog, State};
use crate::storage::{BlobFile, OpenMode};
use examine::Findings;
pub(super) use quarantine::{disk_len, is_exhibit, keep_values};
pub use report::{Quarantined, RepairReport, SectionRepair};

impl Shared {
    /// What a repair would do; reads everything and changes nothing.
    pub(super) fn plan_repair(&self) -> Result<RepairReport> {
        self.look()?;
        let planned = self.examine_all();
        let is_clean = matches!(&planned, Ok(all) if all.iter().all(Findings::is_empty));
        if let Some(opened) = self.shown_as.get().filter(|_| !is_clean) {
            // Or it is for a writer of another process that files are gone, or others.
            follow::floor(self, opened.continued(&*self.storage)?.floor);
        }
        let mut all = planned?;
        let floor = self.floor();
        all.retain(|findings| !findings.is_empty() && findings.number >= floor);
        all.sort_by_key(|findings| findings.number);
        let sections = all.into_iter().map(|findings| findings.told(self));
        Ok(RepairReport {
            sections: sections.collect(),
        })
    }

    fn examine_all(&self) -> Result<Vec<Findings>> {
        let manifest = Manifest::load(&*self.storage)?.ok_or_else(|| Error::NotAnArchive {
            path: self.path(),
            reason: "its manifest is gone".to_owned(),
        })?;
        let (marks, _) = MarksLog::open(&self.storage, &manifest)?;
        let mut all = Vec::new();
        for number in self.unreadable() {
            let mark = mark_of(marks.marks(), number);
            let findings = self.examine_unreadable(number, &mark);
            if !self.is_pruned(number, &findings) {
                all.extend(findings?);
            }
        }
        for number in self.gone_for_good(&manifest, marks.marks())? {
            all.push(self.examine_gone(number, &mark_of(marks.marks(), number)));
        }
        for number in self.sections.numbers() {
            let Some(section) = self.section(number)? else {
                continue;
            };
            let findings = self.examine(&section);
            if !self.is_dropped(&section, &findings) {
                all.push(findings?);
            }
        }
        Ok(all)
    }

    /// As [`gone`](Self::gone), but not those that a writer beside drops or replaces: it says so before a file goes,
    /// of a prune and a repair in the manifest, of a rewind in the marks as well.
    fn gone_for_good(&self, manifest: &Manifest, marks: &Marks) -> Result<Vec<u64>> {
        let mut gone = self.gone(marks)?;
        if gone.is_empty() {
            return Ok(gone);
        }
        let (marks, _) = MarksLog::open(&self.storage, manifest)?;
        gone.retain(|&number| mark_of(marks.marks(), number).records > 0);
        let now = Manifest::load(&*self.storage)?;
        match now.is_some_and(|now| now.has_same_files(manifest)) {
            true => Ok(gone),
            false => Ok(Vec::new()),
        }
    }
}

/// The mark of a section, or one of nothing.
fn mark_of(marks: &Marks, section: u64) -> Mark {
    marks.of(section).cloned().unwrap_or_default()
}

impl Writer {
    /// Writes each section that has damage anew without it.
    pub(super) fn repair(&mut self) -> Result<RepairReport> {
        self.check_usable()?;
        self.look()?;
        self.checkpoint()?;
        let kept = self.log.keep_alone();
        self.poison_on_error(kept)?;
        self.keeper.stop(&self.shared);
        let repaired = self.repair_each();
        // Also where one failed behind others: readers beside wait as long as a repair is announced.
        let ended = match self.manifest.state {
            State::Repairing(_) if self.check_usable().is_ok() => self.end_repair(),
            _ => Ok(()),
        };
        let ended = self.poison_on_error(ended);
        let mut sections = repaired?;
        ended?;
        sections.sort_by_key(|of| of.section);
        Ok(RepairReport { sections })
    }

    fn repair_each(&mut self) -> Result<Vec<SectionRepair>> {
        let shared = Arc::clone(&self.shared);
        let mut sections = Vec::new();
        for number in shared.unreadable() {
            sections.extend(self.repair_unreadable(number)?);
        }
        for number in shared.gone(self.marks.marks())? {
            sections.push(self.repair_gone(number)?);
        }
        self.end_pending_rewind()?;
        // Their keys are in memory then, until tables are made of them again.
        shared.verify_tables(&mut drop)?;
        for number in shared.sections.numbers() {
            if let Some(section) = shared.settled_section(number)? {
                sections.extend(self.repair_section(&section)?);
            }
        }
        Ok(sections)
    }

    /// Says that the files of a section are about to be replaced; readers that have positions in
    /// them begin anew. A rewind that waits stays announced.
    fn announce_rewrite(&mut self, section: u64) -> Result<()> {
        if !matches!(self.manifest.state, State::Rewinding(_)) {
            self.manifest.state = State::Repairing(section);
        }
        self.manifest.rewinds = self.manifest.rewinds.saturating_add(1);
        self.manifest.store(&self.shared.storage)
    }

    /// Says that no section is being written anew.
    pub(super) fn end_repair(&mut self) -> Result<()> {
        // From here on marks from before are not believed.
        self.marks.rewrite_for(&self.manifest, |_| {})?;
        self.manifest.state = State::Open;
        self.manifest.store(&self.shared.storage)
    }

    fn repair_section(&mut self, section: &Arc<Section>) -> Result<Option<SectionRepair>> {
        let shared = Arc::clone(&self.shared);
        let mut findings = shared.examine(section)?;
        if findings.is_empty() {
            return Ok(None);
        }
        // Nothing of the archive has changed if this fails.
        quarantine::keep(&shared, &mut findings.exhibits)?;
        let applied = self.apply(section, &findings);
        self.poison_on_error(applied)?;
        Ok(Some(findings.told(&shared)))
    }

    fn apply(&mut self, section: &Arc<Section>, findings: &Findings) -> Result<()> {
        // Also where only a header is mended: a reader of another process has the old file open.
        self.announce_rewrite(section.number)?;
        let [bad_index, bad_values] = findings.bad_files;
        if bad_values {
            let values = &section.pair.values;
            mend_header(values.file(), values.layout())?;
        }
        if findings.entries_lost > 0 {
            return self.rewrite_without_damage(section, findings);
        }
        if bad_index {
            let records = &section.pair.records;
            mend_header(records.file(), records.layout())?;
        }
        // Marks are believed up to one announcement behind, and there may be another section.
        self.marks.rewrite_for(&self.manifest, |_| {})
    }

    fn rewrite_without_damage(
        &mut self,
        section: &Arc<Section>,
        findings: &Findings,
    ) -> Result<()> {
        self.shared.lose(&findings.lost);
        self.replace_entries(section, &findings.kept)
    }

    fn repair_unreadable(&mut self, number: u64) -> Result<Option<SectionRepair>> {
        let shared = Arc::clone(&self.shared);
        let mark = mark_of(self.marks.marks(), number);
        let Some(mut findings) = shared.examine_unreadable(number, &mark)? else {
            return Ok(None);
        };
        quarantine::keep(&shared, &mut findings.exhibits)?;
        let emptied = self.empty_section(&findings);
        self.poison_on_error(emptied)?;
        Ok(Some(findings.told(&shared)))
    }

    /// Removes the files of a section of which nothing can be read; its indices stay in its mark.
    fn empty_section(&mut self, findings: &Findings) -> Result<()> {
        let number = findings.number;
        self.announce_rewrite(number)?;
        remove_files(&self.shared, std::iter::once(number))?;
        self.shared.lose(&findings.lost);
        self.shared.unreadable.write().remove(&number);
        self.set_mark(number, lost_mark(findings))
    }

    /// Both files are gone: only the mark still says otherwise.
    fn repair_gone(&mut self, number: u64) -> Result<SectionRepair> {
        let mark = mark_of(self.marks.marks(), number);
        let findings = self.shared.examine_gone(number, &mark);
        let marked = self.set_mark(number, lost_mark(&findings));
        self.poison_on_error(marked)?;
        Ok(findings.told(&self.shared))
    }
}

/// The mark of a section that has lost everything.
fn lost_mark(findings: &Findings) -> Mark {
    Mark {
        runs: findings.lost.clone(),
        ..Mark::default()
    }
}

/// Puts a file with a right header and the same data in the place of one, at once and durably.
fn mend_header(file: &BlobFile, layout: Layout) -> Result<()> {
    let storage = file.files().storage();
    let name = section_name(file.section());
    let temporary = format!("{name}{NEW_SUFFIX}");
    let old = file.get()?;
    let new = storage.open(file.partition(), &temporary, OpenMode::Create)?;
    new.resize(0)?;
    new.write_at(&[IoSlice::new(&layout.encode())], 0)?;
    quarantine::copy_data(&old, &*new, layout.header_size())?;
    new.sync()?;
    storage.rename(file.partition(), &temporary, &name)?;
    storage.sync_partition(file.partition())?;
    file.forget();
    Ok(())
}
