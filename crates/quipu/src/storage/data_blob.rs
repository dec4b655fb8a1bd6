//! A blob behind its section header.
//!
//! ```text
//! blob   | header (8 or 4096 bytes) | data …
//! offset                             0 …
//! ```
//!
//! # Invariants
//!
//! - All offsets and lengths count from the data, those in errors too.
//! - A file under its final name has a whole header: it is created as `<name>.new`, written,
//!   flushed, and only then renamed. Its name is durable after
//!   [`Storage::sync_partition`], which is the caller's to call.
//!
//! # Recovery
//!
//! Other programs create files under their final name, so a crash may leave one whose header is not
//! whole. It was never used: a writer creates it anew, a reader sees no data. Any other bytes in
//! place of a header are an error, never a reason to write over them.
//!
//! # Cost
//!
//! An open reads the blob's length and up to 4096 bytes. A creation opens twice, flushes once. Other
//! calls cost what the blob's do.

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use super::{Blob, OpenMode, Storage};
use crate::error::{Error, Result};
use crate::format::{HeaderState, Layout, MAX_HEADER_SIZE, NEW_SUFFIX};

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing in the storage is changed.
    Read,
    /// Reads and writes; what a crash left behind is put right.
    Write,
}

/// The data of one section file.
#[derive(Debug)]
pub(crate) struct DataBlob {
    blob: Arc<dyn Blob>,
    layout: Layout,
    /// Whether the creation of the file was interrupted and nobody may repair it: no data then,
    /// whatever the file's length.
    hollow: bool,
}

/// What an existing file turned out to be.
pub(super) enum Found {
    Whole(DataBlob),
    Interrupted(Arc<dyn Blob>),
}

impl DataBlob {
    /// Creates the file with a header and no data, in place of one that may be there.
    ///
    /// The file is flushed; its name is durable after [`Storage::sync_partition`].
    pub(crate) fn create(
        storage: &dyn Storage,
        partition: &str,
        name: &str,
        layout: Layout,
    ) -> Result<Self> {
        let new_name = format!("{name}{NEW_SUFFIX}");
        let new = storage.open(partition, &new_name, OpenMode::Create)?;
        // A creation that a crash interrupted may have left bytes.
        new.resize(0)?;
        new.write_at(&[IoSlice::new(&layout.encode())], 0)?;
        // Before the rename: under its final name a file always has a whole header.
        new.sync()?;
        storage.rename(partition, &new_name, name)?;
        // Opened again, because the first handle goes by the old name in errors.
        let blob = storage.open(partition, name, OpenMode::Write)?;
        Ok(Self {
            blob,
            layout,
            hollow: false,
        })
    }

    /// Opens the file, which must be there; its header tells the layout.
    ///
    /// A file whose creation was interrupted is created anew with `layout` for
    /// [`Access::Write`], and has no data for [`Access::Read`]; such a handle stays without data,
    /// also when a writer creates the file anew. Any other header is [`Error::Header`].
    pub(crate) fn open(
        storage: &dyn Storage,
        partition: &str,
        name: &str,
        access: Access,
        layout: Layout,
    ) -> Result<Self> {
        match (Self::find(storage, partition, name, access)?, access) {
            (Found::Whole(blob), _) => Ok(blob),
            (Found::Interrupted(_), Access::Write) => {
                Self::create(storage, partition, name, layout)
            }
            (Found::Interrupted(blob), Access::Read) => Ok(Self::hollow(blob, layout)),
        }
    }

