//! Where in the key index a key belongs: its shard and tag.

use super::shard::TAG_BITS;

/// With `shuttle` few, since a visit to each is so many points at which threads may switch.
const SHARD_BITS: u32 = if cfg!(shuttle) { 2 } else { 12 };
const GROUP_BITS: u32 = if cfg!(shuttle) { 1 } else { 9 };
/// How many groups of shards there are.
pub(super) const GROUPS: usize = 1 << GROUP_BITS;
/// Shards that share the lock of whoever inserts.
pub(super) const GROUP_SIZE: usize = 1 << (SHARD_BITS - GROUP_BITS);

/// Where a key belongs.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// Which shard of all.
    pub(super) shard: usize,
    pub(super) tag: u64,
}

impl Place {
    /// The place of a key in the index with this seed.
    #[inline]
    pub(super) fn of(key: u64, seed: u64) -> Self {
        let mixed = mix(key, seed);
        Self {
            shard: (mixed >> (64 - SHARD_BITS)) as usize,
            tag: mixed << SHARD_BITS >> (64 - TAG_BITS),
        }
    }
}

/// Spreads the keys over all 64 bits, each to one of its own: two keys that differ still differ, so
/// a short form of few bits has no conflicts but those of its own. Who does not know the seed cannot
/// choose keys that crowd one shard, where an insert would move all that are there.
#[inline]
pub(crate) fn mix(key: u64, seed: u64) -> u64 {
    let key = key ^ seed;
    let key = (key ^ key >> 32).wrapping_mul(0x9E6C_63D0_876A_9A47);
    let key = key ^ seed.rotate_left(32);
    let key = (key ^ key >> 29).wrapping_mul(0xD1B5_4A32_D192_ED03);
    key ^ key >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEDS: [u64; 3] = [0, 1, 0x5DEE_CE66_D1CE_4E5B];

    #[test]
    fn the_mix_is_one_to_one_and_spreads_small_keys() {
        for seed in SEEDS {
            let mut shards: Vec<_> = (0..1 << 16).map(|key| mix(key << 48, seed) >> 52).collect();
            shards.sort_unstable();
            shards.dedup();
            assert_eq!(shards.len(), 4_096);
            let fullest = |keys: &dyn Fn(u64) -> u64| {
                let mut counts = vec![0; 4_096];
                (0..100_000).for_each(|n| counts[(mix(keys(n), seed) >> 52) as usize] += 1);
                counts.into_iter().max()
            };
            assert!(fullest(&|n| n) < Some(60) && fullest(&|n| n << 32) < Some(60));
        }
    }

    /// Keys that crowd one shard under one seed are spread under another.
    #[test]
    fn keys_that_were_chosen_for_one_seed_are_spread_under_another() {
        let chosen: Vec<u64> = (0..4_000_000)
            .filter(|&key| mix(key, SEEDS[0]) >> 52 == 7)
            .collect();
        assert!(chosen.len() > 900, "{}", chosen.len());
        for seed in &SEEDS[1..] {
            let mut counts = vec![0; 4_096];
            for &key in &chosen {
                counts[(mix(key, *seed) >> 52) as usize] += 1;
            }
            assert!(counts.into_iter().max() < Some(10));
        }
    }
}
