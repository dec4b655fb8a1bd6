//! How long a file is, whether it still has a name, and what of it is in memory.

use std::fs::File;

use rustix::io::retry_on_intr;

/// What is asked of a file.
pub(super) struct Look {
    pub(super) len: u64,
    pub(super) links: u64,
}

/// Asks for no times: since Linux 6.13 a file whose times somebody saw gets new ones by the next write, finer than the
/// clock's tick, and a flush behind that has to write them too; it takes nearly twice as long.
#[cfg(target_os = "linux")]
pub(super) fn look_at(file: &File) -> rustix::io::Result<Look> {
    use rustix::fs::{AtFlags, StatxFlags, statx};
    use rustix::io::Errno;

    let wanted = StatxFlags::SIZE | StatxFlags::NLINK;
    match retry_on_intr(|| statx(file, c"", AtFlags::EMPTY_PATH, wanted)) {
        Ok(found) => Ok(Look {
            len: found.stx_size,
            links: found.stx_nlink.into(),
        }),
        Err(Errno::NOSYS | Errno::PERM) => look_at_all(file),
        Err(errno) => Err(errno),
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn look_at(file: &File) -> rustix::io::Result<Look> {
    look_at_all(file)
}

fn look_at_all(file: &File) -> rustix::io::Result<Look> {
    let found = retry_on_intr(|| rustix::fs::fstat(file))?;
    Ok(Look {
        len: u64::try_from(found.st_size).unwrap_or(0),
        links: found.st_nlink as u64,
    })
}

/// Whether the system has the byte at an offset in memory. What it cannot tell it is taken to have.
#[cfg(target_os = "linux")]
pub(super) fn is_in_memory(file: &File, offset: u64) -> bool {
    use rustix::io::{Errno, ReadWriteFlags, preadv2};

    let mut byte = [0];
    let mut bytes = [std::io::IoSliceMut::new(&mut byte)];
    let read = retry_on_intr(|| preadv2(file, &mut bytes, offset, ReadWriteFlags::NOWAIT));
    !matches!(read, Err(Errno::AGAIN))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_in_memory(_: &File, _: u64) -> bool {
    true
}
