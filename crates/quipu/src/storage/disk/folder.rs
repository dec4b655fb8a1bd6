//! One open folder, and what is done to the files in it.
//!
//! Every call names one entry of the folder and follows no link.

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::{Errno, retry_on_intr};

use super::super::check_blob_name;
use super::entries;
use super::mode::FileMode;
use crate::error::{Error, Result};

/// Makes creations, removals and renames in a folder durable.
pub(super) fn flush(dir: &File, path: &Path) -> Result<()> {
    // No test can ask a file system what it was told to flush.
    #[cfg(test)]
    super::tests::note_flush(path);
    dir.sync_all().map_err(|e| Error::io("flush", path, e))
}

/// Which file of a system a handle is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    number: u64,
}

impl Identity {
    // The types of both differ from system to system.
    #[allow(clippy::unnecessary_cast)]
    pub(super) fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev as u64,
            number: stat.st_ino as u64,
        }
    }
}

#[derive(Debug)]
pub(super) struct Folder {
    dir: File,
    path: PathBuf,
    mode: FileMode,
}

impl Folder {
    pub(super) fn new(dir: File, path: PathBuf) -> Self {
        Self {
            dir,
            path,
            mode: FileMode::default(),
        }
    }

    /// From now on, what is made in it gets these permissions.
    pub(super) fn set_mode(&mut self, mode: FileMode) {
        self.mode = mode;
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Opens a folder in this one; none when there is nothing of that name.
    pub(super) fn folder(&self, name: &str) -> Result<Option<Folder>> {
        // Not to wait either, should a system open a FIFO before it sees that it is no folder.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK;
        match self.openat(name, flags) {
            Ok(dir) => Ok(Some(Folder {
                dir,
                path: self.path_of(name),
                mode: self.mode,
            })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.refused("open", name, errno, FileType::Directory)),
        }
    }

    /// Makes a folder in this one; fine when there is one.
    pub(super) fn make_folder(&self, name: &str) -> Result<()> {
        let mode = Mode::from_raw_mode(self.mode.folder() as rustix::fs::RawMode);
        match retry_on_intr(|| rustix::fs::mkdirat(&self.dir, name, mode)) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(self.failed("create the folder", name, errno)),
        }
    }

