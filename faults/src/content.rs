//! What an item holds, from its number alone.
//!
//! Every put has a serial number that is never used again; key and value follow from it. So what
//! an archive gives back tells on its own which put it was, and whether each byte is right.

/// The type of the keys.
pub type Key = [u8; 32];

/// Serials of one round of writing; the next round begins behind them.
pub const SERIALS_PER_ROUND: u64 = 1 << 32;

/// The key of an item: bytes that look random, then its serial.
pub fn key(serial: u64) -> Key {
    let mut key = [0; 32];
    let (random, number) = key.split_at_mut(24);
    fastrand::Rng::with_seed(serial ^ 0x6b65_7973).fill(random);
    number.copy_from_slice(&serial.to_be_bytes());
    key
}

/// The serial of the item that has this key; none when no item has it.
pub fn serial_of(of: &Key) -> Option<u64> {
    let number = of.last_chunk::<8>()?;
    let serial = u64::from_be_bytes(*number);
    (key(serial) == *of).then_some(serial)
}

/// The value of an item: mostly short, now and then some pages, rarely up to a megabyte; half of
/// them can be compressed.
pub fn value(serial: u64) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(serial);
    let len = match rng.u32(..1024) {
        0 => rng.usize(..1 << 20),
        1..17 => rng.usize(..32 << 10),
        17..50 => 0,
        _ => rng.usize(..400),
    };
    let mut value = vec![0; len];
    let random = match rng.bool() {
        true => len,
        false => len / 8,
    };
    rng.fill(value.split_at_mut(random).0);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_its_serial_and_a_changed_one_none() {
        for serial in [0, 7, 3 * SERIALS_PER_ROUND + 5, u64::MAX] {
            let mut key = key(serial);
            assert_eq!(serial_of(&key), Some(serial));
            key[3] ^= 1;
            assert_eq!(serial_of(&key), None);
        }
    }

    #[test]
    fn values_differ_in_size() {
        let lens: Vec<usize> = (0..20_000).map(|serial| value(serial).len()).collect();
        assert!(lens.contains(&0));
        assert!(lens.iter().any(|&len| len > 64 << 10));
    }
}
