//! Headers of both layouts, whole, interrupted and damaged, on a disk and in memory.

use super::*;
use crate::storage::suite::expect_error;
use crate::storage::{Disk, Memory};

const BOTH: [Layout; 2] = [Layout::V0, Layout::V1];

/// Runs a test on an empty disk and on an empty memory.
pub(in crate::storage) fn everywhere(test: impl Fn(Arc<dyn Storage>)) {
    let folder = tempfile::TempDir::new().unwrap();
    test(Arc::new(Disk::open(folder.path()).unwrap()));
    test(Arc::new(Memory::new()));
}

/// Writes the bytes of a file as another program would.
pub(in crate::storage) fn plant(storage: &dyn Storage, name: &str, bytes: &[u8]) {
    let blob = storage.open("p", name, OpenMode::Create).unwrap();
    blob.resize(0).unwrap();
    blob.write_at(&[IoSlice::new(bytes)], 0).unwrap();
}

fn bytes_of(storage: &dyn Storage, name: &str) -> Vec<u8> {
    let blob = storage.open("p", name, OpenMode::Read).unwrap();
    let mut bytes = Vec::new();
    let len = blob.len().unwrap() as usize;
    blob.read_into(&mut bytes, 0, len).unwrap();
    bytes
}

fn open(storage: &dyn Storage, access: Access, layout: Layout) -> Result<DataBlob> {
    DataBlob::open(storage, "p", "x", access, layout, None)
}

#[test]
fn data_stands_behind_the_header() {
    everywhere(|storage| {
        for layout in BOTH {
            let blob = DataBlob::create(&*storage, "p", "x", layout).unwrap();
            assert_eq!((blob.len().unwrap(), blob.layout()), (0, layout));
            let bufs = [IoSlice::new(b"da"), IoSlice::new(b"ta")];
            blob.write_at(&bufs, 3).unwrap();
            blob.resize(6).unwrap();
            blob.sync().unwrap();
            let mut wanted = layout.encode();
            wanted.extend_from_slice(b"\0\0\0dat");
            assert_eq!(bytes_of(&*storage, "x"), wanted);
            assert_eq!(storage.list("p").unwrap(), ["x"]);
            assert_eq!(blob.path(), storage.path("p", "x"));
        }
    });
}

#[test]
fn the_file_tells_its_layout() {
    everywhere(|storage| {
        for (layout, other) in [(Layout::V0, Layout::V1), (Layout::V1, Layout::V0)] {
            plant(&*storage, "x", &[&layout.encode()[..], b"data"].concat());
            for access in [Access::Read, Access::Write] {
                let blob = open(&*storage, access, other).unwrap();
                assert_eq!((blob.layout(), blob.len().unwrap()), (layout, 4));
                let mut data = b"old ".to_vec();
                blob.read_into(&mut data, 1, 3).unwrap();
                assert_eq!(data, b"old ata");
                let mut data = [0; 2];
                blob.read_at(&mut data, 0).unwrap();
                assert_eq!(&data, b"da");
            }
        }
    });
}

#[test]
fn errors_count_from_the_data() {
    everywhere(|storage| {
        for layout in BOTH {
            let blob = DataBlob::create(&*storage, "p", "x", layout).unwrap();
            blob.write_at(&[IoSlice::new(b"data")], 0).unwrap();
            for offset in [3, 4, 5, 1 << 40, u64::MAX - 1, u64::MAX] {
                match blob.read_at(&mut [0; 2], offset).unwrap_err() {
                    Error::OutOfBounds {
                        offset: o,
                        len: 4,
                        wanted: 2,
                        ..
                    } if o == offset => {}
                    other => panic!("{offset}: {other:?}"),
                }
                let into = blob.read_into(&mut Vec::new(), offset, 2);
                expect_error!(into, Error::OutOfBounds { len: 4, .. });
            }
            let write = blob.write_at(&[IoSlice::new(b"x")], u64::MAX - 8);
            expect_error!(write, Error::OutOfBounds { len: 4, .. });
            expect_error!(blob.resize(u64::MAX), Error::OutOfBounds { len: 4, .. });
        }
    });
}

#[test]
fn an_interrupted_creation_is_empty_to_a_reader_and_made_anew_by_a_writer() {
    let whole = Layout::V1.encode();
    let states: [&[u8]; 6] = [
        b"",
        b"CWI",
        b"CWIC\0\0",
        &[0; 8],
        &[0; 4096],
        &whole[..4095],
    ];
    everywhere(|storage| {
        for state in states {
            plant(&*storage, "x", state);
            let reader = open(&*storage, Access::Read, Layout::V1).unwrap();
            assert_eq!(bytes_of(&*storage, "x"), state, "a reader changes nothing");
            assert_eq!(reader.len().unwrap(), 0);
            reader.read_at(&mut [], 0).unwrap();
            expect_error!(
                reader.read_at(&mut [0], 0),
                Error::OutOfBounds { len: 0, .. }
            );
            expect_error!(reader.resize(1), Error::ReadOnly { .. });

            let writer = open(&*storage, Access::Write, Layout::V1).unwrap();
            writer.write_at(&[IoSlice::new(b"x")], 0).unwrap();
            assert_eq!(bytes_of(&*storage, "x"), [&whole[..], b"x"].concat());
        }
    });
}

#[test]
fn a_damaged_header_is_an_error_and_stays() {
    let mut flipped = Layout::V1.encode();
    flipped[100] ^= 1;
    let states: [&[u8]; 4] = [b"CWIX", &[0; 4097], b"CWIC\0\x02\0\0", &flipped];
    everywhere(|storage| {
        for state in states {
            plant(&*storage, "x", state);
            for access in [Access::Read, Access::Write] {
                match open(&*storage, access, Layout::V1).unwrap_err() {
                    Error::Header { path, .. } => assert_eq!(path, storage.path("p", "x")),
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(bytes_of(&*storage, "x"), state);
        }
    });
}

#[test]
fn a_creation_takes_the_place_of_what_was_there() {
    everywhere(|storage| {
        plant(&*storage, "x", b"anything");
        plant(&*storage, "x.new", &[9; 9000]);
        DataBlob::create(&*storage, "p", "x", Layout::V1).unwrap();
        assert_eq!(bytes_of(&*storage, "x"), Layout::V1.encode());
        assert_eq!(storage.list("p").unwrap(), ["x"]);
    });
}

#[test]
fn what_is_missing_or_open_for_reading_says_so() {
    everywhere(|storage| {
        for access in [Access::Read, Access::Write] {
            expect_error!(open(&*storage, access, Layout::V1), Error::NotFound { .. });
        }
        DataBlob::create(&*storage, "p", "x", Layout::V1).unwrap();
        let reader = open(&*storage, Access::Read, Layout::V1).unwrap();
        expect_error!(
            reader.write_at(&[IoSlice::new(b"x")], 0),
            Error::ReadOnly { .. }
        );
    });
}
