//! Finding a key in the tables.

use std::sync::Arc;

use crate::archive::entry::EntryBuf;
use crate::archive::lookup::{Found, Want};
use crate::archive::section::Section;
use crate::archive::shared::Shared;
use crate::canary::Canary;
use crate::error::{Error, Result};
use crate::index::mix;
use crate::key_table::{KeyTable, Place};

/// What a look into the tables found.
pub(in crate::archive) enum InTables {
    /// The item, or none.
    Found(Option<Found>),
    /// A table was damaged, and its keys are in the key index now.
    Healed,
}

impl Shared {
    /// The first item under a key that a table has, at the given index where there is one.
    pub(in crate::archive) fn find_in_tables(
        &self,
        translated: u64,
        key: &[u8],
        at: Option<u64>,
        want: Want,
    ) -> Result<InTables> {
        let list = self.tables.list();
        if list.is_empty() {
            return Ok(InTables::Found(None));
        }
        let mix = mix(translated, self.id);
        let mut first_error = None;
        let mut places = Vec::new();
        // What was put last is mostly asked for.
        for table in list.iter().rev() {
            places.clear();
            if !self.look_up(table, mix, &mut places)? {
                return Ok(InTables::Healed);
            }
            for place in &places {
                match self.find_at(place, key, at, want) {
                    Ok(None) => {}
                    Ok(found) => return Ok(InTables::Found(found)),
                    Err(error) if error.is_corruption() => {
                        first_error.get_or_insert(error);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        first_error.map_or(Ok(InTables::Found(None)), Err)
    }

    /// Where a key may be as the tables have it: (section, position).
    pub(in crate::archive) fn place_in_tables(&self, translated: u64) -> Option<(u64, u64)> {
        let mix = mix(translated, self.id);
        let mut places = Vec::new();
        for table in self.tables.list().iter().rev() {
            // An order to read in is all that it is for.
            let _ = table.look_up(mix, &mut places);
            if let Some(place) = places.first() {
                return Some((place.section, place.position));
            }
        }
        None
    }

    /// Looks a key up in one table; false where that is damaged, and its keys are in the key index now.
    fn look_up(&self, table: &Arc<KeyTable>, mix: u64, places: &mut Vec<Place>) -> Result<bool> {
        match table.look_up(mix, places) {
            Ok(()) => Ok(true),
            Err(error) if error.is_corruption() => self.heal(table).map(|()| false),
            Err(error) => Err(error),
        }
    }

    fn find_at(
        &self,
        place: &Place,
        key: &[u8],
        at: Option<u64>,
        want: Want,
    ) -> Result<Option<Found>> {
        let is_of_life = |section: &Arc<Section>| {
            section.epoch == place.epoch || Canary::TableEpochIgnored.sings()
        };
        let Some(section) = self.section(place.section)?.filter(is_of_life) else {
            return Ok(None);
        };
        match self.candidate_at(&section, place.position, key, at, want) {
            Err(error) if error.is_corruption() => {
                self.none_if_unreadable(&section, place.position, error)
            }
            found => found,
        }
    }

    /// Nobody knows which key an entry had that cannot be read: its index is lost, as where a section is read
    /// entry by entry, and the key is that of no item. The error, where the entry can be read.
    #[cold]
    fn none_if_unreadable<T>(
        &self,
        section: &Arc<Section>,
        position: u64,
        error: Error,
    ) -> Result<Option<T>> {
        let mut entry = EntryBuf::new(self.entry);
        match section.entry(position, None, &mut entry) {
            Err(unreadable) if unreadable.is_corruption() => {
                self.settle(section)?;
                Ok(None)
            }
            _ => Err(error),
        }
    }
}
