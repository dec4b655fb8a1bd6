//! What the recovery of a section did.

use std::fmt;

use crate::journal::fixed::RecordCut;

/// What was cut from the ends of a section's files when it was opened, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SectionReport {
    /// The section.
    pub section: u64,
    /// Bytes of the index file that were no whole record: parts of pages, pages that did not check,
    /// a part of a record.
    pub index_bytes_cut: u64,
    /// Records whose value was not whole.
    pub records_cut: u64,
    /// Bytes of values that no record names.
    pub value_bytes_cut: u64,
    /// Why, without repetition.
    pub reasons: Vec<Reason>,
}

/// Why something was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The index file ended in a part of a page, or in pages that did not check.
    TornPages,
    /// The index file ended in a part of a record.
    TornRecord,
    /// A record named a value beyond the end of the value file.
    ValueBeyondEnd,
    /// A record named a value whose checksum does not match.
    ValueChecksum,
    /// The value file had bytes that no record names.
    UnnamedValues,
}

impl SectionReport {
    pub(super) fn new(section: u64, cut: &RecordCut) -> Self {
        let mut report = Self {
            section,
            index_bytes_cut: cut.bytes,
            ..Self::default()
        };
        if cut.torn_pages {
            report.add(Reason::TornPages);
        }
        if cut.torn_record {
            report.add(Reason::TornRecord);
        }
        report
    }

    pub(super) fn add(&mut self, reason: Reason) {
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    /// Whether nothing was cut.
    pub fn is_clean(&self) -> bool {
        self.index_bytes_cut == 0 && self.records_cut == 0 && self.value_bytes_cut == 0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TornPages => "the index file ended in torn pages",
            Self::TornRecord => "the index file ended in a part of an entry",
            Self::ValueBeyondEnd => "an entry named a value beyond the end of the value file",
            Self::ValueChecksum => "an entry named a value whose checksum does not match",
            Self::UnnamedValues => "the value file had bytes that no entry names",
        })
    }
}

impl fmt::Display for SectionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "section {}: cut {} entries, {} bytes of the index file, {} bytes of values",
            self.section, self.records_cut, self.index_bytes_cut, self.value_bytes_cut
        )?;
        for (at, reason) in self.reasons.iter().enumerate() {
            write!(f, "{}{reason}", if at == 0 { ": " } else { ", " })?;
        }
        Ok(())
    }
}
