//! Repair and scrub from the command line.

use std::fs;
use std::path::Path;

use super::{Bench, Run, flip};

const VALUES: &str = "archive/values/0000000000000000";

/// Five lines, of which the last is damaged.
fn damaged() -> Bench {
    let bench = Bench::new();
    bench.lines("archive", 5, &[]);
    flip(&bench.path(VALUES), 3);
    bench
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for partition in fs::read_dir(folder).unwrap() {
        for file in fs::read_dir(partition.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            files.push((path.display().to_string(), bytes));
        }
    }
    files.sort();
    files
}

fn printed(run: &Run) -> String {
    String::from_utf8(run.out.clone()).unwrap()
}

#[test]
fn a_dry_run_tells_and_changes_nothing() {
    let bench = damaged();
    let before = files(&bench.path("archive"));
    let run = bench.run(&["repair", "archive", "--dry-run"]);
    assert_eq!(run.code, 3, "{}", run.err);
    assert!(run.err.contains("1 indices are lost"), "{}", run.err);
    let printed = printed(&run);
    assert!(
        printed.contains("would repair 1 sections, 4 entries kept, 1 lost"),
        "{printed}"
    );
    assert!(printed.contains("checksum mismatch, expected"), "{printed}");
    assert_eq!(files(&bench.path("archive")), before);
}

#[test]
fn a_repair_takes_the_damage_out_and_a_put_brings_the_item_back() {
    let bench = damaged();
    let old = fs::read(bench.path("archive/index/0000000000000000")).unwrap();
    let run = bench.run(&["repair", "archive"]);
    assert_eq!(run.code, 3, "{}", run.err);
    assert!(run.err.contains("quipu gaps"), "{}", run.err);
    assert!(printed(&run).contains("repaired 1 sections, 4 entries kept, 1 lost"));
    let kept = bench.path("archive/quarantine/0000000000000000-1.index");
    assert_eq!(fs::read(kept).unwrap(), old);
    assert_eq!(bench.text(&["repair", "archive"]), "nothing is damaged\n");
    assert_eq!(bench.text(&["gaps", "archive"]), "4\n");
    let said = bench.fails(3, &["verify", "archive"]);
    assert!(said.contains("1 indices were lost earlier"), "{said}");
    bench.text(&["put", "archive", "4", "again"]);
    assert!(bench.text(&["verify", "archive"]).contains("all right"));
    assert_eq!(bench.text(&["get", "archive", "4"]), "again");
    assert_eq!(bench.text(&["get", "archive", "3"]), "line 3");
}

#[test]
fn what_was_put_again_needs_a_repair_and_loses_nothing() {
    let bench = damaged();
    bench.text(&["put", "archive", "4", "again"]);
    let said = bench.fails(3, &["verify", "archive"]);
    assert!(said.contains("no index is lost"), "{said}");
    bench.fails(3, &["repair", "archive", "--dry-run", "--json"]);
    let lines = bench.json(&["repair", "archive"]);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["quarantine"].as_array().unwrap().len(), 2);
    assert_eq!(lines[1]["entries_lost"], 1);
    assert_eq!(lines[1]["lost_indices"], 0);
    bench.text(&["verify", "archive"]);
}

#[test]
fn an_archive_that_is_right_is_left_alone() {
    let bench = Bench::new();
    bench.lines("archive", 5, &[]);
    let before = files(&bench.path("archive"));
    assert_eq!(bench.text(&["repair", "archive"]), "nothing is damaged\n");
    assert_eq!(
        bench.text(&["repair", "archive", "--dry-run"]),
        "nothing is damaged\n"
    );
    assert_eq!(files(&bench.path("archive")), before);
    bench.fails(4, &["repair", "nowhere"]);
}

#[test]
fn a_scrub_finds_what_is_damaged_and_keeps_note_of_it() {
    let bench = Bench::new();
    bench.lines("archive", 5, &[]);
    let said = bench.text(&["scrub", "archive", "--once"]);
    assert!(said.contains("all right"), "{said}");
    assert_eq!(
        bench.json(&["scrub", "archive", "--once", "--rate", "1g"])[0]["passes"],
        2
    );
    flip(&bench.path(VALUES), 3);
    let run = bench.run(&["scrub", "archive", "--once", "--rate", "500k"]);
    assert_eq!(run.code, 3, "{}", run.err);
    assert!(
        printed(&run).contains("section 0, entry 4, index 4"),
        "{}",
        printed(&run)
    );
    assert_eq!(bench.text(&["gaps", "archive"]), "4\n");
}

#[test]
fn a_rate_that_is_none_is_refused() {
    let bench = Bench::new();
    bench.lines("archive", 1, &[]);
    for rate in ["", "0", "k", "1x", "-1", "99999999999g", "ä"] {
        let said = bench.fails(
            2,
            &["scrub", "archive", "--once", &format!("--rate={rate}")],
        );
        assert!(said.contains("--rate"), "{said}");
    }
}
