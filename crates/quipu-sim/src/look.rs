//! Looking at an archive: everything that its reader tells, and whether that fits together.

mod gaps;

use std::collections::{BTreeMap, BTreeSet};

use quipu::{Error, Reader, Status};

use crate::item::{self, Key};

/// A number whose key nobody puts.
const ABSENT: u32 = u32::MAX;

/// An item as a reader gave it.
pub type Item = (Key, Vec<u8>);

/// What an archive holds, as far as it can be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The first index that is not pruned.
    pub floor: u64,
    /// The items, by index.
    pub items: BTreeMap<u64, Vec<Item>>,
    /// Indices that are told as damaged.
    pub damaged: BTreeSet<u64>,
    /// Whether an item could not be read.
    pub broken: bool,
}

/// Why a look found something wrong.
#[derive(Debug)]
pub enum Trouble {
    /// A read failed for a reason that lies below the archive.
    Failed(Error),
    /// What was read is not right.
    Wrong(String),
}

impl From<String> for Trouble {
    fn from(what: String) -> Self {
        Self::Wrong(what)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        match error {
            Error::Io { .. } | Error::StorageFull { .. } | Error::NotFound { .. } => {
                Self::Failed(error)
            }
            error => Self::Wrong(format!("a read failed: {error}")),
        }
    }
}

/// Reads everything up to `last`, forwards, backwards, by index and by key; the answers must agree.
pub fn look(reader: &Reader<Key>, interest: &BTreeSet<u64>, last: u64) -> Result<Seen, Trouble> {
    let mut seen = Seen {
        floor: reader.floor(),
        ..Seen::default()
    };
    let mut backwards = BTreeMap::<u64, Vec<Item>>::new();
    collect(reader.range(..=last), &mut seen.items, &mut seen.broken)?;
    collect(
        reader.range(..=last).rev(),
        &mut backwards,
        &mut seen.broken,
    )?;
    compare_directions(&seen.items, backwards)?;
    let mut all: BTreeSet<u64> = seen.items.keys().copied().collect();
    all.extend(interest.iter().filter(|&&index| index <= last));
    for &index in &all {
        look_at(reader, index, &mut seen)?;
    }
    for (&index, items) in &seen.items {
        items
            .iter()
            .try_for_each(|item| look_for(reader, index, item, &seen, last))?;
    }
    let absent = item::key(ABSENT);
    if reader.has(&absent)? || reader.get(&absent)?.is_some() {
        return Err("a key that nobody put is there".to_owned().into());
    }
    if last == u64::MAX {
        gaps::check(reader, &seen, &all)?;
    }
    Ok(seen)
}

fn collect(
    range: impl Iterator<Item = quipu::Result<quipu::Item<Key>>>,
    into: &mut BTreeMap<u64, Vec<Item>>,
    broken: &mut bool,
) -> Result<(), Trouble> {
    for item in range {
        match item {
            Ok(item) => {
                let at = into.entry(item.index).or_default();
                at.push((item.key, item.value.to_vec()));
            }
            Err(error) if error.is_corruption() => *broken = true,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn compare_directions(
    forwards: &BTreeMap<u64, Vec<Item>>,
    mut backwards: BTreeMap<u64, Vec<Item>>,
) -> Result<(), Trouble> {
    let mut forwards = forwards.clone();
    for items in forwards.values_mut().chain(backwards.values_mut()) {
        items.sort();
    }
    match forwards == backwards {
        true => Ok(()),
        false => Err(format!("forwards {forwards:?}, but backwards {backwards:?}").into()),
    }
}

/// What the reader says of one index.
fn look_at(reader: &Reader<Key>, index: u64, seen: &mut Seen) -> Result<(), Trouble> {
    let items = seen.items.get(&index).map_or(&[][..], Vec::as_slice);
    let first = items.first().map(|(_, value)| &value[..]);
    let status = reader.status(index)?;
    let fits = match status {
        Status::Present => first.is_some(),
        Status::Pruned => index < seen.floor && first.is_none(),
        Status::Missing => index >= seen.floor && first.is_none(),
        Status::Damaged => seen.damaged.insert(index),
    };
    if !fits {
        let count = items.len();
        return Err(format!("index {index} is {status:?}, but a range gives {count} items").into());
    }
    if status == Status::Damaged {
        return look_at_damaged(reader, index, items);
    }
    if reader.has(index)? != first.is_some() {
        return Err(format!("has({index}) does not agree with a range").into());
    }
    let got = match reader.get(index) {
        Err(error) if error.is_corruption() && first.is_none() => {
            // Nothing of its section can be read, so nobody can say more.
            seen.broken = true;
            return Ok(());
        }
        got => got?,
    };
    if got.as_deref() != first {
        return Err(format!("get({index}) gives {got:?}, a range {first:?}").into());
    }
    match reader.get_all(index) {
        Ok(all) if all.iter().eq(items.iter().map(|(_, value)| value)) => Ok(()),
        // One of several is damaged.
        Err(error) if error.is_corruption() && seen.broken => Ok(()),
        Err(error) => Err(error.into()),
        other => Err(format!("get_all({index}) gives {other:?}, a range {items:?}").into()),
    }
}

/// A damaged index has an error instead of a value, never another value.
fn look_at_damaged(reader: &Reader<Key>, index: u64, items: &[Item]) -> Result<(), Trouble> {
    match reader.get(index) {
        Err(error) if error.is_corruption() => Ok(()),
        Err(error) => Err(error.into()),
        Ok(value) if items.is_empty() => {
            Err(format!("index {index} is damaged, but get gives {value:?}").into())
        }
        Ok(_) => Ok(()),
    }
}

/// What the reader says of one item's key.
fn look_for(
    reader: &Reader<Key>,
    index: u64,
    (key, _): &Item,
    seen: &Seen,
    last: u64,
) -> Result<(), Trouble> {
    if seen.damaged.contains(&index) {
        return Ok(());
    }
    if !reader.has(key)? || !reader.has_at(index, key)? {
        return Err(format!("the key of index {index} is not there").into());
    }
    let Some(found) = reader.get_item(key)? else {
        return Err(format!("the key of index {index} gives nothing").into());
    };
    if found.index > last {
        // The same key at another index, of which it is not known whether it stays.
        return match found.key == *key {
            true => Ok(()),
            false => Err(format!("the key of index {index} gives {found:?}").into()),
        };
    }
    let at = seen.items.get(&found.index).map_or(&[][..], Vec::as_slice);
    let is_there = at
        .iter()
        .any(|(of, value)| of == key && *value == found.value);
    match is_there && found.key == *key {
        true => Ok(()),
        false => Err(format!("the key of index {index} gives {found:?}").into()),
    }
}
