//! The root folder: opened, and made with the folders above it.

use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rustix::fs::{Access, CWD, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::folder::{Folder, flush};
use super::mode::FileMode;
use crate::error::{Error, Result};

/// Opens the folder `root`; a link to a folder is followed.
pub(super) fn open(root: &Path) -> Result<Folder> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match retry_on_intr(|| rustix::fs::openat(CWD, root, flags, Mode::empty())) {
        Ok(fd) => Ok(Folder::new(File::from(fd), root.to_path_buf())),
        Err(Errno::NOTDIR) => Err(Error::NotAnArchive {
            path: root.to_path_buf(),
            reason: "it, or a folder on the way to it, is a file".to_owned(),
        }),
        Err(errno) => Err(Error::io("open", root, errno.into())),
    }
}

/// Makes `root` and the folders above it where they are missing, each durable before the next.
pub(super) fn make(root: &Path, mode: FileMode) -> Result<()> {
    let missing: Vec<&Path> = root
        .ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && is_missing(folder))
        .collect();
    for folder in missing.iter().rev() {
        match DirBuilder::new().mode(mode.folder()).create(folder) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) => return Err(Error::io("create the folder", folder, e)),
        }
        sync_parent(folder)?;
    }
    if missing.is_empty() {
        return match sync_parent(root) {
            // Whoever made the folder saw to its name; we may not be allowed to look above it.
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::PermissionDenied => Ok(()),
            other => other,
        };
    }
    Ok(())
}

/// Refuses a root that this process cannot create partitions in, before anything else fails on it.
pub(super) fn check_writable(root: &Path) -> Result<()> {
    let wanted = Access::WRITE_OK | Access::EXEC_OK;
    match retry_on_intr(|| rustix::fs::access(root, wanted)) {
        Ok(()) => Ok(()),
        Err(errno) => Err(Error::io("write to", root, errno.into())),
    }
}

fn is_missing(folder: &Path) -> bool {
    matches!(fs::symlink_metadata(folder), Err(e) if e.kind() == ErrorKind::NotFound)
}

fn sync_parent(folder: &Path) -> Result<()> {
    let Some(parent) = folder.parent() else {
        return Ok(()); // the file system's root
    };
    let parent = match parent.as_os_str().is_empty() {
        true => Path::new("."),
        false => parent,
    };
    let dir = File::open(parent).map_err(|e| Error::io("flush", parent, e))?;
    flush(&dir, parent)
}
