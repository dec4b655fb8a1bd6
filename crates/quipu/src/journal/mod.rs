//! What a section is made of, as parts that can be used on their own.
//!
//! - [`Fixed`]: records of one size, in checksummed pages, by section and position.
//! - [`Glob`]: values of any size, checksummed, by section, offset and size.
//! - [`Oversized`]: both together: records that name a value, and the value.
//!
//! A *section* is a number chosen by the caller; it has one file in each journal's partition, and
//! is the unit of pruning.

mod config;
mod fixed;
mod glob;
mod oversized;
mod sections;

pub use config::Config;
pub(crate) use config::{RecordConfig, ValueConfig};
pub(crate) use fixed::RecordFile;
pub use fixed::{Fixed, Record};
pub use glob::Glob;
pub(crate) use glob::ValueFile;
pub(crate) use oversized::{Durable, Pair, PairConfig, Present, Trust};
pub use oversized::{Located, Oversized, Reason, SectionReport};
