//! The golden archives: what commonware-storage wrote, read back item by item, then written to.

use std::fs;
use std::path::{Path, PathBuf};

use quipu::{Archive, Compression, Options, Prefixed, Status, VerifyEvent};
use serde_json::Value as Json;

type Key = [u8; 32];
type Store = Archive<Key, Prefixed>;

const SHAPES: [&str; 7] = [
    "plain",
    "zstd",
    "synced-each-put",
    "gaps",
    "multi",
    "pruned",
    "aligned",
];
const VERSIONS: [&str; 2] = ["2026.4.0", "2026.10.0"];

struct Golden {
    expected: Json,
    store: PathBuf,
    _folder: tempfile::TempDir,
}

impl Golden {
    fn copy(version: &str, shape: &str) -> Self {
        let from = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/golden")
            .join(version)
            .join(shape);
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        copy_folder(&from.join("store"), &store);
        let expected = fs::read_to_string(from.join("expected.json")).unwrap();
        Self {
            expected: serde_json::from_str(&expected).unwrap(),
            store,
            _folder: folder,
        }
    }

    fn number(&self, name: &str) -> u64 {
        self.expected[name].as_u64().unwrap()
    }

    fn options(&self) -> Options {
        let options = Options::new()
            .partitions("index", "values")
            .key_size(self.number("key_size") as usize)
            .page_size(self.number("logical_page_size") as u16)
            .items_per_section(self.number("items_per_section"));
        match self.expected["zstd_level"].as_i64() {
            Some(level) => options.compression(Compression::Zstd(level as i32)),
            None => options,
        }
    }

    fn adopt(&self) -> Store {
        let recovery = self.options().adopt(&self.store).unwrap();
        assert!(recovery.is_clean(), "{recovery:?}");
        Archive::open(&self.store).unwrap()
    }

