//! Keys and values that a number decides.

/// Bytes of a key.
pub const KEY_SIZE: usize = 32;

pub type Key = [u8; KEY_SIZE];

/// The finalizer of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators,
/// 2014): every bit of the number changes every bit of the result.
pub(crate) fn mix(number: u64) -> u64 {
    let word = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// The key of an index.
pub(crate) fn key(index: u64) -> Key {
    let mut key = [0; KEY_SIZE];
    for (part, bytes) in (0u64..).zip(key.chunks_exact_mut(8)) {
        bytes.copy_from_slice(&mix(index ^ (part << 60)).to_le_bytes());
    }
    key
}

/// Fills a value that does not compress.
pub(crate) fn fill_value(index: u64, value: &mut [u8]) {
    let mut word = mix(!index);
    for bytes in value.chunks_mut(8) {
        bytes.copy_from_slice(&word.to_le_bytes()[..bytes.len()]);
        word = word.wrapping_mul(0xd129_42f8_bb49_0e1d).rotate_left(17) ^ index;
    }
}
