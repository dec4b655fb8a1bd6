//! What `put` takes for a value: the value itself, or anything that has its bytes.

use bytes::Bytes;

use super::Value;
use crate::error::Result;

/// Something that can be put where the archive's values are of type `V`: any `V`, and for
/// [`Bytes`] also slices, arrays, vectors and text.
pub trait EncodeAs<V> {
    /// Appends the bytes to `out`.
    fn encode(&self, out: &mut Vec<u8>) -> Result<()>;

    /// The bytes, where they are there as they are.
    fn as_bytes(&self) -> Option<&[u8]>;
}

impl<V: Value> EncodeAs<V> for V {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        Value::encode(self, out)
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        Value::as_bytes(self)
    }
}

impl<T: EncodeAs<Bytes> + ?Sized> EncodeAs<Bytes> for &T {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        (**self).encode(out)
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        (**self).as_bytes()
    }
}

macro_rules! bytes_of {
    ($([$($generic:tt)*] $type:ty),* $(,)?) => {$(
        impl<$($generic)*> EncodeAs<Bytes> for $type {
            fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
                out.extend_from_slice(self.as_ref());
                Ok(())
            }

            fn as_bytes(&self) -> Option<&[u8]> {
                Some(self.as_ref())
            }
        }
    )*};
}

bytes_of!([] [u8], [const N: usize] [u8; N], [] Vec<u8>, [] str, [] String);

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of<V>(value: &(impl EncodeAs<V> + ?Sized)) -> Vec<u8> {
        let mut out = Vec::new();
        value.encode(&mut out).unwrap();
        assert!(value.as_bytes().is_none_or(|bytes| bytes == out));
        out
    }

    #[test]
    fn everything_that_has_bytes() {
        let expected = b"value".to_vec();
        assert_eq!(bytes_of::<Bytes>(b"value"), expected);
        assert_eq!(bytes_of::<Bytes>(&b"value"[..]), expected);
        assert_eq!(bytes_of::<Bytes>("value"), expected);
        assert_eq!(bytes_of::<Bytes>(&"value".to_owned()), expected);
        assert_eq!(bytes_of::<Bytes>(&expected), expected);
        assert_eq!(bytes_of::<Bytes>(&Bytes::from_static(b"value")), expected);
        assert_eq!(bytes_of::<u16>(&0x0102u16), [1, 2]);
    }
}
