//! The style that a machine can hold.

use std::fs;
use std::path::{Path, PathBuf};

const MAX_FILE_LINES: usize = 500;
const MAX_FUNCTION_LINES: usize = 70;

struct Source {
    path: PathBuf,
    /// The lines before the file's tests.
    lines: Vec<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Files of the repository with these endings, without what is built or copied.
fn files(endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !["target", "golden", ".git", "proptest-regressions"].contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path);
            }
        }
    }
    found
}

fn sources() -> Vec<Source> {
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        // The attribute that asks for `test`, and a module behind it.
        let tests = lines.windows(2).position(|pair| {
            pair[0].starts_with("#[cfg(") && pair[0].contains("test") && pair[1].contains("mod ")
        });
        Source {
            path,
            lines: lines[..tests.unwrap_or(lines.len())].to_vec(),
        }
    };
    files(&[".rs"]).into_iter().map(read).collect()
}

/// The sources of the library and the program, without tests.
fn product() -> impl Iterator<Item = Source> {
    sources().into_iter().filter(|source| {
        let path = source.path.to_string_lossy().into_owned();
        path.contains("/src/")
            && !path.contains("/compat/")
            && !path.ends_with("/tests.rs")
            && !path.contains("/suite/")
    })
}

#[test]
fn files_and_functions_are_short() {
    for source in sources() {
        assert!(
            source.lines.len() <= MAX_FILE_LINES,
            "{:?}: {} lines",
            source.path,
            source.lines.len()
        );
        let mut start = None;
        for (at, line) in source.lines.iter().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let is_function = line.contains("fn ")
                && line.trim_end().ends_with('{')
                && !line.trim_start().starts_with("//");
            if is_function && start.is_none() {
                start = Some((at, indent));
            }
            if let Some((from, depth)) =
                start.filter(|&(_, depth)| indent == depth && line.trim() == "}")
            {
                assert!(
                    at - from < MAX_FUNCTION_LINES,
                    "{:?}:{}: {} lines",
                    source.path,
                    from + 1,
                    at - from + 1
                );
                assert_eq!(depth, indent);
                start = None;
            }
        }
    }
}

#[test]
fn nothing_panics_on_purpose() {
    let banned = [
        ".unwrap()",
        ".expect(",
        "panic!(",
        "unreachable!(",
        "todo!(",
        "unimplemented!(",
        "dbg!(",
    ];
    for source in product() {
        for (at, line) in source.lines.iter().enumerate() {
            let code = line.trim_start();
            let is_code = !code.starts_with("//");
            for call in banned {
                assert!(
                    !is_code || !code.contains(call),
                    "{:?}:{}: {call}",
                    source.path,
                    at + 1
                );
            }
        }
    }
}

#[test]
fn the_file_system_is_touched_in_one_place() {
    for source in product() {
        let path = source.path.to_string_lossy().into_owned();
        if path.contains("/quipu/src/") && !path.contains("/storage/disk/") {
            let text = source.lines.join("\n");
            assert!(
                !text.contains("std::fs") && !text.contains("rustix"),
                "{path}"
            );
        }
    }
}

#[test]
fn no_word_of_unfinished_work() {
    let words = ["TODO", "FIXME", "XXX", "not yet implemented", "placeholder"];
    for path in files(&[".rs", ".md", ".toml", ".sh"]) {
        if path.ends_with("tidy.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for word in words {
            assert!(!text.contains(word), "{path:?}: {word}");
        }
    }
}

#[test]
fn links_lead_somewhere() {
    for path in files(&[".md"]) {
        let text = fs::read_to_string(&path).unwrap();
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            assert!(
                path.parent().unwrap().join(target).exists(),
                "{path:?}: {link}"
            );
        }
    }
}

#[test]
fn durability_names_tests_that_exist() {
    let text = fs::read_to_string(root().join("docs/durability.md")).unwrap();
    let sources: String = files(&[".rs"])
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let table = text.split("| held by |").nth(1).unwrap();
    let rows: Vec<&str> = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with("| "))
        .collect();
    assert!(rows.len() >= 10, "{rows:?}");
    for row in rows {
        let held_by = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let names: Vec<&str> = held_by.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "{row}");
        for name in names {
            let there = match name {
                path if path.contains('/') => root().join("crates/quipu").join(path).exists(),
                canary if canary.starts_with(char::is_uppercase) => {
                    sources.contains(&format!("Canary::{canary}.sings()"))
                }
                test => sources.contains(&format!("fn {test}()")),
            };
            assert!(there, "{name}");
        }
    }
}
