//! Finding items: by index through the section's positions, by key through the key index.
//!
//! Damage found on the way is noted, and the next candidate is tried: an index or key that is
//! stored twice is found as long as one of them is whole. Where none is, the first error tells.

use std::sync::Arc;

use bytes::Bytes;

use super::check::gone;
use super::entry::EntryBuf;
use super::section::Section;
use super::shared::Shared;
use super::stats::Durations;
use super::tables::InTables;
use crate::canary::Canary;
use crate::error::{Error, Result};
use crate::format::Layouts;
use crate::index::Candidates;
use crate::sync::atomic::Ordering;

/// What an item is asked for by.
#[derive(Clone, Copy, Debug)]
pub enum By<'a> {
    /// Its index.
    Index(u64),
    /// The bytes of its key.
    Key(&'a [u8]),
}

/// Whether an item's value is wanted, or only that it is there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    Entry,
    Value,
}

/// What is looked for by its key.
#[derive(Clone, Copy)]
pub(super) struct Sought<'a> {
    pub(super) key: &'a [u8],
    /// The one index at which it counts, if not any does.
    pub(super) at: Option<u64>,
    pub(super) want: Want,
}

impl<'a> Sought<'a> {
    /// Whether there is an item, whatever its value.
    pub(super) fn entry(key: &'a [u8], at: Option<u64>) -> Self {
        let want = Want::Entry;
        Self { key, at, want }
    }
}

impl Shared {
    /// The value of the first item stored under the index or key, counted as a get; its entry into
    /// `entry`.
    pub(super) fn get(&self, by: By<'_>, entry: &mut EntryBuf) -> Result<Option<Bytes>> {
        let started = Durations::start();
        let found = self.checked(self.find(by, entry));
        self.counters.gets.end(started);
        found
    }

    /// As [`get`](Self::get), not counted.
    pub(super) fn find(&self, by: By<'_>, entry: &mut EntryBuf) -> Result<Option<Bytes>> {
        match by {
            By::Index(index) => self.find_index(index, entry),
            By::Key(key) => {
                let (at, want) = (None, Want::Value);
                self.find_key(Sought { key, at, want }, entry)
            }
        }
    }

    fn find_index(&self, index: u64, entry: &mut EntryBuf) -> Result<Option<Bytes>> {
        match self.look_for_index(index, entry) {
            // A put makes the place of an index known before it takes back that it was lost: who
            // looks for the one before, and for the other after, sees neither.
            Ok(None) if self.has_damage.load(Ordering::Acquire) => {
                self.look_for_index(index, entry)
            }
            found => found,
        }
    }

    fn look_for_index(&self, index: u64, entry: &mut EntryBuf) -> Result<Option<Bytes>> {
        if index < self.floor() {
            return Ok(None);
        }
        let number = self.number_of(index);
        let found = self.with_section(number, |section| {
            let found = self.find_index_in(section, index, entry);
            match self.is_dropped(section, &found) {
                true => Ok(None),
                false => found,
            }
        })?;
        found.unwrap_or_else(|| {
            self.check_readable(number)?;
            self.none_or_lost(index)
        })
    }

    fn find_index_in(
        &self,
        section: &Arc<Section>,
        index: u64,
        entry: &mut EntryBuf,
    ) -> Result<Option<Bytes>> {
        if section.is_presumed() {
            if let Some(value) = self.find_presumed(section, index, entry) {
                return Ok(Some(value));
            }
            self.settle(section)?;
        }
        let position = match section.only_position(index) {
            Some(None) => return self.none_or_lost(index),
            Some(Some(position)) => position,
            None => return self.find_index_among_damage(section, index, entry),
        };
        match self.read(section, position, Some(index), entry) {
            Err(error) if error.is_corruption() => {
                self.note_damage(section, position, index, !error.is_unreadable());
                self.find_index_among_damage(section, index, entry)
            }
            read => read.map(Some),
        }
    }

    /// The item at an index where it stands in a section that was filled in order. None where it is not
    /// there, or not whole: which, a look for it in its section tells.
    fn find_presumed(&self, section: &Section, index: u64, entry: &mut EntryBuf) -> Option<Bytes> {
        let position = section.only_position(index)??;
        let value = self.read(section, position, None, entry).ok()?;
        (entry.index() == index).then_some(value)
    }

