//! Locations: one number of 36 bits for every entry of every section.
//!
//! ```text
//! location    35 .............. 10  9 ........ 0
//!             extent (26 bits)      offset in it (10 bits)
//! extent  ->  (section, nth)        position = nth * 1,024 + offset
//! ```
//!
//! A section is given an extent of 1,024 ordinals when one of its positions first needs it, so 36
//! bits serve sections of any number and any size: 67 million sections of one item, or one section of
//! 68 billion.
//!
//! **Life of an extent.** free -> given to a section (`locate`) -> released with the section, its
//! locations are dead -> free again (`reclaim`), which is right only after the dead locations were
//! removed from the key index: an old location would else mean a new entry.
//!
//! **Beside a writer.** `resolve` takes no lock: extents lie in blocks that are never moved, reached
//! by three loads. A reader that holds a location from before a prune may see the extent's next owner;
//! it compares whole keys, so it is never led astray.
//!
//! **Cost.** 16 bytes an extent, and some 40 in the writer's map.

use std::collections::BTreeMap;
use std::ops::Range;

use super::shard::LOCATION_BITS;
use crate::error::{Error, Result};
use crate::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Release},
};
use crate::sync::{Mutex, OnceLock};

const OFFSET_BITS: u32 = 10;
const EXTENT_SIZE: u64 = 1 << OFFSET_BITS;
const EXTENT_BITS: u32 = LOCATION_BITS - OFFSET_BITS;
/// The last extent is never used: the key index needs one location for its empty slots.
const MAX_EXTENTS: u32 = (1 << EXTENT_BITS) - 1;

/// Each level of the tree of extents takes so many of their number's bits.
const LEAF_BITS: u32 = 9;
const NODE_BITS: u32 = 9;
const ROOT_BITS: u32 = EXTENT_BITS - NODE_BITS - LEAF_BITS;

/// `nth` of an extent that no section has.
const NO_SECTION: u64 = u64::MAX;

/// Who has an extent.
struct Extent {
    section: AtomicU64,
    /// Which extent of the section it is. Written last, cleared first.
    nth: AtomicU64,
}

type Leaf = Box<[Extent]>;
type Node = Box<[OnceLock<Leaf>]>;

/// The ordinal space. One writer calls `locate`, `release` and `reclaim`; `resolve` is for anyone.
pub(crate) struct Locations {
    root: Box<[OnceLock<Node>]>,
    owned: Mutex<Owned>,
}

/// What only the writer needs.
struct Owned {
    /// (section, nth) -> extent
    extents: BTreeMap<(u64, u64), u32>,
    /// What `locate` answered last; most calls ask for the same extent again.
    recent: Option<((u64, u64), u32)>,
    /// Extents that may be given out again.
    free: Vec<u32>,
    /// Extents of released sections, in the order of their release.
    released: Vec<u32>,
    /// How many were ever moved from `released` to `free`.
    reclaimed: u64,
    /// The first extent that was never given out.
    next: u32,
    limit: u32,
}

impl Locations {
    /// No section has a location yet. Allocates 4 KB.
    pub(crate) fn new() -> Self {
        Self::with_limit(MAX_EXTENTS)
    }

    fn with_limit(limit: u32) -> Self {
        Self {
            root: empty(ROOT_BITS),
            owned: Mutex::new(Owned {
                extents: BTreeMap::new(),
                recent: None,
                free: Vec::new(),
                released: Vec::new(),
                reclaimed: 0,
                next: 0,
                limit,
            }),
        }
    }

    /// The location of a position, the same each time until the section is released.
    ///
    /// # Errors
    /// [`Error::IndexFull`] when all extents are used up.
    pub(crate) fn locate(&self, section: u64, position: u64) -> Result<u64> {
        let nth = position >> OFFSET_BITS;
        let mut owned = self.owned.lock();
        let extent = match owned.find(section, nth) {
            Some(extent) => extent,
            None => {
                let extent = owned.take()?;
                self.give(extent, section, nth);
                owned.extents.insert((section, nth), extent);
                extent
            }
        };
        owned.recent = Some(((section, nth), extent));
        Ok(u64::from(extent) << OFFSET_BITS | position & (EXTENT_SIZE - 1))
    }

    /// The location of the next position, where that needs no [`Self::locate`].
    pub(crate) fn behind(location: u64) -> Option<u64> {
        let behind = location + 1;
        (behind & (EXTENT_SIZE - 1) != 0).then_some(behind)
    }

