//! Bad input, one by one: each gives a clear error, and nothing is lost or changed.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use common::{Bench, key};
use quipu::index::FourCap;
use quipu::{Archive, Bytes, Error, Layout, Options, Status, VerifyEvent};

type Plain = Archive<[u8; 8]>;

fn open(options: Options, bench: &Bench) -> quipu::Result<Plain> {
    options.open_on(bench.storage())
}

fn with_items(bench: &Bench) {
    let mut archive = bench.open::<8>();
    for index in 0..20u64 {
        let _ = archive
            .put(index, &key(index), &format!("value {index}"))
            .unwrap();
    }
    archive.close().unwrap();
}

fn assert_whole(bench: &Bench) {
    let archive = bench.open::<8>();
    assert!(archive.recovery().is_clean(), "{:?}", archive.recovery());
    for index in 0..20u64 {
        assert_eq!(
            archive.get(index).unwrap().unwrap(),
            format!("value {index}")
        );
    }
}

#[test]
fn settings_that_contradict_name_both() {
    Bench::each(Options::new().items_per_section(8), |bench| {
        with_items(bench);
        let wrong = [
            (Options::new().items_per_section(9), ["8", "9"]),
            (Options::new().page_size(100), ["4084 bytes", "100 bytes"]),
            (Options::new().layout(Layout::V0), ["V1", "V0"]),
            (
                Options::new().partitions("other", "values"),
                ["index", "other"],
            ),
            (
                Options::new().partitions("index", "other"),
                ["values", "other"],
            ),
            (Options::new().translator(FourCap), ["hash", "4"]),
        ];
        for (options, both) in wrong {
            let error = open(options, bench).unwrap_err();
            assert!(matches!(error, Error::Settings { .. }), "{error}");
            let text = error.to_string();
            assert!(
                both.iter()
                    .all(|part| text.to_lowercase().contains(&part.to_lowercase())),
                "{text}"
            );
        }
        let error = Options::new()
            .open_on::<[u8; 9], Bytes>(bench.storage())
            .unwrap_err();
        assert!(
            error.to_string().contains("8 bytes") && error.to_string().contains("9 bytes"),
            "{error}"
        );
        assert_whole(bench);
    });
}

#[test]
fn options_that_are_not_allowed() {
    Bench::each(Options::new(), |bench| {
        let wrong = [
            Options::new().items_per_section(0),
            Options::new().page_size(0),
            Options::new().max_open_files(7),
            Options::new().partitions("same", "same"),
            Options::new().partitions("quipu", "values"),
            Options::new().partitions("../index", "values"),
            Options::new().partitions("", "values"),
            Options::new().key_size(9),
            Options::new().compression(quipu::Compression::Zstd(100)),
        ];
        for options in wrong {
            println!("{}", open(options, bench).unwrap_err());
            assert_eq!(bench.storage().list("quipu").unwrap(), [""; 0]);
        }
    });
}

#[test]
fn a_manifest_of_which_both_copies_are_damaged_stops_the_open() {
    Bench::each(Options::new().items_per_section(8), |bench| {
        with_items(bench);
        let whole = bench.read("quipu", "manifest");
        bench.flip("quipu", "manifest-copy", 20);
        for cut in [0, 1, 8, whole.len() - 1] {
            bench.write("quipu", "manifest", &whole[..cut]);
            let error = open(Options::new(), bench).unwrap_err();
            assert!(
                matches!(error, Error::Manifest { .. }) && error.to_string().contains("manifest"),
                "{error}"
            );
        }
        for bit in 0..whole.len() {
            bench.write("quipu", "manifest", &whole);
            bench.flip("quipu", "manifest", bit);
            assert!(matches!(
                open(Options::new(), bench),
                Err(Error::Manifest { .. })
            ));
        }
        for name in ["manifest", "manifest-copy"] {
            bench.write("quipu", name, &whole);
        }
        assert_whole(bench);
    });
}

#[test]
fn a_wrong_header_of_a_layout_that_is_not_known_leaves_the_other_sections_readable() {
    for partition in ["index", "values"] {
        Bench::each(Options::new().items_per_section(8), |bench| {
            with_items(bench);
            // These know the layout.
            bench.storage().remove("quipu", "marks").unwrap();
            let whole = bench.read(partition, "0000000000000008");
            bench.flip(partition, "0000000000000008", 1);
            let hurt = bench.read(partition, "0000000000000008");
            let mut archive = open(Options::new(), bench).unwrap();
            let errors = [
                archive.get(9).unwrap_err(),
                archive.put(9, &key(9), b"again").unwrap_err(),
            ];
            for error in errors {
                assert!(matches!(error, Error::Header { .. }), "{error}");
                assert!(error.to_string().contains("0000000000000008"), "{error}");
            }
            assert_eq!(archive.status(9).unwrap(), Status::Missing);
            assert!(archive.get(1).unwrap().is_some());
            let mut told = 0;
            let report = archive.verify(&mut |event| {
                told += u32::from(matches!(event, VerifyEvent::Unreadable { section: 8, .. }));
            });
            assert_eq!((report.unwrap().unreadable_sections, told), (1, 1));
            drop(archive);
            assert_eq!(bench.read(partition, "0000000000000008"), hurt);
            bench.write(partition, "0000000000000008", &whole);
            assert_whole(bench);
        });
    }
}

