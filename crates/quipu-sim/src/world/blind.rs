//! What the disk cannot read for a while: it is damaged until the archive is opened again, and then all of it is there.

use quipu::VerifyEvent;

use super::{Store, World, Wrong};
use crate::case::Put;
use crate::look::Seen;
use crate::model::{Expect, Sure};

/// Numbers of the puts into an archive of which something cannot be read.
const BLIND_NUMBER: u32 = 700_000_000;

impl World {
    /// The disk reads everything again, and the archive is opened anew if it has missed something.
    pub(super) fn see_again(&mut self) -> Result<(), Wrong> {
        while self.blind && !self.disk.is_stopped() {
            self.heal();
            self.reopen()?;
        }
        Ok(())
    }

    pub(super) fn heal(&mut self) {
        self.disk.heal();
        self.blind = false;
    }

    /// Whatever is there was put; what lacks may be there another time.
    pub(super) fn compare_blind(&mut self, seen: &Seen) -> Result<(), Wrong> {
        let before = std::mem::replace(&mut self.model.suspect, true);
        let compared = self.model.compare(seen, Expect::Opened);
        self.model.suspect = before;
        compared
    }

    /// Puts something into an archive that has just been opened.
    pub(super) fn go_on_blind(&mut self, mut archive: Store) -> Result<(), Wrong> {
        // What was seen as damaged may be told by marks, which are lost with what cannot be read of them.
        self.model.marks_lost = true;
        self.model.unwritten |= self.flush_failed;
        // Values behind an end that cannot be read stay.
        self.rewound = true;
        // Whether a rewind that was cut off was done shows by what is above it.
        let index = self.free_index().filter(|_| self.model.pending.is_none());
        let Some(index) = index else {
            return Ok(());
        };
        let put = self.shifted(&Put {
            index,
            number: BLIND_NUMBER + self.counts.faults as u32,
            len: 20,
        });
        self.went_on_blind = true;
        let before = self.faults.len();
        let stored = archive.put_multi_sync(put.index, &put.key(), &put.value()[..]);
        self.note_faults();
        let sure = match stored {
            Ok(_) => Sure::Durable,
            Err(_) => Sure::Doubtful,
        };
        self.model.put(put, sure);
        match stored {
            Ok(_) if self.counts.faults.is_multiple_of(2) => {
                let closed = archive.close();
                self.note_faults();
                match closed {
                    Err(error) if !self.is_expected(&error, before) => {
                        Err(format!("a close beside what cannot be read fails: {error}"))
                    }
                    _ => Ok(()),
                }
            }
            Ok(_) => Ok(()),
            Err(error) if self.is_expected(&error, before) => Ok(()),
            Err(error) => Err(format!("a put beside what cannot be read fails: {error}")),
        }
    }
}

/// Whether a verification tells of something. Where an archive went on behind an end that could not be read, nothing
/// stands between the two: that is told, too.
pub(super) fn is_find(event: &VerifyEvent, went_on: bool) -> bool {
    match event {
        VerifyEvent::Progress { .. } => false,
        VerifyEvent::Damage(damage) => !went_on || damage.index.is_some(),
        _ => true,
    }
}
