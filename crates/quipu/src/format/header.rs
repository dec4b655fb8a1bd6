//! The header that every section file begins with.
//!
//! | | layout 0 | layout 1 |
//! |---|---|---|
//! | bytes 0..4 | `CWIC` | `CWIK` |
//! | bytes 4..6 | 0 | 1 |
//! | bytes 6..8, blob version | 0 | 0 |
//! | bytes 8..12 | (data) | CRC of bytes 0..8 |
//! | data begins at | 8 | 4096 |

use super::crc32c;

/// The length of the longest header, in bytes.
pub(crate) const MAX_HEADER_SIZE: usize = 4096;

/// Which header a file has. Files of both kinds may stand in one archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// 8 bytes, as commonware-storage 2026.4.0 reads and writes it.
    V0,
    /// 4096 bytes, checksummed, so that pages stand on 4096-byte boundaries; 2026.10.0 writes it.
    #[default]
    V1,
}

/// Which header the two files of a section have, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layouts {
    /// The index file's.
    pub(crate) records: Option<Layout>,
    /// The value file's.
    pub(crate) values: Option<Layout>,
}

/// What the first bytes of a file say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HeaderState {
    /// A whole header; the data begins behind it.
    Valid(Layout),
    /// A creation that a crash interrupted: the file is new and empty.
    Interrupted,
    /// Anything else, in words.
    Invalid(String),
}

impl Layout {
    /// How many bytes the header takes: where the data begins.
    pub const fn header_size(self) -> u64 {
        match self {
            Self::V0 => 8,
            Self::V1 => MAX_HEADER_SIZE as u64,
        }
    }

    /// What is known of a layout, in two bits.
    pub(crate) fn code(known: Option<Self>) -> u8 {
        match known {
            None => 0,
            Some(Self::V0) => 1,
            Some(Self::V1) => 2,
        }
    }

    /// What [`code`](Self::code) wrote; other bits do not count.
    pub(crate) fn of_code(code: u8) -> Option<Self> {
        match code & 3 {
            1 => Some(Self::V0),
            2 => Some(Self::V1),
            _ => None,
        }
    }

    /// The header's bytes.
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut bytes = match self {
            Self::V0 => b"CWIC\0\0\0\0".to_vec(),
            Self::V1 => b"CWIK\0\x01\0\0".to_vec(),
        };
        if self == Self::V1 {
            let crc = crc32c(&bytes);
            bytes.extend_from_slice(&crc.to_be_bytes());
        }
        bytes.resize(self.header_size() as usize, 0);
        bytes
    }
}

impl HeaderState {
    /// Judges a file by its first bytes (at most [`MAX_HEADER_SIZE`] of them) and its length.
    pub(crate) fn parse(start: &[u8], file_len: u64) -> Self {
        for layout in [Layout::V0, Layout::V1] {
            if start.starts_with(&layout.encode()) {
                return Self::Valid(layout);
            }
        }
        let interrupted = |layout: &Layout| {
            file_len <= layout.header_size() && is_prefix_then_zeros(start, &layout.encode())
        };
        if [Layout::V0, Layout::V1].iter().any(interrupted) {
            return Self::Interrupted;
        }
        Self::Invalid(invalid_reason(start, file_len))
    }
}

/// What is wrong with a header: its first wrong byte, taken for the layout that it is nearest to.
fn invalid_reason(start: &[u8], file_len: u64) -> String {
    let [v0, v1] = [Layout::V0, Layout::V1].map(Layout::encode);
    let wrong = |header: &[u8]| {
        let pairs = header.iter().zip(start).take(v0.len());
        pairs.filter(|(expected, found)| expected != found).count()
    };
    let (layout, header) = match wrong(&v0) < wrong(&v1) {
        true => (0, &v0),
        false => (1, &v1),
    };
    let pairs = (0..).zip(header.iter().zip(start));
    let mut differing = pairs.filter(|(_, (expected, found))| expected != found);
    match differing.next() {
        Some((at, (expected, found))) => format!(
            "offset {at}: expected {expected:02x} as in a header of layout {layout}, found \
             {found:02x}"
        ),
        None => format!(
            "expected {} bytes of a header of layout {layout}, found {file_len}",
            header.len()
        ),
    }
}

fn is_prefix_then_zeros(found: &[u8], header: &[u8]) -> bool {
    let same = found.iter().zip(header).take_while(|(a, b)| a == b).count();
    found.len() <= header.len() && found[same..].iter().all(|&b| b == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> HeaderState {
        HeaderState::parse(
            &bytes[..bytes.len().min(MAX_HEADER_SIZE)],
            bytes.len() as u64,
        )
    }

    #[test]
    fn whole_headers() {
        for layout in [Layout::V0, Layout::V1] {
            let mut bytes = layout.encode();
            assert_eq!(bytes.len() as u64, layout.header_size());
            assert_eq!(parse(&bytes), HeaderState::Valid(layout));
            bytes.extend_from_slice(b"data");
            assert_eq!(parse(&bytes), HeaderState::Valid(layout));
        }
        assert_eq!(Layout::V1.encode()[8..12], [0x28, 0x13, 0xd8, 0xdc]);
    }

    #[test]
    fn interrupted_creations() {
        for bytes in [
            &b""[..],
            b"C",
            b"CWI",
            b"CWIK",
            b"CWIC\0\0\0",
            &[0; 8],
            &[0; 4096],
            b"CWIK\0\x01\0\0\0\0",
        ] {
            assert_eq!(parse(bytes), HeaderState::Interrupted, "{bytes:?}");
        }
        for cut in 0..12 {
            let mut bytes = Layout::V1.encode();
            bytes[cut..].fill(0);
            assert_eq!(parse(&bytes), HeaderState::Interrupted, "{cut}");
        }
    }

    #[test]
    fn every_other_header_is_an_error() {
        let invalid = |bytes: &[u8]| matches!(parse(bytes), HeaderState::Invalid(_));
        assert!(invalid(b"XWIK"));
        assert!(invalid(&[0; 4097]));
        assert!(invalid(b"CWIC\0\x02\0\0"));
        for at in 0..4096 {
            let mut bytes = Layout::V1.encode();
            bytes[at] ^= 0x40;
            assert!(invalid(&bytes), "{at}");
        }
    }
}
