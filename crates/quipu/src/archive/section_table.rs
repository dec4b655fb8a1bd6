//! Which sections there are: those that are open, and those that rest.
//!
//! A section rests from an open of the archive on until it is asked for, when the marks tell all that
//! opening it would: its files have the lengths that they say, or a clean end has left them so and the
//! [look](super::look) at them is still to come; nothing of it is damaged, and key tables have its keys. So
//! an open does as little for a long history as for a short one.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::section::Section;
use crate::index::memory;
use crate::manifest::Mark;
use crate::sync::{ArcSwapOption, Guard, RwLock};

/// A section that nobody has asked for yet.
#[derive(Debug)]
pub(super) struct Resting {
    pub(super) number: u64,
    /// Shared with the marks in memory.
    pub(super) mark: Arc<Mark>,
    /// Bytes of its two files.
    pub(super) index_bytes: u64,
    pub(super) value_bytes: u64,
}

impl Resting {
    /// Bytes of its index file and of its value file, as its mark says.
    pub(super) fn bytes(&self) -> (u64, u64) {
        (self.index_bytes, self.value_bytes)
    }
}

/// A section, as far as it is known.
#[derive(Clone)]
pub(super) enum Known {
    Open(Arc<Section>),
    Resting(Arc<Resting>),
}

/// Bytes of the two counts before what an `Arc` points to.
const COUNTS_BYTES: usize = 2 * size_of::<usize>();

impl Known {
    /// Bytes of its index file and of its value file, those waiting to be written included.
    pub(super) fn disk_len(&self) -> (u64, u64) {
        match self {
            Self::Open(section) => (
                section.pair.records.disk_len(),
                section.pair.values.disk_len(),
            ),
            Self::Resting(resting) => resting.bytes(),
        }
    }

    /// How many entries it has, and bytes of values.
    pub(super) fn len(&self) -> (u64, u64) {
        match self {
            Self::Open(section) => (section.pair.records.len(), section.pair.values.len()),
            Self::Resting(resting) => (resting.mark.records, resting.mark.value_bytes),
        }
    }

    fn memory(&self) -> usize {
        match self {
            Self::Open(section) => COUNTS_BYTES + section.memory(),
            Self::Resting(resting) => {
                let mark = COUNTS_BYTES + size_of::<Mark>() + resting.mark.memory();
                COUNTS_BYTES + size_of::<Resting>() + mark
            }
        }
    }

    /// Which life of the section it is.
    pub(super) fn epoch(&self) -> u64 {
        match self {
            Self::Open(section) => section.epoch,
            Self::Resting(resting) => resting.mark.epoch,
        }
    }
}

/// Sections that are found without the table's lock, at most.
const RECENT: usize = 512;

/// All sections, by number.
pub(super) struct SectionTable {
    items_per_section: u64,
    sections: RwLock<BTreeMap<u64, Known>>,
    /// Open sections that were asked for last, each in the place that its number gives. Changed under the
    /// lock of `sections` alone, so that none stays here that is not there.
    recent: Box<[ArcSwapOption<Section>]>,
}

impl SectionTable {
    pub(super) fn new(items_per_section: u64) -> Self {
        Self {
            items_per_section: items_per_section.max(1),
            sections: RwLock::default(),
            recent: (0..RECENT).map(|_| ArcSwapOption::default()).collect(),
        }
    }

    fn recent_at(&self, number: u64) -> Option<&ArcSwapOption<Section>> {
        let nth = number / self.items_per_section % RECENT as u64;
        self.recent.get(nth as usize)
    }

    /// The section that was asked for last of those that have the number's place: another one, or none, says
    /// nothing. No memory is changed that other threads read.
    #[inline]
    pub(super) fn recent(&self, number: u64) -> Option<Guard<Option<Arc<Section>>>> {
        self.recent_at(number).map(ArcSwapOption::load)
    }