    fn find_index_among_damage(
        &self,
        section: &Arc<Section>,
        index: u64,
        entry: &mut EntryBuf,
    ) -> Result<Option<Bytes>> {
        let mut positions = Vec::new();
        section.positions_of(index, &mut positions);
        let mut first_error = None;
        for position in positions {
            match self.read(section, position, Some(index), entry) {
                Err(error) if error.is_corruption() => {
                    self.note_damage(section, position, index, !error.is_unreadable());
                    first_error.get_or_insert(error);
                }
                read => return read.map(Some),
            }
        }
        if let Some(error) = first_error {
            // Also where it is not noted, because another section has taken the place of this one.
            return Err(error);
        }
        match section.damaged_position_of(index) {
            // For the error that tells most.
            Some(position) => self
                .read(section, position, Some(index), entry)
                .and_then(|_| self.check_believed(section, position).map(|()| None)),
            None => self.none_or_lost(index),
        }
    }

    /// The entry of the first item at an index, also where its value is damaged.
    pub(super) fn find_entry(&self, index: u64) -> Result<Option<EntryBuf>> {
        if index < self.floor() {
            return Ok(None);
        }
        let Some(section) = self.settled_section(self.number_of(index))? else {
            return self.check_readable(self.number_of(index)).map(|()| None);
        };
        let Some(position) = section.positions.first(index) else {
            return Ok(None);
        };
        let mut entry = EntryBuf::new(self.entry);
        let read = section.entry(position, Some(index), &mut entry);
        match self.is_dropped(&section, &read) {
            true => Ok(None),
            false => read.map(|()| Some(entry)),
        }
    }

    /// The values of every item at an index, in the order stored.
    pub(super) fn find_all(&self, index: u64) -> Result<Vec<Bytes>> {
        let found = self.look_for_all(index)?;
        if !found.is_empty() {
            return Ok(found);
        }
        // Where there is none, a look for the first one tells why.
        let mut entry = EntryBuf::new(self.entry);
        let Some(first) = self.find_index(index, &mut entry)? else {
            return Ok(found);
        };
        // Put again since, or damage that can be read again.
        let found = self.look_for_all(index)?;
        Ok(if found.is_empty() { vec![first] } else { found })
    }

    fn look_for_all(&self, index: u64) -> Result<Vec<Bytes>> {
        let mut found = Vec::new();
        if index < self.floor() {
            return Ok(found);
        }
        let Some(section) = self.settled_section(self.number_of(index))? else {
            return Ok(found);
        };
        let read = self.find_all_in(&section, index, &mut found);
        match self.is_dropped(&section, &read) {
            true => Ok(Vec::new()),
            false => read.map(|()| found),
        }
    }

