//! What an archive and its scrub share: who may go on, and the figures.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::manifest::Place;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::thread::Thread;
use crate::sync::{Mutex, MutexGuard};

/// One for each archive that is open.
#[derive(Debug, Default)]
pub(in crate::archive) struct ScrubState {
    /// Held during a step. Who closes the archive takes it, so that no step, and no writing of the
    /// place, outlives the writer's lock.
    gate: Mutex<Gate>,
    /// The archive is being closed: no step begins. Said before the gate is asked for, so that the
    /// one under way ends soon, and the next does not keep who closes from the gate.
    closing: AtomicBool,
    done: AtomicU64,
    total: AtomicU64,
    passes: AtomicU64,
    findings: AtomicU64,
}

#[derive(Debug, Default)]
pub(super) struct Gate {
    /// There is a scrub.
    taken: bool,
    /// The thread that sleeps between the steps.
    pub(super) sleeper: Option<Thread>,
}

/// The figures of a scrub, for the archive's statistics.
pub(in crate::archive) struct ScrubFigures {
    pub(in crate::archive) done: u64,
    pub(in crate::archive) total: u64,
    pub(in crate::archive) passes: u64,
    pub(in crate::archive) findings: u64,
}

impl ScrubState {
    /// Makes room for one scrub; an error where there is one.
    pub(super) fn take(&self, path: PathBuf) -> Result<()> {
        let mut gate = self.gate.lock();
        match std::mem::replace(&mut gate.taken, true) {
            false => Ok(()),
            true => Err(Error::Locked {
                path,
                holder: "another scrub of it".to_owned(),
            }),
        }
    }

    /// Waits for the step that is under way; none where the archive is closed, or about to be.
    pub(super) fn enter(&self) -> Option<MutexGuard<'_, Gate>> {
        Some(self.gate.lock()).filter(|_| !self.is_closing())
    }

    /// The scrub is gone.
    pub(super) fn leave(&self) {
        let mut gate = self.gate.lock();
        gate.taken = false;
        gate.sleeper = None;
    }

    /// Whether a step is to end soon.
    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// No step begins from now on, and none is under way any more.
    pub(in crate::archive) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        if let Some(sleeper) = self.gate.lock().sleeper.take() {
            sleeper.unpark();
        }
    }

    pub(super) fn publish(&self, place: &Place) {
        self.done.store(place.done, Ordering::Relaxed);
        self.total.store(place.total, Ordering::Relaxed);
        self.passes.store(place.passes, Ordering::Relaxed);
        self.findings.store(place.findings, Ordering::Relaxed);
    }

    pub(in crate::archive) fn figures(&self) -> ScrubFigures {
        let load = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        ScrubFigures {
            done: load(&self.done),
            total: load(&self.total),
            passes: load(&self.passes),
            findings: load(&self.findings),
        }
    }
}
