//! Any type that serde can write, in the postcard format.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Value;
use crate::error::{Error, Result};

/// A value that serde writes and reads, stored in the postcard format. Needs the feature `serde`.
///
/// ```
/// use quipu::{Archive, Serde};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Block { height: u64, parent: [u8; 32] }
///
/// let folder = tempfile::tempdir()?;
/// let mut blocks: Archive<[u8; 4], Serde<Block>> = Archive::open(folder.path())?;
/// let _ = blocks.put(1, b"key1", &Serde(Block { height: 1, parent: [0; 32] }))?;
/// assert_eq!(blocks.get(1)?.unwrap().0.height, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Serde<T>(pub T);

impl<T: Serialize + DeserializeOwned + Send + 'static> Value for Serde<T> {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        let start = std::mem::take(out);
        *out =
            postcard::to_extend(&self.0, start).map_err(|error| Error::Codec(error.to_string()))?;
        Ok(())
    }

    fn decode(bytes: Bytes) -> Result<Self> {
        let value =
            postcard::take_from_bytes(&bytes).map_err(|error| Error::Codec(error.to_string()))?;
        match value {
            (value, []) => Ok(Self(value)),
            (_, rest) => Err(Error::Codec(format!(
                "{} bytes follow the value",
                rest.len()
            ))),
        }
    }
}
