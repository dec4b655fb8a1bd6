//! Checks that a storage keeps its rules: the same for a disk, for memory and for one of your own.
//!
//! Each behaviour is a function that takes an empty storage and panics where the storage does
//! otherwise, with what was expected and found. [`run`] calls them all.
//!
//! # Cost
//!
//! All checks together take well under a second, a few MiB of memory, and, in
//! [`blobs_of_several_gib`], a blob of 5 GiB that has a few bytes: a storage without holes needs
//! that much room for it.
//!
//! # Example
//!
//! ```
//! use quipu::storage::{Memory, suite};
//! use std::sync::Arc;
//!
//! suite::run(&|| Arc::new(Memory::new()));
//! ```

/// Checks that a call failed with the error that is wanted.
macro_rules! expect_error {
    ($result:expr, $pattern:pat) => {
        match $result {
            Err($pattern) => {}
            other => panic!("expected {}, got {other:?}", stringify!($pattern)),
        }
    };
}
#[cfg(test)]
pub(crate) use expect_error;

mod bytes;
mod names;
mod reads;
mod windows;

use std::io::IoSlice;
use std::sync::Arc;

use super::{Blob, OpenMode, Storage};
use crate::error::Result;

pub use bytes::{
    blobs_of_several_gib, concurrent_readers, empty_reads_and_writes, holes_read_as_zeros,
    offsets_near_the_limit, read_into_appends, read_your_writes, reads_past_the_end,
    resize_both_ways, several_buffers_in_one_write, what_was_written_is_not_skipped,
};
pub use names::{
    bad_names, list_is_sorted, locks, missing_things, open_modes, partitions_come_and_go,
    remove_with_open_handle, rename_replaces,
};
pub use reads::{reads_at_once_see_writes, reads_at_once_that_fail, reads_made_at_once};
pub use windows::windows;

/// One behaviour; panics when the storage, which must be empty, does not show it.
pub type Check = fn(&dyn Storage);

/// Every behaviour with its name, for a test harness that wants them one by one.
pub const CHECKS: &[(&str, Check)] = &[
    ("read_your_writes", read_your_writes),
    ("several_buffers_in_one_write", several_buffers_in_one_write),
    ("holes_read_as_zeros", holes_read_as_zeros),
    (
        "what_was_written_is_not_skipped",
        what_was_written_is_not_skipped,
    ),
    ("reads_past_the_end", reads_past_the_end),
    ("read_into_appends", read_into_appends),
    ("empty_reads_and_writes", empty_reads_and_writes),
    ("offsets_near_the_limit", offsets_near_the_limit),
    ("blobs_of_several_gib", blobs_of_several_gib),
    ("reads_made_at_once", reads_made_at_once),
    ("reads_at_once_that_fail", reads_at_once_that_fail),
    ("reads_at_once_see_writes", reads_at_once_see_writes),
    ("resize_both_ways", resize_both_ways),
    ("concurrent_readers", concurrent_readers),
    ("bad_names", bad_names),
    ("missing_things", missing_things),
    ("open_modes", open_modes),
    ("rename_replaces", rename_replaces),
    ("remove_with_open_handle", remove_with_open_handle),
    ("list_is_sorted", list_is_sorted),
    ("partitions_come_and_go", partitions_come_and_go),
    ("locks", locks),
    ("windows", windows),
];

/// Runs every check, each on a storage of its own that `factory` makes and that must be empty.
///
/// # Panics
///
/// At the first behaviour that the storage does not show.
pub fn run(factory: &dyn Fn() -> Arc<dyn Storage>) {
    for (_, check) in CHECKS {
        check(&*factory());
    }
}

/// The partition that the checks work in.
const PARTITION: &str = "suite";

#[track_caller]
fn must<T>(result: Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("expected success, got: {error} ({error:?})"),
    }
}

#[track_caller]
fn open(storage: &dyn Storage, name: &str, mode: OpenMode) -> Arc<dyn Blob> {
    must(storage.open(PARTITION, name, mode))
}

#[track_caller]
fn create(storage: &dyn Storage, name: &str, content: &[u8]) -> Arc<dyn Blob> {
    let blob = open(storage, name, OpenMode::Create);
    write(&*blob, content, 0);
    blob
}

#[track_caller]
fn write(blob: &dyn Blob, bytes: &[u8], offset: u64) {
    must(blob.write_at(&[IoSlice::new(bytes)], offset));
}

#[track_caller]
fn read(blob: &dyn Blob, offset: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0xEE; len];
    must(blob.read_at(&mut bytes, offset));
    bytes
}

#[track_caller]
fn read_all(blob: &dyn Blob) -> Vec<u8> {
    read(blob, 0, must(blob.len()) as usize)
}
