//! Which names a partition and a blob may have.

use crate::error::{Error, Result};

/// The greatest length of a name, in bytes.
pub const MAX_NAME_LEN: usize = 200;

/// Checks a partition's name: 1 to [`MAX_NAME_LEN`] of `a-z A-Z 0-9 - _`.
pub fn check_partition_name(name: &str) -> Result<()> {
    check(name, |c| {
        c.is_ascii_alphanumeric() || c == b'-' || c == b'_'
    })
}

/// Checks a blob's name: as a partition's, and `.` is allowed behind the first character.
pub fn check_blob_name(name: &str) -> Result<()> {
    if name.starts_with('.') {
        return refuse(name, "it begins with a dot");
    }
    check(name, |c| {
        c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.')
    })
}

fn check(name: &str, allowed: impl Fn(u8) -> bool) -> Result<()> {
    if name.is_empty() {
        return refuse(name, "it is empty");
    }
    if name.len() > MAX_NAME_LEN {
        return refuse(name, "it is longer than 200 bytes");
    }
    if !name.bytes().all(allowed) {
        return refuse(name, "only a-z, A-Z, 0-9, - and _ are allowed");
    }
    Ok(())
}

fn refuse(name: &str, reason: &'static str) -> Result<()> {
    Err(Error::InvalidName {
        name: name.to_owned(),
        reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_and_bad_names() {
        let long = "x".repeat(MAX_NAME_LEN);
        for good in ["index", "a", "A-b_9", long.as_str()] {
            check_partition_name(good).unwrap();
            check_blob_name(good).unwrap();
        }
        let too_long = "x".repeat(MAX_NAME_LEN + 1);
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "/",
            "a\\b",
            "a b",
            "ä",
            "a\0",
            ".hold",
            too_long.as_str(),
        ] {
            assert!(check_partition_name(bad).is_err(), "{bad:?}");
            assert!(check_blob_name(bad).is_err(), "{bad:?}");
        }
        assert!(check_partition_name("a.b").is_err());
        check_blob_name("0000000000000010.new").unwrap();
    }
}
