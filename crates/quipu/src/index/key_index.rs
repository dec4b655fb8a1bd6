//! The key index: translated key -> locations, 9 to 11 bytes of memory a key.
//!
//! ```text
//! translated key --mix--> 12 bits: which shard | 28 bits: tag | 24 bits: not kept
//!
//! 4,096 shards, each behind a pointer that is swapped; 8 share the lock of whoever inserts
//! a shard: one array of 8-byte slots, 28 bits of tag and 36 bits of location, sorted by tag
//! ```
//!
//! Why not a map of the standard library: one of 8-byte slots whose tags must be told from its keys
//! again grows by doubling, all at once, so that it takes up to 3 times the memory of its content while
//! it grows, and long. Here a shard of more than 128 slots grows by an eighth when 7 of 8 slots are taken, so the memory lies
//! between 1.14 and 1.29 times 8 bytes a key, and what a growth step copies is 1 / 4,096 of the whole.
//! No key is needed for that: the slots are sorted by tag, so a step is one sweep over the array.
//!
//! **Crowding.** The mix takes a random seed of the index alone, so that a stranger's archive cannot have
//! keys that all fall into one shard. Keys with one short form do; among these an insert costs no more.
//!
//! **Order.** Keys that conflict are found in the order in which they were inserted.
//!
//! **Beside a writer.** A lookup takes no lock and waits for nobody: an insert leaves each slot to be found at any
//! moment (`shard` says how), and growth and pruning build the new array beside the old one, which goes on being
//! read by those who have it. So a location that others remove may still be found, and one may be found twice.
//! The locations are copied out, so no array is held while a caller reads files.
//!
//! **Cost.** An empty index takes 164 KiB. With 10 million random keys a lookup reads one or two
//! cache lines of the array, and finds a location in vain about once in 100,000 times: shard and tag
//! together are 40 bits of the mix. Nothing is stored on disk; an archive fills the index when it is
//! opened.
//!
//! What a prune frees goes back to the allocator, but for shards of at most 128 slots, 4 MiB together: an index
//! that is filled and emptied again and again asks for no memory. Where that keeps it for the next growth, as glibc's
//! does, the process seems no smaller from outside.

use std::array;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use super::candidates::Candidates;
use super::hint::Hint;
use super::place::{GROUP_SIZE, GROUPS, Place};
use super::shard::{Inserted, LOCATION_BITS, Shard};
use crate::error::{Error, Result};
use crate::sync::atomic::{
    AtomicIsize,
    Ordering::{AcqRel, Acquire, Relaxed},
};
use crate::sync::{ArcSwap, Mutex, OnceLock};

/// The greatest location that the index holds.
pub const MAX_LOCATION: u64 = (1 << LOCATION_BITS) - 2;

/// Bytes of a shard beside its array: its own and the counters of its pointer. Empty ones share one.
const SHARD_BYTES: usize = size_of::<Shard>() + 2 * size_of::<usize>();

pub(super) type Group = [Arc<Shard>; GROUP_SIZE];

/// Translated keys and the locations of their items.
///
/// Takes 9 to 11 bytes of memory a key, and 164 KiB when empty. It grows in small steps, gives all but 4 MiB
/// of memory back when keys are pruned, and finds keys that conflict in the order in which they were inserted. Every
/// call takes `&self`, from any thread; lookups take no lock and wait for nobody.
///
/// ```
/// use quipu::index::{Candidates, EightCap, KeyIndex, Translator};
///
/// let index = KeyIndex::new();
/// let key = EightCap.translate(b"some key");
/// index.insert(key, 7, &|_location| false)?; // nothing is dead yet
/// index.insert(key, 9, &|_location| false)?; // the same short form: a conflict
///
/// let mut found = Candidates::new();
/// index.lookup(key, &mut found);
/// assert_eq!(*found, [7, 9]); // the caller compares the whole keys at these locations
///
/// assert_eq!(index.retain(&|location| location > 7), 1); // a prune
/// index.lookup(key, &mut found);
/// assert_eq!(*found, [9]);
/// # Ok::<(), quipu::Error>(())
/// ```
pub struct KeyIndex {
    /// Of this index alone: nobody can make an archive whose keys crowd one shard.
    pub(super) seed: u64,
    /// The shards as lookups find them, those that ever held something: a swapped pointer takes its time to be dropped.
    shown: Box<[OnceLock<ArcSwap<Shard>>]>,
    /// The same shards, for whoever changes them.
    pub(super) groups: Box<[Mutex<Group>]>,
    /// Of each shard, to be read without its lock.
    pub(super) hints: Box<[Hint]>,
    len: AtomicIsize,
    conflicts: AtomicIsize,
    bytes: AtomicIsize,
}

