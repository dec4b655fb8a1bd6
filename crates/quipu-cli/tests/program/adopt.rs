//! `adopt`: the golden stores become archives.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{Bench, copy_folder};

const SHAPES: [&str; 7] = [
    "plain",
    "zstd",
    "synced-each-put",
    "gaps",
    "multi",
    "pruned",
    "aligned",
];

/// Copies a golden store; what it should hold, and the options that adopt it.
fn golden(bench: &Bench, version: &str, shape: &str) -> (Value, Vec<String>) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../quipu/tests/golden")
        .join(version)
        .join(shape);
    copy_folder(&from.join("store"), &bench.path("store"));
    let expected: Value =
        serde_json::from_str(&fs::read_to_string(from.join("expected.json")).unwrap()).unwrap();
    let mut args = vec!["adopt".to_owned(), "store".to_owned()];
    for (option, field) in [
        ("--index-partition", "index_partition"),
        ("--value-partition", "value_partition"),
        ("--key-size", "key_size"),
        ("--page-size", "logical_page_size"),
        ("--items-per-section", "items_per_section"),
        ("--zstd", "zstd_level"),
    ] {
        match &expected[field] {
            Value::Null => {}
            Value::String(text) => args.extend([option.to_owned(), text.clone()]),
            number => args.extend([option.to_owned(), number.to_string()]),
        }
    }
    (expected, args)
}

/// An item as the store has it: the value behind its length in unsigned LEB128.
fn as_stored(item: &Value) -> Value {
    let value = item["value"].as_str().unwrap();
    let (mut len, mut prefix) = (value.len() / 2, Vec::new());
    while len >= 0x80 {
        prefix.push(len as u8 | 0x80);
        len >>= 7;
    }
    prefix.push(len as u8);
    json!({"index": item["index"], "key": item["key"], "value": hex::encode(prefix) + value})
}

#[test]
fn every_golden_store_and_every_item() {
    for version in ["2026.4.0", "2026.10.0"] {
        for shape in SHAPES {
            let bench = Bench::new();
            let (expected, args) = golden(&bench, version, shape);
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            assert_eq!(
                bench.text(&args),
                "store is an archive now\n",
                "{version} {shape}"
            );
            let mut items: Vec<Value> = expected["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(as_stored)
                .collect();
            items.sort_by_key(|item| item["index"].as_u64());
            assert_eq!(bench.json(&["range", "store"]), items, "{version} {shape}");
            assert_eq!(
                bench.json(&["info", "store"])[0]["ranges"],
                expected["ranges"]
            );
            bench.text(&["verify", "store"]);
            bench.fails(4, &args);
            assert!(!bench.path("store/metadata").exists());
        }
    }
}

#[test]
fn marks_under_another_name_are_set_aside_too() {
    let bench = Bench::new();
    let (_, args) = golden(&bench, "2026.10.0", "zstd");
    std::fs::rename(bench.path("store/metadata"), bench.path("store/other")).unwrap();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    bench.text(&[&args[..], &["--metadata-partition", "other"]].concat());
    assert!(!bench.path("store/other").exists());
    assert!(bench.path("store/other-before-quipu").exists());
}

#[test]
fn settings_that_do_not_fit_change_nothing() {
    let bench = Bench::new();
    let (_, args) = golden(&bench, "2026.10.0", "zstd");
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let without_zstd = &args[..args.len() - 2];
    assert!(bench.fails(4, without_zstd).contains("zstd"));
    let mut wrong_page = args.clone();
    wrong_page[9] = "512";
    assert!(bench.fails(4, &wrong_page).contains("page size"));
    assert!(!bench.path("store/quipu/manifest").exists() && bench.path("store/metadata").exists());
    bench.text(&args);
}
