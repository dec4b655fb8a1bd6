//! Damage: small archives, every byte, length, block and file of which is damaged in turn.
//!
//! ```text
//! shape ── case ──> damaged files ──┬── oracle: which items still have all their bytes
//!                                   └── check:  opened for reading, for writing, again; verified;
//!                                               what is lost put again; opened once more
//! ```
//!
//! The [`Oracle`] reads the files by a parser of its own ([`Format`]), written from
//! `docs/format.md`. What a case loses beyond the items whose bytes are gone, and every answer
//! that is not right, is a [`Fault`].
//!
//! # Invariants
//!
//! - A case is named by shape, file and damage, and does the same in every run.
//! - No case sees the files of another.
//!
//! # Cost
//!
//! A case opens an archive four times: about a millisecond.

mod case;
mod check;
mod explained;
mod files;
mod format;
mod golden;
mod look;
mod oracle;
mod outcome;
mod report;
mod run;
mod shape;
mod shapes;

pub use case::{BLOCK, Case, Damage, Masks};
pub use check::check;
pub use explained::explained;
pub use files::{FileName, Files, INDEX, OWN, VALUES};
pub use format::{Entry, Format, crc32c, header_size};
pub use golden::adopted;
pub use oracle::Oracle;
pub use outcome::{Fault, Outcome};
pub use report::{Count, Report, Row};
pub use run::{Plan, run};
pub use shape::{Fallible, Item, Script, Shape};
pub use shapes::written;
