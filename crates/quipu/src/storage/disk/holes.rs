//! Holes: bytes of a file that were never written, and that take no room.

use std::fs::File;

/// Where, from `offset` on, there are bytes again that may have been written, in a file of so many.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
pub(super) fn next_written(file: &File, offset: u64, len: u64) -> u64 {
    use rustix::fs::{SeekFrom, seek};
    use rustix::io::{Errno, retry_on_intr};

    // Nothing reads or writes at the position that this moves.
    match retry_on_intr(|| seek(file, SeekFrom::Data(offset))) {
        Ok(at) => at,
        Err(Errno::NXIO) => len,
        // Not told by this file system.
        Err(_) => offset,
    }
}

/// The same on systems that do not tell.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
pub(super) fn next_written(_: &File, offset: u64, _: u64) -> u64 {
    offset
}
