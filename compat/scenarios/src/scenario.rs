//! What is done to an archive, and under which settings.

use std::fmt;

/// The size of every key, in bytes.
pub const KEY_SIZE: usize = 32;

/// A key of an item.
pub type Key = [u8; KEY_SIZE];

/// An item as it is put and read back.
#[derive(Clone, PartialEq, Eq)]
pub struct Item {
    /// The place in the order.
    pub index: u64,
    /// The name of the item; keys may repeat.
    pub key: Key,
    /// The bytes without the length that the codec writes before them.
    pub value: Vec<u8>,
}

/// One operation.
#[derive(Clone, Debug)]
pub enum Op {
    /// Stores the item; does nothing where the index is taken or below the floor.
    Put(Item),
    /// Stores the item also where the index is taken; does nothing below the floor.
    PutMulti(Item),
    /// Makes everything put before durable.
    Sync,
    /// Drops the sections below the one that holds this index.
    Prune(u64),
    /// Syncs, closes the archive and opens it again.
    Reopen,
}

/// Operations, and the settings of the archive that they are done to.
///
/// An engine that has carried out the last operation syncs and closes the archive.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Names the scenario in messages: a shape, or `seed N`.
    pub name: String,
    /// The logical page size of the index files, in bytes.
    pub page_size: u16,
    /// How many indices share a section.
    pub items_per_section: u64,
    /// The level of compression, or none.
    pub zstd: Option<u8>,
    /// What is done, in order.
    pub ops: Vec<Op>,
}

impl Scenario {
    /// The first index of the section that holds `index`; it names the section's files.
    pub fn section(&self, index: u64) -> u64 {
        index / self.items_per_section * self.items_per_section
    }

    /// The same settings with other operations.
    pub fn with_ops(&self, ops: Vec<Op>) -> Self {
        Self {
            ops,
            ..self.clone()
        }
    }

    /// A first and a second part that two engines carry out one after the other.
    ///
    /// The floor is not kept in the files of the format, so the second part has no put below the
    /// floor that the first part leaves.
    pub fn split(&self) -> (Self, Self) {
        let cut = self.ops.len() * 3 / 5;
        let head = self.with_ops(self.ops[..cut].to_vec());
        let floor = head.floor();
        let tail = self.ops[cut..].iter();
        let tail = tail.filter(|op| op.item().is_none_or(|item| item.index >= floor));
        let tail = self.with_ops(tail.cloned().collect());
        (head, tail)
    }

    /// Both parts of a split as one scenario.
    pub fn join(head: &Self, tail: &Self) -> Self {
        let mut ops = head.ops.clone();
        ops.push(Op::Reopen);
        ops.extend(tail.ops.iter().cloned());
        head.with_ops(ops)
    }

    fn floor(&self) -> u64 {
        let minima = self.ops.iter().filter_map(|op| match op {
            Op::Prune(min) => Some(self.section(*min)),
            _ => None,
        });
        minima.max().unwrap_or(0)
    }
}

impl Op {
    /// The item that the operation would store.
    pub fn item(&self) -> Option<&Item> {
        match self {
            Self::Put(item) | Self::PutMulti(item) => Some(item),
            Self::Sync | Self::Prune(_) | Self::Reopen => None,
        }
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (index, key, length) = (self.index, hex(&self.key), self.value.len());
        write!(f, "({index}, {key}, {length} bytes)")
    }
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes that hex stands for, or none where it is not hex.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| {
            let pair = std::str::from_utf8(pair)
                .ok()
                .filter(|pair| pair.len() == 2)?;
            u8::from_str_radix(pair, 16).ok()
        })
        .collect()
}
