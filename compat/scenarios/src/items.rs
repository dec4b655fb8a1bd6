//! Items with made-up keys and values.

use crate::rng::Rng;
use crate::scenario::{Item, KEY_SIZE, Key};

/// How many first bytes of a key the colliding keys share.
const SHARED_PREFIX: usize = 5;

/// Makes items; the same seed makes the same ones.
pub(crate) struct Maker {
    rng: Rng,
    prefixes: Vec<Key>,
    keys: Vec<Key>,
    repeat_percent: u64,
    bytes_left: u64,
}

impl Maker {
    /// `bytes` is about how many value bytes all items may have together.
    pub(crate) fn new(seed: u64, bytes: u64) -> Self {
        let rng = Rng::new(seed ^ 0x7175_6970_7521);
        Self {
            rng,
            prefixes: Vec::new(),
            keys: Vec::new(),
            repeat_percent: 0,
            bytes_left: bytes,
        }
    }

    /// From now on keys begin in one of `count` ways, so that short forms of them collide.
    pub(crate) fn collide(&mut self, count: usize) {
        self.prefixes = (0..count).map(|_| random_key(&mut self.rng)).collect();
    }

    /// From now on so many keys of a hundred were used before.
    pub(crate) fn repeat_keys(&mut self, percent: u64) {
        self.repeat_percent = percent;
    }

    pub(crate) fn item(&mut self, index: u64) -> Item {
        let length = self.value_length();
        self.item_of(index, length)
    }

    /// An item whose value has this length.
    pub(crate) fn item_of(&mut self, index: u64, length: u64) -> Item {
        self.bytes_left = self.bytes_left.saturating_sub(length);
        let value = value(&mut self.rng, length as usize);
        Item {
            index,
            key: self.key(),
            value,
        }
    }

    fn key(&mut self) -> Key {
        if !self.keys.is_empty() && self.rng.percent(self.repeat_percent) {
            return self.rng.pick(&self.keys);
        }
        let mut key = random_key(&mut self.rng);
        if !self.prefixes.is_empty() && self.rng.percent(50) {
            let prefix = self.rng.pick(&self.prefixes);
            key[..SHARED_PREFIX].copy_from_slice(&prefix[..SHARED_PREFIX]);
        }
        self.keys.push(key);
        key
    }

    fn value_length(&mut self) -> u64 {
        let length = match self.rng.below(100) {
            0..10 => 0,
            10..60 => self.rng.between(1, 64),
            60..85 => self.rng.between(65, 600),
            85..97 => self.rng.between(601, 5_000),
            97..99 => self.rng.between(5_001, 65_536),
            _ => self
                .rng
                .pick(&[126, 127, 128, 129, 16_383, 16_384, 65_535, 65_536]),
        };
        if length > self.bytes_left {
            self.rng.below(40)
        } else {
            length
        }
    }
}

fn random_key(rng: &mut Rng) -> Key {
    let mut key = [0; KEY_SIZE];
    rng.fill(&mut key);
    key
}

/// Half of the values repeat a few bytes, so that they compress well.
fn value(rng: &mut Rng, length: usize) -> Vec<u8> {
    let mut value = vec![0; length];
    if rng.percent(50) {
        let period = rng.between(1, 12) as usize;
        rng.fill(&mut value[..period.min(length)]);
        for at in period..length {
            value[at] = value[at - period];
        }
    } else {
        rng.fill(&mut value);
    }
    value
}
