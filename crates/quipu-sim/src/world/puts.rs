//! Steps that put and sync.

use quipu::{Error, Result as Answered};

use super::{World, Wrong};
use crate::case::Put;
use crate::model::{Answer, Pending, Sure};

impl World {
    pub(super) fn put(&mut self, put: &Put, multi: bool, sync: bool) -> Result<(), Wrong> {
        let put = self.shifted(put);
        let before = self.faults.len();
        let Some(archive) = self.archive.as_mut() else {
            return Ok(());
        };
        let (key, value) = (put.key(), put.value());
        let result = match (multi, sync) {
            (false, false) => archive.put(put.index, &key, &value[..]),
            (true, false) => archive.put_multi(put.index, &key, &value[..]),
            (false, true) => archive.put_sync(put.index, &key, &value[..]),
            (true, true) => archive.put_multi_sync(put.index, &key, &value[..]),
        };
        self.note_faults();
        let expected = self.model.answer(put.index, multi);
        match result {
            Ok(answer) => {
                self.was_allowed()?;
                self.compare_answer(&put, answer, expected)?;
                if answer == quipu::Put::Stored {
                    self.model.put(put, Sure::Stored);
                }
                if sync {
                    self.model.synced();
                }
                Ok(())
            }
            Err(error) => self.put_failed(&[put], expected, error, before),
        }
    }

    fn compare_answer(&self, put: &Put, answer: quipu::Put, expected: Answer) -> Result<(), Wrong> {
        let fits = match expected {
            Answer::Stored => answer == quipu::Put::Stored,
            // What the disk cannot read counts as missing.
            Answer::Exists => answer == quipu::Put::Exists || self.blind,
            Answer::Either => true,
            Answer::BelowFloor => self.model.suspect,
        };
        match fits {
            true => Ok(()),
            false => Err(format!(
                "the put of {put} answers {answer:?}, expected {expected:?}"
            )),
        }
    }

    /// A put that failed: right below the floor, else it needs a cause.
    fn put_failed(
        &mut self,
        puts: &[Put],
        expected: Answer,
        error: Error,
        before: usize,
    ) -> Result<(), Wrong> {
        let doubted = matches!(self.model.pending, Some(Pending::Prune(_)));
        if let Error::BelowFloor { .. } = error {
            return match expected == Answer::BelowFloor || doubted || self.model.suspect {
                true => Ok(()),
                false => Err(format!("a put above the floor fails: {error}")),
            };
        }
        self.failed(&error, before)?;
        // A batch that is refused for the reserve has stored what came before.
        let stored_none = puts.len() == 1 && is_of_reserve(&error);
        if !matches!(error, Error::Poisoned { .. }) && !stored_none {
            let floor = self.model.floor;
            for put in puts.iter().filter(|put| put.index >= floor) {
                self.model.put(*put, Sure::Doubtful);
            }
        }
        Ok(())
    }

    pub(super) fn batch(&mut self, puts: &[Put]) -> Result<(), Wrong> {
        let puts: Vec<Put> = puts.iter().map(|put| self.shifted(put)).collect();
        let before = self.faults.len();
        let Some(archive) = self.archive.as_mut() else {
            return Ok(());
        };
        let items = puts.iter().map(|put| (put.index, put.key(), put.value()));
        let result = archive.put_batch(items);
        self.note_faults();
        // The first one below the floor ends it; those before it are stored.
        let is_below = |put: &Put| self.model.answer(put.index, false) == Answer::BelowFloor;
        let end = puts.iter().position(is_below);
        match (result, end) {
            (Ok(stored), None) => self.batch_stored(&puts, Some(stored)),
            (Err(Error::BelowFloor { .. }), Some(end)) => {
                self.batch_stored(puts.get(..end).unwrap_or_default(), None)
            }
            (Ok(_), Some(_)) => Err("a batch with an index below the floor succeeds".to_owned()),
            (Err(error), _) => self.put_failed(&puts, Answer::Stored, error, before),
        }
    }

    fn batch_stored(&mut self, puts: &[Put], told: Option<u64>) -> Result<(), Wrong> {
        self.was_allowed()?;
        let (mut least, mut most) = (0, 0);
        for put in puts {
            match self.model.answer(put.index, false) {
                Answer::Stored => (least, most) = (least + 1, most + 1),
                Answer::Either => most += 1,
                // What the disk cannot read counts as missing.
                Answer::Exists if self.blind => most += 1,
                Answer::Exists | Answer::BelowFloor => continue,
            }
            let sure = match self.model.answer(put.index, false) {
                Answer::Stored => Sure::Stored,
                _ => Sure::Doubtful,
            };
            self.model.put(*put, sure);
        }
        match told.is_none_or(|told| (least..=most).contains(&told)) {
            true => Ok(()),
            false => Err(format!(
                "a batch stored {told:?} items, expected {least} to {most}"
            )),
        }
    }

    pub(super) fn sync(&mut self) -> Result<(), Wrong> {
        let before = self.faults.len();
        let result = self.archive.as_mut().map_or(Ok(()), |of| of.sync());
        self.note_faults();
        if self.answered(result, before)?.is_some() {
            self.model.synced();
        }
        Ok(())
    }

    /// What a write gave; none when it failed for a reason.
    pub(super) fn answered<T>(
        &mut self,
        result: Answered<T>,
        before: usize,
    ) -> Result<Option<T>, Wrong> {
        match result {
            Ok(given) => self.was_allowed().map(|()| Some(given)),
            Err(error) => self.failed(&error, before).map(|()| None),
        }
    }

    /// After one write failed, none may succeed until the archive is opened again.
    fn was_allowed(&self) -> Result<(), Wrong> {
        match self.refuses && !self.model.scarred {
            true => Err("a write succeeds after one has failed".to_owned()),
            false => Ok(()),
        }
    }

    /// A write failed. It needs a cause, and the archive takes no other.
    fn failed(&mut self, error: &Error, before: usize) -> Result<(), Wrong> {
        if !self.is_expected(error, before) {
            return Err(format!("a write fails without a cause: {error}"));
        }
        // Where a header is damaged only what needs that section is refused.
        let damage = self.model.scarred && error.is_corruption();
        let of_read = matches!(
            error,
            Error::Io {
                action: "read" | "look at" | "open for writing",
                ..
            } | Error::Unreadable { .. }
        );
        if of_read || (self.settings.reserve > 0 && is_at(error, "quipu")) {
            // A rewind opens its section and reads it before it begins. Or a flush of the folder: for the reserve, or for the manifest.
            self.may_refuse = true;
        } else {
            self.refuses |= !self.model.suspect && !damage && !is_of_reserve(error);
        }
        Ok(())
    }

    pub(super) fn shifted(&self, put: &Put) -> Put {
        Put {
            number: put.number.wrapping_add(self.shift),
            ..*put
        }
    }
}

/// Whether the disk reserve could not be filled: nothing of the archive was written then.
fn is_of_reserve(error: &Error) -> bool {
    is_at(error, "reserve")
}

/// Whether a call failed on a file, or folder, whose name begins so.
fn is_at(error: &Error, name_begins: &str) -> bool {
    let (Error::Io { path, .. } | Error::StorageFull { path, .. }) = error else {
        return false;
    };
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with(name_begins))
}
