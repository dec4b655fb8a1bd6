//! Which translator an archive uses, as a value that its manifest can hold.

use std::fmt;

use super::translator::{
    Cap, EightCap, FourCap, Hashed, OneCap, Prefix, SEED_SIZE, Translator, TwoCap, keyed_hash,
    prefix,
};

/// A translator chosen at run time: how many bytes it takes (1 to 8), and the seed when the key is
/// hashed first. Made from any translator of this module; translates exactly as that one does.
///
/// ```
/// use quipu::index::{FourCap, Hashed, TranslatorSpec, TwoCap};
///
/// assert_eq!(TranslatorSpec::from(FourCap).translate(b"keys1"), 0x6b65_7973);
/// let secret = TranslatorSpec::from(Hashed::<TwoCap>::with_seed([7; 16]));
/// assert_eq!(secret.to_string(), "the first 2 bytes of a keyed hash"); // not the seed
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TranslatorSpec {
    cap: u8,
    seed: Option<[u8; SEED_SIZE]>,
}

impl TranslatorSpec {
    /// The first `cap` bytes of the key, or of its hash under `seed`. None when `cap` is not 1 to 8.
    pub fn new(cap: u8, seed: Option<[u8; SEED_SIZE]>) -> Option<Self> {
        (1..=8).contains(&cap).then_some(Self { cap, seed })
    }

    /// How many bytes the short form has, 1 to 8.
    pub fn cap(&self) -> u8 {
        self.cap
    }

    /// The seed, when the key is hashed. Who knows it can make keys that conflict.
    pub fn seed(&self) -> Option<&[u8; SEED_SIZE]> {
        self.seed.as_ref()
    }

    /// Whether both take as many bytes and both or neither hash; the seeds may differ.
    pub fn same_kind(&self, other: &Self) -> bool {
        self.cap == other.cap && self.seed.is_some() == other.seed.is_some()
    }

    /// The short form of `key`. Takes a few nanoseconds, about 20 when the key is hashed.
    #[inline]
    pub fn translate(&self, key: &[u8]) -> u64 {
        match &self.seed {
            None => prefix(key, self.cap),
            Some(seed) => prefix(&keyed_hash(seed, key).to_be_bytes(), self.cap),
        }
    }
}

impl Translator for TranslatorSpec {
    #[inline]
    fn translate(&self, key: &[u8]) -> u64 {
        TranslatorSpec::translate(self, key)
    }
}

macro_rules! from_cap {
    ($($name:ty),*) => {$(
        impl From<$name> for TranslatorSpec {
            fn from(_: $name) -> Self {
                Self { cap: <$name>::BYTES, seed: None }
            }
        }
    )*};
}

from_cap!(OneCap, TwoCap, FourCap, EightCap);

impl<const N: usize> From<Cap<N>> for TranslatorSpec {
    fn from(_: Cap<N>) -> Self {
        Self {
            cap: Cap::<N>::BYTES,
            seed: None,
        }
    }
}

impl<T: Prefix> From<Hashed<T>> for TranslatorSpec {
    fn from(hashed: Hashed<T>) -> Self {
        Self {
            cap: T::BYTES,
            seed: Some(*hashed.seed()),
        }
    }
}

impl fmt::Display for TranslatorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = if self.cap == 1 { "byte" } else { "bytes" };
        let of = self.seed.map_or("the key", |_| "a keyed hash");
        match self.cap {
            1 => write!(f, "the first {bytes} of {of}"),
            cap => write!(f, "the first {cap} {bytes} of {of}"),
        }
    }
}

impl fmt::Debug for TranslatorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TranslatorSpec({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn translates_as_its_translator() {
        let seed = [3; SEED_SIZE];
        for key in [&b"a"[..], b"abcdefgh", b"abcdefghijkl", b""] {
            let eight = Hashed::<EightCap>::with_seed(seed);
            let three = Hashed::<Cap<3>>::with_seed(seed);
            let pairs: [(TranslatorSpec, u64); 7] = [
                (OneCap.into(), OneCap.translate(key)),
                (TwoCap.into(), TwoCap.translate(key)),
                (FourCap.into(), FourCap.translate(key)),
                (EightCap.into(), EightCap.translate(key)),
                (Cap::<5>.into(), Cap::<5>.translate(key)),
                (eight.into(), eight.translate(key)),
                (three.into(), three.translate(key)),
            ];
            for (spec, expected) in pairs {
                assert_eq!(spec.translate(key), expected, "{spec} of {key:?}");
            }
        }
    }

    #[test]
    fn made_again_from_its_parts() {
        for spec in [
            TranslatorSpec::from(TwoCap),
            Hashed::<EightCap>::with_seed([9; 16]).into(),
        ] {
            let again = TranslatorSpec::new(spec.cap(), spec.seed().copied());
            assert_eq!(again, Some(spec));
        }
        assert_eq!(TranslatorSpec::new(0, None), None);
        assert_eq!(TranslatorSpec::new(9, None), None);
    }

    #[test]
    fn the_seed_is_never_shown() {
        let spec = TranslatorSpec::new(1, Some([0xAB; 16])).unwrap();
        assert_eq!(spec.to_string(), "the first byte of a keyed hash");
        let shown = format!("{spec:?} {spec}");
        assert!(!shown.contains("171") && !shown.to_lowercase().contains("ab, "));
        assert!(spec.same_kind(&TranslatorSpec::new(1, Some([0; 16])).unwrap()));
        assert!(!spec.same_kind(&OneCap.into()));
    }
}
