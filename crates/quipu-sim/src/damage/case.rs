//! One damage: what is done to which file.

use std::fmt;
use std::str::FromStr;

use super::files::{FileName, Files, INDEX, OWN};
use super::format::header_size;
use super::shape::{Shape, scattered};

/// Bytes of a block that is zeroed.
pub const BLOCK: usize = 512;
/// How many bytes of garbage are appended.
const GARBAGE: [usize; 7] = [1, 6, 12, 40, 112, 512, 5000];

/// Items of an archive that makes a case cost more than others.
const LARGE: u64 = 80;
/// What a byte is flipped with.
const MASKS: [u8; 3] = [0x01, 0x80, 0xff];

/// What is done to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Bits of a byte are turned.
    Flip { at: usize, mask: u8 },
    /// The file is cut to this length.
    Cut { len: usize },
    /// A block of [`BLOCK`] bytes is zeroed.
    Zero { block: usize },
    /// The file is removed.
    Remove,
    /// The file is as it was in an earlier copy.
    Older { copy: usize },
    /// The file and another of its partition take each other's place.
    Swap { with: FileName },
    /// The file stands twice in itself.
    Double,
    /// So many bytes are appended.
    Garbage { len: usize },
}

/// A damage of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The file.
    pub file: FileName,
    /// What is done to it.
    pub damage: Damage,
}

/// How many masks each byte is flipped with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Masks {
    /// Three, and one in the zeros of a header or of a key table.
    All,
    /// One that depends on the byte.
    One,
}

/// Whether a byte is one of the zeros that fill a header up, or a page of a key table.
fn is_padding(file: &FileName, bytes: &[u8], at: usize) -> bool {
    if file.is_table() {
        return bytes.get(at) == Some(&0);
    }
    file.section().is_some() && header_size(bytes) == Some(4096) && (12..4096).contains(&at)
}

impl Case {
    /// Every damage of a shape.
    pub fn all(shape: &Shape, masks: Masks) -> Vec<Self> {
        let mut cases = Vec::new();
        for (file, bytes) in shape.files.iter() {
            let mut add = |damage| {
                let file = file.clone();
                cases.push(Self { file, damage });
            };
            for at in 0..bytes.len() {
                let all = match masks {
                    Masks::All if !is_padding(file, bytes, at) => MASKS.iter().take(3),
                    _ => MASKS
                        .get(at % MASKS.len()..)
                        .unwrap_or_default()
                        .iter()
                        .take(1),
                };
                all.for_each(|&mask| add(Damage::Flip { at, mask }));
            }
            (0..bytes.len()).for_each(|len| add(Damage::Cut { len }));
            (0..bytes.len().div_ceil(BLOCK)).for_each(|block| add(Damage::Zero { block }));
            add(Damage::Remove);
            let others = shape.files.iter().map(|(other, _)| other);
            others
                .filter(|other| other.partition == file.partition && *other > file)
                .filter(|other| *file.partition != *OWN || file.is_table() && other.is_table())
                .for_each(|with| add(Damage::Swap { with: with.clone() }));
            add(Damage::Double);
            GARBAGE.iter().for_each(|&len| add(Damage::Garbage { len }));
        }
        cases.extend(Self::older(shape));
        cases
    }

    /// Every file as it was in each earlier copy, those that are gone by now included.
    fn older(shape: &Shape) -> Vec<Self> {
        let mut cases = Vec::new();
        for (copy, files) in shape.older.iter().enumerate() {
            cases.extend(files.iter().map(|(file, _)| Self {
                file: file.clone(),
                damage: Damage::Older { copy },
            }));
        }
        cases
    }

