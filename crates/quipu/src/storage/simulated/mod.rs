//! A storage that crashes and fails as a seed says: for tests of what is built on a [`Storage`].
//!
//! It is a machine in memory, with a disk, a clock that counts calls, and a log. A test runs its
//! code on it, [stops](Simulated::stop_at) it at any call, looks at
//! [what the disk kept](Simulated::after_crash), as often as it likes, and runs its code on that.
//!
//! ```text
//!  write ──> seen by reads ── sync ──────────> durable bytes ─┐
//! create ──> seen by open ─── sync_partition ─> durable names ─┴─ after_crash ──> a new machine
//!                  └──────────── any subset ──────────────────┘
//! ```
//!
//! # What a crash keeps
//!
//! As much as the contract of [`storage`](super) allows, and never more. Bytes that a sync has
//! flushed and names that a [`sync_partition`](Storage::sync_partition) has made durable are there.
//! Of the rest, each on its own and as [`Survival`] says:
//!
//! - any subset of the bytes of pending writes; also of those of several handles and several blobs;
//! - the length before them, after them, or on the way: bytes behind it are lost, bytes before it
//!   that did not survive are zeros;
//! - any subset of the creations, removals and renames of a partition, in their order. A rename is
//!   done or not, its target is the old blob or the new one. A blob whose name is lost is gone,
//!   also when its bytes were flushed; one whose removal is lost is back.
//!
//! A partition is durable when the call that made or removed it returns. Locks are free.
//!
//! [`Survival::Memory`] is the end of the process alone: the next one sees everything, and a crash
//! may still take what nobody has flushed.
//!
//! # Faults
//!
//! [`Simulated::inject`] brings a [`Fault`] at one call, [`Simulated::fault_rates`] by chance,
//! [`Simulated::set_capacity`] fills the disk. [`flip_bit`](Simulated::flip_bit),
//! [`zero_block`](Simulated::zero_block) and [`stale_block`](Simulated::stale_block) damage what is
//! durable.
//!
//! # Invariants
//!
//! - The same calls on a machine of the same seed give the same results, down to the bytes. With
//!   several threads their order decides too.
//! - Clones are the same machine. [`Simulated::after_crash`] makes another one and leaves its
//!   receiver as it is.
//!
//! # Cost
//!
//! A call takes about a microsecond and one copy of the bytes that it moves. All pending writes and
//! all calls are kept: this is for tests, not for long-lived data. Holes take no memory.
//!
//! # Example
//!
//! An archive is stopped at each of its calls in turn. What it had acknowledged is there, whatever
//! the disk kept of the rest:
//!
//! ```
//! use quipu::storage::simulated::{Simulated, Survival, When};
//! use quipu::{Archive, Options};
//! use std::sync::Arc;
//!
//! /// Puts two items, each with a sync; tells how many syncs returned.
//! fn run(machine: &Simulated) -> quipu::Result<u64> {
//!     let mut archive: Archive<[u8; 4]> = Options::new().open_on(Arc::new(machine.clone()))?;
//!     let acknowledged = (0..2).take_while(|&index| {
//!         archive.put_sync(index, b"key.", b"value").is_ok()
//!     });
//!     Ok(acknowledged.count() as u64)
//! }
//!
//! let healthy = Simulated::new(1);
//! assert_eq!(run(&healthy)?, 2);
//! for call in 0..healthy.calls() {
//!     let machine = Simulated::new(1);
//!     machine.stop_at(call, When::Before);
//!     let acknowledged = run(&machine).unwrap_or(0);
//!     for seed in 0..4 {
//!         let disk = machine.after_crash(Survival::Bytes, seed);
//!         let archive: Archive<[u8; 4]> = Options::new().open_on(Arc::new(disk))?;
//!         assert!((0..acknowledged).all(|index| archive.has(index).unwrap()));
//!     }
//! }
//! # Ok::<(), quipu::Error>(())
//! ```

mod blob;
mod crash;
mod faults;
mod file;
mod log;
mod machine;
mod names;
mod random;
mod storage;
#[cfg(test)]
mod tests;
mod unreadable;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use self::crash::Remains;
use self::file::{BLOCK, File};
use self::machine::{Machine, Request};
use self::unreadable::Unreadable;
#[cfg(doc)]
use super::Storage;
use crate::error::{Error, Result};
use crate::sync::{Mutex, MutexGuard};

pub use self::crash::Survival;
pub use self::faults::{Fault, FaultRates};
pub use self::log::{Call, CallKind, Outcome};

/// When a machine stops, seen from a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum When {
    /// The call has no effect.
    Before,
    /// The call has its effect, though whoever made it is not told.
    After,
}

/// A simulated machine with a disk. Clones are the same machine.
#[derive(Clone)]
pub struct Simulated {
    machine: Arc<Mutex<Machine>>,
}

impl Simulated {
    /// A healthy machine with an empty disk. `seed` decides what its faults do.
    pub fn new(seed: u64) -> Self {
        let empty = Remains {
            files: Vec::new(),
            partitions: BTreeMap::new(),
        };
        Self::of(Machine::new(seed, empty, None))
    }

    fn of(machine: Machine) -> Self {
        Self {
            machine: Arc::new(Mutex::new(machine)),
        }
    }