    /// Removes an empty folder in this one; fine when there is none.
    pub(super) fn remove_folder(&self, name: &str) -> Result<()> {
        match retry_on_intr(|| rustix::fs::unlinkat(&self.dir, name, AtFlags::REMOVEDIR)) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.failed("remove", name, errno)),
        }
    }

    /// Opens a regular file, and nothing else. Does not wait: a FIFO that nobody writes to would
    /// otherwise hold the call up.
    pub(super) fn open_file(&self, name: &str, flags: OFlags) -> Result<File> {
        self.open_identified(name, flags).map(|(file, _)| file)
    }

    /// As [`open_file`](Self::open_file), and which file it is.
    pub(super) fn open_identified(&self, name: &str, flags: OFlags) -> Result<(File, Identity)> {
        let file = self
            .openat(name, flags | OFlags::NONBLOCK | OFlags::NOCTTY)
            .map_err(|errno| self.refused("open", name, errno, FileType::RegularFile))?;
        let stat = retry_on_intr(|| rustix::fs::fstat(&file))
            .map_err(|errno| self.failed("look at", name, errno))?;
        self.check_kind(name, &stat, FileType::RegularFile)?;
        Ok((file, Identity::of(&stat)))
    }

    pub(super) fn remove_file(&self, name: &str) -> Result<()> {
        self.check_file(name)?;
        retry_on_intr(|| rustix::fs::unlinkat(&self.dir, name, AtFlags::empty()))
            .map_err(|errno| self.failed("remove", name, errno))
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.check_file(from)?;
        match self.check_file(to) {
            Ok(()) | Err(Error::NotFound { .. }) => {}
            Err(stranger) => return Err(stranger),
        }
        retry_on_intr(|| rustix::fs::renameat(&self.dir, from, &self.dir, to))
            .map_err(|errno| self.failed("rename", from, errno))
    }

    /// The names of all files, sorted. Anything else in the folder is an error.
    pub(super) fn list(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let failed = |errno: Errno| Error::io("list", &self.path, errno.into());
        entries::each(&self.dir, failed, &mut |bytes, kind| {
            names.extend(self.name_of(bytes, kind)?);
            Ok(())
        })?;
        names.sort_unstable();
        Ok(names)
    }

    /// The name of an entry, if it is a file's that is still there.
    fn name_of(&self, bytes: &[u8], kind: FileType) -> Result<Option<String>> {
        if matches!(bytes, b"." | b"..") {
            return Ok(None);
        }
        let name = str::from_utf8(bytes).ok();
        let Some(name) = name.filter(|name| check_blob_name(name).is_ok()) else {
            return Err(Error::NotABlob {
                path: self.path.join(std::ffi::OsStr::from_bytes(bytes)),
                reason: "no blob has such a name",
            });
        };
        // Some file systems do not tell the kind here.
        if kind != FileType::RegularFile {
            match self.check_file(name) {
                Err(Error::NotFound { .. }) => return Ok(None), // removed just now
                checked => checked?,
            }
        }
        Ok(Some(name.to_owned()))
    }

    /// The names and lengths of all files, sorted by name.
    pub(super) fn lengths(&self) -> Result<Vec<(String, u64)>> {
        let mut lengths = Vec::new();
        for name in self.list()? {
            match self.stat(&name) {
                Err(Errno::NOENT) => {} // removed just now
                Ok(stat) => lengths.push((name, stat.st_size.unsigned_abs())),
                Err(errno) => return Err(self.failed("look at", &name, errno)),
            }
        }
        Ok(lengths)
    }

    /// Makes creations, removals and renames in this folder durable.
    pub(super) fn sync(&self) -> Result<()> {
        flush(&self.dir, &self.path)
    }

    /// Whether `name` still leads to `file`.
    pub(super) fn leads_to(&self, name: &str, file: &File) -> Result<bool> {
        let there = match self.stat(name) {
            Err(Errno::NOENT) => return Ok(false),
            other => other.map_err(|errno| self.failed("look at", name, errno))?,
        };
        let open = retry_on_intr(|| rustix::fs::fstat(file))
            .map_err(|errno| self.failed("look at", name, errno))?;
        Ok((there.st_dev, there.st_ino) == (open.st_dev, open.st_ino))
    }

    fn openat(&self, name: &str, flags: OFlags) -> Result<File, Errno> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(self.mode.file() as rustix::fs::RawMode);
        retry_on_intr(|| rustix::fs::openat(&self.dir, name, flags, mode)).map(File::from)
    }

    fn stat(&self, name: &str) -> Result<Stat, Errno> {
        retry_on_intr(|| rustix::fs::statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW))
    }

    fn check_file(&self, name: &str) -> Result<()> {
        let stat = self
            .stat(name)
            .map_err(|errno| self.failed("look at", name, errno))?;
        self.check_kind(name, &stat, FileType::RegularFile)
    }

    fn check_kind(&self, name: &str, stat: &Stat, wanted: FileType) -> Result<()> {
        let found = FileType::from_raw_mode(stat.st_mode);
        if found == wanted {
            return Ok(());
        }
        Err(Error::NotABlob {
            path: self.path_of(name),
            reason: match found {
                FileType::RegularFile => "it is a file",
                FileType::Directory => "it is a folder",
                FileType::Symlink => "it is a symbolic link",
                FileType::Fifo => "it is a FIFO",
                FileType::Socket => "it is a socket",
                _ => "it is a special file",
            },
        })
    }

    /// The error of an open that failed. Systems differ in what they say about links, folders and
    /// sockets, so the kind of the entry decides first.
    fn refused(&self, action: &'static str, name: &str, errno: Errno, wanted: FileType) -> Error {
        let kind = self
            .stat(name)
            .map_or(Ok(()), |stat| self.check_kind(name, &stat, wanted));
        kind.err()
            .unwrap_or_else(|| self.failed(action, name, errno))
    }

    fn failed(&self, action: &'static str, name: &str, errno: Errno) -> Error {
        Error::io(action, self.path_of(name), errno.into())
    }
}
