//! A Bloom filter of blocks: a key sets eight bits of one block of 32 bytes.

use super::MAX_ORDINAL_BITS;
use crate::error::Result;
use crate::prefetch::prefetch;
use crate::slabs::advise_huge;

const LANES: usize = 8;
/// Bits for a key.
const BITS_PER_KEY: u64 = 12;
const BLOCK_BITS: u64 = 256;
/// From so many bytes on a filter has at least one huge page, about.
const HUGE_FROM: usize = 2 << 20;
/// Words of 8 bytes of a block.
const BLOCK_WORDS: u64 = BLOCK_BITS / 64;
/// Odd numbers, one a lane: each takes other bits of a hash. Of the digits of pi behind the point.
const SALTS: [u32; LANES] = [
    0x243F_6A89,
    0x85A3_08D3,
    0x1319_8A2F,
    0x0370_7345,
    0xA409_3823,
    0x299F_31D1,
    0x082E_FA99,
    0xEC4E_6C8D,
];

type Bits = [u32; LANES];

/// Begins where half a line of the cache does, so that it is in one line.
#[repr(align(32))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Block(Bits);

/// Which keys a table has, with some that it has not.
pub(super) struct Filter {
    blocks: Box<[Block]>,
}

impl Filter {
    /// An empty one for so many keys.
    pub(super) fn new(keys: u64) -> Self {
        let len = blocks(keys) as usize;
        let mut blocks = Vec::with_capacity(len);
        if len * size_of::<Block>() >= HUGE_FROM {
            // Each look-up reads a line anywhere in it, and would miss the TLB as well. Before anything is written: what
            // has its pages keeps them.
            advise_huge(blocks.spare_capacity_mut());
        }
        blocks.resize(len, Block::default());
        Self {
            blocks: blocks.into_boxed_slice(),
        }
    }

    /// Reads one from its words.
    pub(super) fn read(keys: u64, mut next: impl FnMut() -> Result<Option<u64>>) -> Result<Self> {
        let mut filter = Self::new(keys);
        for block in &mut filter.blocks {
            for lanes in block.0.chunks_exact_mut(2) {
                let word = next()?.unwrap_or_default();
                lanes.copy_from_slice(&[word as u32, (word >> 32) as u32]);
            }
        }
        Ok(filter)
    }

    pub(super) fn words(&self) -> impl Iterator<Item = u64> + '_ {
        let lanes = self.blocks.iter().flat_map(|block| block.0.chunks_exact(2));
        lanes.map(|pair| match *pair {
            [low, high] => u64::from(high) << 32 | u64::from(low),
            _ => 0,
        })
    }

    /// Adds a slot, or a key's mix: the bits that ordinals take do not count.
    #[inline]
    pub(super) fn insert(&mut self, slot: u64) {
        let (block, bits) = self.place(slot);
        if let Some(block) = self.blocks.get_mut(block) {
            for (lane, bit) in block.0.iter_mut().zip(bits) {
                *lane |= bit;
            }
        }
    }

    /// Whether the table may have the key; without a miss where it has.
    #[inline]
    pub(super) fn may_contain(&self, mix: u64) -> bool {
        let (block, bits) = self.place(mix);
        let Some(Block(lanes)) = self.blocks.get(block) else {
            return true;
        };
        // All of them, without a branch that half of the keys would take.
        let lacking = lanes.iter().zip(bits).map(|(lane, bit)| !lane & bit);
        lacking.fold(0, |all, bit| all | bit) == 0
    }

    /// Asks the processor for what [`may_contain`](Self::may_contain) looks at.
    #[inline]
    pub(super) fn prefetch(&self, mix: u64) {
        if let Some(block) = self.blocks.get(self.place(mix).0) {
            prefetch(std::ptr::from_ref(block).addr());
        }
    }

    #[inline]
    fn place(&self, mix: u64) -> (usize, Bits) {
        let hash = (mix >> MAX_ORDINAL_BITS).wrapping_mul(0x9FB2_1C65_1E98_DF25);
        let hash = hash ^ hash >> 32;
        let hash = hash.wrapping_mul(0xD6E8_FEB8_6659_FD93);
        let block = ((hash >> 32) * self.blocks.len() as u64) >> 32;
        let hash = (hash ^ hash >> 29) as u32;
        let mut bits = SALTS;
        // A loop, which the compiler unrolls: of `map` it makes a call.
        for lane in &mut bits {
            *lane = 1 << (hash.wrapping_mul(*lane) >> 27);
        }
        (block as usize, bits)
    }

    pub(super) fn memory(&self) -> usize {
        size_of_val::<[_]>(&self.blocks)
    }
}

fn blocks(keys: u64) -> u64 {
    (keys * BITS_PER_KEY).div_ceil(BLOCK_BITS).max(1)
}

/// How many words the filter of so many keys takes.
pub(super) fn words(keys: u64) -> u64 {
    blocks(keys) * BLOCK_WORDS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixed(n: u64) -> u64 {
        crate::index::mix(n, 7)
    }

    #[test]
    fn finds_all_and_few_others() {
        for keys in [0, 1, 100, 200_000] {
            let mut filter = Filter::new(keys);
            (0..keys).for_each(|n| filter.insert(mixed(n)));
            assert!((0..keys).all(|n| filter.may_contain(mixed(n))));
            let others = (1 << 40..(1 << 40) + 100_000).filter(|&n| filter.may_contain(mixed(n)));
            let others = others.count();
            assert!(others < 800, "{others} of 100,000 at {keys}");
        }
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let mut filter = Filter::new(1_000);
        (0..1_000).for_each(|n| filter.insert(mixed(n)));
        let mut written = filter.words();
        let read = Filter::read(1_000, || Ok(written.next())).unwrap();
        drop(written);
        assert_eq!(read.blocks, filter.blocks);
        assert_eq!(filter.words().count() as u64, words(1_000));
    }
}
