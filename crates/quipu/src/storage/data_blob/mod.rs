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
//! place of a header are an error, never a reason to write over them. Who knows the file's layout
//! can read its data all the same.
//!
//! # Cost
//!
//! An open reads the blob's length and up to 4096 bytes. A creation opens twice, flushes once. Other
//! calls cost what the blob's do. What of a creation takes long can be done ahead of it.

#[cfg(test)]
pub(super) mod tests;

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use super::{Blob, OpenMode, Read, Storage, Window};
use crate::canary::Canary;
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

/// What can be read of the data of a file that is not open.
#[derive(Debug)]
pub(crate) struct DataWindow {
    window: Arc<dyn Window>,
    header: u64,
}

impl DataWindow {
    /// As [`Window::read_into`].
    pub(super) fn read_into(&self, buf: &mut Vec<u8>, offset: u64, len: usize) -> bool {
        let at = offset.checked_add(self.header);
        at.is_some_and(|at| self.window.read_into(buf, at, len))
    }

    pub(super) fn mapped_at(&self, offset: u64) -> Option<usize> {
        self.window.mapped_at(offset.checked_add(self.header)?)
    }

    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + self.window.memory()
    }
}

/// What a file is called until it is whole.
fn new_name(name: &str) -> String {
    format!("{name}{NEW_SUFFIX}")
}

/// What an existing file turned out to be.
pub(super) enum Found {
    Whole(DataBlob),
    Interrupted(Arc<dyn Blob>),
}

