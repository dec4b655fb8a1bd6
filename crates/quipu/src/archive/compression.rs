//! How the values of a section are stored: as they are, or each as one zstd frame.

use std::fmt;

use bytes::Bytes;

use crate::error::{Error, Result};

/// Whether values are compressed. May change between opens: sections that exist stay as they are,
/// new ones follow the new setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Values are stored as they are.
    #[default]
    Off,
    /// Each value is one zstd frame, made with this level (-131,072 to 22; 3 is zstd's default).
    /// Needs the feature `zstd`.
    Zstd(i32),
}

impl Compression {
    /// Whether values are compressed at all.
    pub fn is_on(self) -> bool {
        self != Self::Off
    }

    /// Whether this build can do it, and the level is one that zstd has.
    pub(super) fn check(self) -> Result<()> {
        let reason = match self {
            Self::Off => return Ok(()),
            #[cfg(feature = "zstd")]
            Self::Zstd(level) if zstd::compression_level_range().contains(&level) => return Ok(()),
            #[cfg(feature = "zstd")]
            Self::Zstd(level) => {
                let levels = zstd::compression_level_range();
                format!(
                    "zstd level {level} is not in {} to {}",
                    levels.start(),
                    levels.end()
                )
            }
            #[cfg(not(feature = "zstd"))]
            Self::Zstd(_) => NO_ZSTD.to_owned(),
        };
        Err(Error::InvalidOption {
            option: "compression",
            reason,
        })
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Zstd(level) => write!(f, "zstd level {level}"),
        }
    }
}

#[cfg(not(feature = "zstd"))]
const NO_ZSTD: &str = "this build of quipu has no zstd; build it with the feature `zstd`";

/// Compresses values one after the other, with one context.
pub(super) struct Compressor {
    #[cfg(feature = "zstd")]
    context: zstd::bulk::Compressor<'static>,
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Compressor")
    }
}

#[cfg(feature = "zstd")]
impl Compressor {
    pub(super) fn new(level: i32) -> Result<Self> {
        let context = zstd::bulk::Compressor::new(level).map_err(refused)?;
        Ok(Self { context })
    }

    /// One zstd frame of `value`.
    pub(super) fn compress(&mut self, value: &[u8]) -> Result<Vec<u8>> {
        self.context.compress(value).map_err(refused)
    }
}

#[cfg(feature = "zstd")]
fn refused(error: std::io::Error) -> Error {
    Error::Compression(error.to_string())
}

#[cfg(not(feature = "zstd"))]
impl Compressor {
    pub(super) fn new(_: i32) -> Result<Self> {
        Err(Error::Compression(NO_ZSTD.to_owned()))
    }

    pub(super) fn compress(&mut self, _: &[u8]) -> Result<Vec<u8>> {
        Err(Error::Compression(NO_ZSTD.to_owned()))
    }
}

/// The most bytes that a value of `max` bytes takes as one zstd frame: zstd's own bound, and the
/// head, checksum and blocks of a frame that was written in small pieces.
pub(super) fn max_frame_size(max: u32) -> u64 {
    let max = u64::from(max);
    max.saturating_add(max / 128).saturating_add(64 << 10)
}

/// Undoes one zstd frame, which must be all of `frame`. The memory it takes follows what comes
/// out, never what the frame says of itself; more than `max` bytes is [`Error::ValueTooLarge`].
/// Beside it zstd takes the window that the frame asks for, see [`window_log_max`].
#[cfg(feature = "zstd")]
pub(super) fn decompress(frame: &[u8], max: u32) -> Result<Bytes> {
    use std::io::{BufReader, Read};

    /// What a frame may claim and be given at once, as a multiple of its own size.
    const TRUSTED_RATIO: usize = 64;

    let refused = |error: std::io::Error| Error::Decompression(error.to_string());
    let claimed = zstd::zstd_safe::get_frame_content_size(frame)
        .ok()
        .flatten();
    let claimed = claimed.unwrap_or(0);
    if claimed > u64::from(max) {
        return Err(too_large(claimed, max));
    }
    let claimed = claimed as usize;
    let mut out = Vec::with_capacity(claimed.min(frame.len().saturating_mul(TRUSTED_RATIO)));
    let mut decoder = zstd::Decoder::with_buffer(BufReader::new(frame))
        .map_err(refused)?
        .single_frame();
    decoder
        .window_log_max(window_log_max(max))
        .map_err(refused)?;
    let limit = u64::from(max) + 1;
    decoder
        .by_ref()
        .take(limit)
        .read_to_end(&mut out)
        .map_err(refused)?;
    if out.len() as u64 > u64::from(max) {
        return Err(too_large(out.len() as u64, max));
    }
    let mut rest = decoder.finish();
    if rest.read(&mut [0]).map_err(refused)? != 0 {
        return Err(Error::Decompression(
            "bytes follow the zstd frame".to_owned(),
        ));
    }
    Ok(Bytes::from(out))
}

/// A value that is `size` bytes long, or longer.
#[cfg(feature = "zstd")]
fn too_large(size: u64, max: u32) -> Error {
    match max {
        // No value was ever taken that is larger.
        crate::format::MAX_VALUE_SIZE.. => {
            Error::Decompression(format!("it grows past {max} bytes"))
        }
        _ => Error::ValueTooLarge {
            size,
            max: max.into(),
        },
    }
}

/// The largest window that a frame may ask for, as a power of two: what a value of `max` bytes
/// needs, but 8 MiB at the least, which every decoder is to take (RFC 8878).
#[cfg(feature = "zstd")]
fn window_log_max(max: u32) -> u32 {
    /// 8 MiB, and the most that zstd takes unless told otherwise.
    const LOGS: std::ops::RangeInclusive<u32> = 23..=27;
    let log = u32::BITS - max.saturating_sub(1).leading_zeros();
    log.clamp(*LOGS.start(), *LOGS.end())
}

#[cfg(not(feature = "zstd"))]
pub(super) fn decompress(_: &[u8], _: u32) -> Result<Bytes> {
    // Not the bytes' fault, so not an error of decompression, which means damage.
    Err(Error::Compression(NO_ZSTD.to_owned()))
}

#[cfg(all(test, feature = "zstd"))]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let mut compressor = Compressor::new(3).unwrap();
        for len in [0, 1, 1000, 200_000] {
            let value = vec![7; len];
            let frame = compressor.compress(&value).unwrap();
            assert_eq!(decompress(&frame, u32::MAX).unwrap(), value);
        }
    }

    #[test]
    fn a_frame_that_grows_too_far_is_an_error() {
        let frame = Compressor::new(3).unwrap().compress(&[0; 100_000]).unwrap();
        assert_eq!(decompress(&frame, 100_000).unwrap().len(), 100_000);
        assert!(matches!(
            decompress(&frame, 99_999),
            Err(Error::ValueTooLarge { .. })
        ));
    }

    #[test]
    fn what_is_no_single_frame_is_an_error() {
        let frame = Compressor::new(3).unwrap().compress(b"value").unwrap();
        let twice = [&frame[..], &frame[..]].concat();
        for bad in [&b""[..], b"value", &frame[..frame.len() - 1], &twice] {
            assert!(
                matches!(decompress(bad, 100), Err(Error::Decompression(_))),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn levels_that_zstd_does_not_have_are_refused() {
        Compression::Zstd(22).check().unwrap();
        assert!(Compression::Zstd(23).check().is_err());
    }
}
