//! Keys: byte strings of one length, the same in a whole archive.

use std::fmt;

use bytes::Bytes;

use crate::error::{Error, Result};

/// A key type: fixed-size bytes, usually a hash.
///
/// Byte arrays are keys. A newtype over one becomes one with [`key_newtype!`](crate::key_newtype).
pub trait Key: Clone + fmt::Debug + Send + Sync + 'static {
    /// How many bytes a key has; none where only the archive knows ([`KeyBytes`]).
    const SIZE: Option<usize>;

    /// The key's bytes.
    fn as_bytes(&self) -> &[u8];

    /// A key from its bytes; [`Error::KeySize`] where they are too many or too few.
    fn from_bytes(bytes: &[u8]) -> Result<Self>;
}

impl<const N: usize> Key for [u8; N] {
    const SIZE: Option<usize> = Some(N);

    #[inline]
    fn as_bytes(&self) -> &[u8] {
        self
    }

    #[inline]
    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        bytes.try_into().map_err(|_| Error::KeySize {
            expected: N,
            found: bytes.len(),
        })
    }
}

/// A key whose length is known at run time only: that of the archive it is used with, where
/// another length is [`Error::KeySize`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyBytes(Bytes);

impl Key for KeyBytes {
    const SIZE: Option<usize> = None;

    #[inline]
    fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Ok(Self(Bytes::copy_from_slice(bytes)))
    }
}

impl From<&[u8]> for KeyBytes {
    fn from(bytes: &[u8]) -> Self {
        Self(Bytes::copy_from_slice(bytes))
    }
}

impl From<Vec<u8>> for KeyBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl AsRef<[u8]> for KeyBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for KeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Makes a newtype over a byte array a [`Key`].
///
/// ```
/// #[derive(Clone, Debug)]
/// struct BlockHash([u8; 32]);
/// quipu::key_newtype!(BlockHash, 32);
///
/// let folder = tempfile::tempdir()?;
/// let mut blocks: quipu::Archive<BlockHash> = quipu::Archive::open(folder.path())?;
/// let hash = BlockHash([7; 32]);
/// let _ = blocks.put(1, &hash, "a block")?;
/// assert_eq!(blocks.get(&hash)?.unwrap(), "a block");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[macro_export]
macro_rules! key_newtype {
    ($name:ident, $size:expr) => {
        impl $crate::Key for $name {
            const SIZE: Option<usize> = Some($size);

            fn as_bytes(&self) -> &[u8] {
                &self.0
            }

            fn from_bytes(bytes: &[u8]) -> $crate::Result<Self> {
                <[u8; $size] as $crate::Key>::from_bytes(bytes).map(Self)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_take_their_own_length_only() {
        assert_eq!(<[u8; 3]>::from_bytes(b"abc").unwrap(), *b"abc");
        for wrong in [&b"ab"[..], b"abcd", b""] {
            let error = <[u8; 3]>::from_bytes(wrong).unwrap_err();
            assert!(matches!(error, Error::KeySize { expected: 3, .. }));
        }
    }

    #[test]
    fn bytes_take_any_length() {
        let key = KeyBytes::from_bytes(&[0xab, 1]).unwrap();
        assert_eq!(key.as_bytes(), [0xab, 1]);
        assert_eq!(format!("{key:?}"), "ab01");
    }
}