    /// Section and position of a location; none when the section was released, so the location is
    /// dead, or when it was never given out.
    #[inline]
    pub(crate) fn resolve(&self, location: u64) -> Option<(u64, u64)> {
        let extent = self.extent(location >> OFFSET_BITS)?;
        loop {
            let nth = extent.nth.load(Acquire);
            if nth == NO_SECTION {
                return None;
            }
            // Acquire, so that `nth` is compared after it: if the owner changed, so did `nth`, but
            // for an owner with the same `nth`, whose number is then either of two that were right.
            let section = extent.section.load(Acquire);
            if extent.nth.load(Acquire) == nth {
                return Some((section, nth << OFFSET_BITS | location & (EXTENT_SIZE - 1)));
            }
        }
    }

    /// Takes a section's locations away: they are dead from now on.
    pub(crate) fn release(&self, section: u64) {
        let mut owned = self.owned.lock();
        owned.recent = None;
        while let Some(((found, nth), extent)) = owned.first_of(section) {
            owned.extents.remove(&(found, nth));
            if let Some(extent) = self.extent(u64::from(extent)) {
                extent.nth.store(NO_SECTION, Release);
            }
            owned.released.push(extent);
        }
    }

    /// How many extents were ever released: a mark for [`Self::reclaim_to`].
    pub(crate) fn released(&self) -> u64 {
        let owned = self.owned.lock();
        owned.reclaimed + owned.released.len() as u64
    }

    /// Lets the extents that were released before `mark` was taken be used again. To be called after
    /// the key index was purged of dead locations, by a purge that began after `mark` was taken.
    pub(crate) fn reclaim_to(&self, mark: u64) {
        let mut owned = self.owned.lock();
        let count = mark.saturating_sub(owned.reclaimed);
        let count =
            usize::try_from(count).map_or(owned.released.len(), |c| c.min(owned.released.len()));
        let owned = &mut *owned;
        owned.free.extend(owned.released.drain(..count));
        owned.reclaimed += count as u64;
        owned.released.shrink_to_fit();
    }

    /// Lets all released extents be used again: right when no section was released since the purge
    /// of the key index began.
    pub(crate) fn reclaim(&self) {
        self.reclaim_to(u64::MAX);
    }

    /// Bytes of memory, about.
    pub(crate) fn memory(&self) -> usize {
        let owned = self.owned.lock();
        let nodes = self.root.iter().filter_map(OnceLock::get);
        let leaves = nodes
            .clone()
            .flat_map(|node| node.iter().filter_map(OnceLock::get));
        size_of::<Self>()
            + size_of_val::<[_]>(&self.root)
            + nodes.map(|node| size_of_val::<[_]>(node)).sum::<usize>()
            + leaves.map(|leaf| size_of_val::<[_]>(leaf)).sum::<usize>()
            + (owned.free.capacity() + owned.released.capacity()) * size_of::<u32>()
            + owned.extents.len() * 40
    }

    /// Writes an extent's owner, `nth` last, so that who sees it sees the section too.
    fn give(&self, extent: u32, section: u64, nth: u64) {
        let [root, node, leaf] = path(u64::from(extent));
        let nodes = self
            .root
            .get(root)
            .map(|n| n.get_or_init(|| empty(NODE_BITS)));
        let leaves = nodes
            .and_then(|n| n.get(node))
            .map(|n| n.get_or_init(unowned));
        if let Some(extent) = leaves.and_then(|l| l.get(leaf)) {
            extent.section.store(section, Release);
            extent.nth.store(nth, Release);
        }
    }

    #[inline]
    fn extent(&self, number: u64) -> Option<&Extent> {
        let [root, node, leaf] = path(number);
        self.root.get(root)?.get()?.get(node)?.get()?.get(leaf)
    }
}

impl Owned {
    fn find(&self, section: u64, nth: u64) -> Option<u32> {
        match self.recent {
            Some((asked, extent)) if asked == (section, nth) => Some(extent),
            _ => self.extents.get(&(section, nth)).copied(),
        }
    }

    fn take(&mut self) -> Result<u32> {
        if let Some(extent) = self.free.pop() {
            return Ok(extent);
        }
        if self.next >= self.limit {
            return Err(Error::IndexFull {
                max: u64::from(self.limit) << OFFSET_BITS,
            });
        }
        self.next += 1;
        Ok(self.next - 1)
    }