impl KeyIndex {
    /// An empty index. Allocates 164 KiB.
    pub fn new() -> Self {
        const SHARDS: usize = GROUPS * GROUP_SIZE;
        let empty = Arc::new(Shard::default());
        let shown: Box<[_]> = (0..SHARDS).map(|_| OnceLock::new()).collect();
        let group = |_| Mutex::new(array::from_fn(|_| Arc::clone(&empty)));
        let groups: Box<[_]> = (0..GROUPS).map(group).collect();
        let hints: Box<[_]> = (0..SHARDS).map(|_| Hint::default()).collect();
        let bytes = size_of::<Self>()
            + SHARD_BYTES
            + size_of_val::<[_]>(&shown)
            + size_of_val::<[_]>(&groups)
            + size_of_val::<[_]>(&hints);
        Self {
            seed: RandomState::new().hash_one(()),
            shown,
            groups,
            hints,
            len: AtomicIsize::new(0),
            conflicts: AtomicIsize::new(0),
            bytes: AtomicIsize::new(bytes as isize),
        }
    }

    /// Adds a location of a key. Locations of this short form that are dead, among the oldest 64, are
    /// removed; returns how many.
    ///
    /// `is_dead` is asked under a lock: it must be quick and not call this index.
    ///
    /// # Errors
    /// [`Error::IndexFull`] when `location` is above [`MAX_LOCATION`], or 3 billion keys fall into
    /// one shard of 4,096.
    ///
    /// # Cost
    /// Some 100 ns with 10 million keys. When the shard is full it grows: some 10 us then.
    pub fn insert(&self, key: u64, location: u64, is_dead: &dyn Fn(u64) -> bool) -> Result<usize> {
        const FULL: Error = Error::IndexFull {
            max: MAX_LOCATION + 1,
        };
        if location > MAX_LOCATION {
            return Err(FULL);
        }
        let place = Place::of(key, self.seed);
        let mut removed = 0;
        let mut group = self.groups[place.shard / GROUP_SIZE].lock();
        loop {
            let shard = &group[place.shard % GROUP_SIZE];
            match shard.insert(place.tag, location, is_dead) {
                Inserted::Stored { conflict } => {
                    // Before it can be removed again: a look-up believes that there is nothing where this says so.
                    add(&self.len, 1);
                    add(&self.conflicts, isize::from(conflict));
                    return Ok(removed);
                }
                Inserted::Dead => {
                    let without = shard.without_dead(place.tag, is_dead);
                    removed += self.replace(&mut group, place.shard, without);
                }
                Inserted::Full if shard.is_full() => return Err(FULL),
                Inserted::Full => {
                    let grown = shard.grown();
                    self.replace(&mut group, place.shard, grown);
                }
            }
        }
    }

    /// Puts the locations of the keys with this short form into `out`, the oldest first, in place
    /// of what is there. A location may be that of another key or of a pruned item, and come twice while others insert.
    #[inline]
    pub fn lookup(&self, key: u64, out: &mut Candidates) {
        out.clear();
        // Who sees that the last key has gone sees where it went before.
        if self.len.load(Acquire) == 0 {
            return;
        }
        let place = Place::of(key, self.seed);
        if let Some(shard) = self.shown[place.shard].get() {
            shard.load().lookup(place.tag, out);
        }
    }

    /// Removes one location of a key; false when it is not there. Copies the shard, as growth does.
    pub fn remove(&self, key: u64, location: u64) -> bool {
        let place = Place::of(key, self.seed);
        let mut group = self.groups[place.shard / GROUP_SIZE].lock();
        let shard = &group[place.shard % GROUP_SIZE];
        match shard.without_location(place.tag, location) {
            Some(without) => self.replace(&mut group, place.shard, without) > 0,
            None => false,
        }
    }

    /// Keeps the locations that `keep` wants and gives the memory of the others back; returns how
    /// many were removed. Readers go on meanwhile. Takes some 5 ns a key.
    pub fn retain(&self, keep: &dyn Fn(u64) -> bool) -> usize {
        (0..self.shards())
            .map(|shard| self.retain_shard(shard, keep))
            .sum()
    }

