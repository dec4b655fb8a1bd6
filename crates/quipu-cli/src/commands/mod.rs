//! One file a subcommand.

pub(crate) mod adopt;
pub(crate) mod gaps;
pub(crate) mod get;
pub(crate) mod git;
pub(crate) mod import;
mod import_git;
pub(crate) mod import_lines;
pub(crate) mod info;
pub(crate) mod prune;
pub(crate) mod put;
pub(crate) mod range;
pub(crate) mod repair;
pub(crate) mod scrub;
pub(crate) mod verify;
