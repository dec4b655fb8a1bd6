//! The permissions of new files and folders.

use crate::error::{Error, Result};

/// Files that are their owner's alone.
pub(crate) const DEFAULT_FILE_MODE: u32 = 0o600;

/// The bits that a file may have: nobody runs it, and it has no other's identity.
const ALLOWED: u32 = 0o666;

/// Permissions that were checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileMode(u32);

impl Default for FileMode {
    fn default() -> Self {
        Self(DEFAULT_FILE_MODE)
    }
}

impl FileMode {
    pub(super) fn new(mode: u32) -> Result<Self> {
        check_file_mode(mode)?;
        Ok(Self(mode))
    }

    /// Those of a file.
    pub(super) fn file(self) -> u32 {
        self.0
    }

    /// Those of a folder: whoever may read or write files in it may look them up.
    pub(super) fn folder(self) -> u32 {
        self.0 | ((self.0 >> 2 | self.0 >> 1) & 0o111)
    }
}

/// Refuses permissions with which the archive could not go on, or that no data file should have.
pub(crate) fn check_file_mode(mode: u32) -> Result<()> {
    if mode & !ALLOWED == 0 && mode & DEFAULT_FILE_MODE == DEFAULT_FILE_MODE {
        return Ok(());
    }
    Err(Error::InvalidOption {
        option: "file_mode",
        reason: format!(
            "{mode:#o}, but it has to lie between 0o600 and 0o666, without execute bits"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_can_be_searched_by_whom_files_can_be_used() {
        for (file, folder) in [
            (0o600, 0o700),
            (0o640, 0o750),
            (0o660, 0o770),
            (0o644, 0o755),
            (0o620, 0o730),
            (0o666, 0o777),
        ] {
            let mode = FileMode::new(file).unwrap();
            assert_eq!((mode.file(), mode.folder()), (file, folder));
        }
    }

    #[test]
    fn other_bits_are_refused() {
        for mode in [
            0,
            0o400,
            0o200,
            0o066,
            0o700,
            0o611,
            0o1600,
            0o4644,
            u32::MAX,
        ] {
            let refused = check_file_mode(mode);
            assert!(matches!(
                refused,
                Err(Error::InvalidOption {
                    option: "file_mode",
                    ..
                })
            ));
        }
    }
}