    /// [`Self::retain`] for one shard, so that a caller can spread the work. `shard` counts from 0
    /// to [`Self::shards`]; nothing is done beyond.
    pub fn retain_shard(&self, shard: usize, keep: &dyn Fn(u64) -> bool) -> usize {
        let Some(group) = self.groups.get(shard / GROUP_SIZE) else {
            return 0;
        };
        let mut group = group.lock();
        match group[shard % GROUP_SIZE].retained(keep) {
            Some(retained) => self.replace(&mut group, shard, retained),
            None => 0,
        }
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.shown.len()
    }

    /// How many locations are held, those of pruned items included.
    pub fn len(&self) -> usize {
        self.len.load(Relaxed).unsigned_abs()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of the locations have a short form that an older one has.
    pub fn conflicts(&self) -> usize {
        self.conflicts.load(Relaxed).unsigned_abs()
    }

    /// Bytes of memory that the index takes.
    pub fn memory(&self) -> usize {
        self.bytes.load(Relaxed).unsigned_abs()
    }

    /// Swaps a shard for one that was made from it; returns how many slots fewer that has.
    fn replace(&self, group: &mut Group, number: usize, new: Shard) -> usize {
        let new = Arc::new(new);
        let old = std::mem::replace(&mut group[number % GROUP_SIZE], Arc::clone(&new));
        let size = |shard: &Shard| match shard.memory() {
            0 => 0,
            array => (array + SHARD_BYTES) as isize,
        };
        add(&self.bytes, size(&new) - size(&old));
        if let Some(hint) = self.hints.get(number) {
            hint.set(&new);
        }
        let removed = old.len().saturating_sub(new.len()) as usize;
        if removed > 0 {
            let conflicts = new.conflicts() as isize - old.conflicts() as isize;
            add(&self.conflicts, conflicts);
        }
        if let Some(shown) = self.shown.get(number) {
            let first = || ArcSwap::new(Arc::clone(&new));
            shown.get_or_init(first).store(Arc::clone(&new));
        }
        // Who sees that the last key has gone finds it nowhere else either.
        add(&self.len, -(removed as isize));
        removed
    }
}

#[inline]
fn add(counter: &AtomicIsize, change: isize) {
    if change != 0 {
        counter.fetch_add(change, AcqRel);
    }
}

impl Default for KeyIndex {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for KeyIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyIndex")
            .field("len", &self.len())
            .field("conflicts", &self.conflicts())
            .field("memory", &self.memory())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use crate::sync::atomic::{AtomicBool, Ordering::Release};

    use super::*;

    fn filled(count: u64) -> KeyIndex {
        let index = KeyIndex::new();
        for key in 0..count {
            index.insert(key, key * 3, &|_| false).unwrap();
        }
        index
    }

    fn found(index: &KeyIndex, key: u64) -> Vec<u64> {
        let mut out = Candidates::new();
        index.lookup(key, &mut out);
        out.to_vec()
    }

    #[test]
    fn finds_every_key_while_it_grows() {
        let index = filled(100_000);
        assert_eq!(index.len(), 100_000);
        for key in 0..100_000 {
            assert!(found(&index, key).contains(&(key * 3)), "{key}");
        }
        assert!(found(&index, u64::MAX).is_empty());
        assert_eq!(index.conflicts(), 0);
    }

