//! A sorted map of numbers, in blocks.
//!
//! ```text
//! firsts   [ 1       | 900       | 4000     ]      the first key of each block
//! blocks   [ 1: …, … | 900: …, … | 4000: …  ]      at most 128 entries each, none empty
//! ```
//!
//! Two binary searches find an entry: one among the first keys, which lie together, one in a block. A map of the standard
//! library has 11 keys in a node, so where indices come in random order, and there are hundreds of thousands of entries, a search
//! misses the cache in each of six nodes; this one does so in two or three places. It is a B+ tree of two levels.
//!
//! What is added behind the last entry fills blocks to their end. A block that is left with few is joined to one beside it.

/// Entries that a block has at most.
const MOST: usize = 128;
/// A block of fewer is joined to one beside it, where that leaves room for as many.
const FEW: usize = MOST / 4;

/// Values by numbers. A key finds its entry, or the ones before and behind it.
#[derive(Clone, Debug)]
pub(super) struct BlockMap<V> {
    firsts: Vec<u64>,
    blocks: Vec<Vec<(u64, V)>>,
    len: usize,
}

impl<V: Copy> BlockMap<V> {
    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of memory, but for its own.
    pub(super) fn memory(&self) -> usize {
        let entries: usize = self.blocks.iter().map(Vec::capacity).sum();
        self.firsts.capacity() * size_of::<u64>()
            + self.blocks.capacity() * size_of::<Vec<(u64, V)>>()
            + entries * size_of::<(u64, V)>()
    }

    /// The last entry whose key is `key` or below.
    #[inline]
    pub(super) fn at_or_below(&self, key: u64) -> Option<(u64, V)> {
        let block = self.blocks.get(self.block_of(key)?)?;
        let behind = block.partition_point(|of| of.0 <= key);
        block.get(behind.checked_sub(1)?).copied()
    }

    /// The entry of the least key.
    pub(super) fn first(&self) -> Option<(u64, V)> {
        self.blocks.first()?.first().copied()
    }

    /// The entries from a key on, ascending.
    pub(super) fn from(&self, key: u64) -> impl DoubleEndedIterator<Item = (u64, V)> + '_ {
        let of = self.block_of(key).unwrap_or(0);
        let (_, from) = self.blocks.split_at(of.min(self.blocks.len()));
        let (block, behind) = from.split_at(from.len().min(1));
        let block = block.first().map_or(&[][..], Vec::as_slice);
        let (_, block) = block.split_at(block.partition_point(|of| of.0 < key));
        block.iter().chain(behind.iter().flatten()).copied()
    }

    /// Adds an entry, or puts it in the place of that of the same key.
    pub(super) fn insert(&mut self, key: u64, value: V) {
        let entry = (key, value);
        let of = self.block_of(key).unwrap_or(0);
        let is_last = of + 1 == self.blocks.len();
        let Some(block) = self.blocks.get_mut(of) else {
            return self.push_block(vec![entry]);
        };
        match block.binary_search_by_key(&key, |of| of.0) {
            Ok(at) => block[at] = entry,
            Err(MOST) if is_last => self.push_block(vec![entry]),
            Err(at) => {
                block.insert(at, entry);
                self.len += 1;
                self.firsts[of] = block[0].0;
                if block.len() > MOST {
                    self.split(of);
                }
            }
        }
    }

    /// Takes out the entry of a key.
    pub(super) fn remove(&mut self, key: u64) -> Option<(u64, V)> {
        let of = self.block_of(key)?;
        let block = self.blocks.get_mut(of)?;
        let at = block.binary_search_by_key(&key, |of| of.0).ok()?;
        let entry = block.remove(at);
        self.len -= 1;
        match block.first() {
            Some(least) => self.firsts[of] = least.0,
            None => {
                self.blocks.remove(of);
                self.firsts.remove(of);
            }
        }
        self.join(of);
        Some(entry)
    }

    /// Takes out the entry of the greatest key.
    pub(super) fn pop_last(&mut self) -> Option<(u64, V)> {
        let entry = self.blocks.last_mut()?.pop()?;
        self.len -= 1;
        if self.blocks.last().is_some_and(Vec::is_empty) {
            self.blocks.pop();
            self.firsts.pop();
        }
        Some(entry)
    }

    /// Keeps the entries below a key; those that it loses.
    pub(super) fn split_off(&mut self, key: u64) -> Self {
        let whole = self.firsts.partition_point(|first| *first < key);
        let mut behind = Self {
            firsts: self.firsts.split_off(whole),
            blocks: self.blocks.split_off(whole),
            len: 0,
        };
        if let Some(block) = self.blocks.last_mut() {
            let rest = block.split_off(block.partition_point(|of| of.0 < key));
            if let Some(least) = rest.first() {
                behind.firsts.insert(0, least.0);
                behind.blocks.insert(0, rest);
            }
        }
        behind.len = behind.blocks.iter().map(Vec::len).sum();
        self.len -= behind.len;
        behind
    }

    /// The block that a key belongs to: the last that begins there or below; none where it is below all.
    #[inline]
    fn block_of(&self, key: u64) -> Option<usize> {
        let behind = self.firsts.partition_point(|first| *first <= key);
        behind.checked_sub(1)
    }

    fn push_block(&mut self, block: Vec<(u64, V)>) {
        self.len += block.len();
        self.firsts.extend(block.first().map(|of| of.0));
        self.blocks.push(block);
    }

    /// Makes two of a block.
    fn split(&mut self, of: usize) {
        let rest = self.blocks[of].split_off(MOST / 2);
        self.blocks[of].shrink_to(MOST);
        self.firsts.insert(of + 1, rest[0].0);
        self.blocks.insert(of + 1, rest);
    }

    /// Joins a block that has few to the one behind it, or else before it.
    fn join(&mut self, of: usize) {
        let len = |of: usize| self.blocks.get(of).map(Vec::len);
        if len(of).is_none_or(|len| len >= FEW) {
            return;
        }
        let places = [Some(of), of.checked_sub(1)].into_iter().flatten();
        let fit = places.into_iter().find(|&of| {
            let lens = len(of).zip(len(of + 1));
            lens.is_some_and(|(one, next)| one + next <= MOST - FEW)
        });
        if let Some(of) = fit {
            let next = self.blocks.remove(of + 1);
            self.firsts.remove(of + 1);
            self.blocks[of].extend(next);
        }
    }
}

