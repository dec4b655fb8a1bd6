//! Items in and out: `import lines`, `put`, `get`, `range`, `gaps`, `prune`, `info`, `verify`.

use sha2::{Digest, Sha256};

use super::{Bench, flip};

fn key(index: u64, line: &[u8]) -> String {
    hex::encode(
        Sha256::new()
            .chain_update(index.to_be_bytes())
            .chain_update(line)
            .finalize(),
    )
}

#[test]
fn lines_as_they_are() {
    let bench = Bench::new();
    bench.write("file", b"one\n\n\xff\xfe\r\nlast without an end");
    assert_eq!(
        bench.json(&["import", "lines", "file", "archive"])[0]["added"],
        4
    );
    let lines: [&[u8]; 4] = [b"one", b"", b"\xff\xfe\r", b"last without an end"];
    for (index, line) in (0..).zip(lines) {
        assert_eq!(
            bench.run(&["get", "archive", &format!("{index}")]).out,
            line
        );
        assert_eq!(
            bench
                .run(&["get", "archive", "--key", &key(index, line)])
                .out,
            line
        );
    }
    assert_eq!(
        bench
            .feed(&["import", "lines", "-", "archive"], b"more\n")
            .code,
        0
    );
    assert_eq!(bench.text(&["get", "archive", "4"]), "more");
    assert_eq!(
        bench.json(&["import", "lines", "/dev/null", "archive"])[0]["added"],
        0
    );
}

#[test]
fn items_in_json() {
    let bench = Bench::new();
    bench.lines("archive", 3, &[]);
    let item = |index: u64| {
        let line = format!("line {index}");
        serde_json::json!({"index": index, "key": key(index, line.as_bytes()), "value": hex::encode(line)})
    };
    assert_eq!(bench.json(&["get", "archive", "1"]), [item(1)]);
    assert_eq!(
        bench.json(&["range", "archive"]),
        [item(0), item(1), item(2)]
    );
    assert_eq!(
        bench.json(&["range", "archive", "--reverse"]),
        [item(2), item(1), item(0)]
    );
    assert_eq!(
        bench.text(&["get", "archive", "2", "--hex"]),
        format!("{}\n", hex::encode("line 2"))
    );
}

#[test]
fn spans_of_a_range() {
    let bench = Bench::new();
    bench.lines("archive", 6, &["--items-per-section", "2"]);
    for (span, expected) in [
        ("2..4", "2 3"),
        ("2..=4", "2 3 4"),
        ("4..", "4 5"),
        ("..2", "0 1"),
        ("..", "0 1 2 3 4 5"),
        ("3", "3"),
        ("4..2", ""),
        ("9..", ""),
    ] {
        let printed = bench.text(&["range", "archive", span]);
        let indices: Vec<&str> = printed
            .lines()
            .filter_map(|line| line.split(' ').next())
            .collect();
        assert_eq!(indices.join(" "), expected, "{span}");
    }
    assert!(
        bench
            .text(&["range", "archive", "3", "--hex"])
            .ends_with(&format!(" {}\n", hex::encode("line 3")))
    );
    assert!(bench.text(&["range", "archive", "3"]).ends_with(" 6\n"));
}

#[test]
fn put_in_every_way() {
    let bench = Bench::new();
    bench.fails(4, &["put", "archive", "5", "value"]);
    let printed = bench.text(&["put", "archive", "5", "value", "--create"]);
    assert_eq!(printed.trim(), key(5, b"value"));
    bench.fails(1, &["put", "archive", "5", "other"]);
    assert_eq!(bench.text(&["get", "archive", "5"]), "value");
    let other = "ab".repeat(32);
    bench.text(&["put", "archive", "5", "other", "--multi", "--key", &other]);
    assert_eq!(bench.text(&["get", "archive", "5", "--all"]), "valueother");
    assert_eq!(bench.text(&["get", "archive", "--key", &other]), "other");
    bench.write("file", b"\0binary\n");
    bench.text(&["put", "archive", "7", "--file", "file"]);
    assert_eq!(bench.run(&["get", "archive", "7"]).out, b"\0binary\n");
    assert_eq!(
        bench
            .feed(&["put", "archive", "8", "--file", "-"], b"piped")
            .code,
        0
    );
    assert_eq!(bench.text(&["get", "archive", "8"]), "piped");
    assert_eq!(bench.json(&["put", "archive", "9", ""])[0]["stored"], true);
    assert_eq!(bench.text(&["get", "archive", "9"]), "");
}

