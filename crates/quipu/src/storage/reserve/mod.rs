//! Disk that is kept for when there is none left: a blob of written, flushed bytes.
//!
//! ```text
//!        fill                          a call fails for want of room
//!  used ──────> held (puts go on) ───────────────────────────────────> used (puts are refused)
//!    ▲            size bytes         given back, then the call is made      │ puts, syncs and prunes
//!    └──────────────────────────────────── once more ───────────────────────┘ try to fill it again
//! ```
//!
//! [`Reserved`] stands before another storage. When a creation, write, resize or rename finds the
//! disk full, the reserve is given back and the call is made once more. A flush is never made
//! again: what a flush that failed has done is unknown.
//!
//! # Invariants
//!
//! - Under its final name the blob was written to its whole length and flushed: it is filled under
//!   `<name>.new` and renamed then. So its length tells what it holds, and it has no holes.
//! - Nothing but the reserve itself is ever written to it; no data depends on it.
//!
//! # Recovery
//!
//! Whatever a crash leaves is put right by [`Reserve::settle`]: a blob under the unfinished name is
//! removed, one of another length is cut or filled.
//!
//! # Cost
//!
//! Filling writes and flushes `size` bytes, once. While the disk is full, a try to fill it costs
//! one write that fails: what could be written is kept, for the next try and to be given back.

mod storage;
#[cfg(test)]
mod tests;

use std::io::IoSlice;
use std::sync::Arc;

use super::{Blob, OpenMode, Storage};
use crate::error::{Error, Result};
use crate::format::NEW_SUFFIX;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub(crate) use storage::Reserved;

/// Bytes of one write that fills the reserve.
const PIECE: usize = 64 << 10;

/// The reserve of one storage, for whoever asks whether it is held and fills it.
#[derive(Debug)]
pub(crate) struct Reserve {
    inner: Arc<dyn Storage>,
    partition: &'static str,
    name: &'static str,
    size: u64,
    held: AtomicBool,
    /// How often something was given back.
    given: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    /// Under its final name, if there is any of it.
    Named,
    /// Under the unfinished name, durably, with this many bytes written from its start on.
    Filling(Arc<dyn Blob>, u64),
}

