//! Bytes of a file that change while the archive is closed, and what may be lost by it.
//!
//! An item may be lost only where the changed bytes held it: its value, or a page that its entry
//! stands in, or the header of its files. It is then told as damaged and as missing, and a put
//! fills it. Everything else is as it was.

use std::collections::BTreeSet;
use std::ops::Range;

use quipu::storage::simulated::Survival;
use quipu::{Error, Status};

use super::{World, Wrong};
use crate::case::{Blob, Damage, Kind, Put};
use crate::model::{Expect, Sure};

/// Bytes of a block that is damaged as a whole.
const BLOCK: u64 = 512;
/// Numbers of the puts that fill what was lost.
const FILLING_NUMBER: u32 = 800_000_000;

impl World {
    pub(super) fn damage(&mut self, damage: &Damage) -> Result<(), Wrong> {
        if !self.faults.is_empty() {
            self.restart();
        }
        self.calm()?;
        if !self.close_only()? || self.model.suspect {
            return self.open();
        }
        let Some((partition, name, bytes)) = self.target(damage) else {
            return self.open();
        };
        // A manifest that is damaged may be refused; then it is put back.
        let before = self.disk.after_crash(Survival::All, 0);
        let held = self.held_by(partition, &name, &bytes);
        let stopped = self.disk.is_stopped();
        if stopped || !self.change_bytes(damage, partition, &name, &bytes) {
            return self.open();
        }
        self.counts.damages += 1;
        self.model.scarred = true;
        let new = held.difference(&self.model.damaged).copied().collect();
        self.model.damaged.extend(held);
        self.model.marks_lost |= damage.blob == Blob::Marks;
        if damage.blob == Blob::Manifest {
            match self.open_once() {
                Err(Error::Manifest { .. } | Error::NewerVersion { .. }) => {
                    self.hash = self.hash.rotate_left(9) ^ self.disk.log_hash();
                    self.disk = before;
                }
                Err(_) if self.disk.is_stopped() => return Ok(()),
                Err(error) => return Err(format!("a damaged manifest gives {error}")),
                Ok(archive) => drop(archive),
            }
        }
        self.open()?;
        self.fill_damage(&new, damage.pick)
    }

    /// The blob, and its bytes that change.
    fn target(&self, damage: &Damage) -> Option<(&'static str, String, Range<u64>)> {
        let partition = match damage.blob {
            Blob::Index => "index",
            Blob::Values => "values",
            Blob::Marks | Blob::Manifest | Blob::Tables | Blob::Log => "quipu",
        };
        let mut names = self.names(partition);
        match damage.blob {
            Blob::Marks => names.retain(|name| name == "marks"),
            Blob::Manifest => names.retain(|name| name == "manifest"),
            Blob::Log => names.retain(|name| name == "commit-log"),
            Blob::Tables => names.retain(|name| name.starts_with("keys-")),
            _ => {}
        }
        let name = names.get(damage.pick.checked_rem(names.len() as u64)? as usize)?;
        let len = self.read_blob(partition, name)?.len() as u64;
        let bytes = match damage.kind {
            Kind::Flip => {
                let byte = damage.at.checked_rem(len * 8)? / 8;
                byte..byte + 1
            }
            Kind::Zero | Kind::Stale => {
                let block = damage.at.checked_rem(len.div_ceil(BLOCK))?;
                block * BLOCK..(block + 1) * BLOCK
            }
        };
        Some((partition, name.clone(), bytes))
    }

    /// The indices of which the bytes hold something.
    fn held_by(&self, partition: &str, name: &str, bytes: &Range<u64>) -> BTreeSet<u64> {
        let overlaps = |span: &Range<u64>| span.start < bytes.end && bytes.start < span.end;
        if partition == "quipu" {
            return BTreeSet::new();
        }
        let Some(section) = self.read_section(name) else {
            // Another damage came before; nobody knows what is left.
            let number = u64::from_str_radix(name, 16).unwrap_or(0);
            let in_section = |index: &&u64| self.settings.section_of(**index) == number;
            return self
                .model
                .touched
                .iter()
                .filter(in_section)
                .copied()
                .collect();
        };
        let is_index = partition == "index";
        let header = if is_index {
            section.headers.0
        } else {
            section.headers.1
        };
        let all = bytes.start < header;
        let held = section.entries.iter().filter(|entry| match is_index {
            true => all || overlaps(&entry.pages),
            false => all || overlaps(&entry.value),
        });
        held.map(|entry| entry.index).collect()
    }

