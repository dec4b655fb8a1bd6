//! Reading: everything that can be asked of an archive.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{RangeBounds, RangeInclusive};
use std::sync::Arc;

use bytes::Bytes;

use super::entry::EntryBuf;
use super::lookup::{By, Sought};
use super::range::Range;
use super::repair::RepairReport;
use super::settings::Settings;
use super::shared::Shared;
use super::stats::{Durations, SectionInfo, Stats};
use super::verify::{VerifyEvent, VerifyReport};
use crate::error::Result;
use crate::key::Key;
use crate::sync::atomic::Ordering;
use crate::value::Value;

/// Reads an archive, beside its writer and from any thread; cheap to clone.
///
/// A reader sees every item whose put has returned, durable or not, and never waits for a write
/// or a flush. It stays usable when the writer is dropped.
///
/// A look-up by index reads one entry and one value. A look-up by key does the same, and reads
/// one more entry for each other key that shares the short form (see [`index`](crate::index)).
/// Entries come through the page cache; values are read from their file, or from the write
/// buffer, with one copy. Every checksum is checked on the way.
///
/// After a clean end an open looks at no section file. The first call that says what is stored without reading it, or that a key
/// is nowhere, looks at the length of each, once, and takes as long as that does. Where the system does not tell them, calls that
/// return a [`Result`] fail, and the others answer as the last end has left it; see
/// [`Recovery::lengths_unread`](super::Recovery::lengths_unread).
///
/// # Errors
///
/// Reads fail with [`Error::Checksum`](crate::Error::Checksum) and its kin where the bytes on
/// disk are damaged, with [`Error::Unreadable`](crate::Error::Unreadable) where the disk cannot read them, with
/// [`Error::Io`](crate::Error::Io) where a read fails for another reason, with [`Error::Codec`](crate::Error::Codec) where a value is not of the type `V`.
pub struct Reader<K, V = Bytes> {
    pub(super) shared: Arc<Shared>,
    types: PhantomData<fn() -> (K, V)>,
}

/// An item: what was put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item<K, V = Bytes> {
    /// Its index.
    pub index: u64,
    /// Its key.
    pub key: K,
    /// Its value.
    pub value: V,
}

/// What an archive knows of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It holds an item that can be read.
    Present,
    /// It lies below the floor.
    Pruned,
    /// It was never stored, as far as is known.
    Missing,
    /// It was durable and cannot be read any more.
    Damaged,
}

/// What an item can be asked for by: its index (`u64`), its key (`&K`), or an [`Id`].
pub trait Lookup<K>: Copy {
    #[doc(hidden)]
    fn by(&self) -> By<'_>;
}

/// An index or a key, where both occur side by side.
#[derive(Debug, PartialEq, Eq)]
pub enum Id<'a, K> {
    /// The item at this index.
    Index(u64),
    /// The item under this key.
    Key(&'a K),
}

impl<K> Lookup<K> for u64 {
    fn by(&self) -> By<'_> {
        By::Index(*self)
    }
}

impl<K: Key> Lookup<K> for &K {
    fn by(&self) -> By<'_> {
        By::Key(self.as_bytes())
    }
}

impl<K> Clone for Id<'_, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Id<'_, K> {}

impl<K: Key> Lookup<K> for Id<'_, K> {
    fn by(&self) -> By<'_> {
        match self {
            Self::Index(index) => By::Index(*index),
            Self::Key(key) => By::Key(key.as_bytes()),
        }
    }
}

impl<K, V> Clone for Reader<K, V> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            types: PhantomData,
        }
    }
}

impl<K, V> fmt::Debug for Reader<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("path", &self.shared.path())
            .finish_non_exhaustive()
    }
}

impl<K, V> Reader<K, V> {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            types: PhantomData,
        }
    }

    /// The state, once the [look](super::look) at the lengths of the files was made, if it can be.
    fn seen(&self) -> &Shared {
        // Where it cannot, the marks answer; calls that can fail tell why.
        let _ = self.shared.look();
        &self.shared
    }
}