/// What the header of a file says, and how long the file is. One that the disk cannot read is none that is right: never
/// that of a creation that was interrupted, whose place another file may take.
pub(crate) fn read_header(blob: &dyn Blob) -> Result<(HeaderState, u64)> {
    let len = blob.len().map_err(|error| error.of_read(0))?;
    let read = |most: usize| {
        let mut start = Vec::new();
        let bytes = len.min(most as u64) as usize;
        let read = blob.read_into(&mut start, 0, bytes);
        let start = read.map_err(|error| error.of_read(0)).map(|()| start);
        start.map(|start| HeaderState::parse(&start, len))
    };
    let header = match read(MAX_HEADER_SIZE) {
        // What cannot be read may stand behind a short one.
        Err(Error::Unreadable { reason, .. }) => match read(Layout::V0.header_size() as usize) {
            Ok(valid @ HeaderState::Valid(_)) => valid,
            _ => HeaderState::Invalid(format!("the disk cannot read it: {reason}")),
        },
        read => read?,
    };
    Ok((header, len))
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
        let created = Self::try_create(storage, partition, name, layout);
        created.inspect_err(|error| {
            if matches!(error, Error::StorageFull { .. }) {
                // Whoever goes on is not to find what nobody finishes.
                let _ = storage.remove(partition, &new_name(name));
            }
        })
    }

    fn try_create(
        storage: &dyn Storage,
        partition: &str,
        name: &str,
        layout: Layout,
    ) -> Result<Self> {
        let new = storage.open(partition, &new_name(name), OpenMode::Create)?;
        // A creation that a crash interrupted may have left bytes.
        new.resize(0)?;
        new.write_at(&[IoSlice::new(&layout.encode())], 0)?;
        // Before the rename: under its final name a file always has a whole header.
        if !Canary::HeaderNotFlushed.sings() {
            new.sync()?;
        }
        storage.rename(partition, &new_name(name), name)?;
        // Opened again, because the first handle goes by the old name in errors.
        Self::open_created(storage, partition, name, layout)
    }

    /// Opens a file that was just created with this layout.
    pub(crate) fn open_created(
        storage: &dyn Storage,
        partition: &str,
        name: &str,
        layout: Layout,
    ) -> Result<Self> {
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
    /// also when a writer creates the file anew. Any other header is [`Error::Header`], unless the
    /// layout is `known`.
    pub(crate) fn open(
        storage: &dyn Storage,
        partition: &str,
        name: &str,
        access: Access,
        layout: Layout,
        known: Option<Layout>,
    ) -> Result<Self> {
        match (
            Self::find(storage, partition, name, access, known, None)?,
            access,
        ) {
            (Found::Whole(blob), _) => Ok(blob),
            (Found::Interrupted(_), Access::Write) => {
                let created = Self::create(storage, partition, name, layout)?;
                // Whoever opens a file takes its name for durable.
                storage.sync_partition(partition)?;
                Ok(created)
            }
            (Found::Interrupted(blob), Access::Read) => Ok(Self::hollow(blob, layout)),
        }
    }

    /// Opens the file and reads its header; changes nothing. Where the header is not right, and the
    /// file's layout is `known`, its data is where that says: it has checksums of its own. The handle goes on with what
    /// a `window` to the file knows of it.
    pub(super) fn find(
        storage: &dyn Storage,
        partition: &str,
        name: &str,
        access: Access,
        known: Option<Layout>,
        window: Option<&DataWindow>,
    ) -> Result<Found> {
        let mode = match access {
            Access::Read => OpenMode::Read,
            Access::Write => OpenMode::Write,
        };
        let opened = match window {
            Some(before) => storage.open_again(partition, name, mode, &before.window),
            None => storage.open(partition, name, mode),
        };
        let blob = opened.map_err(|error| error.of_read(0))?;
        let (header, len) = read_header(&*blob)?;
        let with = |blob, layout| {
            Ok(Found::Whole(Self {
                blob,
                layout,
                hollow: false,
            }))
        };
        match (header, known) {
            (HeaderState::Valid(layout), _) => with(blob, layout),
            (HeaderState::Invalid(_), Some(layout)) if len >= layout.header_size() => {
                with(blob, layout)
            }
            (HeaderState::Interrupted, Some(layout)) if len > layout.header_size() => {
                with(blob, layout)
            }
            (HeaderState::Interrupted, _) => Ok(Found::Interrupted(blob)),
            (HeaderState::Invalid(reason), _) => Err(Error::Header {
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

    /// What can be read of the data once the file is closed.
    pub(super) fn window(&self) -> Option<DataWindow> {
        let window = self.blob.window().filter(|_| !self.hollow)?;
        let header = self.layout.header_size();
        Some(DataWindow { window, header })
    }

    /// Whether the file had no whole header, and so no data.
    pub(crate) fn is_hollow(&self) -> bool {
        self.hollow
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

    /// The same read, to be made beside others. What it finds is the blob's, so are the offsets in its errors.
    pub(crate) fn read_of(&self, offset: u64, len: usize) -> Read<'_> {
        let at = offset.saturating_add(self.layout.header_size());
        Read {
            blob: &*self.blob,
            // Of a file without a header there is nothing to be read.
            offset: if self.hollow { u64::MAX } else { at },
            len,
        }
    }

    /// As [`Blob::is_in_memory`].
    pub(crate) fn is_in_memory(&self, offset: u64, len: usize) -> bool {
        let Read { blob, offset, len } = self.read_of(offset, len);
        blob.is_in_memory(offset, len)
    }

    /// As [`Blob::mapped_at`].
    pub(crate) fn mapped_at(&self, offset: u64) -> Option<usize> {
        let at = offset.checked_add(self.layout.header_size())?;
        self.blob.mapped_at(at)
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
        let synced = self.blob.sync();
        match Canary::FlushRetried.sings() {
            true => synced.or_else(|_| self.blob.sync()),
            false => synced,
        }
    }

    /// Begins to make bytes durable; as [`Blob::begin_sync`].
    pub(crate) fn begin_sync(&self, offset: u64, len: u64) {
        let at = offset.saturating_add(self.layout.header_size());
        self.blob.begin_sync(at, len);
    }

    /// The length of the data in bytes.
    pub(crate) fn len(&self) -> Result<u64> {
        match self.hollow {
            true => Ok(0),
            false => Ok(self.blob.len()?.saturating_sub(self.layout.header_size())),
        }
    }

    /// Where, from `offset` on, there are bytes again that may have been written; as
    /// [`Blob::next_written`].
    pub(crate) fn next_written(&self, offset: u64) -> Result<u64> {
        let at = self.blob.next_written(self.behind_header(offset, 0)?)?;
        Ok(at.saturating_sub(self.layout.header_size()))
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
