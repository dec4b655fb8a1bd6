//! Sorting slots, whose first bits are those of a hash: they tell about where a slot belongs.

/// Slots that share a part of the array, about.
const PER_PART: usize = 32;
/// So many parts at most: the ends of all of them stay in the processor's caches.
const MAX_PART_BITS: u32 = 12;
/// More are sorted where they are: those of all keys of a large archive take as much memory as there may be.
const MAX_COPIED: usize = 1 << 20;

/// The slots, ascending. Where keys do not spread this takes as long as any sort.
pub(crate) fn sort(mut slots: Vec<u64>) -> Vec<u64> {
    let parts = slots.len() / PER_PART;
    let bits = parts.checked_ilog2().unwrap_or(0).min(MAX_PART_BITS);
    if bits == 0 || slots.len() > MAX_COPIED {
        slots.sort_unstable();
        return slots;
    }
    let part_of = |slot: u64| (slot >> (u64::BITS - bits)) as usize;
    // Of each part, where its next slot goes: first where it begins, in the end where the next one does.
    let mut at = vec![0_usize; 1 << bits];
    for &slot in &slots {
        if let Some(count) = at.get_mut(part_of(slot)) {
            *count += 1;
        }
    }
    let mut start = 0;
    for count in &mut at {
        start += std::mem::replace(count, start);
    }
    let mut sorted = vec![0; slots.len()];
    for &slot in &slots {
        if let Some(at) = at.get_mut(part_of(slot))
            && let Some(place) = sorted.get_mut(*at)
        {
            *place = slot;
            *at += 1;
        }
    }
    let mut start = 0;
    for end in at {
        sorted
            .get_mut(start..end)
            .unwrap_or_default()
            .sort_unstable();
        start = end;
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_what_spreads_and_what_does_not() {
        let spread = |n: u64| crate::index::mix(n, 3);
        let shapes: [&dyn Fn(u64) -> u64; 5] = [
            &spread,
            &|n| n % 3,
            &|_| u64::MAX,
            &|n| u64::MAX - n,
            &|n| spread(n) >> (n % 64),
        ];
        for shape in shapes {
            for count in [0, 1, 2, 63, 64, 65, 1_000, 150_000] {
                let slots: Vec<u64> = (0..count).map(shape).collect();
                let mut expected = slots.clone();
                expected.sort_unstable();
                assert_eq!(sort(slots), expected);
            }
        }
    }
}
