//! Integers, big-endian; truth values as 0 and 1.

use bytes::Bytes;

use super::{Value, wrong_length};
use crate::error::{Error, Result};

macro_rules! integer {
    ($($type:ty),*) => {$(
        /// Stored big-endian.
        impl Value for $type {
            fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
                out.extend_from_slice(&self.to_be_bytes());
                Ok(())
            }

            fn decode(bytes: Bytes) -> Result<Self> {
                let array = <[u8; size_of::<$type>()]>::try_from(&bytes[..]);
                let array = array.map_err(|_| wrong_length(size_of::<$type>(), bytes.len()))?;
                Ok(Self::from_be_bytes(array))
            }
        }
    )*};
}

integer!(u8, u16, u32, u64, u128, i8, i16, i32, i64, i128);

/// Stored as one byte, 0 or 1.
impl Value for bool {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        out.push(u8::from(*self));
        Ok(())
    }

    fn decode(bytes: Bytes) -> Result<Self> {
        match bytes[..] {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(Error::Codec("expected one byte, 0 or 1".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::there_and_back;
    use super::*;

    #[test]
    fn big_endian() {
        there_and_back(0x0102u16, &[1, 2]);
        there_and_back(-2i32, &[0xff, 0xff, 0xff, 0xfe]);
        there_and_back(u128::MAX, &[0xff; 16]);
        there_and_back(true, &[1]);
        there_and_back(false, &[0]);
    }

    #[test]
    fn other_lengths_are_errors() {
        assert!(matches!(
            u64::decode(Bytes::from_static(b"1234567")),
            Err(Error::Codec(_))
        ));
        assert!(matches!(u8::decode(Bytes::new()), Err(Error::Codec(_))));
        assert!(matches!(
            bool::decode(Bytes::from_static(&[2])),
            Err(Error::Codec(_))
        ));
    }
}
