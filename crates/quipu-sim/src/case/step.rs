//! What can happen in a case.

use quipu::storage::simulated::{Fault, Survival};

pub use quipu::storage::simulated::When;

/// One thing that happens. The archive is open before and after each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// One item, by one of four calls.
    Put {
        /// What is put.
        put: Put,
        /// Also where the index is taken.
        multi: bool,
        /// And a sync at once.
        sync: bool,
    },
    /// Several items with one call.
    Batch(Vec<Put>),
    /// Everything put before becomes durable.
    Sync,
    /// Sections below go.
    Prune(u64),
    /// Items above go.
    Rewind(u64),
    /// A clean end and a new beginning, perhaps with other settings.
    Close {
        /// Whether values are compressed from then on.
        zstd: Option<bool>,
        /// The new write buffer, in bytes.
        buffer: Option<usize>,
        /// The new size of the commit log, in bytes.
        log: Option<u64>,
    },
    /// The archive is let go without a sync, and opened again.
    Drop,
    /// The archive goes, and another is made in its place.
    Destroy,
    /// The archive becomes a store as the reference program leaves it, and is adopted.
    Adopt {
        /// So many bytes of the last value file are missing: that program does not write values
        /// before entries.
        cut: u64,
    },
    /// Everything is read and compared with the model.
    Read,
    /// A reader of another process looks, now and after later steps.
    Beside,
    /// So many bytes are verified in the background, from where that was before.
    Scrub(u64),
    /// A call of the storage fails: the one so many calls from here.
    Fault {
        /// Calls until then.
        after: u64,
        /// How it fails.
        fault: Fault,
    },
    /// The disk has room for so many bytes more.
    Full(u64),
    /// There is room again; the archive is opened anew.
    Space,
    /// Bytes of a file change while the archive is closed.
    Damage(Damage),
    /// The machine stops.
    Crash(Crash),
}

/// An item. Its key follows from its number, its value from all three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Put {
    /// Its index.
    pub index: u64,
    /// Numbers that are the same have the same key.
    pub number: u32,
    /// Bytes of its value.
    pub len: u32,
}

/// The machine stops at a call, so many calls from this step on, or after the last step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crash {
    /// Calls until then.
    pub after: u64,
    /// Whether that call still happens.
    pub when: When,
    /// What of the unflushed bytes survives.
    pub survival: Survival,
    /// Which of them.
    pub seed: u64,
    /// Each recovery from it that is stopped in turn.
    pub again: Vec<Again>,
}

/// A recovery that is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Again {
    /// At which of its calls.
    pub after: u64,
    /// Whether that call still happens.
    pub when: When,
    /// What of the unflushed bytes survives.
    pub survival: Survival,
    /// Which of them.
    pub seed: u64,
}

/// Bytes of a file that change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// How.
    pub kind: Kind,
    /// In which kind of file.
    pub blob: Blob,
    /// In which of them: a number that is taken modulo how many there are.
    pub pick: u64,
    /// Where in it: a number that is taken modulo its bits or blocks.
    pub at: u64,
}

/// How bytes of a file change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One bit is another.
    Flip,
    /// A block of 512 bytes is zero.
    Zero,
    /// A block of 512 bytes is as it was before it was last flushed.
    Stale,
}

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blob {
    /// Index files.
    Index,
    /// Value files.
    Values,
    /// The marks.
    Marks,
    /// The manifest.
    Manifest,
    /// Key tables.
    Tables,
    /// The commit log.
    Log,
}
