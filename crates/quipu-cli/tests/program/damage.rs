//! Damage from the command line: told, noted, mended.

use super::{Bench, flip};

#[test]
fn a_damaged_item_can_be_put_again() {
    let bench = Bench::new();
    bench.lines("archive", 5, &[]);
    flip(&bench.path("archive/values/0000000000000000"), 3);
    bench.text(&["put", "archive", "4", "again"]);
    assert_eq!(bench.text(&["get", "archive", "4"]), "again");
    bench.fails(1, &["put", "archive", "4", "taken"]);
}

#[test]
fn what_verify_notes_is_a_gap_that_an_import_fills() {
    let bench = Bench::new();
    bench.merged("repo", &[]);
    bench.text(&["import", "git", "repo", "archive"]);
    let values = bench.path("archive/values/0000000000000000");
    let second = bench.run(&["get", "archive", "1"]).out;
    let bytes = std::fs::read(&values).unwrap();
    let at = bytes
        .windows(second.len())
        .position(|part| part == second)
        .unwrap();
    let mut hurt = bytes.clone();
    hurt[at] ^= 1;
    std::fs::write(&values, hurt).unwrap();
    let said = bench.fails(3, &["verify", "archive"]);
    assert!(said.contains("--note"), "{said}");
    assert_eq!(bench.text(&["gaps", "archive"]), "");
    bench.fails(3, &["verify", "archive", "--note"]);
    assert_eq!(bench.text(&["gaps", "archive"]), "1\n");
    let said = bench.text(&["import", "git", "repo", "archive"]);
    assert!(said.contains("put 1 damaged commits back"), "{said}");
    bench.assert_imported("repo", "archive");
}

/// Today's order of a history need not be the one in which an archive got it.
#[test]
fn damaged_commits_go_back_to_their_own_indices() {
    let bench = Bench::new();
    bench.repository("repo", &[]);
    for message in ["root", "a1", "a2", "a3"] {
        bench.commit("repo", message);
    }
    bench.text(&["import", "git", "repo", "archive"]);
    bench.git("repo", &["checkout", "-q", "-b", "side", "HEAD~3"]);
    bench.commit("repo", "b1");
    bench.commit("repo", "b2");
    bench.git("repo", &["merge", "-q", "--no-ff", "-m", "merge", "main"]);
    bench.text(&["import", "git", "repo", "archive"]);
    let before = bench.json(&["range", "archive"]);
    let values = bench.path("archive/values/0000000000000000");
    for index in ["1", "4", "6"] {
        let value = bench.run(&["get", "archive", index]).out;
        let mut bytes = std::fs::read(&values).unwrap();
        let at = bytes.windows(value.len()).position(|part| part == value);
        bytes[at.unwrap()] ^= 1;
        std::fs::write(&values, bytes).unwrap();
    }
    bench.fails(3, &["verify", "archive", "--note"]);
    bench.text(&["import", "git", "repo", "archive"]);
    assert_eq!(bench.json(&["range", "archive"]), before);
}

#[test]
fn what_is_whole_is_printed_around_the_damage() {
    let bench = Bench::new();
    bench.lines("archive", 5, &[]);
    flip(&bench.path("archive/values/0000000000000000"), 3);
    let run = bench.run(&["range", "archive"]);
    assert_eq!(run.code, 3);
    let printed = String::from_utf8(run.out).unwrap();
    assert_eq!(printed.lines().count(), 4);
}

#[test]
fn damaged_marks_are_told() {
    let bench = Bench::new();
    bench.lines("archive", 5, &[]);
    flip(&bench.path("archive/quipu/marks"), 3);
    let said = bench.fails(3, &["verify", "archive"]);
    assert!(said.contains("quipu/marks"), "{said}");
    let run = bench.run(&["verify", "archive", "--note"]);
    assert!(run.err.contains("made anew"), "{}", run.err);
    bench.text(&["verify", "archive"]);
}

#[test]
fn a_lost_section_is_named_and_its_gaps_take_no_memory() {
    let bench = Bench::new();
    let last = u64::MAX.to_string();
    bench.text(&["put", "archive", "0", "a", "--create"]);
    bench.text(&["put", "archive", &last, "b"]);
    for partition in ["index", "values"] {
        let file = format!("archive/{partition}/ffffffffffff0000");
        std::fs::remove_file(bench.path(&file)).unwrap();
    }
    assert_eq!(bench.text(&["gaps", "archive"]), format!("1..={last}\n"));
    let run = bench.run(&["verify", "archive"]);
    assert_eq!(run.code, 3);
    let printed = String::from_utf8(run.out).unwrap();
    assert!(
        printed.contains(&format!("lost: {last}..={last}")),
        "{printed}"
    );
}
