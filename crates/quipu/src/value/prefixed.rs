//! Byte strings behind their length, as other programs write them.

use std::ops::Deref;

use bytes::{Buf, Bytes};

use super::Value;
use crate::error::{Error, Result};

/// Bytes that are stored behind their length in unsigned LEB128 (7 bits a byte, the lowest first).
/// The golden archives hold such values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Prefixed(pub Bytes);

impl Value for Prefixed {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        let mut len = self.0.len();
        while len >= 0x80 {
            out.push(len as u8 | 0x80);
            len >>= 7;
        }
        out.push(len as u8);
        out.extend_from_slice(&self.0);
        Ok(())
    }

    fn decode(mut bytes: Bytes) -> Result<Self> {
        let mut len = 0u64;
        for shift in (0..64).step_by(7) {
            let Some((&byte, _)) = bytes.split_first() else {
                return Err(Error::Codec("its length is cut short".to_owned()));
            };
            bytes.advance(1);
            let part = u64::from(byte & 0x7f);
            if part << shift >> shift != part || (byte == 0 && shift > 0) {
                break;
            }
            len |= part << shift;
            if byte < 0x80 {
                return of_length(bytes, len);
            }
        }
        Err(Error::Codec(
            "its length is no unsigned LEB128 number".to_owned(),
        ))
    }
}

fn of_length(bytes: Bytes, len: u64) -> Result<Prefixed> {
    if bytes.len() as u64 == len {
        return Ok(Prefixed(bytes));
    }
    let found = bytes.len();
    Err(Error::Codec(format!(
        "it says that {len} bytes follow, {found} do"
    )))
}

impl Deref for Prefixed {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<T: Into<Bytes>> From<T> for Prefixed {
    fn from(bytes: T) -> Self {
        Self(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::there_and_back;
    use super::*;

    #[test]
    fn lengths_of_one_two_and_three_bytes() {
        for (len, prefix) in [
            (0, &[0][..]),
            (1, &[1]),
            (127, &[127]),
            (128, &[0x80, 1]),
            (20_000, &[0xa0, 0x9c, 1]),
        ] {
            let value = vec![7; len];
            there_and_back(Prefixed::from(value.clone()), &[prefix, &value].concat());
        }
    }

    #[test]
    fn lengths_that_do_not_fit_are_errors() {
        let overlong = [0x80, 0x80, 0];
        let huge = [0xff; 11];
        for bad in [&b""[..], &[1], &[2, 1], &[0, 1], &[0x80], &overlong, &huge] {
            let decoded = Prefixed::decode(Bytes::copy_from_slice(bad));
            assert!(matches!(decoded, Err(Error::Codec(_))), "{bad:?}");
        }
    }
}