/// Items.
impl<K: Key, V: Value> Reader<K, V> {
    /// The value under an index or a key, or none. At an index with several items: the first that
    /// was stored. A key that is stored at several indices: the item at any live one.
    pub fn get(&self, id: impl Lookup<K>) -> Result<Option<V>> {
        let mut entry = EntryBuf::new(self.shared.entry);
        let value = self.shared.get(id.by(), &mut entry)?;
        value.map(V::decode).transpose()
    }

    /// As [`get`](Self::get), with index and key.
    pub fn get_item(&self, id: impl Lookup<K>) -> Result<Option<Item<K, V>>> {
        let mut entry = EntryBuf::new(self.shared.entry);
        let Some(value) = self.shared.get(id.by(), &mut entry)? else {
            return Ok(None);
        };
        Ok(Some(Item {
            index: entry.index(),
            key: K::from_bytes(entry.key())?,
            value: V::decode(value)?,
        }))
    }

    /// The key of the first item at an index, without a look at the value: known also where that is
    /// damaged. None where nothing is stored, or the entry is lost.
    pub fn key_of(&self, index: u64) -> Result<Option<K>> {
        let entry = self.shared.checked(self.shared.find_entry(index))?;
        entry.map(|entry| K::from_bytes(entry.key())).transpose()
    }

    /// All values at an index, in the order stored; none where it holds nothing or is pruned.
    pub fn get_all(&self, index: u64) -> Result<Vec<V>> {
        let started = Durations::start();
        let values = self.shared.checked(self.shared.find_all(index));
        self.shared.counters.gets.end(started);
        values?.into_iter().map(V::decode).collect()
    }

    /// The values of several ids, in their order; the first error, in the order of their places on disk, where
    /// one of them cannot be read.
    ///
    /// They are read in the order of their places. From 128 on 2 to 8 threads read side by side, where the storage
    /// [serves](crate::storage::Storage::serves_side_by_side) them. Where it
    /// [reads at once](crate::storage::Storage::reads_at_once), as a disk through io_uring (feature `io-uring`), and
    /// a sample of them is not in memory, what dozens of items need is asked for together: pages of key tables,
    /// then pages of index files, then values. For the time of the call each thread then takes 4 MiB more than the
    /// values, or as much as the longest of them has, and may keep 32 files open longer than
    /// [`Options::max_open_files`](crate::Options::max_open_files) says.
    pub fn get_many<I>(&self, ids: I) -> Result<Vec<Option<V>>>
    where
        I: IntoIterator,
        I::Item: Lookup<K>,
    {
        let ids: Vec<_> = ids.into_iter().collect();
        let ids: Vec<_> = ids.iter().map(Lookup::by).collect();
        let values = self.shared.find_many(&ids)?;
        let decoded = values
            .into_iter()
            .map(|value| value.map(V::decode).transpose());
        decoded.collect()
    }

    /// The items with an index in `range`, in index order, forwards or backwards; at an index with
    /// several items all of them, in the order stored. Skips gaps, reads ahead, and goes on while
    /// the writer does: it yields what is stored when it gets there.
    ///
    /// An item that is damaged is yielded as an error, and the iterator goes on behind it.
    pub fn range(&self, range: impl RangeBounds<u64>) -> Range<K, V> {
        Range::new(self.clone(), range)
    }
}

/// Presence and gaps; none of these reads a value, but for [`status`](Reader::status).
impl<K: Key, V: Value> Reader<K, V> {
    /// Whether an index or a key is stored. For an index it reads nothing from disk, but for the look at lengths that
    /// the first such call makes.
    pub fn has(&self, id: impl Lookup<K>) -> Result<bool> {
        self.shared.counters.has.fetch_add(1, Ordering::Relaxed);
        match id.by() {
            By::Index(index) => {
                self.shared.look()?;
                let has = self.shared.runs.read().contains(index);
                self.shared.checked(Ok(has))
            }
            By::Key(key) => {
                let mut entry = EntryBuf::new(self.shared.entry);
                let found = self.shared.find_key(Sought::entry(key, None), &mut entry);
                Ok(self.shared.checked(found)?.is_some())
            }
        }
    }

    /// Whether the key is stored at that index.
    pub fn has_at(&self, index: u64, key: &K) -> Result<bool> {
        self.shared.counters.has.fetch_add(1, Ordering::Relaxed);
        let mut entry = EntryBuf::new(self.shared.entry);
        let sought = Sought::entry(key.as_bytes(), Some(index));
        let found = self.shared.find_key(sought, &mut entry);
        Ok(self.shared.checked(found)?.is_some())
    }

