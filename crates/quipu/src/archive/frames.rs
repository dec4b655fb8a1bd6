//! Values as zstd frames, as the writer makes them: one by one, or those of a batch by several threads.

use super::compression::{Compression, Compressor};
use super::writer::Writer;
use crate::error::Result;
use crate::sync::Mutex;

const ZSTD_DEFAULT_LEVEL: i32 = 3;
/// A thread for fewer bytes would take longer to start than it saves.
const BYTES_PER_THREAD: usize = 64 << 10;

impl Writer {
    /// One zstd frame of a value. A section that was begun with compression goes on with it, also
    /// when the setting is off by now.
    pub(super) fn compress(&mut self, value: &[u8]) -> Result<Vec<u8>> {
        let mut compressor = match self.compressors.pop() {
            Some(compressor) => compressor,
            None => Compressor::new(self.compression_level())?,
        };
        let frame = compressor.compress(value);
        self.compressors.push(compressor);
        frame
    }

    fn compression_level(&self) -> i32 {
        match self.manifest.compression.current {
            Compression::Zstd(level) => level,
            Compression::Off => ZSTD_DEFAULT_LEVEL,
        }
    }

    /// Whether the values of new sections are compressed.
    pub(super) fn compresses(&self) -> bool {
        self.manifest.compression.current.is_on()
    }

    /// A frame of each value, in their order.
    pub(super) fn compress_all(&mut self, values: &[&[u8]], bytes: usize) -> Vec<Result<Vec<u8>>> {
        let least = (values.len() * BYTES_PER_THREAD).div_ceil(bytes.max(1));
        let level = self.compression_level();
        let spare = Mutex::new(std::mem::take(&mut self.compressors));
        let compress = |part: &[&[u8]]| -> Vec<Result<Vec<u8>>> {
            let kept = spare.lock().pop();
            match kept.map_or_else(|| Compressor::new(level), Ok) {
                Ok(mut compressor) => {
                    let frames = part.iter().map(|value| compressor.compress(value));
                    let frames = frames.collect();
                    spare.lock().push(compressor);
                    frames
                }
                Err(error) => vec![Err(error)],
            }
        };
        let parts = self.shared.side_by_side(values, least, compress);
        self.compressors = spare.into_inner();
        parts.into_iter().flatten().collect()
    }
}
