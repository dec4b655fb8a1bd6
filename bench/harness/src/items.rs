//! Keys and values that a number decides, and how they are checked.

use anyhow::{Result, ensure};

use crate::engine::Item;

/// Bytes of a key.
pub const KEY_SIZE: usize = 32;

pub type Key = [u8; KEY_SIZE];

const WORD: usize = size_of::<u64>();

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
    for (part, bytes) in (0u64..).zip(key.chunks_exact_mut(WORD)) {
        bytes.copy_from_slice(&mix(index ^ (part << 60)).to_le_bytes());
    }
    key
}

pub(crate) fn item(index: u64, value_size: usize) -> Item {
    let mut value = vec![0; value_size];
    for (at, bytes) in value.chunks_mut(WORD).enumerate() {
        bytes.copy_from_slice(&word(index, at)[..bytes.len()]);
    }
    Item {
        index,
        key: key(index),
        value,
    }
}

/// Any word of a value can be told without those before it; none can be compressed.
fn word(index: u64, at: usize) -> [u8; WORD] {
    mix(mix(!index).wrapping_add(at as u64)).to_le_bytes()
}

/// Compares every byte.
pub(crate) fn check_whole(index: u64, size: usize, value: &[u8]) -> Result<()> {
    ensure!(
        value.len() == size,
        "item {index} has {} bytes",
        value.len()
    );
    let mut words = value.chunks(WORD).enumerate();
    ensure!(
        words.all(|(at, bytes)| bytes == &word(index, at)[..bytes.len()]),
        "item {index} differs"
    );
    Ok(())
}

/// Compares the length and the first, a middle and the last word: what a timed loop can afford.
pub(crate) fn check_parts(index: u64, size: usize, value: &[u8]) -> Result<()> {
    ensure!(
        value.len() == size,
        "item {index} has {} bytes",
        value.len()
    );
    let words = size / WORD;
    let middle = index as usize % words.max(1);
    for at in [0, middle, words.saturating_sub(1)] {
        let bytes = value.chunks(WORD).nth(at).unwrap_or_default();
        ensure!(
            bytes == &word(index, at)[..bytes.len()],
            "item {index} differs"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_is_seen() {
        let mut item = item(7, 100);
        check_whole(7, 100, &item.value).unwrap();
        check_parts(7, 100, &item.value).unwrap();
        item.value[99] ^= 1;
        assert!(check_whole(7, 100, &item.value).is_err());
        assert!(check_whole(8, 100, &item.value).is_err());
        assert!(check_parts(8, 100, &item.value).is_err());
        assert!(check_parts(7, 101, &item.value).is_err());
    }
}
