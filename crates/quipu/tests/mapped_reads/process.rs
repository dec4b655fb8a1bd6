//! What the process is limited to, and signals that it is sent: tests in processes of their own.

use std::fs::OpenOptions;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::Duration;

use quipu::{Archive, Bytes, Options, PageCache, ReadOnly};

use super::{make, only_file, open, read, value};

const SECTIONS: u64 = 300;
const PER_SECTION: u64 = 20;

/// Runs a test of this file that is ignored, in a process of its own.
fn run(test: &str, limit: &str, folder: &Path) -> Output {
    Command::new("sh")
        .args(["-c", &format!(r#"{limit} exec "$0" "$@""#)])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture"])
        .arg(format!("process::{test}"))
        .env("QUIPU_FOLDER", folder)
        .output()
        .unwrap()
}

fn folder() -> PathBuf {
    std::env::var_os("QUIPU_FOLDER").unwrap().into()
}

#[track_caller]
fn assert_passed(child: &Output) {
    let told = String::from_utf8_lossy(&child.stdout);
    let has_passed = child.status.success() && told.contains("1 passed");
    assert!(has_passed, "{child:?}");
}

fn make_sections(folder: &Path) {
    let options = Options::new().items_per_section(PER_SECTION);
    let mut archive: Archive<[u8; 8], Bytes> = options.open(folder).unwrap();
    for index in 0..SECTIONS * PER_SECTION {
        let _ = archive
            .put(index, &index.to_be_bytes(), &value(index)[..])
            .unwrap();
    }
    archive.close().unwrap();
}

fn read_sections(folder: &Path) {
    let options = Options::new().page_cache(PageCache::new(0));
    let reader = options.max_open_files(64).open_read_only(folder).unwrap();
    let reader: ReadOnly<[u8; 8], Bytes> = reader;
    for _ in 0..3 {
        for index in 0..SECTIONS * PER_SECTION {
            assert_eq!(reader.get(index).unwrap().unwrap(), value(index));
        }
    }
    // While the maps are there.
    let mut memory = Vec::<u8>::new();
    memory.try_reserve_exact(1 << 30).unwrap();
}

#[test]
#[ignore = "runs as the child of others"]
fn reads_many_sections_and_takes_memory() {
    read_sections(&folder());
}

/// Files that were read and closed leave a process most of the addresses that it may have (`ulimit -v`).
#[test]
fn a_process_with_few_addresses() {
    let folder = tempfile::tempdir().unwrap();
    make_sections(folder.path());
    for kib in [4 << 20, 2 << 20] {
        let limit = format!("ulimit -v {kib} &&");
        let child = run(
            "reads_many_sections_and_takes_memory",
            &limit,
            folder.path(),
        );
        assert_passed(&child);
    }
}

fn send_to_self() {
    let id = std::process::id().to_string();
    let sent = Command::new("sh")
        .args(["-c", "kill -BUS \"$0\""])
        .arg(id)
        .status()
        .unwrap();
    assert!(sent.success());
    sleep(Duration::from_millis(100));
}

#[test]
#[ignore = "ends the process"]
fn is_sent_signals_and_reads_cut_files() {
    let folder = folder();
    let archive = open(&folder, true);
    assert_eq!((read(&archive), read(&archive)), (0, 0));
    send_to_self();
    let file = only_file(&folder.join("values"));
    let file = OpenOptions::new().write(true).open(file).unwrap();
    file.set_len(100_000).unwrap();
    assert!(read(&archive) > 0);
    println!("went on");
    send_to_self();
    println!("and on");
}

/// The first is the standard library's, which takes the default from then on.
#[test]
fn a_process_that_is_sent_signals() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path());
    let child = run("is_sent_signals_and_reads_cut_files", "", folder.path());
    let told = String::from_utf8_lossy(&child.stdout);
    assert_eq!(child.status.signal(), Some(7), "{child:?}");
    assert!(
        told.contains("went on") && !told.contains("and on"),
        "{told}"
    );
}
