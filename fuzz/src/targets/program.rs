//! The program's arguments, and what it imports: lines, and what git says of commits.

use std::ffi::OsString;
use std::io::BufRead;
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;

use quipu::storage::Memory;
use quipu::{Archive, KeyBytes};
use quipu_cli::fuzzing;

use crate::canary;
use crate::input::Input;
use crate::limit;
use crate::shapes::{BUFFER_BYTES, CACHE_BYTES, fail, limits};

/// Words that command lines are made of.
const WORDS: [&str; 40] = [
    "import",
    "git",
    "lines",
    "get",
    "put",
    "info",
    "gaps",
    "range",
    "prune",
    "verify",
    "adopt",
    "--json",
    "--key",
    "--file",
    "--multi",
    "--create",
    "--hex",
    "--reverse",
    "--raw",
    "--note",
    "--items-per-section",
    "--page-size",
    "--zstd",
    "--no-zstd",
    "--key-size",
    "--help",
    "--version",
    "-",
    "--",
    "archive",
    "7",
    "-1",
    "0",
    "18446744073709551616",
    "10..20",
    "..=5",
    "3..",
    "0xff",
    "",
    "=",
];
/// Bytes that a command line, or its refusal, may take.
const ARGUMENT_BYTES: usize = 8 << 20;
/// Keys of lines, in bytes.
const KEY_SIZE: usize = 32;
const ID: &str = "0123456789abcdef0123456789abcdef01234567";

pub(crate) fn run(input: &mut Input<'_>) {
    match input.below(4) {
        0 => arguments(input),
        1 => lines(input.rest()),
        2 => commits(input.rest()),
        _ => object(input),
    }
}

fn arguments(input: &mut Input<'_>) {
    let mut arguments = vec![OsString::from("quipu")];
    while !input.is_empty() && arguments.len() < 24 {
        arguments.push(match input.below(WORDS.len() + 4) {
            word if word < WORDS.len() => OsString::from(WORDS[word]),
            _ => OsString::from_vec(input.string().to_vec()),
        });
    }
    limit::within(ARGUMENT_BYTES, || {
        let taken = fuzzing::parse(arguments.iter().cloned());
        assert_eq!(taken, fuzzing::parse(arguments.iter().cloned()));
    });
}

/// Every line is an item, with the bytes that it has.
fn lines(bytes: &[u8]) {
    let mut expected: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
    if expected.last().is_some_and(|last| last.is_empty()) {
        expected.pop();
    }
    if canary::is_on() {
        careless(&expected);
    }
    let memory = Memory::new();
    let allowed = limit::BASE
        + CACHE_BYTES
        + BUFFER_BYTES
        + bytes.len() * limit::FACTOR
        + expected.len() * 256;
    limit::within(allowed, || {
        let options = limits().key_size(KEY_SIZE);
        let archive: Archive<KeyBytes> = options
            .open_on(Arc::new(memory.clone()))
            .unwrap_or_else(|error| fail(&error));
        let mut reader = bytes;
        let added = fuzzing::import_lines(archive, &mut reader);
        assert_eq!(added, Ok(expected.len() as u64));
    });
    let archive: Archive<KeyBytes> = limits()
        .open_on(Arc::new(memory))
        .unwrap_or_else(|error| fail(&error));
    for (index, line) in (0..).zip(&expected) {
        let found = archive.get(index).unwrap_or_else(|error| fail(&error));
        assert_eq!(found.as_deref(), Some(*line), "line {index}");
    }
}

/// The planted defect: one that takes the last byte off a line that may have none.
fn careless(lines: &[&[u8]]) {
    for line in lines {
        std::hint::black_box(line[line.len() - 1]);
    }
}

fn commits(bytes: &[u8]) {
    let list = String::from_utf8_lossy(bytes);
    limit::within(limit::FACTOR * list.len() + (64 << 10), || {
        let commits = fuzzing::parse_commits(&list);
        assert!(commits.len() <= list.lines().count());
        assert!(
            commits
                .iter()
                .all(|(id, _)| !id.is_empty() && !id.contains(|c: char| c.is_ascii_whitespace()))
        );
    });
}

/// What git says for one object: whole or not, with a size that may be wrong.
fn object(input: &mut Input<'_>) {
    let size = match input.flag() {
        true => input.number().to_string(),
        false => input.clone().rest().len().saturating_sub(2).to_string(),
    };
    let head = match input.below(4) {
        0 => String::from_utf8_lossy(input.string()).into_owned(),
        1 => format!("{ID} missing\n"),
        _ => format!("{ID} commit {size}\n"),
    };
    let said = [head.as_bytes(), input.rest()].concat();
    let mut out: &[u8] = &said;
    limit::within(limit::FACTOR * said.len() + (64 << 10), || {
        if let Some(bytes) = fuzzing::read_commit(ID, &mut out as &mut dyn BufRead) {
            assert!(
                said.windows(bytes.len().max(1))
                    .any(|part| bytes.is_empty() || part == bytes)
            );
        }
    });
}
