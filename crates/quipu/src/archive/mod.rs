//! The archive: sections, indices and keys put together.
//!
//! ```text
//! Archive (one writer) ── Writer ──┐
//!        │ deref                   ├── Shared: sections · key index · runs · floor · damage
//! Reader (any thread) ─────────────┤
//! ReadOnly (other process) ────────┘
//! ```
//!
//! - `handle`, `group_commit`, `reader`, `read_only`, `options`: what users hold. `writer` (with `current`, `prepare`),
//!   `shared`: the state behind it, without types.
//! - `recovery`, `load`, `fingerprint`, `adopt`, `follow`: from files to state. `prune`, `rewrite`, `destroy`: taking away.
//! - `lookup`, `many` (read ahead, or by threads, `side_by_side`), `presence`, `range`, `verify`: reading. `check`: what verification,
//!   `repair` and `scrub` find alike.

mod adopt;
mod batch;
mod check;
mod commit;
mod compression;
mod current;
mod destroy;
mod entry;
mod fingerprint;
mod follow;
mod frames;
mod group_commit;
mod handle;
mod listing;
mod load;
mod look;
mod lookup;
mod many;
mod memory_limits;
mod one_writer;
mod options;
mod prepare;
mod presence;
mod prune;
mod range;
mod read_only;
mod reader;
mod recovery;
mod redo;
mod repair;
mod rest;
mod rewrite;
mod scrub;
mod section;
mod section_table;
mod settings;
mod shared;
mod side_by_side;
mod stats;
mod tables;
mod upkeep;
mod verify;
mod writer;

pub use compression::Compression;
pub use group_commit::{DurablePut, GroupCommit};
pub use handle::Archive;
pub use memory_limits::KeyMemory;
pub use options::Options;
pub use range::Range;
pub use read_only::ReadOnly;
pub use reader::{Id, Item, Lookup, Reader, Status};
pub use recovery::Recovery;
pub use repair::{Quarantined, RepairReport, SectionRepair};
pub use scrub::{Scrub, ScrubHandle, ScrubOptions, ScrubProgress};
pub use settings::Settings;
pub use stats::{Histogram, SectionInfo, Stats};
pub use verify::{DamagedEntry, VerifyEvent, VerifyReport};
pub use writer::Put;