    /// (index, key, value) of every item, in the order stored.
    fn items(&self) -> Vec<(u64, Key, Vec<u8>)> {
        let bytes = |json: &Json| hex::decode(json.as_str().unwrap()).unwrap();
        let items = self.expected["items"].as_array().unwrap().iter();
        items
            .map(|item| {
                let key = bytes(&item["key"]).try_into().unwrap();
                (item["index"].as_u64().unwrap(), key, bytes(&item["value"]))
            })
            .collect()
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            fs::write(to, fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

fn each(check: impl Fn(&Golden)) {
    for version in VERSIONS {
        for shape in SHAPES {
            println!("{version} {shape}");
            check(&Golden::copy(version, shape));
        }
    }
}

fn assert_holds(archive: &Store, items: &[(u64, Key, Vec<u8>)]) {
    for (index, key, value) in items {
        let at_index: Vec<_> = items
            .iter()
            .filter(|item| item.0 == *index)
            .map(|item| Prefixed::from(item.2.clone()))
            .collect();
        assert_eq!(archive.get_all(*index).unwrap(), at_index);
        assert_eq!(archive.get(*index).unwrap().as_ref(), at_index.first());
        assert_eq!(
            archive.get(key).unwrap(),
            Some(Prefixed::from(value.clone()))
        );
        let item = archive.get_item(key).unwrap().unwrap();
        assert_eq!((item.index, item.key), (*index, *key));
        assert!(archive.has(*index).unwrap() && archive.has(key).unwrap());
        assert!(archive.has_at(*index, key).unwrap());
        assert_eq!(archive.status(*index).unwrap(), Status::Present);
    }
}

#[test]
fn every_item_is_read_back_by_index_and_by_key() {
    each(|golden| assert_holds(&golden.adopt(), &golden.items()));
}

#[test]
fn ranges_and_gaps_are_those_of_the_reference() {
    each(|golden| {
        let archive = golden.adopt();
        let ranges: Vec<_> = archive
            .ranges()
            .iter()
            .map(|run| serde_json::json!([run.start(), run.end()]))
            .collect();
        assert_eq!(Json::from(ranges), golden.expected["ranges"]);
        let missing = archive.missing_items(0, 20);
        assert_eq!(
            serde_json::json!(missing),
            golden.expected["missing_from_0_max_20"]
        );
    });
}

#[test]
fn pruned_keys_are_gone() {
    each(|golden| {
        let archive = golden.adopt();
        for pruned in golden.expected["pruned"].as_array().unwrap() {
            let key: Key = hex::decode(pruned["key"].as_str().unwrap())
                .unwrap()
                .try_into()
                .unwrap();
            assert_eq!(archive.get(&key).unwrap(), None);
            assert_eq!(
                archive.get(pruned["index"].as_u64().unwrap()).unwrap(),
                None
            );
        }
    });
}

#[test]
fn a_scan_yields_every_item_in_index_order_both_ways() {
    each(|golden| {
        let archive = golden.adopt();
        let mut items = golden.items();
        items.sort_by_key(|item| item.0);
        let of = |item: quipu::Result<quipu::Item<Key, Prefixed>>| {
            let item = item.unwrap();
            (item.index, item.key, item.value.to_vec())
        };
        assert_eq!(archive.range(..).map(of).collect::<Vec<_>>(), items);
        items.reverse();
        assert_eq!(archive.range(..).rev().map(of).collect::<Vec<_>>(), items);
    });
}

#[test]
fn verify_finds_nothing_wrong() {
    each(|golden| {
        let report = golden.adopt().verify(&mut |_| {}).unwrap();
        assert!(report.is_clean(), "{report:?}");
        assert_eq!(report.entries, golden.items().len() as u64);
    });
}

#[test]
fn an_adopted_archive_takes_new_puts() {
    each(|golden| {
        let mut archive = golden.adopt();
        let last = archive.last_index().unwrap();
        let new: Vec<_> = (1..=40u64)
            .map(|n| (last + n, [n as u8; 32], vec![n as u8; n as usize]))
            .collect();
        for (index, key, value) in &new {
            assert_eq!(
                archive
                    .put(*index, key, &Prefixed::from(value.clone()))
                    .unwrap(),
                quipu::Put::Stored
            );
        }
        archive.close().unwrap();
        let archive: Store = Archive::open(&golden.store).unwrap();
        assert!(archive.recovery().is_clean(), "{:?}", archive.recovery());
        assert_holds(&archive, &golden.items());
        assert_holds(&archive, &new);
    });
}

#[test]
fn adoption_rewrites_no_section() {
    each(|golden| {
        let before: Vec<_> = section_files(&golden.store);
        drop(golden.adopt());
        assert_eq!(section_files(&golden.store), before);
    });
}

fn section_files(store: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for partition in ["index", "values"] {
        for entry in fs::read_dir(store.join(partition)).unwrap() {
            let path = entry.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            files.push((path, bytes));
        }
    }
    files.sort();
    files
}

#[test]
fn settings_that_do_not_fit_are_refused_and_change_nothing() {
    each(|golden| {
        let before = section_files(&golden.store);
        let wrong = [
            golden
                .options()
                .page_size(golden.number("logical_page_size") as u16 + 1),
            golden.options().key_size(31),
            golden
                .options()
                .items_per_section(golden.number("items_per_section") / 2),
        ];
        for options in wrong {
            let error = options.adopt(&golden.store).unwrap_err();
            println!("  {error}");
            assert_eq!(section_files(&golden.store), before);
        }
        assert!(!golden.store.join("quipu/manifest").exists());
        drop(golden.adopt());
    });
}

/// One damaged header is no reason to refuse a store, or to lose a section.
#[test]
fn a_store_with_a_damaged_header_is_adopted_whole() {
    for partition in ["index", "values"] {
        each(|golden| {
            let mut names: Vec<_> = fs::read_dir(golden.store.join(partition))
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .collect();
            names.sort();
            // Another file has the header that this one lacks.
            if names.len() < 2 {
                return;
            }
            let damaged = names.last().unwrap();
            let mut bytes = fs::read(damaged).unwrap();
            bytes[1] ^= 0x10;
            fs::write(damaged, &bytes).unwrap();
            assert_holds(&golden.adopt(), &golden.items());
            let mut archive: Store = Archive::open(&golden.store).unwrap();
            assert_holds(&archive, &golden.items());
            let mut files = 0;
            let report = archive.verify(&mut |event| {
                if let VerifyEvent::File { error, .. } = event {
                    assert!(error.to_string().contains(&*damaged.to_string_lossy()));
                    files += 1;
                }
            });
            assert!(report.unwrap().needs_repair() && files == 1);
            archive.repair().unwrap();
            assert!(archive.verify(&mut |_| {}).unwrap().is_clean());
            assert_holds(&archive, &golden.items());
        });
    }
}

/// Where not even that header fits, the section alone is lost; nothing of it is changed, and a repair takes
/// it out.
#[test]
fn a_section_that_cannot_be_read_stops_no_adoption() {
    each(|golden| {
        let files = section_files(&golden.store);
        let index: Vec<_> = files
            .iter()
            .filter(|(path, _)| path.parent().unwrap().ends_with("index"))
            .collect();
        if index.len() < 2 {
            return;
        }
        let (path, bytes) = index[1];
        let damaged: Vec<u8> = bytes.iter().map(|byte| byte ^ 0x5a).collect();
        fs::write(path, &damaged).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let section = u64::from_str_radix(name, 16).unwrap();
        let recovery = golden.options().adopt(&golden.store).unwrap();
        assert_eq!(recovery.unreadable, [section]);
        assert!(!recovery.is_clean());
        assert_eq!(fs::read(path).unwrap(), damaged);
        let mut archive: Store = Archive::open(&golden.store).unwrap();
        assert_eq!(archive.recovery().unreadable, [section]);
        let span = golden.number("items_per_section");
        let is_there = |index: u64| index / span != section / span;
        for (index, key, value) in golden.items() {
            let found = archive.get_item(&key).unwrap();
            match is_there(index) {
                true => assert_eq!(found.unwrap().value, value.into()),
                false => assert!(found.is_none_or(|item| is_there(item.index))),
            }
        }
        assert_eq!(archive.verify(&mut |_| {}).unwrap().unreadable_sections, 1);
        archive.repair().unwrap();
        assert!(!archive.verify(&mut |_| {}).unwrap().needs_repair());
    });
}

#[test]
fn compression_that_does_not_fit_is_refused() {
    for version in VERSIONS {
        let golden = Golden::copy(version, "zstd");
        let error = golden
            .options_without_compression()
            .adopt(&golden.store)
            .unwrap_err();
        assert!(
            error.to_string().contains("zstd") && error.to_string().contains("off"),
            "{error}"
        );
        let plain = Golden::copy(version, "plain");
        plain
            .options()
            .compression(Compression::Zstd(3))
            .adopt(&plain.store)
            .unwrap_err();
    }
}

impl Golden {
    fn options_without_compression(&self) -> Options {
        Options::new()
            .key_size(32)
            .page_size(self.number("logical_page_size") as u16)
            .items_per_section(self.number("items_per_section"))
    }
}
