//! One of several reads that are made at once.

use super::Blob;
use crate::error::Result;

/// One read of [`Storage::read_many`](super::Storage::read_many).
#[derive(Clone, Copy, Debug)]
pub struct Read<'a> {
    /// What is read.
    pub blob: &'a dyn Blob,
    /// Where in the blob the bytes begin.
    pub offset: u64,
    /// How many there are.
    pub len: usize,
}

impl Read<'_> {
    /// Makes this read alone, with the blob's own call.
    ///
    /// # Errors
    ///
    /// Those of [`Blob::read_into`].
    pub fn alone(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.blob.read_into(&mut bytes, self.offset, self.len)?;
        Ok(bytes)
    }
}