    pub(super) fn get(&self, number: u64) -> Option<Known> {
        let recent = self.recent(number).and_then(|recent| (*recent).clone());
        if let Some(section) = recent.filter(|section| section.number == number) {
            // To note it again would cost more than to find it.
            return Some(Known::Open(section));
        }
        let sections = self.sections.read();
        let known = sections.get(&number)?;
        if let Known::Open(section) = known
            && let Some(recent) = self.recent_at(number)
        {
            recent.store(Some(Arc::clone(section)));
        }
        Some(known.clone())
    }

    /// To be called with the lock of `sections` held for a change; what is returned may be the last of a
    /// section, to be dropped without it.
    fn forget_recent(&self, number: u64) -> Option<Arc<Section>> {
        self.recent_at(number).and_then(|recent| recent.swap(None))
    }

    /// Bytes of memory of all sections.
    pub(super) fn memory(&self) -> u64 {
        let sections = self.sections.read();
        let table = memory::of_map::<u64, Known>(sections.len()) + size_of_val(&*self.recent);
        let each = sections.values().map(|known| known.memory() as u64);
        each.sum::<u64>() + table as u64
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        self.sections.read().contains_key(&number)
    }

    /// The life that a section is in.
    pub(super) fn epoch(&self, number: u64) -> Option<u64> {
        self.sections.read().get(&number).map(Known::epoch)
    }

    pub(super) fn insert(&self, section: Arc<Section>) {
        let number = section.number;
        let mut sections = self.sections.write();
        let before = sections.insert(number, Known::Open(section));
        let before = (before, self.forget_recent(number));
        drop(sections);
        drop(before);
    }

    /// Takes in sections at rest, of which there is none yet.
    pub(super) fn rest(&self, resting: Vec<Resting>) {
        let resting = resting.into_iter();
        let mut resting = resting
            .map(|of| (of.number, Known::Resting(Arc::new(of))))
            .collect();
        self.sections.write().append(&mut resting);
    }

    /// Puts a section in the place of itself at rest; false where it was dropped meanwhile.
    pub(super) fn wake(&self, section: &Arc<Section>) -> bool {
        let mut sections = self.sections.write();
        match sections.get_mut(&section.number) {
            Some(known @ Known::Resting(_)) => {
                *known = Known::Open(Arc::clone(section));
                true
            }
            _ => false,
        }
    }

    pub(super) fn remove(&self, number: u64) -> Option<Known> {
        let mut sections = self.sections.write();
        let removed = sections.remove(&number);
        self.forget_recent(number);
        removed
    }

    /// Removes those below a number.
    pub(super) fn remove_below(&self, number: u64) -> BTreeMap<u64, Known> {
        let mut sections = self.sections.write();
        let kept = sections.split_off(&number);
        let removed = std::mem::replace(&mut *sections, kept);
        for &number in removed.keys() {
            self.forget_recent(number);
        }
        removed
    }

    /// The numbers of all of them, ascending.
    pub(super) fn numbers(&self) -> Vec<u64> {
        self.sections.read().keys().copied().collect()
    }

    /// The last one before a number; the last of all where none is given.
    pub(super) fn before(&self, number: Option<u64>) -> Option<u64> {
        let sections = self.sections.read();
        match number {
            Some(number) => sections.range(..number).next_back().map(|(&of, _)| of),
            None => sections.keys().next_back().copied(),
        }
    }

    /// All of them, ascending.
    pub(super) fn all(&self) -> Vec<Known> {
        self.sections.read().values().cloned().collect()
    }

    /// Those at rest, ascending.
    pub(super) fn all_resting(&self) -> Vec<Arc<Resting>> {
        let sections = self.sections.read();
        let resting = sections.values().filter_map(|known| match known {
            Known::Resting(resting) => Some(Arc::clone(resting)),
            Known::Open(_) => None,
        });
        resting.collect()
    }

    /// Those that are open, ascending.
    pub(super) fn all_open(&self) -> Vec<Arc<Section>> {
        let sections = self.sections.read();
        let open = sections.values().filter_map(|known| match known {
            Known::Open(section) => Some(Arc::clone(section)),
            Known::Resting(_) => None,
        });
        open.collect()
    }
}
