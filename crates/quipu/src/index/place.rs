//! Where in the key index a key belongs: its group, shard and tag.

use super::shard::TAG_BITS;

/// With `shuttle` few, since a visit to each is so many points at which threads may switch.
const SHARD_BITS: u32 = if cfg!(shuttle) { 2 } else { 12 };
const GROUP_BITS: u32 = if cfg!(shuttle) { 1 } else { 9 };
/// How many groups of shards there are.
pub(super) const GROUPS: usize = 1 << GROUP_BITS;
/// Shards that share a lock: a lock for each would be a quarter of an empty index.
pub(super) const GROUP_SIZE: usize = 1 << (SHARD_BITS - GROUP_BITS);

/// Where a key belongs.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) group: usize,
    /// Which shard of the group.
    pub(super) shard: usize,
    pub(super) tag: u64,
}

impl Place {
    #[inline]
    pub(super) fn of(key: u64) -> Self {
        let mixed = mix(key);
        let shard = (mixed >> (64 - SHARD_BITS)) as usize;
        Self {
            group: shard / GROUP_SIZE,
            shard: shard % GROUP_SIZE,
            tag: mixed << SHARD_BITS >> (64 - TAG_BITS),
        }
    }
}

/// Spreads the keys over all 64 bits, each to one of its own: two keys that differ still differ, so
/// a short form of few bits has no conflicts but those of its own.
#[inline]
fn mix(key: u64) -> u64 {
    let key = (key ^ key >> 32).wrapping_mul(0x9E6C_63D0_876A_9A47);
    let key = (key ^ key >> 29).wrapping_mul(0xD1B5_4A32_D192_ED03);
    key ^ key >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_is_one_to_one_and_spreads_small_keys() {
        let mut shards: Vec<_> = (0..1 << 16).map(|key| mix(key << 48) >> 52).collect();
        shards.sort_unstable();
        shards.dedup();
        assert_eq!(shards.len(), 4_096);
        let fullest = |keys: &dyn Fn(u64) -> u64| {
            let mut counts = vec![0; 4_096];
            (0..100_000).for_each(|n| counts[(mix(keys(n)) >> 52) as usize] += 1);
            counts.into_iter().max()
        };
        assert!(fullest(&|n| n) < Some(60) && fullest(&|n| n << 32) < Some(60));
    }
}
