//! Keys and values: they follow from the number of a put, so that a case need not spell them out.

use crate::case::Put;
use crate::random::Random;

/// The key type of all simulated archives.
pub type Key = [u8; 8];

/// Keys begin with one of so many bytes: a translator that takes one byte meets conflicts.
const FIRST_BYTES: u32 = 3;

/// The key of a number.
pub fn key(number: u32) -> Key {
    let mut key = Random::new(u64::from(number) << 32)
        .next_u64()
        .to_be_bytes();
    if let Some(first) = key.first_mut() {
        *first = (number % FIRST_BYTES) as u8;
    }
    key
}

impl Put {
    /// The item's key.
    pub fn key(&self) -> Key {
        key(self.number)
    }

    /// The item's value: bytes that no other item has, half of the values easy to compress.
    pub fn value(&self) -> Vec<u8> {
        let seed = self.index.rotate_left(32) ^ u64::from(self.number) << 8 ^ u64::from(self.len);
        let mut random = Random::new(seed);
        let mut value = Vec::with_capacity(self.len as usize + 8);
        while value.len() < self.len as usize {
            match self.number.is_multiple_of(2) && value.len() >= 8 {
                true => value.push(0x55),
                false => value.extend_from_slice(&random.next_u64().to_be_bytes()),
            }
        }
        value.truncate(self.len as usize);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_differ_and_keys_share_first_bytes() {
        let put = |index, number| Put {
            index,
            number,
            len: 20,
        };
        assert_eq!(put(1, 2).value().len(), 20);
        assert_ne!(put(1, 2).value(), put(2, 2).value());
        assert_ne!(put(1, 2).value(), put(1, 3).value());
        assert_eq!(put(1, 2).key(), put(9, 2).key());
        assert_eq!(key(4)[0], key(7)[0]);
        assert_ne!(key(4), key(7));
    }
}