    fn lock_machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock()
    }

    /// How many calls were made on the storage and its blobs, those that only read and those that
    /// failed among them: the number of the next one. Dropping handles and locks does not count.
    pub fn calls(&self) -> u64 {
        self.lock_machine().log.len()
    }

    /// Stops the machine at the call of that number, or at the next one if that was made already.
    /// The call and all later ones return [`Error::Io`].
    pub fn stop_at(&self, call: u64, when: When) {
        self.lock_machine().stop_at = Some((call, when));
    }

    /// Stops the machine: all later calls return [`Error::Io`].
    pub fn stop(&self) {
        self.lock_machine().stopped = true;
    }

    /// Whether the machine has stopped.
    pub fn is_stopped(&self) -> bool {
        self.lock_machine().stopped
    }

    /// The machine after a crash at this moment, whether it has stopped or not: a new one, with
    /// what `survival` and `seed` say that the disk kept, all of it durable (but for
    /// [`Survival::Memory`]).
    ///
    /// This machine stays as it is, so one crash can be looked at with many seeds. Of the new one,
    /// locks are free, and faults, stop and log are fresh; the disk's size stays. Costs a copy of
    /// the blobs that have pending writes.
    pub fn after_crash(&self, survival: Survival, seed: u64) -> Self {
        let machine = self.lock_machine();
        let remains = crash::remains(&machine.files, &machine.partitions, survival, seed);
        Self::of(Machine::new(seed, remains, machine.capacity))
    }

    /// Brings a fault at exactly that call; if it does not apply to it, at the first later one that
    /// it applies to. A call takes one fault, the one that was injected first.
    pub fn inject(&self, call: u64, fault: Fault) {
        self.lock_machine().injected.push((call, fault));
    }

    /// Brings faults by chance from now on, as the machine's seed decides; `None` ends it.
    pub fn fault_rates(&self, rates: Option<FaultRates>) {
        self.lock_machine().rates = rates;
    }

    /// The disk can read again whatever [`Fault::Unreadable`] has taken.
    pub fn heal(&self) {
        for file in &mut self.lock_machine().files {
            file.unreadable = Unreadable::default();
        }
    }

    /// Sets how many bytes the disk holds; `None`, as in a new machine: any number.
    ///
    /// A write that needs more writes the bytes that there is room for, from its first on, and
    /// returns [`Error::StorageFull`]. Names, lengths and bytes that were never written take no
    /// room. A blob without a name takes its room until its last handle is closed.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.lock_machine().capacity = bytes;
    }

    /// One value over every call so far: its kind, names, offset, length, bytes and outcome. Two
    /// runs that have the same value did the same.
    pub fn log_hash(&self) -> u64 {
        self.lock_machine().log.hash()
    }

    /// Every call so far. Costs a copy of all of them.
    pub fn log(&self) -> Vec<Call> {
        self.lock_machine().log.calls().to_vec()
    }

    /// Turns a durable bit of a blob in silence: bit 0 is the lowest of the blob's first byte.
    /// Reads see it, except where they see a pending write, which a sync then puts over it.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when there is no such blob, [`Error::OutOfBounds`] when it has no such
    /// durable bit. Works on a stopped machine too, and is no call.
    pub fn flip_bit(&self, partition: &str, name: &str, bit: u64) -> Result<()> {
        self.damage(partition, name, bit / 8, |file| file.flip_bit(bit))
    }

    /// Zeroes a durable block of a blob in silence: bytes `block * 512` to `block * 512 + 511`, as
    /// far as the blob has them. Errors as [`flip_bit`](Self::flip_bit).
    pub fn zero_block(&self, partition: &str, name: &str, block: u64) -> Result<()> {
        let at = block.saturating_mul(BLOCK);
        self.damage(partition, name, at, |file| {
            file.zero_block(block);
        })
    }

    /// Puts a durable block of 512 bytes back to what it was before its last durable change, as
    /// when a disk loses a write; bytes that it did not have then are zeros. The blob's length
    /// stays. `false`, and nothing is changed, when the block has no older content that differs.
    /// Errors as [`flip_bit`](Self::flip_bit).
    pub fn stale_block(&self, partition: &str, name: &str, block: u64) -> Result<bool> {
        let at = block.saturating_mul(BLOCK);
        self.damage(partition, name, at, |file| file.stale_block(block))
    }

    fn damage<T>(
        &self,
        partition: &str,
        name: &str,
        at: u64,
        damage: impl FnOnce(&mut File) -> T,
    ) -> Result<T> {
        let mut machine = self.lock_machine();
        let file = machine.file(&Request::new(CallKind::Write, partition, name))?;
        let len = file.durable.len();
        if at < len {
            return Ok(damage(file));
        }
        Err(Error::OutOfBounds {
            path: path_of(partition, name),
            offset: at,
            wanted: 1,
            len,
        })
    }
}

/// Short, because archives show the storage that they are on.
impl fmt::Debug for Simulated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machine = self.lock_machine();
        f.debug_struct("Simulated")
            .field("calls", &machine.log.len())
            .field("stopped", &machine.stopped)
            .finish()
    }
}

fn path_of(partition: &str, name: &str) -> PathBuf {
    let parts = ["simulated", partition, name];
    parts.iter().filter(|part| !part.is_empty()).collect()
}