    /// Opens the file and reads its header; changes nothing.
    pub(super) fn find(
        storage: &dyn Storage,
        partition: &str,
        name: &str,
        access: Access,
    ) -> Result<Found> {
        let mode = match access {
            Access::Read => OpenMode::Read,
            Access::Write => OpenMode::Write,
        };
        let blob = storage.open(partition, name, mode)?;
        let len = blob.len()?;
        let mut start = Vec::new();
        let header_len = len.min(MAX_HEADER_SIZE as u64) as usize;
        blob.read_into(&mut start, 0, header_len)?;
        match HeaderState::parse(&start, len) {
            HeaderState::Valid(layout) => Ok(Found::Whole(Self {
                blob,
                layout,
                hollow: false,
            })),
            HeaderState::Interrupted => Ok(Found::Interrupted(blob)),
            HeaderState::Invalid(reason) => Err(Error::Header {
                path: blob.path().to_path_buf(),
                reason,
            }),
        }
    }

    pub(super) fn hollow(blob: Arc<dyn Blob>, layout: Layout) -> Self {
        Self {
            blob,
            layout,
            hollow: true,
        }
    }

    /// Fills the whole buffer; as [`Blob::read_at`].
    pub(crate) fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let at = self.readable(offset, buf.len())?;
        self.blob
            .read_at(buf, at)
            .map_err(|e| self.without_header(e))
    }

    /// Appends `len` bytes to `buf`; as [`Blob::read_into`].
    pub(crate) fn read_into(&self, buf: &mut Vec<u8>, offset: u64, len: usize) -> Result<()> {
        let at = self.readable(offset, len)?;
        self.blob
            .read_into(buf, at, len)
            .map_err(|e| self.without_header(e))
    }

    /// Writes the buffers one after the other; as [`Blob::write_at`].
    pub(crate) fn write_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> Result<()> {
        self.check_whole()?;
        let at = self.behind_header(offset, 0)?;
        self.blob
            .write_at(bufs, at)
            .map_err(|e| self.without_header(e))
    }

    /// Cuts the data to `len` bytes, or fills it up with zeros; as [`Blob::resize`].
    pub(crate) fn resize(&self, len: u64) -> Result<()> {
        self.check_whole()?;
        let len = self.behind_header(len, 0)?;
        self.blob.resize(len).map_err(|e| self.without_header(e))
    }

    /// Makes all bytes written so far, and the length, durable.
    pub(crate) fn sync(&self) -> Result<()> {
        self.blob.sync()
    }

    /// The length of the data in bytes.
    pub(crate) fn len(&self) -> Result<u64> {
        match self.hollow {
            true => Ok(0),
            false => Ok(self.blob.len()?.saturating_sub(self.layout.header_size())),
        }
    }

    /// What errors call this file.
    pub(crate) fn path(&self) -> &Path {
        self.blob.path()
    }

    /// Which header the file has.
    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    fn check_whole(&self) -> Result<()> {
        match self.hollow {
            true => Err(Error::ReadOnly {
                path: self.path().to_path_buf(),
            }),
            false => Ok(()),
        }
    }

    /// Where in the blob the data at `offset` is. A file without a header has none to read.
    fn readable(&self, offset: u64, wanted: usize) -> Result<u64> {
        if self.hollow && wanted > 0 {
            return Err(self.out_of_bounds(offset, wanted as u64, 0));
        }
        self.behind_header(offset, wanted as u64)
    }

    fn behind_header(&self, offset: u64, wanted: u64) -> Result<u64> {
        match offset.checked_add(self.layout.header_size()) {
            Some(at) => Ok(at),
            None => Err(self.out_of_bounds(offset, wanted, self.len()?)),
        }
    }

    fn out_of_bounds(&self, offset: u64, wanted: u64, len: u64) -> Error {
        Error::OutOfBounds {
            path: self.path().to_path_buf(),
            offset,
            wanted,
            len,
        }
    }

    /// The error of a blob, with offsets that count from the data.
    fn without_header(&self, error: Error) -> Error {
        let header = self.layout.header_size();
        match error {
            Error::OutOfBounds {
                path,
                offset,
                wanted,
                len,
            } => Error::OutOfBounds {
                path,
                offset: offset.saturating_sub(header),
                wanted,
                len: len.saturating_sub(header),
            },
            other => other,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
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
        DataBlob::open(storage, "p", "x", access, layout)
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
}
