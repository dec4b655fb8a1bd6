//! What is in a folder.
//!
//! On Linux many entries are read with one call, into a buffer that they are looked at in.

use std::fs::File;

use rustix::fs::FileType;
use rustix::io::Errno;

use crate::error::{Error, Result};

/// Bytes of entries that are read at a time: some 800 of sections.
#[cfg(target_os = "linux")]
const BUFFER_BYTES: usize = 32 << 10;

/// Hands over the name and the kind of each entry of a folder, as they come.
#[cfg(target_os = "linux")]
pub(super) fn each(
    folder: &File,
    failed: impl Fn(Errno) -> Error,
    take: &mut dyn FnMut(&[u8], FileType) -> Result<()>,
) -> Result<()> {
    use rustix::fs::{Mode, OFlags, RawDir};
    use rustix::io::retry_on_intr;

    // A place of its own to read from: the folder may be listed by several threads.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let own = retry_on_intr(|| rustix::fs::openat(folder, ".", flags, Mode::empty()));
    let own = own.map_err(&failed)?;
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    let mut entries = RawDir::new(own, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        match entry {
            Err(Errno::INTR) => {}
            entry => {
                let entry = entry.map_err(&failed)?;
                take(entry.file_name().to_bytes(), entry.file_type())?;
            }
        }
    }
    Ok(())
}

/// Hands over the name and the kind of each entry of a folder, as they come.
#[cfg(not(target_os = "linux"))]
pub(super) fn each(
    folder: &File,
    failed: impl Fn(Errno) -> Error,
    take: &mut dyn FnMut(&[u8], FileType) -> Result<()>,
) -> Result<()> {
    for entry in rustix::fs::Dir::read_from(folder).map_err(&failed)? {
        let entry = entry.map_err(&failed)?;
        take(entry.file_name().to_bytes(), entry.file_type())?;
    }
    Ok(())
}