#[test]
fn gaps_and_a_prune() {
    let bench = Bench::new();
    for index in ["1", "2", "5", "30", "31"] {
        bench.text(&[
            "put",
            "archive",
            index,
            "v",
            "--create",
            "--items-per-section",
            "10",
        ]);
    }
    assert_eq!(bench.text(&["gaps", "archive"]), "0\n3..=4\n6..=29\n");
    assert_eq!(
        bench.text(&["gaps", "archive", "--from", "4", "--max", "1"]),
        "4\n"
    );
    let gaps = bench.json(&["gaps", "archive"]);
    assert_eq!(gaps[1], serde_json::json!({"first": 3, "last": 4}));
    assert_eq!(
        bench.json(&["prune", "archive", "25"])[0],
        serde_json::json!({"sections": 1, "floor": 20})
    );
    assert_eq!(
        bench.text(&["prune", "archive", "25"]),
        "dropped 0 sections, the floor is 20\n"
    );
    assert_eq!(bench.text(&["gaps", "archive"]), "20..=29\n");
    assert!(
        bench
            .fails(1, &["get", "archive", "5"])
            .contains("floor is 20")
    );
    assert!(bench.fails(1, &["get", "archive", "25"]).contains("gaps"));
    bench.fails(4, &["put", "archive", "5", "v"]);
}

#[test]
fn info_in_words_and_in_json() {
    let bench = Bench::new();
    bench.lines(
        "archive",
        25,
        &[
            "--items-per-section",
            "10",
            "--page-size",
            "100",
            "--zstd",
            "3",
        ],
    );
    let info = &bench.json(&["info", "archive"])[0];
    assert_eq!(
        (
            &info["key_size"],
            &info["items_per_section"],
            &info["page_size"]
        ),
        (&32.into(), &10.into(), &100.into())
    );
    assert_eq!(
        (&info["items"], &info["floor"], &info["damaged"]),
        (&25.into(), &0.into(), &0.into())
    );
    assert_eq!(info["ranges"], serde_json::json!([[0, 24]]));
    assert_eq!(info["sections"].as_array().unwrap().len(), 3);
    let disk = |kind: &str| info["disk"][kind].as_u64().unwrap();
    let on_disk = |folder: &str| {
        let files = std::fs::read_dir(bench.path("archive").join(folder)).unwrap();
        files
            .map(|file| file.unwrap().metadata().unwrap().len())
            .sum::<u64>()
    };
    assert_eq!(
        (disk("index"), disk("values"), disk("other")),
        (on_disk("index"), on_disk("values"), on_disk("quipu"))
    );
    let text = bench.text(&["info", "archive"]);
    assert!(
        text.contains("zstd level 3") && text.contains("0..=24"),
        "{text}"
    );
}

#[test]
fn verify_finds_a_flipped_bit() {
    for (partition, from_end) in [("values", 3), ("values", 20), ("index", 150)] {
        let bench = Bench::new();
        bench.lines("archive", 8, &["--page-size", "80"]);
        assert!(
            bench
                .text(&["verify", "archive"])
                .contains("8 items in 1 sections")
        );
        flip(
            &bench
                .path("archive")
                .join(partition)
                .join("0000000000000000"),
            from_end,
        );
        let run = bench.run(&["verify", "archive"]);
        let out = String::from_utf8(run.out).unwrap();
        assert_eq!(run.code, 3, "{out}");
        assert!(
            out.contains(&format!("{partition}/0000000000000000 at offset ")),
            "{out}"
        );
        assert!(
            out.contains("expected ") && out.contains(", found "),
            "{out}"
        );
        assert_eq!(bench.run(&["verify", "archive", "--json"]).code, 3);
    }
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    use std::io::{BufRead, BufReader};
    let bench = Bench::new();
    bench.lines("archive", 20_000, &[]);
    let mut command = bench.command(&["range", "archive", "--json"]);
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::with_capacity(64, child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

#[test]
fn a_disk_reserve_is_kept_while_it_is_asked_for() {
    let bench = Bench::new();
    let len = || {
        let reserve = std::fs::metadata(bench.path("archive/quipu/reserve"));
        reserve.ok().map(|found| found.len())
    };
    bench.lines("archive", 3, &["--disk-reserve", "100000"]);
    assert_eq!(len(), Some(100_000));
    let other = &bench.json(&["info", "archive"])[0]["disk"]["other"];
    assert!(other.as_u64().unwrap() > 100_000, "{other}");
    bench.text(&["put", "archive", "9", "x", "--disk-reserve", "5000"]);
    assert_eq!(len(), Some(5_000));
    bench.text(&["put", "archive", "10", "y"]);
    assert_eq!(len(), None);
    assert_eq!(bench.text(&["get", "archive", "9"]), "x");
}
