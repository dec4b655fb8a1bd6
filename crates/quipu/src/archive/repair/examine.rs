//! What of one section is damaged, and what a repair would make of it; changes nothing.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::super::check::{Checked, gone};
use super::super::rewrite::Kept;
use super::super::section::Section;
use super::super::shared::Shared;
use super::quarantine::{Cabinet, Exhibit};
use super::report::SectionRepair;
use crate::error::{Error, Result};
use crate::format::{Layouts, section_name};
use crate::index::Runs;
use crate::manifest::{Mark, Marks};
use crate::storage::BlobFile;

const READ_AHEAD_BYTES: usize = 1 << 20;
/// So many findings of a section are told.
const MAX_TOLD: usize = 16;

/// What is damaged of a section, and what a repair does about it.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) number: u64,
    /// What is damaged, in the order found.
    pub(super) why: Vec<Error>,
    /// Whether the index file, and the value file, is gone or has a header that is not one.
    pub(super) bad_files: [bool; 2],
    pub(super) entries_lost: u64,
    pub(super) entries_kept: u64,
    /// The entries that stay, of a section that is loaded.
    pub(super) kept: Kept,
    /// What the entries that stay hold.
    kept_indices: Runs,
    /// Offset and size of damaged values, as their entries say.
    values: Vec<(u64, u32)>,
    /// Indices that hold nothing whole.
    pub(super) lost: Runs,
    pub(super) exhibits: Vec<Exhibit>,
}

impl Findings {
    /// Whether nothing is damaged.
    pub(super) fn is_empty(&self) -> bool {
        self.why.is_empty()
    }

    /// What a report says of them.
    pub(super) fn told(self, shared: &Shared) -> SectionRepair {
        let quarantine = self.exhibits.iter().map(|of| of.told(shared));
        SectionRepair {
            section: self.number,
            path: shared.files_of(self.number, Layouts::default()).0.path(),
            entries_kept: self.entries_kept,
            entries_lost: self.entries_lost,
            lost: self.lost.ranges().collect(),
            quarantine: quarantine.collect(),
            why: self.why,
        }
    }

    fn find(&mut self, error: Error) {
        if self.why.len() < MAX_TOLD {
            self.why.push(error);
        }
    }

    /// Takes in one entry.
    fn take(&mut self, shared: &Shared, checked: Checked<'_>) {
        let position = checked.position;
        match (checked.damage, checked.index) {
            (None, Some(index)) => {
                self.entries_kept += 1;
                self.kept.positions.push(position);
                self.kept_indices.insert(index);
            }
            (damage, index) => {
                self.entries_lost += 1;
                if let Some(entry) = checked.entry {
                    let key = shared.entry.key(entry).to_vec();
                    self.kept.dropped.push((position, key));
                    // Of an entry that is not the section's, nothing is its own.
                    let location = shared.entry.location(entry);
                    self.values.extend(index.map(|_| location));
                }
                if let Some(error) = damage {
                    self.find(error);
                }
            }
        }
    }
}

impl Shared {
    /// Reads and checks a section that is loaded.
    pub(super) fn examine(&self, section: &Arc<Section>) -> Result<Findings> {
        let mut findings = Findings {
            number: section.number,
            ..Findings::default()
        };
        let known = self.known_indices(section.number);
        let files = self.check_files(section)?;
        findings.bad_files = [files[0].is_some(), files[1].is_some()];
        // A file that cannot be opened is no reason to call each of its entries damaged.
        section.pair.records.file().get()?;
        section.pair.values.file().get()?;
        files
            .into_iter()
            .flatten()
            .chain(section.foreign.errors(&section.pair))
            .for_each(|error| findings.find(error));
        self.check_entries(section, 0, READ_AHEAD_BYTES, &mut |checked| {
            findings.take(self, checked);
            ControlFlow::Continue(())
        })?;
        if findings.is_empty() {
            return Ok(findings);
        }
        findings.lost = known.without(&findings.kept_indices);
        self.choose_exhibits(section, &mut findings)?;
        Ok(findings)
    }