    fn first_of(&self, section: u64) -> Option<((u64, u64), u32)> {
        let mut of = self.extents.range((section, 0)..=(section, u64::MAX));
        of.next().map(|(at, extent)| (*at, *extent))
    }
}

/// The way to an extent: a place in each of the three levels.
#[inline]
fn path(extent: u64) -> [usize; 3] {
    let bits =
        |Range { start, end }: Range<u32>| (extent >> start & ((1 << (end - start)) - 1)) as usize;
    let root = extent >> (LEAF_BITS + NODE_BITS);
    [
        usize::try_from(root).unwrap_or(usize::MAX),
        bits(LEAF_BITS..LEAF_BITS + NODE_BITS),
        bits(0..LEAF_BITS),
    ]
}

fn empty<T>(bits: u32) -> Box<[OnceLock<T>]> {
    (0..1 << bits).map(|_| OnceLock::new()).collect()
}

fn unowned() -> Leaf {
    let extent = |_| Extent {
        section: AtomicU64::new(0),
        nth: AtomicU64::new(NO_SECTION),
    };
    (0..1 << LEAF_BITS).map(extent).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_location_leads_back() {
        let locations = Locations::new();
        let places = [
            (0, 0),
            (0, 1),
            (0, 1023),
            (0, 1024),
            (u64::MAX, 0),
            (u64::MAX, u64::MAX),
            (7, 5_000_000_000),
        ];
        for (section, position) in places {
            let location = locations.locate(section, position).unwrap();
            assert_eq!(locations.resolve(location), Some((section, position)));
            assert_eq!(locations.locate(section, position).unwrap(), location);
        }
        assert_eq!(locations.resolve(0), Some((0, 0)));
        assert_eq!(locations.resolve(100 << OFFSET_BITS), None);
        assert_eq!(locations.resolve(u64::MAX), None);
    }

    #[test]
    fn released_is_dead_and_used_again_after_a_reclaim() {
        let locations = Locations::new();
        let kept = locations.locate(2, 0).unwrap();
        let old = [2048, 1024, 0].map(|position| locations.locate(1, position).unwrap());
        locations.release(1);
        assert!(old.iter().all(|l| locations.resolve(*l).is_none()));
        let other = locations.locate(1, 0).unwrap();
        assert!(!old.contains(&other), "not before the index was purged");
        locations.reclaim();
        assert!(old.contains(&locations.locate(3, 0).unwrap()));
        assert_eq!(locations.resolve(kept), Some((2, 0)));
    }

    #[test]
    fn what_was_released_behind_the_mark_stays_dead() {
        let locations = Locations::with_limit(2);
        locations.locate(1, 0).unwrap();
        locations.locate(2, 0).unwrap();
        locations.release(1);
        let mark = locations.released();
        locations.release(2);
        locations.reclaim_to(mark);
        locations.reclaim_to(mark); // changes nothing
        locations.locate(3, 0).unwrap();
        assert!(locations.locate(4, 0).is_err());
        locations.reclaim_to(locations.released());
        locations.locate(4, 0).unwrap();
    }

    #[test]
    fn full_is_an_error() {
        let locations = Locations::with_limit(2);
        locations.locate(1, 1023).unwrap();
        locations.locate(1, 1024).unwrap();
        let full = locations.locate(2, 0);
        assert!(matches!(full, Err(Error::IndexFull { max: 2048 })));
        locations.locate(1, 5).unwrap(); // what is there goes on
    }

    #[test]
    fn small_for_many_sections_and_for_one_large() {
        let many = Locations::new();
        (0..100_000).for_each(|section| _ = many.locate(section, 0).unwrap());
        assert!(many.memory() < 100_000 * 64);
        let large = Locations::new();
        (0..10_000_000).for_each(|position| _ = large.locate(1, position).unwrap());
        assert!(large.memory() < 1_000_000);
        assert_eq!(large.resolve(9_999_999), Some((1, 9_999_999)));
    }

    #[test]
    fn readers_never_see_a_mixed_owner() {
        let locations = Locations::with_limit(1);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut seen = 0;
                while seen < 100_000 {
                    if let Some((section, position)) = locations.resolve(5) {
                        assert_eq!(section << OFFSET_BITS | 5, position);
                        seen += 1;
                    }
                }
            });
            let mut section = 0;
            while !reader.is_finished() {
                section += 1;
                locations.locate(section, section << OFFSET_BITS).unwrap();
                locations.release(section);
                locations.reclaim();
            }
        });
    }
}
