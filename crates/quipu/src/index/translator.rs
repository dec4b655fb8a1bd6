//! Translators: the short form of a key that is kept in memory.
//!
//! The short form is a number of up to 64 bits. Two keys with the same one are a *conflict*, which
//! costs a lookup one read of an entry and never gives a wrong answer. [`OneCap`], [`TwoCap`],
//! [`FourCap`], [`EightCap`] and [`Cap`] take the first bytes of the key, which is right for keys that
//! are hashes already. [`Hashed`] hashes the key first, under a seed that nobody else knows: without
//! the seed nobody can make keys that conflict on purpose.

use std::fmt;

use siphasher::sip::SipHasher13;

use crate::entropy;
use crate::error::Result;

/// Bytes of the seed of [`Hashed`].
pub const SEED_SIZE: usize = 16;

/// Makes the short form of a key.
///
/// ```
/// use quipu::index::{FourCap, Translator};
///
/// assert_eq!(FourCap.translate(b"keys1"), FourCap.translate(b"keys2")); // a conflict
/// assert_ne!(FourCap.translate(b"key-1"), FourCap.translate(b"hey-1"));
/// assert_eq!(FourCap.translate(b"ab"), 0x6162_0000); // zero-filled when the key is shorter
/// ```
pub trait Translator {
    /// The short form of `key`; equal keys have equal ones. Takes nanoseconds.
    fn translate(&self, key: &[u8]) -> u64;
}

/// A translator that takes the first bytes of what it is given.
pub trait Prefix: Translator + Default {
    /// How many bytes it takes, 1 to 8.
    const BYTES: u8;
}

/// The first `bytes` (1 to 8) bytes of `key` as a big-endian number, zero-filled at the end.
#[inline]
pub(super) fn prefix(key: &[u8], bytes: u8) -> u64 {
    let whole = match key.first_chunk::<8>() {
        Some(chunk) => u64::from_be_bytes(*chunk),
        None => {
            let mut chunk = [0; 8];
            chunk.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
            u64::from_be_bytes(chunk)
        }
    };
    whole >> (64 - 8 * u32::from(bytes.clamp(1, 8)))
}

/// SipHash-1-3 of `key` under `seed`.
#[inline]
pub(super) fn keyed_hash(seed: &[u8; SEED_SIZE], key: &[u8]) -> u64 {
    SipHasher13::new_with_key(seed).hash(key)
}

macro_rules! cap {
    ($(#[$doc:meta] $name:ident $bytes:literal)*) => {$(
        #[$doc]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name;

        impl Translator for $name {
            #[inline]
            fn translate(&self, key: &[u8]) -> u64 {
                prefix(key, $bytes)
            }
        }

        impl Prefix for $name {
            const BYTES: u8 = $bytes;
        }
    )*};
}

cap! {
    /// Takes the first byte of the key.
    OneCap 1
    /// Takes the first 2 bytes of the key.
    TwoCap 2
    /// Takes the first 4 bytes of the key.
    FourCap 4
    /// Takes the first 8 bytes of the key.
    EightCap 8
}

/// Takes the first `N` bytes of the key; `N` is 1 to 8, which the compiler checks.
///
/// ```
/// use quipu::index::{Cap, Translator};
/// assert_eq!(Cap::<3>.translate(b"\x01\x02\x03\x04"), 0x01_02_03);
/// ```
///
/// ```compile_fail
/// use quipu::index::{Cap, Translator};
/// Cap::<9>.translate(b"too many");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cap<const N: usize>;

impl<const N: usize> Translator for Cap<N> {
    #[inline]
    fn translate(&self, key: &[u8]) -> u64 {
        prefix(key, Self::BYTES)
    }
}

impl<const N: usize> Prefix for Cap<N> {
    const BYTES: u8 = {
        assert!(N >= 1 && N <= 8, "a cap takes 1 to 8 bytes");
        N as u8
    };
}

/// Hashes the key with SipHash-1-3 under a secret seed, then lets `T` translate the 8 bytes
/// (big-endian) of the hash.
///
/// The same seed is needed for as long as the short forms are kept; an archive stores it in its
/// manifest. `Debug` does not show it.
///
/// ```
/// use quipu::index::{EightCap, Hashed, Translator};
///
/// let hashed = Hashed::<EightCap>::with_seed([7; 16]);
/// assert_eq!(hashed.translate(b"key"), hashed.clone().translate(b"key"));
/// assert_ne!(hashed.translate(b"key"), Hashed::<EightCap>::with_seed([8; 16]).translate(b"key"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hashed<T = EightCap> {
    seed: [u8; SEED_SIZE],
    then: T,
}

impl<T: Translator + Default> Hashed<T> {
    /// Under the given seed.
    pub fn with_seed(seed: [u8; SEED_SIZE]) -> Self {
        Self {
            seed,
            then: T::default(),
        }
    }

    /// Under a seed from the operating system's random numbers.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) when the system gives none.
    pub fn random() -> Result<Self> {
        let mut seed = [0; SEED_SIZE];
        entropy::fill(&mut seed)?;
        Ok(Self::with_seed(seed))
    }
}

impl<T> Hashed<T> {
    /// The seed. Who knows it can make keys that conflict.
    pub fn seed(&self) -> &[u8; SEED_SIZE] {
        &self.seed
    }
}

impl<T: Translator> Translator for Hashed<T> {
    #[inline]
    fn translate(&self, key: &[u8]) -> u64 {
        self.then
            .translate(&keyed_hash(&self.seed, key).to_be_bytes())
    }
}

impl<T: fmt::Debug> fmt::Debug for Hashed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hashed")
            .field("then", &self.then)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

    #[test]
    fn caps_take_the_first_bytes() {
        assert_eq!(OneCap.translate(KEY), 0x01);
        assert_eq!(TwoCap.translate(KEY), 0x0102);
        assert_eq!(Cap::<3>.translate(KEY), 0x01_0203);
        assert_eq!(FourCap.translate(KEY), 0x0102_0304);
        assert_eq!(Cap::<7>.translate(KEY), 0x01_0203_0405_0607);
        assert_eq!(EightCap.translate(KEY), 0x0102_0304_0506_0708);
    }

    #[test]
    fn short_keys_are_zero_filled() {
        assert_eq!(OneCap.translate(b""), 0);
        assert_eq!(TwoCap.translate(&[9]), 0x0900);
        assert_eq!(EightCap.translate(&KEY[..7]), 0x0102_0304_0506_0700);
        assert_eq!(FourCap.translate(&[1]), FourCap.translate(&[1, 0]));
    }

    #[test]
    fn sip_hash_matches_the_published_vector() {
        // SipHash-1-3 of the bytes 0, 1, …, 14 under the key 0, 1, …, 15 (the example of the
        // SipHash paper, with one compression round and three at the end).
        let seed: [u8; 16] = std::array::from_fn(|i| i as u8);
        let message: [u8; 15] = std::array::from_fn(|i| i as u8);
        let hash = keyed_hash(&seed, &message);
        assert_eq!(hash, 0xd320_d86d_2a51_9956);
        let two = Hashed::<TwoCap>::with_seed(seed);
        assert_eq!(two.translate(&message), hash >> 48);
    }

    #[test]
    fn random_seeds_differ_and_are_not_shown() {
        let one = Hashed::<EightCap>::random().unwrap();
        let two = Hashed::<EightCap>::random().unwrap();
        assert_ne!(one.seed(), two.seed());
        assert_ne!(one.translate(KEY), two.translate(KEY));
        assert_eq!(format!("{one:?}"), "Hashed { then: EightCap, .. }");
    }
}