    fn choose_exhibits(&self, section: &Section, findings: &mut Findings) -> Result<()> {
        let cabinet = Cabinet::of(self, section.number)?;
        findings.exhibits.extend(cabinet.index_file()?);
        if findings.bad_files[1] {
            findings.exhibits.extend(cabinet.value_file()?);
            return Ok(());
        }
        let values = &section.pair.values;
        let there = values.file().get()?.len()?;
        let header_size = values.layout().header_size();
        let spans = spans(&mut findings.values, there);
        let exhibits = spans
            .into_iter()
            .map(|(offset, end)| cabinet.values(offset, end - offset, header_size));
        findings.exhibits.extend(exhibits);
        Ok(())
    }

    /// What a repair makes of a section of which nothing can be read; none where it can be again.
    pub(super) fn examine_unreadable(&self, number: u64, mark: &Mark) -> Result<Option<Findings>> {
        let Err(error) = self.check_readable(number) else {
            return Ok(None);
        };
        if !error.is_corruption() {
            return Err(error);
        }
        let mut findings = Findings {
            number,
            bad_files: [true, true],
            entries_lost: mark.records,
            lost: self.known_indices(number),
            ..Findings::default()
        };
        let cabinet = Cabinet::of(self, number)?;
        findings.exhibits.extend(cabinet.index_file()?);
        // Where the index file alone is gone, what is left of the values stays where it is.
        let index_is_gone = self.is_gone(&self.files_of(number, Layouts::default()).0)?;
        if !index_is_gone {
            findings.exhibits.extend(cabinet.value_file()?);
        }
        findings.find(error);
        Ok(Some(findings))
    }

    /// Sections that were durable and of which no file is left.
    pub(in crate::archive) fn gone(&self, marks: &Marks) -> Result<Vec<u64>> {
        let is_known =
            |number| self.sections.contains(number) || self.unreadable().contains(&number);
        let mut gone = Vec::new();
        for (&number, mark) in marks.sections.range(self.floor()..) {
            if mark.records > 0 && !is_known(number) {
                let (records, values) = self.files_of(number, Layouts::default());
                if self.is_gone(&records)? && self.is_gone(&values)? {
                    gone.push(number);
                }
            }
        }
        Ok(gone)
    }

    /// Whether there is no such file.
    pub(in crate::archive) fn is_gone(&self, file: &BlobFile) -> Result<bool> {
        let name = section_name(file.section());
        let names = self.storage.list(file.partition())?;
        Ok(names.binary_search(&name).is_err())
    }

    /// A section of which no file is left.
    pub(super) fn examine_gone(&self, number: u64, mark: &Mark) -> Findings {
        let mut findings = Findings {
            number,
            entries_lost: mark.records,
            lost: self.known_indices(number),
            ..Findings::default()
        };
        findings.find(gone(self.files_of(number, Layouts::default()).0.path()));
        findings
    }
}

/// The bytes that damaged values take and that are there, from offset to end; what stands back to
/// back is one.
fn spans(values: &mut [(u64, u32)], there: u64) -> Vec<(u64, u64)> {
    values.sort_unstable();
    let mut spans: Vec<(u64, u64)> = Vec::new();
    for &mut (offset, size) in values {
        let end = offset.saturating_add(size.into()).min(there);
        match spans.last_mut() {
            Some((_, last)) if offset <= *last => *last = end.max(*last),
            _ if offset < end => spans.push((offset, end)),
            _ => {}
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_values_side_by_side_are_one_span() {
        let mut values = vec![(50, 10), (0, 10), (10, 5), (12, 1), (90, 20), (200, 4)];
        assert_eq!(spans(&mut values, 100), [(0, 15), (50, 60), (90, 100)]);
        assert_eq!(spans(&mut [(u64::MAX, 9)], 100), []);
    }
}