impl Reserve {
    /// Looks for what there is of a reserve, and changes nothing; none when there is none and none
    /// is wanted. What there is can be given back from here on.
    pub(crate) fn find(
        inner: Arc<dyn Storage>,
        partition: &'static str,
        name: &'static str,
        size: u64,
    ) -> Result<Option<Arc<Self>>> {
        let mut any = false;
        for name in [name, &unfinished(name)] {
            match inner.open(partition, name, OpenMode::Read) {
                Ok(_) => any = true,
                Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let found = Self {
            inner,
            partition,
            name,
            size,
            held: AtomicBool::new(false),
            given: AtomicU64::new(0),
            state: Mutex::new(State::Named),
        };
        Ok((any || size > 0).then(|| Arc::new(found)))
    }

    /// Makes what was found as large as is wanted; whether it is, or there was no room for it. One
    /// of no bytes is removed.
    pub(crate) fn settle(&self) -> Result<bool> {
        let mut removed = self.remove(&unfinished(self.name))?;
        if self.size == 0 {
            removed |= self.remove(self.name)?;
        }
        if removed {
            self.inner.sync_partition(self.partition)?;
        }
        let len = match self.open(self.name) {
            Ok(blob) => cut(&*blob, self.size)?,
            Err(Error::NotFound { .. }) => 0,
            Err(error) => return Err(error),
        };
        self.held.store(len == self.size, Ordering::Release);
        self.fill()
    }

    fn open(&self, name: &str) -> Result<Arc<dyn Blob>> {
        self.inner.open(self.partition, name, OpenMode::Write)
    }

    fn remove(&self, name: &str) -> Result<bool> {
        match self.inner.remove(self.partition, name) {
            Ok(()) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether all of it is held.
    #[inline]
    pub(crate) fn is_held(&self) -> bool {
        self.held.load(Ordering::Acquire)
    }

    /// What errors call it.
    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.inner.path(self.partition, self.name)
    }

    /// Fills it where it is not held; whether it is held then. `false` for want of room.
    pub(crate) fn fill(&self) -> Result<bool> {
        if self.is_held() {
            return Ok(true);
        }
        let mut state = self.state.lock();
        match self.fill_up(&mut state) {
            Ok(()) => {
                self.held.store(true, Ordering::Release);
                Ok(true)
            }
            Err(Error::StorageFull { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn fill_up(&self, state: &mut State) -> Result<()> {
        if let State::Named = state {
            *state = self.begin()?;
        }
        let State::Filling(blob, done) = state else {
            return Ok(());
        };
        let mut piece = Vec::new();
        while *done < self.size {
            let len = self.size.saturating_sub(*done).min(PIECE as u64);
            noise(*done, len as usize, &mut piece);
            blob.write_at(&[IoSlice::new(&piece)], *done)?;
            *done = done.saturating_add(len);
        }
        // What a flush that failed has left is unknown: it is begun anew.
        blob.sync().inspect_err(|_| {
            *done = 0;
            let _ = blob.resize(0);
        })?;
        let name = unfinished(self.name);
        match self.inner.rename(self.partition, &name, self.name) {
            // One that failed before has done it all the same.
            Err(Error::NotFound { .. }) if self.open(self.name).is_ok() => {}
            renamed => renamed?,
        }
        *state = State::Named;
        self.inner.sync_partition(self.partition)
    }

    /// Takes what there is to the unfinished name, before it gets bytes that are not flushed.
    fn begin(&self) -> Result<State> {
        let name = unfinished(self.name);
        match self.inner.rename(self.partition, self.name, &name) {
            Ok(()) | Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        let blob = self.inner.open(self.partition, &name, OpenMode::Create)?;
        self.inner.sync_partition(self.partition)?;
        let len = blob.len()?;
        Ok(State::Filling(blob, len))
    }

    fn given(&self) -> u64 {
        self.given.load(Ordering::Acquire)
    }

    /// Gives back what is held, whole or in part; whether there was any.
    fn give_back(&self) -> bool {
        let mut state = self.state.lock();
        self.held.store(false, Ordering::Release);
        let any = match &mut *state {
            State::Filling(blob, done) => {
                *done = 0;
                empty(&**blob)
            }
            // A fill that was interrupted has left some of it under the unfinished name.
            State::Named => {
                let names = [self.name, &unfinished(self.name)];
                let blobs = names.iter().filter_map(|name| self.open(name).ok());
                blobs.filter(|blob| empty(&**blob)).count() > 0
            }
        };
        self.given.fetch_add(u64::from(any), Ordering::Release);
        any
    }
}

/// Empties a blob; whether there was anything in it.
fn empty(blob: &dyn Blob) -> bool {
    let any = blob.len().is_ok_and(|len| len > 0) && blob.resize(0).is_ok();
    if any {
        // Some file systems free the blocks only then. No data depends on it.
        let _ = blob.sync();
    }
    any
}

/// Cuts a reserve that is longer than `size`; its length then.
fn cut(blob: &dyn Blob, size: u64) -> Result<u64> {
    let len = blob.len()?;
    if len > size {
        blob.resize(size)?;
        blob.sync()?;
    }
    Ok(len.min(size))
}

fn unfinished(name: &str) -> String {
    format!("{name}{NEW_SUFFIX}")
}

/// Fills `out` with `len` bytes for the offset `from`. They have no pattern, so that a file system
/// that compresses, or stores zeros as holes, keeps room for all of them.
fn noise(from: u64, len: usize, out: &mut Vec<u8>) {
    out.clear();
    for at in (from..).step_by(8).take(len.div_ceil(8)) {
        let mut word = at.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5851_F42D_4C95_7F2D;
        for shift in [29, 32, 31] {
            word = (word ^ (word >> shift)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        }
        out.extend_from_slice(&word.to_be_bytes());
    }
    out.truncate(len);
}
