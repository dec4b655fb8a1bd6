//! How much memory a run may take.
//!
//! ```text
//! limit = FACTOR * bytes of the files + PER_FILE * files + what the options allow + BASE
//! ```
//!
//! What the options allow is the page cache, the write buffers of the sections, and the values that
//! are in memory at a time. The factor is what one byte of a file may take once it is read: an entry
//! of 20 bytes (no key) has a position, a run and a slot in the key index, each of them in a map.

use peak_alloc::PeakAlloc;

/// The allocator of every program that links this crate: it counts.
#[global_allocator]
static COUNTING: PeakAlloc = PeakAlloc;

/// Bytes of memory for a byte of a file.
pub const FACTOR: usize = 16;
/// Bytes of memory for a file: its section, with two files, and their names.
pub const PER_FILE: usize = 4096;
/// Bytes of memory for an archive without items: key index, page cache's map, open files, a piece
/// of an index file that is read ahead. The most is an entry with a key of 64 KiB in pages of one
/// byte that are all damaged.
pub const BASE: usize = 20 << 20;

/// Runs `body` and returns what it does; panics when it took more memory than `allowed` bytes
/// beyond what was in use before.
pub fn within<T>(allowed: usize, body: impl FnOnce() -> T) -> T {
    let before = COUNTING.current_usage();
    COUNTING.reset_peak_usage();
    let result = body();
    let taken = COUNTING.peak_usage().saturating_sub(before);
    assert!(
        taken <= allowed,
        "{taken} bytes of memory were taken, {allowed} are allowed"
    );
    result
}
