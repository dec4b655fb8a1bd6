//! Items that are put together: where values are compressed, that is done ahead by several threads, and the
//! items are then put in their order.

use std::borrow::Borrow;

use super::writer::{Put, Writer};
use crate::error::Result;
use crate::key::Key;
use crate::value::{EncodeAs, Value};

/// So many bytes of values are compressed at a time,
const GROUP_BYTES: usize = 1 << 20;
/// and so many values: they may be empty.
const GROUP_ITEMS: usize = 4096;

/// The next item of a batch.
struct Item<Q, T> {
    index: u64,
    key: Q,
    value: T,
    /// The value's bytes, where it has none of its own.
    encoded: Vec<u8>,
}

impl<Q, T> Item<Q, T> {
    fn new<V>((index, key, value): (u64, Q, T)) -> Result<Self>
    where
        T: EncodeAs<V>,
    {
        let mut encoded = Vec::new();
        if value.as_bytes().is_none() {
            value.encode(&mut encoded)?;
        }
        Ok(Self {
            index,
            key,
            value,
            encoded,
        })
    }

    fn bytes<V>(&self) -> &[u8]
    where
        T: EncodeAs<V>,
    {
        self.value.as_bytes().unwrap_or(&self.encoded)
    }
}

impl Writer {
    /// Puts items in their order, compressed ahead; how many were stored is counted in `stored`. Stops at the first
    /// error.
    pub(super) fn put_compressed<K, V, Q, T>(
        &mut self,
        items: impl Iterator<Item = (u64, Q, T)>,
        stored: &mut u64,
    ) -> Result<()>
    where
        K: Key,
        V: Value,
        Q: Borrow<K>,
        T: EncodeAs<V>,
    {
        let mut items = items.peekable();
        while items.peek().is_some() {
            let (mut group, mut bytes) = (Vec::new(), 0);
            let mut gathered = Ok(());
            while bytes < GROUP_BYTES
                && group.len() < GROUP_ITEMS
                && let Some(item) = items.next()
            {
                match Item::new(item) {
                    Ok(item) => {
                        bytes += item.bytes().len();
                        group.push(item);
                    }
                    Err(error) => {
                        gathered = Err(error);
                        break;
                    }
                }
            }
            // What came before an error is stored.
            self.put_group(&group, bytes, stored).and(gathered)?;
        }
        Ok(())
    }

    fn put_group<K, V, Q, T>(
        &mut self,
        group: &[Item<Q, T>],
        bytes: usize,
        stored: &mut u64,
    ) -> Result<()>
    where
        K: Key,
        V: Value,
        Q: Borrow<K>,
        T: EncodeAs<V>,
    {
        let values: Vec<&[u8]> = group.iter().map(Item::bytes).collect();
        let frames = self.compress_all(&values, bytes);
        for ((item, value), frame) in group.iter().zip(values).zip(frames) {
            let key = item.key.borrow().as_bytes();
            let put = self.put_of_batch(item.index, key, value, Some(&frame?))?;
            *stored += u64::from(put == Put::Stored);
        }
        Ok(())
    }
}
