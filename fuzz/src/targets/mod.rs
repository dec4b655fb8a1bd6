//! What each target does with its input.

pub(crate) mod adopt;
pub(crate) mod codecs;
pub(crate) mod key_tables;
pub(crate) mod manifest;
pub(crate) mod operations;
pub(crate) mod program;
mod script;
pub(crate) mod section_files;