    /// The files with the damage; none where it changes nothing.
    pub fn apply(&self, shape: &Shape) -> Option<Files> {
        let mut files = shape.files.clone();
        // An older copy may have files that are gone by now.
        let mut bytes = files.get(&self.file).unwrap_or_default().to_vec();
        match &self.damage {
            Damage::Flip { at, mask } => *bytes.get_mut(*at)? ^= mask,
            Damage::Cut { len } => bytes.truncate(*len),
            Damage::Zero { block } => bytes
                .chunks_mut(BLOCK)
                .nth(*block)
                .into_iter()
                .for_each(|block| block.fill(0)),
            Damage::Remove | Damage::Swap { .. } => {}
            Damage::Older { copy } => bytes = shape.older.get(*copy)?.get(&self.file)?.to_vec(),
            Damage::Double => bytes.extend_from_within(..),
            Damage::Garbage { len } => bytes.extend(scattered(*len as u64).take(*len)),
        }
        match &self.damage {
            Damage::Remove => files.remove(&self.file),
            Damage::Swap { with } => {
                let other = files.get(with)?.to_vec();
                files.set(with, bytes);
                files.set(&self.file, other);
            }
            _ => files.set(&self.file, bytes),
        }
        (files != shape.files).then_some(files)
    }

    /// How much rarer than others it may be in a part of all cases: there are thousands of its
    /// like, or the archive is large. None where it is always to be run.
    pub fn commonness(&self, shape: &Shape) -> Option<u64> {
        let bytes = shape.files.get(&self.file).unwrap_or_default();
        match self.damage {
            Damage::Flip { at, .. } | Damage::Cut { len: at } => {
                let like = match is_padding(&self.file, bytes, at) {
                    true => 16,
                    false => 1,
                };
                Some(like * (1 + shape.items.len() as u64 / LARGE))
            }
            _ => None,
        }
    }

    /// Which kind of damage it is, for a table.
    pub fn kind(&self) -> &'static str {
        match self.damage {
            Damage::Flip { .. } => "a byte flipped",
            Damage::Cut { .. } => "cut",
            Damage::Zero { .. } => "512 bytes zeroed",
            Damage::Remove => "removed",
            Damage::Older { .. } => "an older copy",
            Damage::Swap { .. } => "swapped with another",
            Damage::Double => "doubled",
            Damage::Garbage { .. } => "garbage appended",
        }
    }

    /// Which part of which kind of file it hits first, for a table.
    pub fn part(&self, shape: &Shape) -> String {
        if self.file.is_table() {
            return "key table".to_owned();
        }
        if *self.file.partition == *OWN {
            return self.file.name.to_string();
        }
        let bytes = shape.files.get(&self.file).unwrap_or_default();
        let header = header_size(bytes).unwrap_or(0);
        let first = match self.damage {
            Damage::Flip { at, .. } => Some(at),
            Damage::Cut { len } => Some(len),
            Damage::Zero { block } => Some(block * BLOCK),
            _ => None,
        };
        let is_index = *self.file.partition == *INDEX;
        let part = match (is_index, first.map(|first| first < header)) {
            (true, Some(true)) => "index file, header",
            (true, Some(false)) => "index file, pages",
            (true, None) => "index file",
            (false, Some(true)) => "value file, header",
            (false, Some(false)) => "value file, values",
            (false, None) => "value file",
        };
        part.to_owned()
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        match &self.damage {
            Damage::Flip { at, mask } => write!(f, "flip:{at}:{mask}"),
            Damage::Cut { len } => write!(f, "cut:{len}"),
            Damage::Zero { block } => write!(f, "zero:{block}"),
            Damage::Remove => write!(f, "remove"),
            Damage::Older { copy } => write!(f, "older:{copy}"),
            Damage::Swap { with } => write!(f, "swap:{with}"),
            Damage::Double => write!(f, "double"),
            Damage::Garbage { len } => write!(f, "garbage:{len}"),
        }
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let mut next = || parts.next().ok_or_else(|| format!("{text:?} is cut short"));
        let number = |text: &str| text.parse().map_err(|e| format!("{text:?}: {e}"));
        let file: FileName = next()?.parse()?;
        let damage = match next()? {
            "flip" => Damage::Flip {
                at: number(next()?)?,
                mask: number(next()?)? as u8,
            },
            "cut" => Damage::Cut {
                len: number(next()?)?,
            },
            "zero" => Damage::Zero {
                block: number(next()?)?,
            },
            "remove" => Damage::Remove,
            "older" => Damage::Older {
                copy: number(next()?)?,
            },
            "swap" => Damage::Swap {
                with: next()?.parse()?,
            },
            "double" => Damage::Double,
            "garbage" => Damage::Garbage {
                len: number(next()?)?,
            },
            other => return Err(format!("{other:?} is no damage")),
        };
        Ok(Self { file, damage })
    }
}
