//! What systems say of bytes that the disk does not give.

use std::io;

use rustix::io::Errno;

const LOST: &[Errno] = &[
    Errno::IO,
    Errno::BADMSG,
    Errno::ILSEQ,
    Errno::NODATA,
    // A file system that is damaged itself.
    #[cfg(target_os = "linux")]
    Errno::UCLEAN,
];

/// Whether an error says that some bytes cannot be read, and not that something is lacking which may be there again.
pub(crate) fn are_bytes_lost(error: &io::Error) -> bool {
    Errno::from_io_error(error).is_some_and(|of| LOST.contains(&of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_no_loss() {
        assert!(are_bytes_lost(&Errno::IO.into()));
        for passing in [Errno::MFILE, Errno::NOMEM, Errno::INTR, Errno::NOSPC] {
            assert!(!are_bytes_lost(&passing.into()), "{passing}");
        }
        assert!(!are_bytes_lost(&io::Error::other(
            "of a storage of one's own"
        )));
    }
}