    /// What is known of an index. Where an item is stored, it is read and checked.
    pub fn status(&self, index: u64) -> Result<Status> {
        self.shared.checked(self.shared.status(index))
    }

    /// The end of the run of stored indices that holds `index`, and the start of the next run
    /// after it.
    pub fn next_gap(&self, index: u64) -> (Option<u64>, Option<u64>) {
        self.seen().runs.read().next_gap(index)
    }

    /// Up to `max` indices from `start` on that hold nothing readable and lie before a later index
    /// that was stored. Nothing is missing below the floor.
    ///
    /// Beside a writer, what is stored is looked at in pieces of some thousand runs, so that no put waits for more: as
    /// missing is told each index that was all the time, up to `max`, and none that was stored all the time; what is put or removed
    /// meanwhile may be told or not. Fewer than `max`, but not none, may come beside a prune.
    pub fn missing_items(&self, start: u64, max: usize) -> Vec<u64> {
        self.seen().missing_items(start, max)
    }

    /// As [`missing_items`](Self::missing_items), as up to `max` inclusive runs. However long a run
    /// is, it takes no more memory.
    pub fn missing_ranges(&self, start: u64, max: usize) -> Vec<RangeInclusive<u64>> {
        self.seen().missing_ranges(start, max)
    }

    /// The runs of stored indices, inclusive, ascending; between two of them there is a gap.
    ///
    /// Beside a writer, they are looked at in pieces of some thousand, so that no put waits for more: each index is told
    /// that is stored all the time, and none that was at no time; what is put or removed meanwhile may be told or not. None
    /// lies below the floor that the archive has in the end, or behind the last index that it has when the last run is
    /// looked at.
    pub fn ranges(&self) -> Vec<RangeInclusive<u64>> {
        self.ranges_from(0)
    }

    /// As [`ranges`](Self::ranges), from the run on that holds or follows `index`.
    pub fn ranges_from(&self, index: u64) -> Vec<RangeInclusive<u64>> {
        self.seen().ranges_from(index)
    }

    /// The first stored index.
    pub fn first_index(&self) -> Option<u64> {
        self.seen().runs.read().first()
    }

    /// The last stored index.
    pub fn last_index(&self) -> Option<u64> {
        self.seen().runs.read().last()
    }

    /// The first index that is not pruned; 0 where nothing was.
    pub fn floor(&self) -> u64 {
        self.shared.floor()
    }
}

/// The archive itself.
impl<K: Key, V: Value> Reader<K, V> {
    /// The settings that the archive keeps.
    pub fn settings(&self) -> Settings {
        self.shared.settings.read().clone()
    }

    /// What the archive counts and holds; looks at every section, reads nothing.
    pub fn stats(&self) -> Stats {
        self.seen().stats()
    }

    /// Every section, ascending.
    pub fn sections(&self) -> Vec<SectionInfo> {
        self.seen().section_infos()
    }

    /// Reads and checks everything: every page, every entry, every value. `tell` is called as it
    /// goes on, with each damage as it is found. Damage that is found counts from then on: its
    /// indices are [`Status::Damaged`] and missing.
    pub fn verify(&self, tell: &mut dyn FnMut(VerifyEvent)) -> Result<VerifyReport> {
        let shared = &self.shared;
        // What the next writer has cut, or replaced, is no damage.
        let mut tell = |event| shared.checked(Ok(())).map_or((), |()| tell(event));
        shared.checked(shared.verify(&mut tell))
    }

    /// A dry run of [`Archive::repair`](super::Archive::repair): says what that would do, and
    /// changes nothing. Beside a writer it tells what it finds while that one goes on, and nothing of what that drops
    /// meanwhile; a reader beside the writer of another process that cannot tell the two apart, since that one has rewound
    /// or repaired, answers with [`Error::Stale`](crate::Error::Stale) until it is refreshed.
    ///
    /// Costs what [`verify`](Self::verify) does.
    pub fn plan_repair(&self) -> Result<RepairReport> {
        self.shared.checked(self.shared.plan_repair())
    }
}
