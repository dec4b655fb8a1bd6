//! Finding a key in the tables.

use std::sync::Arc;

use bytes::Bytes;

use crate::archive::entry::EntryBuf;
use crate::archive::lookup::Sought;
use crate::archive::section::Section;
use crate::archive::shared::Shared;
use crate::canary::Canary;
use crate::error::{Error, Result};
use crate::index::{Candidates, mix};
use crate::key_table::{KeyTable, PageAhead, Place};

/// A page of a table that is not in memory.
pub(in crate::archive) type TablePage = (Arc<KeyTable>, PageAhead);

/// What a look into the tables found.
pub(in crate::archive) enum InTables {
    /// The value of the item, or none.
    Found(Option<Bytes>),
    /// A table was damaged, and its keys are in the key index now.
    Healed,
}

impl Shared {
    /// The first item under a key that a table has, at the given index where there is one.
    pub(in crate::archive) fn find_in_tables(
        &self,
        translated: u64,
        sought: Sought<'_>,
        entry: &mut EntryBuf,
    ) -> Result<InTables> {
        let list = self.tables.list();
        if list.is_empty() {
            return Ok(InTables::Found(None));
        }
        let mix = mix(translated, self.id);
        list.iter().for_each(|table| table.prefetch(mix));
        let mut first_error = None;
        let mut ordinals = Candidates::new();
        // What was put last is mostly asked for.
        for table in list.iter().rev() {
            if !self.look_up(table, mix, &mut ordinals)? {
                return Ok(InTables::Healed);
            }
            for place in ordinals.iter().filter_map(|&ordinal| table.place(ordinal)) {
                match self.find_at(&place, sought, entry) {
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
        let mut ordinals = Candidates::new();
        self.tables.list().iter().rev().find_map(|table| {
            // An order to read in is all that it is for.
            table.look_up(mix, &mut ordinals).ok()?;
            let place = table.place(*ordinals.first()?)?;
            Some((place.section, place.position))
        })
    }

    /// The pages that a look for a key in the tables reads and that are not in memory.
    pub(in crate::archive) fn table_pages_ahead(&self, translated: u64) -> Vec<TablePage> {
        let mix = mix(translated, self.id);
        let list = self.tables.list();
        let page = |table: &Arc<KeyTable>| {
            // What is wrong with a table, the look-up tells.
            let page = table.page_ahead(mix).ok()??;
            Some((Arc::clone(table), page))
        };
        list.iter().rev().filter_map(page).collect()
    }

    /// Looks a key up in one table; false where that is damaged, and its keys are in the key index now.
    fn look_up(&self, table: &Arc<KeyTable>, mix: u64, ordinals: &mut Candidates) -> Result<bool> {
        match table.look_up(mix, ordinals) {
            Ok(()) => Ok(true),
            Err(error) if error.is_corruption() => self.heal(table).map(|()| false),
            Err(error) => Err(error),
        }
    }

    fn find_at(
        &self,
        place: &Place,
        sought: Sought<'_>,
        entry: &mut EntryBuf,
    ) -> Result<Option<Bytes>> {
        let is_of_life = |section: &Arc<Section>| {
            section.epoch == place.epoch || Canary::TableEpochIgnored.sings()
        };
        let found = self.with_section(place.section, |section| {
            if !is_of_life(section) {
                return Ok(None);
            }
            match self.candidate_at(section, place.position, sought, entry) {
                Err(error) if error.is_corruption() => {
                    self.none_if_unreadable(section, place.position, error)
                }
                found => found,
            }
        })?;
        found.unwrap_or(Ok(None))
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
                self.settle_live(section).map(|_| None)
            }
            _ => Err(error),
        }
    }
}
