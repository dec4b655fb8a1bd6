//! `kill -9` of a process that writes: everything that it reported as durable is there.
//!
//! A few rounds; `faults/` at the root of the repository has many, and loss of power.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use quipu::{Archive, Options};

const ROUNDS: u64 = 12;
const SECTION: u64 = 32;
const KEPT: u64 = 500;
/// Tells a process of this test that it is to write, and where.
const WRITE_IN: &str = "QUIPU_KILLED_WRITER_FOLDER";
const REPORT: &str = "durable ";

fn open(folder: &Path) -> Archive<[u8; 32]> {
    Options::new()
        .items_per_section(SECTION)
        .page_size(200)
        .write_buffer(4096)
        .open(folder)
        .unwrap()
}

fn key(index: u64) -> [u8; 32] {
    let mut key = [index as u8; 32];
    key[..8].copy_from_slice(&index.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    key
}

fn value(index: u64) -> Vec<u8> {
    let len = match index % 50 {
        0 => 20_000,
        rest => rest * 7,
    };
    (0..len).map(|at| (index + at * 3) as u8).collect()
}

/// Not a test of its own: the process that is killed.
#[test]
#[ignore = "it writes until it is killed; the test below starts it"]
fn writer() {
    let Some(folder) = std::env::var_os(WRITE_IN) else {
        return;
    };
    let mut archive = open(Path::new(&folder));
    // A sync that the end of the last process cut off may have kept what came behind these.
    let mut missing = archive.missing_items(0, usize::MAX);
    for syncs in 1.. {
        let first = archive.last_index().map_or(0, |last| last + 1);
        let new = first..first + 1 + syncs * 7 % 20;
        for index in std::mem::take(&mut missing).into_iter().chain(new) {
            let _ = archive.put(index, &key(index), &value(index)).unwrap();
        }
        archive.sync().unwrap();
        let next = archive.last_index().unwrap() + 1;
        if syncs % 20 == 0 {
            archive.prune(next.saturating_sub(KEPT)).unwrap();
        }
        // The floor, and the first index that is not durable. In one piece, so that a report is
        // whole or has no end.
        let report = format!("\n{REPORT}{} {next}\n", archive.floor());
        std::io::stderr().write_all(report.as_bytes()).unwrap();
    }
}

/// Starts a writer and kills it so long after its first report; its last report.
fn write_and_kill(folder: &Path, after: Duration) -> Option<(u64, u64)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["writer", "--exact", "--ignored", "--nocapture"])
        .env(WRITE_IN, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let first = next_report(&mut lines);
    std::thread::sleep(after);
    let _ = child.kill();
    let _ = child.wait();
    std::iter::from_fn(|| next_report(&mut lines))
        .last()
        .or(first)
}

/// Floor, and the first index that is not durable; none when the process ended.
fn next_report(lines: &mut impl BufRead) -> Option<(u64, u64)> {
    loop {
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        if !line.ends_with('\n') {
            return None;
        }
        assert!(!line.contains("panicked"), "{line}");
        if let Some(report) = line.trim().strip_prefix(REPORT) {
            let (floor, next) = report.split_once(' ').unwrap();
            return Some((floor.parse().unwrap(), next.parse().unwrap()));
        }
    }
}

#[test]
fn a_killed_writer_loses_nothing_that_was_synced() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = (0, 0);
    for round in 0..ROUNDS {
        let after = Duration::from_millis(round * 37 % 150);
        let (floor, next) = write_and_kill(folder.path(), after).unwrap();
        assert!(next > acknowledged.1, "{next} {acknowledged:?}");
        let archive = open(folder.path());
        // A prune may have been under way.
        assert!(archive.floor() >= floor);
        for index in archive.floor()..next {
            let item = archive.get_item(&key(index)).unwrap().unwrap();
            assert_eq!((item.index, &item.value[..]), (index, &value(index)[..]));
            assert_eq!(archive.get(index).unwrap().unwrap(), value(index));
        }
        for item in archive.range(next..) {
            let item = item.unwrap();
            assert_eq!(item.key, key(item.index));
            assert_eq!(item.value, value(item.index));
        }
        assert!(archive.verify(&mut |_| {}).unwrap().damaged == 0);
        acknowledged = (floor, next);
    }
}
