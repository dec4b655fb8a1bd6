//! Values: bytes, or whatever a codec makes of them.
//!
//! An archive sees a value as the bytes that its codec wrote. Plain bytes are stored as they are.

mod encode_as;
mod integers;
mod prefixed;
#[cfg(feature = "serde")]
mod serde;

use bytes::Bytes;

pub use encode_as::EncodeAs;
pub use prefixed::Prefixed;

#[cfg(feature = "serde")]
pub use self::serde::Serde;
use crate::error::{Error, Result};

/// A value type: how it becomes bytes, and how it is read from them.
pub trait Value: Sized + Send + 'static {
    /// Appends the value's bytes to `out`; [`Error::Codec`] where it has none.
    fn encode(&self, out: &mut Vec<u8>) -> Result<()>;

    /// The value's bytes where it has them as they are: then nothing is encoded on the way in.
    fn as_bytes(&self) -> Option<&[u8]> {
        None
    }

    /// The value from all of `bytes`; [`Error::Codec`] where they are not of this type.
    fn decode(bytes: Bytes) -> Result<Self>;
}

/// Stored as they are; read without a copy beyond the one out of the file.
impl Value for Bytes {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(self);
        Ok(())
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        Some(self)
    }

    fn decode(bytes: Bytes) -> Result<Self> {
        Ok(bytes)
    }
}

/// Stored as they are.
impl Value for Vec<u8> {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(self);
        Ok(())
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        Some(self)
    }

    fn decode(bytes: Bytes) -> Result<Self> {
        Ok(bytes.into())
    }
}

/// Stored as UTF-8.
impl Value for String {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(str::as_bytes(self));
        Ok(())
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        Some(str::as_bytes(self))
    }

    fn decode(bytes: Bytes) -> Result<Self> {
        Self::from_utf8(bytes.into()).map_err(|error| Error::Codec(error.to_string()))
    }
}

/// Stored as they are.
impl<const N: usize> Value for [u8; N] {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(self);
        Ok(())
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        Some(self)
    }

    fn decode(bytes: Bytes) -> Result<Self> {
        let array = Self::try_from(&bytes[..]);
        array.map_err(|_| wrong_length(N, bytes.len()))
    }
}

/// Stored as no bytes.
impl Value for () {
    fn encode(&self, _: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }

    fn decode(bytes: Bytes) -> Result<Self> {
        if bytes.is_empty() {
            Ok(())
        } else {
            Err(wrong_length(0, bytes.len()))
        }
    }
}

fn wrong_length(expected: usize, found: usize) -> Error {
    Error::Codec(format!("expected {expected} bytes, found {found}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn there_and_back<V: Value + PartialEq + std::fmt::Debug>(value: V, encoded: &[u8]) {
        let mut bytes = Vec::new();
        value.encode(&mut bytes).unwrap();
        assert_eq!(bytes, encoded);
        if let Some(as_they_are) = value.as_bytes() {
            assert_eq!(as_they_are, encoded);
        }
        assert_eq!(V::decode(Bytes::from(bytes)).unwrap(), value);
    }

    #[test]
    fn bytes_and_text_are_stored_as_they_are() {
        there_and_back(Bytes::from_static(b"abc"), b"abc");
        there_and_back(vec![1u8, 2], &[1, 2]);
        there_and_back("knot".to_owned(), b"knot");
        there_and_back(*b"knot", b"knot");
        there_and_back((), b"");
    }

    #[test]
    fn what_is_not_of_the_type_is_an_error() {
        let bytes = Bytes::from_static(&[0xff, 0xfe]);
        assert!(matches!(
            String::decode(bytes.clone()),
            Err(Error::Codec(_))
        ));
        assert!(matches!(
            <[u8; 3]>::decode(bytes.clone()),
            Err(Error::Codec(_))
        ));
        assert!(matches!(<()>::decode(bytes), Err(Error::Codec(_))));
    }
}
