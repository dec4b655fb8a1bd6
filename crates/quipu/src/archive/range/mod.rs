//! Iterating items in index order, in batches that are read ahead.

mod batch;
mod values;

use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;
use std::ops::{Bound, RangeBounds};

use self::batch::Batch;
use super::reader::{Item, Reader};
use crate::error::Result;
use crate::key::Key;
use crate::value::Value;

/// Items in index order; see [`Reader::range`].
pub struct Range<K, V> {
    reader: Reader<K, V>,
    /// The indices that are still to be read, inclusive; none when all were.
    rest: Option<(u64, u64)>,
    ahead: VecDeque<Result<Item<K, V>>>,
    behind: VecDeque<Result<Item<K, V>>>,
    batch: Batch,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Forwards,
    Backwards,
}

impl Direction {
    /// The end of a run that comes first.
    fn nearest(self, (first, last): (u64, u64)) -> u64 {
        match self {
            Self::Forwards => first,
            Self::Backwards => last,
        }
    }
}

impl<K: Key, V: Value> Range<K, V> {
    pub(super) fn new(reader: Reader<K, V>, range: impl RangeBounds<u64>) -> Self {
        let first = match range.start_bound() {
            Bound::Included(&first) => Some(first),
            Bound::Excluded(&before) => before.checked_add(1),
            Bound::Unbounded => Some(0),
        };
        let last = match range.end_bound() {
            Bound::Included(&last) => Some(last),
            Bound::Excluded(&after) => after.checked_sub(1),
            Bound::Unbounded => Some(u64::MAX),
        };
        Self {
            reader,
            rest: first.zip(last).filter(|(first, last)| first <= last),
            ahead: VecDeque::new(),
            behind: VecDeque::new(),
            batch: Batch::default(),
        }
    }

    fn read(&mut self, direction: Direction) {
        let Some((first, last)) = self.rest else {
            return;
        };
        let shared = &self.reader.shared;
        let read = match direction {
            Direction::Forwards => &mut self.ahead,
            Direction::Backwards => &mut self.behind,
        };
        let before = read.len();
        if let Err(error) = shared.look() {
            self.rest = None;
            read.push_back(Err(error));
            return;
        }
        self.rest = self.batch.gather(shared, first, last, direction);
        self.batch.read_values(shared, &mut |item| {
            read.push_back(item.and_then(|(index, key, value)| {
                Ok(Item {
                    index,
                    key: K::from_bytes(key)?,
                    value: V::decode(value)?,
                })
            }));
        });
        if let Err(error) = shared.checked(Ok(())) {
            // Nothing that was just read counts, and nothing can be read any more.
            self.rest = None;
            read.truncate(before);
            read.push_back(Err(error));
        }
    }
}

impl<K: Key, V: Value> Iterator for Range<K, V> {
    type Item = Result<Item<K, V>>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ahead.is_empty() && self.rest.is_some() {
            self.read(Direction::Forwards);
        }
        // What was read from the other end comes last.
        self.ahead.pop_front().or_else(|| self.behind.pop_back())
    }
}

impl<K: Key, V: Value> DoubleEndedIterator for Range<K, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        while self.behind.is_empty() && self.rest.is_some() {
            self.read(Direction::Backwards);
        }
        self.behind.pop_front().or_else(|| self.ahead.pop_back())
    }
}

impl<K: Key, V: Value> FusedIterator for Range<K, V> {}

impl<K, V> fmt::Debug for Range<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Range")
            .field("rest", &self.rest)
            .finish_non_exhaustive()
    }
}
