//! A second reading of the section format, from `docs/format.md` alone: it shares no code with the
//! library, so that a mistake there is not made twice.

/// The numbers of an archive that its section files are read with.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// Bytes of a key.
    pub key_size: usize,
    /// Bytes of the stream in a page.
    pub page_size: usize,
    /// Indices that a section spans.
    pub items_per_section: u64,
}

/// Bytes of the two slots behind a page.
const SLOTS: usize = 12;
/// Bytes of an entry beside its key.
const ENTRY_REST: usize = 20;

/// One entry of an index file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The index of its item.
    pub index: u64,
    /// Its key.
    pub key: Vec<u8>,
    /// Where its value begins, counted from behind the header of the value file.
    pub offset: u64,
    /// Bytes of the value with its checksum.
    pub size: u32,
}

impl Format {
    /// Bytes of an entry.
    pub fn entry_size(&self) -> usize {
        self.key_size + ENTRY_REST
    }

    /// Bytes of a page on disk.
    pub fn physical_page(&self) -> usize {
        self.page_size + SLOTS
    }

    /// The section of an index.
    pub fn section_of(&self, index: u64) -> u64 {
        index - index % self.items_per_section
    }

    /// The stream of an index file's data, page by page: as many bytes of each as its slots vouch
    /// for. Of a part of a page at the end, what lacks may have been zeros.
    pub fn pages(&self, data: &[u8]) -> Vec<Vec<u8>> {
        let pages = data.chunks(self.physical_page()).map(|page| {
            let mut page = page.to_vec();
            page.resize(self.physical_page(), 0);
            self.vouched(&page).to_vec()
        });
        pages.collect()
    }

    /// The first bytes of a page that its slots vouch for: those of the slot with the larger length
    /// if its checksum is right, else those of the other.
    fn vouched<'a>(&self, page: &'a [u8]) -> &'a [u8] {
        let slot = |at: usize| {
            let len = number(page, self.page_size + at, 2) as usize;
            (len, number(page, self.page_size + at + 2, 4) as u32)
        };
        let mut slots = [slot(0), slot(6)];
        slots.sort_by_key(|&(len, _)| std::cmp::Reverse(len));
        let right = slots.into_iter().find_map(|(len, crc)| {
            let bytes = page.get(..len).filter(|_| len <= self.page_size)?;
            (len > 0 && crc32c(bytes) == crc).then_some(bytes)
        });
        right.unwrap_or_default()
    }

    /// The bytes of the entry at a position, where every page that has a part of it vouches for
    /// that part.
    pub fn entry_bytes(&self, pages: &[Vec<u8>], position: usize) -> Option<Vec<u8>> {
        let start = position * self.entry_size();
        let stream = start..start + self.entry_size();
        stream
            .map(|at| pages.get(at / self.page_size)?.get(at % self.page_size))
            .map(|byte| byte.copied())
            .collect()
    }

    /// The entry that these bytes are.
    pub fn entry(&self, bytes: &[u8]) -> Entry {
        let key = bytes.get(8..8 + self.key_size).unwrap_or_default();
        Entry {
            index: number(bytes, 0, 8),
            key: key.to_vec(),
            offset: number(bytes, 8 + self.key_size, 8),
            size: number(bytes, 16 + self.key_size, 4) as u32,
        }
    }
}

/// Where a section file's data begins, by the first bytes of its header.
pub fn header_size(file: &[u8]) -> Option<usize> {
    match file.get(..4)? {
        b"CWIC" => Some(8),
        b"CWIK" => Some(4096),
        _ => None,
    }
}

/// A big-endian number of `len` bytes; bytes that are not there count as 0.
fn number(bytes: &[u8], at: usize, len: usize) -> u64 {
    let digits = bytes.iter().skip(at).take(len);
    digits.fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// CRC-32C, one bit after the other through a table.
pub fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, &byte: &u8| {
        let low = (crc ^ u32::from(byte)) as usize & 0xff;
        (crc >> 8) ^ CRC_TABLE.get(low).copied().unwrap_or(0)
    };
    !bytes.iter().fold(!0, step)
}

const CRC_TABLE: [u32; 256] = crc_table();

const fn crc_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 * (crc & 1));
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_rfc_3720() {
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8A91_36AA);
    }

    #[test]
    fn a_page_falls_back_to_its_shorter_slot() {
        let format = Format {
            key_size: 0,
            page_size: 8,
            items_per_section: 1,
        };
        let mut page = b"abcdef\0\0".to_vec();
        for len in [4u16, 6] {
            page.extend_from_slice(&len.to_be_bytes());
            page.extend_from_slice(&crc32c(&b"abcdef"[..usize::from(len)]).to_be_bytes());
        }
        assert_eq!(format.pages(&page), [b"abcdef"]);
        page[5] ^= 1;
        assert_eq!(format.pages(&page), [b"abcd"]);
        page[0] ^= 1;
        assert_eq!(format.pages(&page), [b""]);
    }
}
