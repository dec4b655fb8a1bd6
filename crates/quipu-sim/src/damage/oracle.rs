//! What a damage takes at the least: the items of which bytes are gone, and no other.
//!
//! An item needs the pages that hold its entry, each vouched for by a slot, and its value's bytes.
//! Headers hold no items, so damage of one takes nothing by itself: where the data begins was
//! known before.

use std::collections::BTreeSet;

use super::files::{FileName, Files, INDEX, VALUES};
use super::format::{Entry, Format, header_size};
use super::shape::Item;

/// Where an item stands.
#[derive(Clone, Debug)]
struct Place {
    section: u64,
    entry: Vec<u8>,
    value: std::ops::Range<usize>,
}

/// Knows where every item of an archive stands.
#[derive(Debug)]
pub struct Oracle {
    format: Format,
    /// In the order of the items.
    places: Vec<Place>,
    files: Files,
}

impl Oracle {
    /// Finds every item in the files of an archive that is whole; an error says which is not
    /// where it should be.
    pub fn new(format: Format, files: &Files, items: &[Item]) -> Result<Self, String> {
        let mut oracle = Self {
            format,
            places: Vec::new(),
            files: files.clone(),
        };
        let mut found = Vec::new();
        for (file, _) in files.iter().filter(|(file, _)| *file.partition == *INDEX) {
            let section = file.section().ok_or("a stranger's file")?;
            oracle.read_section(file, section, &mut found)?;
        }
        for item in items {
            let at = found
                .iter()
                .position(|(entry, _)| entry.index == item.index && entry.key == item.key)
                .ok_or_else(|| format!("{item:?} has no entry"))?;
            oracle.places.push(found.remove(at).1);
        }
        match found.first() {
            None => Ok(oracle),
            Some((entry, _)) => Err(format!("{entry:?} is of no item")),
        }
    }

    fn read_section(
        &self,
        file: &FileName,
        section: u64,
        found: &mut Vec<(Entry, Place)>,
    ) -> Result<(), String> {
        let pages = self.format.pages(data(&self.files, &self.files, file));
        for position in 0.. {
            let Some(bytes) = self.format.entry_bytes(&pages, position) else {
                return Ok(());
            };
            let entry = self.format.entry(&bytes);
            if self.format.section_of(entry.index) != section {
                return Err(format!("{entry:?} stands in section {section}"));
            }
            let start = usize::try_from(entry.offset).map_err(|e| e.to_string())?;
            let place = Place {
                section,
                entry: bytes,
                value: start..start + entry.size as usize,
            };
            found.push((entry, place));
        }
        Ok(())
    }

    /// For each item, whether all of its bytes are still there.
    pub fn whole(&self, damaged: &Files) -> Vec<bool> {
        let mut entries = BTreeSet::new();
        let mut of_section = None;
        let whole = self.places.iter().map(|place| {
            if of_section != Some(place.section) {
                entries = self.entries(damaged, place.section);
                of_section = Some(place.section);
            }
            entries.contains(&place.entry) && self.has_value(damaged, place)
        });
        whole.collect()
    }

    /// The entries of a section that are still there, wherever an older copy has them.
    fn entries(&self, damaged: &Files, section: u64) -> BTreeSet<Vec<u8>> {
        let file = FileName::of_section(INDEX, section);
        let pages = self.format.pages(data(&self.files, damaged, &file));
        let positions = 0..pages.len() * self.format.page_size / self.format.entry_size();
        let entries = positions.filter_map(|position| self.format.entry_bytes(&pages, position));
        entries.collect()
    }

    fn has_value(&self, damaged: &Files, place: &Place) -> bool {
        let file = FileName::of_section(VALUES, place.section);
        let there = data(&self.files, damaged, &file).get(place.value.clone());
        there.is_some() && there == data(&self.files, &self.files, &file).get(place.value.clone())
    }
}

/// The bytes of a file behind where its header was.
fn data<'a>(original: &Files, files: &'a Files, file: &FileName) -> &'a [u8] {
    let header = original.get(file).and_then(header_size);
    header
        .and_then(|header| files.get(file)?.get(header..))
        .unwrap_or_default()
}
