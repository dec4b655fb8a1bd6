//! quipu: an embedded archive for ordered, write-once data.
#![deny(missing_docs)]

mod error;
pub mod format;
pub mod index;
pub mod storage;

pub use error::{Error, Result};
