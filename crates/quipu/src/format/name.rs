//! Blob names of sections: the section number as 16 hex digits.

/// What a blob's name ends in while it is being created.
pub(crate) const NEW_SUFFIX: &str = ".new";

/// The name of the blobs of a section.
pub(crate) fn section_name(section: u64) -> String {
    format!("{section:016x}")
}

/// The section that a blob's name stands for, or none when it is no section's name.
pub(crate) fn section_number(name: &str) -> Option<u64> {
    let digits: &[u8; 16] = name.as_bytes().try_into().ok()?;
    digits.iter().try_fold(0, |number, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u64::from(digit))
    })
}

/// Whether a name is that of a section's blob that is being created.
pub(crate) fn is_unfinished(name: &str) -> bool {
    let finished = name.strip_suffix(NEW_SUFFIX);
    finished.and_then(section_number).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_there_and_back() {
        for section in [0, 1, 0x10, 1_000_000, u64::MAX - 1, u64::MAX] {
            assert_eq!(section_number(&section_name(section)), Some(section));
        }
        assert_eq!(section_name(0xf4240), "00000000000f4240");
    }

    #[test]
    fn names_that_are_no_section() {
        for bad in [
            "",
            "0",
            "00000000000000010",
            "000000000000001",
            "000000000000000G",
            "000000000000000A",
            "+000000000000001",
            "0x00000000000001",
            "0000000000000010.new",
        ] {
            assert_eq!(section_number(bad), None, "{bad:?}");
        }
    }
}