    fn find_all_in(
        &self,
        section: &Arc<Section>,
        index: u64,
        found: &mut Vec<Bytes>,
    ) -> Result<()> {
        let mut entry = EntryBuf::new(self.entry);
        let mut positions = Vec::new();
        section.positions_of(index, &mut positions);
        let mut first_error = None;
        for position in positions {
            match self.read(section, position, Some(index), &mut entry) {
                Err(error) if error.is_corruption() => {
                    self.note_damage(section, position, index, !error.is_unreadable());
                    first_error.get_or_insert(error);
                }
                read => found.push(read?),
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    /// The first item under the key, at the given index where there is one: its value, empty where that is
    /// not wanted, and its entry into `entry`.
    pub(super) fn find_key(
        &self,
        sought: Sought<'_>,
        entry: &mut EntryBuf,
    ) -> Result<Option<Bytes>> {
        let key = sought.key;
        if key.len() != self.entry.key_size {
            return Err(Error::KeySize {
                expected: self.entry.key_size,
                found: key.len(),
            });
        }
        let translated = self.translator.translate(key);
        let mut candidates = Candidates::default();
        loop {
            let rewrites = self.rewrites.load(Ordering::SeqCst);
            // Before the look-up: another thread may make the look behind it.
            let was_due = self.look.is_due();
            self.keys.lookup(translated, &mut candidates);
            let found = match self.first_of(&candidates, sought, entry) {
                Ok(Some(found)) => return Ok(Some(found)),
                Err(error) if !error.is_corruption() => return Err(error),
                // Its error counts if there is no item in the tables either.
                none => match self.find_in_tables(translated, sought, entry) {
                    Ok(InTables::Healed) => continue,
                    Ok(InTables::Found(None)) => none,
                    Ok(InTables::Found(found)) => return Ok(found),
                    Err(error) if error.is_corruption() => none.and(Err(error)),
                    Err(error) => return Err(error),
                },
            };
            // The item may have moved between the look at its place and that at its section, and a
            // damaged one of the same short form be all that was found.
            let is_the_same = self.rewrites.load(Ordering::SeqCst) == rewrites;
            // No table has the keys of what somebody has added to a file that nobody has looked at.
            if is_the_same && !was_due {
                return found;
            }
            self.look_again()?;
        }
    }

    fn first_of(
        &self,
        candidates: &Candidates,
        sought: Sought<'_>,
        entry: &mut EntryBuf,
    ) -> Result<Option<Bytes>> {
        let mut first_error = None;
        for &location in candidates {
            match self.candidate(location, sought, entry) {
                Ok(None) => {}
                Ok(found) => return Ok(found),
                Err(error) if error.is_corruption() => {
                    first_error.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        first_error.map_or(Ok(None), Err)
    }

    /// The item at a location, if it is live and has the key (and the index).
    fn candidate(
        &self,
        location: u64,
        sought: Sought<'_>,
        entry: &mut EntryBuf,
    ) -> Result<Option<Bytes>> {
        let Some((number, position)) = self.locations.resolve(location) else {
            return Ok(None);
        };
        let found = self.with_section(number, |section| {
            self.candidate_at(section, position, sought, entry)
        })?;
        found.unwrap_or(Ok(None))
    }

    /// The item at a position, if it is live and has the key (and the index).
    pub(super) fn candidate_at(
        &self,
        section: &Arc<Section>,
        position: u64,
        sought: Sought<'_>,
        entry: &mut EntryBuf,
    ) -> Result<Option<Bytes>> {
        let found = self.candidate_in(section, position, sought, entry);
        match self.is_dropped(section, &found) {
            true => Ok(None),
            false => found,
        }
    }

    fn candidate_in(
        &self,
        section: &Arc<Section>,
        position: u64,
        sought: Sought<'_>,
        entry: &mut EntryBuf,
    ) -> Result<Option<Bytes>> {
        let Sought { key, at, want } = sought;
        if want == Want::Value {
            section.prefetch(position);
        }
        match section.entry(position, None, entry) {
            Ok(()) => {}
            // The section was written anew since the index was asked.
            Err(Error::ItemOutOfRange { .. }) => return Ok(None),
            Err(error) => return Err(error),
        }
        if entry.key() != key && !Canary::KeyUnchecked.sings() {
            self.counters
                .unnecessary_reads
                .fetch_add(1, Ordering::Relaxed);
            return Ok(None);
        }
        let index = entry.index();
        let elsewhere = at.is_some_and(|at| at != index);
        if elsewhere || index < self.floor() || self.number_of(index) != section.number {
            return Ok(None);
        }
        if want == Want::Entry {
            return Ok((!section.is_damaged(position)).then(Bytes::new));
        }
        match section.value(entry, self.max_value_size) {
            Ok(value) => {
                self.check_believed(section, position)?;
                Ok(Some(value))
            }
            Err(error) => {
                if error.is_corruption() {
                    self.note_damage(section, position, index, !error.is_unreadable());
                }
                Err(error)
            }
        }
    }

    /// Reads one item whose place is known: its value, and its entry into `entry`.
    #[inline]
    pub(super) fn read(
        &self,
        section: &Section,
        position: u64,
        index: Option<u64>,
        entry: &mut EntryBuf,
    ) -> Result<Bytes> {
        section.prefetch(position);
        section.entry(position, index, entry)?;
        section.value(entry, self.max_value_size)
    }

    /// The error of a section of which nothing can be read: what opening its files says.
    pub(super) fn check_readable(&self, number: u64) -> Result<()> {
        if !self.unreadable.read().contains(&number) {
            return Ok(());
        }
        let (records, values) = self.files_of(number, Layouts::default());
        let opened = records.get().and_then(|_| values.get().map(drop));
        opened.map_err(|error| match error {
            Error::NotFound { path } => gone(path),
            other => other,
        })
    }

    /// Nothing, or the error of an index whose entry is gone with its page.
    pub(super) fn none_or_lost<T>(&self, index: u64) -> Result<Option<T>> {
        if !self.is_damaged(index) {
            return Ok(None);
        }
        let (records, _) = self.files_of(self.number_of(index), Layouts::default());
        Err(Error::Damaged {
            path: records.path(),
            offset: 0,
            reason: format!(
                "the entry of index {index} was durable and cannot be read; put it again"
            ),
        })
    }
}
