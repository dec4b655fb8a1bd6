//! Bytes on their way to the disk before a flush asks for them, so that it has less to wait for.

use std::fs::File;

/// Has the system begin to write bytes of a file that are in its cache. A hint: nothing is durable by it. It does not wait,
/// so that it takes no error of the writes away: the flush tells those.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[allow(unsafe_code)]
pub(super) fn begin(file: &File, offset: u64, len: u64) {
    use std::os::fd::AsRawFd;

    let (Ok(offset), Ok(len)) = (i64::try_from(offset), i64::try_from(len)) else {
        return;
    };
    // SAFETY: no memory is handed over, and the descriptor is open as long as the file is borrowed.
    unsafe { libc::sync_file_range(file.as_raw_fd(), offset, len, libc::SYNC_FILE_RANGE_WRITE) };
}

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
pub(super) fn begin(_file: &File, _offset: u64, _len: u64) {}
