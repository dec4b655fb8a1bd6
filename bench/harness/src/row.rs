//! How an item lies in a store of keys and values: index to row, and key to index.
//!
//! A row is the item's key and its value. The key is what a prune needs to drop an item by both.

use anyhow::{Context, Result};

use crate::engine::Item;
use crate::items::{KEY_SIZE, Key};

/// Bytes that sort as the numbers do.
pub fn sortable(index: u64) -> [u8; 8] {
    index.to_be_bytes()
}

pub fn index(sortable: &[u8]) -> Result<u64> {
    let bytes = sortable.try_into().context("an index has eight bytes")?;
    Ok(u64::from_be_bytes(bytes))
}

/// Writes the row over what is in the buffer.
pub fn encode(item: &Item, row: &mut Vec<u8>) {
    row.clear();
    row.extend_from_slice(&item.key);
    row.extend_from_slice(&item.value);
}

pub fn split(row: &[u8]) -> Result<(&Key, &[u8])> {
    row.split_first_chunk::<KEY_SIZE>()
        .context("a row begins with a key")
}