    /// Whether bytes were changed.
    fn change_bytes(
        &self,
        damage: &Damage,
        partition: &str,
        name: &str,
        bytes: &Range<u64>,
    ) -> bool {
        let block = bytes.start / BLOCK;
        let changed = match damage.kind {
            Kind::Flip => self
                .disk
                .flip_bit(partition, name, bytes.start * 8 + damage.at % 8),
            Kind::Zero => self.disk.zero_block(partition, name, block),
            Kind::Stale => self.disk.stale_block(partition, name, block).map(drop),
        };
        changed.is_ok()
    }

    /// Verifies, looks at each index that may be lost, and fills those that are.
    fn fill_damage(&mut self, new: &BTreeSet<u64>, pick: u64) -> Result<(), Wrong> {
        let Some(archive) = self.archive.as_mut().filter(|_| !self.disk.is_stopped()) else {
            return Ok(());
        };
        let damaged_files = match archive.verify(&mut |_| {}) {
            Ok(report) => report.damaged_files,
            Err(error) => return self.unless_stopped(format!("the verification fails: {error}")),
        };
        let mut lost = BTreeSet::new();
        for (&index, items) in &self.model.items {
            // One whose put was refused was never there.
            let was_there = items.iter().any(|item| item.sure != Sure::Doubtful);
            if !self.model.damaged.contains(&index) || !was_there {
                continue;
            }
            match archive.status(index) {
                Ok(Status::Present) => {}
                // An index that was damaged before may be forgotten with what was damaged now.
                Ok(Status::Missing) if self.model.marks_lost || !new.contains(&index) => {}
                Ok(Status::Damaged) => drop(lost.insert(index)),
                other => {
                    return self.unless_stopped(format!("lost index {index} is {other:?}"));
                }
            }
        }
        for &index in &lost {
            let missing = archive.missing_items(index, 1);
            if missing != [index] {
                return Err(format!("damaged index {index} is not missing: {missing:?}"));
            }
        }
        self.fill_lost(&lost)?;
        // A header is damage that the marks alone make up for; they may be damaged next.
        if damaged_files > 0 || pick.is_multiple_of(2) {
            self.repair()?;
        }
        self.reopen()?;
        self.check(Expect::Live)
    }

    /// Takes the damage out of the sections; nothing that does not check is left.
    fn repair(&mut self) -> Result<(), Wrong> {
        let Some(archive) = self.archive.as_mut() else {
            return Ok(());
        };
        if let Err(error) = archive.repair() {
            return self.unless_stopped(format!("the repair fails: {error}"));
        }
        match archive.verify(&mut |_| {}) {
            Ok(report) if !report.needs_repair() => Ok(()),
            other => self.unless_stopped(format!("after a repair there is damage: {other:?}")),
        }
    }

    fn fill_lost(&mut self, lost: &BTreeSet<u64>) -> Result<(), Wrong> {
        let Some(archive) = self.archive.as_mut() else {
            return Ok(());
        };
        let mut filled = Vec::new();
        for (number, &index) in lost.iter().enumerate() {
            let put = Put {
                index,
                number: FILLING_NUMBER + number as u32,
                len: 12,
            };
            match archive.put(index, &put.key(), &put.value()[..]) {
                Ok(quipu::Put::Stored) => filled.push(put),
                // Into a section whose header is damaged nothing can be put.
                Err(error) if error.is_corruption() => {}
                Err(_) if self.disk.is_stopped() => return Ok(()),
                other => return Err(format!("a put at damaged index {index}: {other:?}")),
            }
        }
        match archive.sync() {
            Ok(()) => {}
            Err(_) if self.disk.is_stopped() => return Ok(()),
            Err(error) => return Err(format!("a sync of filled items fails: {error}")),
        }
        for put in filled {
            // What was lost may come back whole: a value of zeros from zeroed bytes.
            let lost = self.model.items.get_mut(&put.index);
            lost.into_iter()
                .flatten()
                .for_each(|item| item.sure = Sure::Doubtful);
            self.model.damaged.remove(&put.index);
            self.model.put(put, Sure::Durable);
        }
        Ok(())
    }

    fn unless_stopped(&self, what: String) -> Result<(), Wrong> {
        match self.disk.is_stopped() {
            true => Ok(()),
            false => Err(what),
        }
    }
}
