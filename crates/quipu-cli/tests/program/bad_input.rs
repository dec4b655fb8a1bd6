//! What the program refuses, and how it says so.

use quipu::{Archive, KeyBytes, Options};

use super::Bench;

const COMMANDS: [&[&str]; 11] = [
    &["import"],
    &["import", "git"],
    &["import", "lines"],
    &["get"],
    &["put"],
    &["info"],
    &["gaps"],
    &["range"],
    &["prune"],
    &["verify"],
    &["adopt"],
];

#[test]
fn help_names_every_option() {
    let bench = Bench::new();
    for command in COMMANDS {
        let help = bench.text(&[command, &["--help"]].concat());
        assert!(help.contains("Usage: quipu"), "{command:?}");
    }
    let help = bench.text(&["--help"]);
    for word in ["Examples:", "Exit codes:", "import git", "verify"] {
        assert!(help.contains(word), "{word}");
    }
    assert!(bench.text(&["--version"]).starts_with("quipu "));
}

#[test]
fn a_wrong_command_line_is_code_two() {
    let bench = Bench::new();
    bench.lines("archive", 1, &[]);
    let wrong: [&[&str]; 8] = [
        &[],
        &["get"],
        &["get", "archive"],
        &["get", "archive", "1", "--key", "00"],
        &["get", "archive", "x"],
        &["range", "archive", "3-4"],
        &["nonsense"],
        &["adopt", "archive"],
    ];
    for args in wrong {
        let run = bench.run(args);
        assert_eq!(run.code, 2, "{args:?}");
        assert!(!run.err.is_empty() && !run.err.contains("panicked"));
    }
}

#[test]
fn keys_of_the_wrong_length_or_no_hex() {
    let bench = Bench::new();
    bench.lines("archive", 1, &[]);
    let said = bench.fails(2, &["get", "archive", "--key", "abcd"]);
    assert!(said.contains("2 bytes") && said.contains("32"), "{said}");
    assert!(
        bench
            .fails(2, &["get", "archive", "--key", "xyz"])
            .contains("hex")
    );
    assert!(
        bench
            .fails(2, &["put", "archive", "1", "v", "--key", "ab"])
            .contains("32")
    );
    let absent = "00".repeat(32);
    assert!(
        bench
            .fails(1, &["get", "archive", "--key", &absent])
            .contains(&absent)
    );
}

#[test]
fn places_where_no_archive_is() {
    let bench = Bench::new();
    bench.write("file", b"mine");
    std::fs::create_dir(bench.path("folder")).unwrap();
    for place in ["missing", "folder", "file"] {
        for command in ["info", "gaps", "range", "verify"] {
            assert!(bench.fails(4, &[command, place]).contains(place));
        }
        bench.fails(4, &["get", place, "1"]);
        bench.fails(4, &["prune", place, "1"]);
        bench.fails(4, &["put", place, "1", "v"]);
    }
    assert!(!bench.path("missing").exists());
    assert_eq!(std::fs::read(bench.path("file")).unwrap(), b"mine");
    assert_eq!(std::fs::read_dir(bench.path("folder")).unwrap().count(), 0);
    bench.fails(4, &["import", "lines", "nowhere", "new"]);
    bench.fails(4, &["import", "lines", "folder", "new"]);
    assert!(!bench.path("new").exists());
}

#[test]
fn settings_that_differ_name_both() {
    let bench = Bench::new();
    bench.lines("archive", 1, &["--items-per-section", "10"]);
    let said = bench.fails(
        4,
        &["put", "archive", "5", "v", "--items-per-section", "20"],
    );
    assert!(said.contains("10") && said.contains("20"), "{said}");
    let said = bench.fails(2, &["put", "archive", "5", "v", "--zstd", "99"]);
    assert!(said.contains("99"), "{said}");
}

#[test]
fn a_second_writer_is_told_who_is_first() {
    let bench = Bench::new();
    bench.lines("archive", 3, &[]);
    let held: Archive<KeyBytes> = Options::new().open(bench.path("archive")).unwrap();
    let said = bench.fails(4, &["put", "archive", "7", "v"]);
    assert!(said.contains(&std::process::id().to_string()), "{said}");
    assert_eq!(bench.text(&["get", "archive", "1"]), "line 1");
    drop(held);
    bench.text(&["put", "archive", "7", "v"]);
}

#[test]
fn damage_is_code_three_and_says_where() {
    let bench = Bench::new();
    bench.lines("archive", 3, &[]);
    super::flip(&bench.path("archive/values/0000000000000000"), 3);
    assert!(
        bench
            .fails(3, &["get", "archive", "2"])
            .contains("values/0000000000000000")
    );
    assert_eq!(bench.text(&["get", "archive", "1"]), "line 1");
    super::flip(&bench.path("archive/quipu/manifest"), 30);
    super::flip(&bench.path("archive/quipu/manifest-copy"), 30);
    assert!(bench.fails(3, &["info", "archive"]).contains("manifest"));
}

#[test]
fn what_is_wrong_with_a_command_line_is_one_sentence() {
    let bench = Bench::new();
    bench.lines("archive", 3, &[]);
    let lines: [&[&str]; 6] = [
        &["get", "archive", "18446744073709551616"],
        &["get", "archive"],
        &["get"],
        &["prune", "archive", "many"],
        &["put", "archive", "5", "v", "--page-size", "0"],
        &["get", "archive", "--key", "0x0x00"],
    ];
    for line in lines {
        let said = bench.fails(2, line);
        assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    }
    let help = bench.text(&["get", "--help"]);
    assert!(help.contains("<ARCHIVE> <INDEX | --key <HEX>>"), "{help}");
}

#[test]
fn compression_is_turned_on_and_off_again() {
    let bench = Bench::new();
    bench.text(&[
        "put",
        "archive",
        "0",
        "a",
        "--create",
        "--zstd",
        "3",
        "--items-per-section",
        "1",
    ]);
    bench.text(&["put", "archive", "1", "b", "--no-zstd"]);
    assert_eq!(bench.text(&["get", "archive", "0"]), "a");
    assert_eq!(bench.text(&["get", "archive", "1"]), "b");
    assert!(bench.text(&["info", "archive"]).contains("off"));
}