impl<V> Default for BlockMap<V> {
    fn default() -> Self {
        Self {
            firsts: Vec::new(),
            blocks: Vec::new(),
            len: 0,
        }
    }
}

impl<V: Copy + PartialEq> PartialEq for BlockMap<V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.from(0).eq(other.from(0))
    }
}

impl<V: Copy + Eq> Eq for BlockMap<V> {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    type Map = BlockMap<u64>;
    type Model = BTreeMap<u64, u64>;

    fn pair((key, value): (&u64, &u64)) -> (u64, u64) {
        (*key, *value)
    }

    /// What must hold whatever was done.
    fn check(map: &Map, model: &Model) {
        assert_eq!(map.len(), model.len());
        let firsts: Vec<u64> = map.blocks.iter().map(|block| block[0].0).collect();
        assert_eq!(map.firsts, firsts);
        assert!(map.blocks.iter().all(|block| block.len() <= MOST));
        let all: Vec<_> = model.iter().map(pair).collect();
        assert_eq!(map.from(0).collect::<Vec<_>>(), all);
        assert_eq!(map.first(), all.first().copied());
        let mut back: Vec<_> = map.from(0).rev().collect();
        back.reverse();
        assert_eq!(back, all);
    }

    fn check_at(map: &Map, model: &Model, key: u64) {
        let below = model.range(..=key).next_back().map(pair);
        assert_eq!(map.at_or_below(key), below);
        assert!(map.from(key).eq(model.range(key..).map(pair)), "{key}");
    }

    proptest! {
        /// Steps in stretches, so that blocks fill, split, empty and join.
        #[test]
        fn does_what_a_map_does(
            stretches in prop::collection::vec((0..8_u8, 0..6_000_u64, 1..700_u64, 1..7_u64), 0..14),
        ) {
            let (mut map, mut model) = (Map::default(), Model::new());
            for (what, from, count, step) in stretches {
                let keys = (0..count).map(|nth| from + nth * step);
                match what {
                    0..=2 => keys.for_each(|key| {
                        map.insert(key, what.into());
                        model.insert(key, what.into());
                    }),
                    3 => keys.rev().for_each(|key| {
                        map.insert(key, 3);
                        model.insert(key, 3);
                    }),
                    4 | 5 => keys.for_each(|key| {
                        assert_eq!(map.remove(key), model.remove(&key).map(|value| (key, value)));
                    }),
                    6 => (0..count).for_each(|_| assert_eq!(map.pop_last(), model.pop_last())),
                    _ => {
                        let behind = map.split_off(from);
                        check(&behind, &model.split_off(&from));
                    }
                }
                check(&map, &model);
                for key in [0, from, from + 1, from + count * step, u64::MAX] {
                    check_at(&map, &model, key);
                }
                prop_assert!(map.clone() == map);
            }
        }
    }

    #[test]
    fn what_comes_in_order_fills_blocks() {
        let mut map = Map::default();
        (0..10 * MOST as u64).for_each(|at| map.insert(2 * at, at));
        assert!(map.blocks.len() == 10 && map.blocks.iter().all(|block| block.len() == MOST));
        assert_eq!(map.at_or_below(2_001), Some((2_000, 1_000)));
    }

    #[test]
    fn blocks_that_are_left_with_few_are_joined() {
        let mut map = Map::default();
        (0..25_600).for_each(|at| map.insert(at, at));
        (0..25_600)
            .filter(|at| at % 64 > 0)
            .for_each(|at| _ = map.remove(at));
        assert_eq!(map.len(), 400);
        assert!(map.blocks.len() < 10, "{}", map.blocks.len());
    }
}
