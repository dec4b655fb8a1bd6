//! One small file that makes small syncs durable with one flush, and those that are scattered over many sections.
//!
//! A sync of a few items, or of a few for each of its sections, appends what the section files lack to this log, and flushes it. Its blocks were written
//! when it was made, so a flush has no metadata of the file system to write: it takes about a third of the time that
//! the flushes of a value file and an index file take, which grow. The same bytes then go to the section files without
//! a flush, for readers of other processes. A *checkpoint* flushes those, and the log begins anew.
//!
//! ```text
//! quipu/commit-log   | header | generation | generation | record | record | … | old bytes, or zeros |
//! record             | CRC | length | generation | sequence | sections: value bytes, page growths |
//! ```
//!
//! # Invariants
//!
//! - What a record holds was appended to section files whose names are durable, behind what a flush made durable there:
//!   the index file has a page by then.
//! - Records of the generation follow each other with sequences 0, 1, 2, …. A checkpoint writes a new generation, in
//!   turns into one of two blocks, after the section files were flushed and before anything else is done to them.
//! - An open for writing begins a generation of its own before it writes anything behind what it found. It writes both
//!   blocks, one behind the other: none that says that the log is closed stands beside one with records.
//! - What is kept for files that are away goes before the first entry comes to others in their place.
//! - What was shown is read from memory until the section files are flushed.
//!
//! # Recovery
//!
//! An open for writing brings the section files to where the last whole record left them, before it looks at them. A
//! page that holds as much already stays as it is. Nothing that a file has below a mark is changed, no byte that is
//! committed, no page that would not check afterwards, and nothing of a section whose mark is of another life. What is
//! shorter than its mark goes on behind that. An open for reading does the same to what it sees of the files, once the
//! log is flushed, and changes none.
//!
//! # Cost
//!
//! A sync writes its bytes twice; one of many sections hardly more than without it, since each of its files gets whole
//! blocks. The log is longer for these, or it would be full after a few of them. Write-ahead logging with redo of physical bytes, as in C. Mohan et al., ARIES: a
//! transaction recovery method, 1992, of which append-only files need the least part.

mod file;
mod overlay;
mod record;
mod redo;
mod unreadable;

pub(crate) use file::{CommitLog, Limits, MAX_BYTES, MIN_BYTES, flush, remove};
pub(crate) use overlay::Redone;
pub(crate) use record::Records;
#[cfg(test)]
pub(crate) use record::{MAGIC, VERSION};
pub(crate) use redo::{Files, Redo};