    /// Or keys could be chosen that crowd one shard of every index.
    #[test]
    fn no_two_indexes_have_one_seed() {
        let seeds = [(); 20].map(|()| KeyIndex::new().seed);
        let mut distinct = seeds.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), seeds.len());
    }

    #[test]
    fn ten_thousand_keys_in_one_conflict() {
        let index = KeyIndex::new();
        for location in 0..10_000 {
            index.insert(5, location, &|_| false).unwrap();
            index
                .insert(1_000 + location, location, &|_| false)
                .unwrap();
        }
        assert!(found(&index, 5).into_iter().eq(0..10_000));
        assert_eq!(index.conflicts(), 9_999);
        assert!(index.remove(5, 4_000));
        assert_eq!(index.conflicts(), 9_998);
        assert_eq!(index.retain(&|location| location >= 5_000), 9_999);
        assert!(found(&index, 5).into_iter().eq(5_000..10_000));
        assert_eq!(index.conflicts(), 4_999);
    }

    #[test]
    fn removed_keys_give_their_memory_back() {
        let empty = KeyIndex::new().memory();
        let index = filled(1_500_000);
        let full = index.memory() - empty;
        assert_eq!(index.retain(&|location| location >= 2_250_000), 750_000);
        assert_eq!(index.len(), 750_000);
        assert!(index.memory() - empty < full * 6 / 10);
        (750_000..1_500_000).for_each(|key| assert!(index.remove(key, key * 3)));
        assert_eq!(index.len(), 0);
        assert!(index.memory() - empty < 5 << 20, "{}", index.memory());
    }

    #[test]
    fn shard_by_shard_is_all_of_them() {
        let index = filled(10_000);
        let keep = |location: u64| location.is_multiple_of(2);
        let removed: usize = (0..index.shards() + 5)
            .map(|shard| index.retain_shard(shard, &keep))
            .sum();
        assert_eq!((removed, index.len()), (5_000, 5_000));
        assert_eq!(index.retain(&keep), 0);
    }

    #[test]
    fn locations_up_to_the_greatest() {
        let index = KeyIndex::new();
        index.insert(1, MAX_LOCATION, &|_| false).unwrap();
        assert_eq!(found(&index, 1), [MAX_LOCATION]);
        let full = index.insert(1, MAX_LOCATION + 1, &|_| false);
        assert!(matches!(full, Err(Error::IndexFull { max }) if max == (1 << 36) - 1));
        assert!(!index.remove(1, 0) && !index.remove(2, MAX_LOCATION));
    }

    #[test]
    fn the_dead_make_way_for_the_living() {
        let index = KeyIndex::new();
        for location in 0..10 {
            index.insert(7, location, &|_| false).unwrap();
        }
        assert_eq!(index.insert(7, 10, &|location| location < 8).unwrap(), 8);
        assert_eq!(found(&index, 7), [8, 9, 10]);
        assert_eq!((index.len(), index.conflicts()), (3, 2));
    }

    /// A key is never counted as gone before it is: or a look-up would find nothing in an index that has others.
    #[test]
    fn a_key_is_found_while_others_come_and_go() {
        let (index, done) = (KeyIndex::new(), AtomicBool::new(false));
        index.insert(42, 7, &|_| false).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Relaxed) {
                    assert_eq!(found(&index, 42).first(), Some(&7));
                }
            });
            // Asked beside the lock of the group, where the other waits for it.
            let slow = |_| {
                std::thread::sleep(std::time::Duration::from_micros(100));
                false
            };
            let removes = scope.spawn(|| {
                while !done.load(Relaxed) {
                    index.remove(42, 8);
                }
            });
            for _ in 0..300 {
                index.insert(42, 8, &slow).unwrap();
            }
            done.store(true, Relaxed);
            removes.join().unwrap();
        });
    }

    /// Who finds a key gone, the last one or one of others, sees what was done before it was removed: the table of keys
    /// that it went to.
    #[test]
    fn who_finds_a_key_gone_sees_where_it_went() {
        for others in [0, 1].repeat(300) {
            let (index, went) = (filled(others), AtomicBool::new(false));
            index.insert(42, 7, &|_| false).unwrap();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    while found(&index, 42) == [7] {}
                    assert!(went.load(Relaxed), "beside {others}");
                });
                went.store(true, Relaxed);
                index.remove(42, 7);
            });
        }
    }

    /// Readers find every even key whose insert has returned, while shards grow, and shrink as the
    /// odd ones are pruned.
    #[test]
    fn readers_beside_the_writer() {
        let (index, written, done) = (KeyIndex::new(), AtomicIsize::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut any = 1_u64;
                while !done.load(Relaxed) {
                    any = any.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(7) | 1;
                    let evens = written.load(Acquire) as u64 / 2;
                    let key = any.checked_rem(evens).unwrap_or(0) * 2;
                    assert!(evens == 0 || found(&index, key).contains(&key), "{key}");
                }
            });
            for key in 0..200_000 {
                index.insert(key, key, &|_| false).unwrap();
                written.store(key as isize + 1, Release);
                if key % 20_000 == 0 {
                    index.retain(&|location| location.is_multiple_of(2));
                }
            }
            done.store(true, Relaxed);
        });
    }
}
