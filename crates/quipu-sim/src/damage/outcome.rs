//! What came of one case.

use std::fmt;

/// An answer that is not right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The library panicked.
    Panic,
    /// A value that was never put under that index or key.
    Wrong,
    /// A value that was put there once, and dropped again.
    Former,
    /// The archive cannot be opened for writing.
    Refused,
    /// The archive cannot be opened for reading.
    RefusedReadOnly,
    /// An item of which every byte is there cannot be read.
    LostBeyond,
    /// An item can be read of which bytes are gone: the oracle is wrong.
    Oracle,
    /// A lost index is not `Damaged`.
    NotDamaged,
    /// An index that can be read is not `Present`.
    FalselyDamaged,
    /// `missing_items` or `missing_ranges` is wrong.
    Missing,
    /// `has` is wrong.
    Presence,
    /// By index there is something else than by key.
    ByIndex,
    /// A scan yields something else than gets do.
    Scan,
    /// An error that is none of damage.
    OddError,
    /// Reader and writer do not agree on what can be read.
    ReaderDiffers,
    /// Opening for reading changed a file.
    ReaderWrote,
    /// Opening for writing changed a section's file that has its whole length.
    OpenChanged,
    /// A second open finds something else than the first.
    Unstable,
    /// `verify` fails.
    VerifyFails,
    /// `verify` does not tell of a lost index.
    VerifySilent,
    /// `verify` does not name the damaged file though items are lost.
    VerifyNamesNoFile,
    /// Indices are told lost that hold nothing, or can be read.
    Phantom,
    /// A lost item cannot be put again.
    PutRefused,
    /// After puts of everything lost, something cannot be read.
    NotMended,
    /// The same after a restart.
    NotMendedLater,
    /// Closing fails.
    CloseFails,
}

impl Fault {
    /// In words, for a table.
    pub fn words(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Wrong => "wrong value",
            Self::Former => "value that was dropped",
            Self::Refused => "open refused",
            Self::RefusedReadOnly => "open for reading refused",
            Self::LostBeyond => "whole item lost",
            Self::Oracle => "item readable without its bytes",
            Self::NotDamaged => "lost index not told Damaged",
            Self::FalselyDamaged => "readable index not told Present",
            Self::Missing => "missing_items wrong",
            Self::Presence => "has wrong",
            Self::ByIndex => "by index and by key differ",
            Self::Scan => "scan and gets differ",
            Self::OddError => "error that is none of damage",
            Self::ReaderDiffers => "reader and writer differ",
            Self::ReaderWrote => "reader changed a file",
            Self::OpenChanged => "writer changed a section's file",
            Self::Unstable => "second open differs",
            Self::VerifyFails => "verify fails",
            Self::VerifySilent => "verify does not tell of a lost index",
            Self::VerifyNamesNoFile => "verify does not name the file",
            Self::Phantom => "index told lost that is not",
            Self::PutRefused => "lost item cannot be put again",
            Self::NotMended => "put again and not readable",
            Self::NotMendedLater => "put again and not readable after a restart",
            Self::CloseFails => "close fails",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// What came of one case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Items of which bytes are gone.
    pub least: u64,
    /// Items that cannot be read.
    pub lost: u64,
    /// Items that cannot be read though every byte is there.
    pub beyond: u64,
    /// What was not right, with details.
    pub faults: Vec<(Fault, String)>,
}

impl Outcome {
    /// Notes an answer that is not right.
    pub(super) fn fault(&mut self, fault: Fault, text: String) {
        self.faults.push((fault, text));
    }

    /// Whether there is such a fault.
    pub fn has(&self, fault: Fault) -> bool {
        self.faults.iter().any(|(of, _)| *of == fault)
    }
}
