//! quipu: an embedded archive for ordered, write-once data.
//!
//! A node, a ledger or an event store appends items in some order and never changes them. quipu
//! keeps them in an [`Archive`]: [`put`](Archive::put) an item under an index (a height) and a key
//! (a hash), [`get`](Reader::get) it back by either, ask which indices are
//! [missing](Reader::missing_items), [`prune`](Archive::prune) old ones from the front, and find
//! everything that was [synced](Archive::sync) after a crash. Values are written once: there is no
//! compaction, a look-up reads one entry and one value, a prune deletes files.
//!
//! ```
//! use quipu::Archive;
//!
//! let folder = tempfile::tempdir()?;
//! let mut blocks: Archive<[u8; 32]> = Archive::open(folder.path())?;
//! let hash = [7; 32];
//! let _ = blocks.put(42, &hash, b"a block")?;
//! blocks.sync()?;
//!
//! let reader = blocks.reader(); // Clone + Send + Sync, reads beside the writer
//! assert_eq!(reader.get(42)?.unwrap(), "a block");
//! assert_eq!(reader.get(&hash)?.unwrap(), "a block");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where to go on
//!
//! - [`Options`]: how an archive is created and opened, in a folder or on a
//!   [`storage`] of another kind.
//! - [`Reader`]: everything that can be asked. [`Error`]: everything that can go wrong.
//! - [`journal`] and [`index`]: the parts, usable on their own.
//! - [`format`](mod@format): the bytes of a section.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `zstd` (default) | compression of values |
//! | `serde` | values of any type that serde can write: `Serde` |
//! | `io-uring` | [`Reader::get_many`] of what is not in memory through io_uring, where there is one: see [`Disk::with_io_uring`](storage::Disk::with_io_uring) |
//! | `simulated` | a storage that crashes and fails as a seed says: `storage::simulated` |
#![deny(missing_docs)]

mod append_buffer;
mod archive;
#[cfg(feature = "canaries")]
pub mod canary;
#[cfg(not(feature = "canaries"))]
#[allow(dead_code, unreachable_pub)]
mod canary;
mod commit_log;
mod entropy;
mod error;
pub mod format;
pub mod index;
pub mod journal;
mod key;
mod key_table;
mod manifest;
mod paged;
mod prefetch;
mod slabs;
pub mod storage;
mod sync;
mod value;

pub use archive::{
    Archive, Compression, DamagedEntry, DurablePut, GroupCommit, Histogram, Id, Item, KeyMemory,
    Lookup, Options, Put, Quarantined, Range, ReadOnly, Reader, Recovery, RepairReport, Scrub,
    ScrubHandle, ScrubOptions, ScrubProgress, SectionInfo, SectionRepair, Settings, Stats, Status,
    VerifyEvent, VerifyReport,
};
pub use bytes::Bytes;
#[cfg(feature = "simulated")]
pub use entropy::seeded::seed_random_numbers;
pub use error::{Error, Result};
pub use format::Layout;
pub use key::{Key, KeyBytes};
pub use paged::PageCache;
#[cfg(feature = "serde")]
pub use value::Serde;
pub use value::{EncodeAs, Prefixed, Value};