#[test]
fn a_strangers_file_is_named_and_left_alone() {
    for name in ["notes.txt", "0000000000000009", "000000000000000A"] {
        Bench::each(Options::new().items_per_section(8), |bench| {
            with_items(bench);
            bench.write("index", name, b"not mine");
            let error = open(Options::new(), bench).unwrap_err();
            assert!(
                matches!(error, Error::NotABlob { .. }) && error.to_string().contains(name),
                "{error}"
            );
            assert_eq!(bench.read("index", name), b"not mine");
            bench.storage().remove("index", name).unwrap();
            assert_whole(bench);
        });
    }
}

#[test]
fn paths_that_are_no_folder_or_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"mine").unwrap();
    let error = Plain::open(&file).unwrap_err();
    assert!(error.to_string().contains("file"), "{error}");
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    let missing = folder.path().join("missing");
    let error = Options::new()
        .create(false)
        .open::<[u8; 8], Bytes>(&missing)
        .unwrap_err();
    assert!(matches!(error, Error::NotAnArchive { .. }), "{error}");
    let error = Options::new()
        .open_read_only::<[u8; 8], Bytes>(&missing)
        .unwrap_err();
    assert!(matches!(error, Error::NotAnArchive { .. }), "{error}");
    assert!(!missing.exists());
}

#[test]
fn sections_without_a_manifest_are_not_taken_for_an_archive() {
    Bench::each(Options::new().items_per_section(8), |bench| {
        with_items(bench);
        let manifest = bench.read("quipu", "manifest");
        for name in ["manifest", "manifest-copy"] {
            bench.storage().remove("quipu", name).unwrap();
        }
        let error = open(Options::new(), bench).unwrap_err();
        assert!(error.to_string().contains("adopt"), "{error}");
        for name in ["manifest", "manifest-copy"] {
            bench.write("quipu", name, &manifest);
        }
        assert_whole(bench);
    });
}

#[test]
fn a_folder_that_vanished_fails_the_put_and_poisons() {
    Bench::disk(Options::new(), |bench| {
        let mut archive = bench.open::<8>();
        let _ = archive.put_sync(0, &key(0), "kept").unwrap();
        let root = bench.folder.as_ref().unwrap().path();
        fs::remove_dir_all(root).unwrap();
        let put = archive
            .put(100_000, &key(1), "lost")
            .and_then(|_| archive.sync());
        println!("{}", put.unwrap_err());
        assert!(matches!(
            archive.put(1, &key(1), "x"),
            Err(Error::Poisoned { .. })
        ));
        assert!(matches!(archive.sync(), Err(Error::Poisoned { .. })));
    });
}

#[test]
fn a_folder_that_is_not_writable() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o500)).unwrap();
    let opened = Plain::open(folder.path());
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    // Root may write anywhere.
    if let Err(error) = opened {
        assert!(
            error.to_string().contains(folder.path().to_str().unwrap()),
            "{error}"
        );
    }
}

#[test]
fn values_of_every_size_and_one_too_large() {
    Bench::each(Options::new().max_value_size(100_000), |bench| {
        let mut archive = bench.open::<8>();
        for (index, len) in [0, 1, 99_999, 100_000].into_iter().enumerate() {
            let _ = archive
                .put(index as u64, &key(index as u64), &vec![7; len])
                .unwrap();
            assert_eq!(archive.get(index as u64).unwrap().unwrap().len(), len);
        }
        let error = archive.put(9, &key(9), &vec![7; 100_001]).unwrap_err();
        assert!(
            matches!(
                error,
                Error::ValueTooLarge {
                    size: 100_001,
                    max: 100_000
                }
            ),
            "{error}"
        );
        assert!(!archive.has(9).unwrap());
        archive.close().unwrap();
        assert_eq!(bench.open::<8>().get(3).unwrap().unwrap().len(), 100_000);
    });
}

#[test]
fn keys_of_no_bytes_and_of_the_wrong_length() {
    Bench::each(Options::new(), |bench| {
        let mut archive: Archive<[u8; 0]> = bench.options().open_on(bench.storage()).unwrap();
        let _ = archive.put_sync(3, &[], "").unwrap();
        assert_eq!(archive.get(&[]).unwrap().unwrap(), "");
    });
    Bench::each(Options::new().key_size(4), |bench| {
        let mut archive: Archive<quipu::KeyBytes> =
            bench.options().open_on(bench.storage()).unwrap();
        let error = archive
            .put(0, &quipu::KeyBytes::from(&b"12345"[..]), "v")
            .unwrap_err();
        assert!(
            matches!(
                error,
                Error::KeySize {
                    expected: 4,
                    found: 5
                }
            ),
            "{error}"
        );
        let error = archive
            .get(&quipu::KeyBytes::from(&b"123"[..]))
            .unwrap_err();
        assert!(
            matches!(
                error,
                Error::KeySize {
                    expected: 4,
                    found: 3
                }
            ),
            "{error}"
        );
    });
}

#[test]
fn pages_of_every_size() {
    for page in [1, 2, 27, 28, 29, 4084, u16::MAX] {
        Bench::each(
            Options::new().page_size(page).items_per_section(u64::MAX),
            |bench| {
                with_items(bench);
                assert_whole(bench);
            },
        );
    }
}
