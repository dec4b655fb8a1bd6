//! A lock is a locked file; its content says who holds it.
//!
//! The operating system lets go of the lock when the process ends. The file stays, emptied; taking
//! it away would let one process lock the file that is gone and another one the new file.

use std::fs::{File, TryLockError};
use std::os::unix::fs::FileExt;

use rustix::fs::OFlags;

use super::folder::Folder;
use crate::error::{Error, Result};
use crate::storage::Lock;

/// How much of the holder's text is shown, in bytes.
const MAX_HOLDER_LEN: usize = 512;
/// How often the lock's file may be replaced by others while we try to lock it.
const MAX_TRIES: usize = 64;

#[derive(Debug)]
pub(super) struct DiskLock {
    file: File,
}

impl Lock for DiskLock {}

impl Drop for DiskLock {
    fn drop(&mut self) {
        // Both only matter to people who look: closing the file lets go of the lock. It is let go
        // here as well, because a child process may have inherited the file.
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

/// Locks the file `name`, which is created where it is missing.
pub(super) fn take(folder: &Folder, name: &str, holder: &str) -> Result<DiskLock> {
    for _ in 0..MAX_TRIES {
        let file = folder.open_file(name, OFlags::RDWR | OFlags::CREATE)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Locked {
                    path: folder.path_of(name),
                    holder: read_holder(&file),
                });
            }
            Err(TryLockError::Error(e)) => return Err(Error::io("lock", folder.path_of(name), e)),
        }
        // Between our open and our lock the holder may have removed the file, and the next one
        // have locked a new one.
        if folder.leads_to(name, &file)? {
            write_holder(&file, holder);
            return Ok(DiskLock { file });
        }
    }
    Err(Error::Locked {
        path: folder.path_of(name),
        holder: "others that come and go".to_owned(),
    })
}

/// The text is a courtesy: without room for it on the disk the lock holds all the same.
fn write_holder(file: &File, holder: &str) {
    let _ = file.set_len(0);
    let _ = file.write_all_at(holder.as_bytes(), 0);
}

fn read_holder(file: &File) -> String {
    let mut bytes = [0; MAX_HOLDER_LEN];
    let read = file.read_at(&mut bytes, 0).unwrap_or(0);
    let text = String::from_utf8_lossy(bytes.get(..read).unwrap_or_default());
    let printable: String = text.chars().filter(|c| !c.is_control()).collect();
    match printable.trim() {
        "" => "somebody who has not said who".to_owned(),
        text => text.to_owned(),
    }
}
