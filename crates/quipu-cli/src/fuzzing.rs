//! What the fuzzers call: the parsers of what comes from outside, without the files around them.

use std::ffi::OsString;
use std::io::BufRead;

use clap::Parser;
use quipu::{Archive, KeyBytes};

use crate::Cli;
use crate::commands::{git, import, import_lines};

/// Whether a command line is one that the program takes. Nothing is run.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> bool {
    Cli::try_parse_from(arguments).is_ok()
}

/// Imports lines into an archive with keys of 32 bytes; how many were added, or why not.
pub fn import_lines(archive: Archive<KeyBytes>, lines: &mut dyn BufRead) -> Result<u64, String> {
    let mut appender = import::Appender::new(archive);
    let added = import_lines::append_all(lines, "-", &mut appender, &mut || {})
        .and_then(|()| appender.finish());
    added
        .map(|imported| imported.added)
        .map_err(|failure| format!("{failure:?}"))
}

/// What git says of commits: the ids in its list, with how many parents each has.
pub fn parse_commits(list: &str) -> Vec<(String, usize)> {
    let commits = git::parse_commits(list).into_iter();
    commits
        .map(|commit| (commit.id, commit.parents.len()))
        .collect()
}

/// One object of those that git hands out; none where it is not that commit, whole.
pub fn read_commit(id: &str, out: &mut dyn BufRead) -> Option<Vec<u8>> {
    git::read_commit(id, out).ok()
}
