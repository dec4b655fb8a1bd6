//! Where a shard and its slots are, as the processor is told ahead: that needs no lock.
//!
//! The atomics are not those of [`sync`](crate::sync): whatever a hint says, nothing but time comes of it.

use std::ptr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use super::shard::{Shard, home};
use crate::prefetch::prefetch;

/// Bits of a hint that tell the capacity; the others are an address of slots, which are 8 bytes each.
const CAPACITY_BITS: u32 = 19;
const SLOT_BYTES: usize = size_of::<u64>();

/// Where a shard is.
#[derive(Default)]
pub(super) struct Hint {
    shard: AtomicUsize,
    /// Where its slots are, and its capacity; 0 where nothing is known.
    slots: AtomicU64,
}

impl Hint {
    /// Learns where the shard is now. Of a capacity or an address that is too large it knows nothing.
    pub(super) fn set(&self, shard: &Shard) {
        let address = (shard.slots.as_ptr().addr() / SLOT_BYTES) as u64;
        let capacity = u64::from(shard.capacity);
        let fits = capacity >> CAPACITY_BITS == 0 && address >> (u64::BITS - CAPACITY_BITS) == 0;
        let hint = if fits {
            address << CAPACITY_BITS | capacity
        } else {
            0
        };
        self.slots.store(hint, Relaxed);
        self.shard.store(ptr::from_ref(shard).addr(), Relaxed);
    }

    /// Asks the processor for the shard and the home of a slot, without waiting for them.
    #[inline]
    pub(super) fn prefetch(&self, slot: u64) {
        prefetch(self.shard.load(Relaxed));
        let hint = self.slots.load(Relaxed);
        let capacity = (hint & ((1 << CAPACITY_BITS) - 1)) as u32;
        let address = ((hint >> CAPACITY_BITS) as usize).wrapping_add(home(slot, capacity));
        prefetch(address.wrapping_mul(SLOT_BYTES));
    }
}
