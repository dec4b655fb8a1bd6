//! Reading and writing of fields: big-endian integers, byte strings behind their length.

/// Appends fields to a buffer.
#[derive(Default)]
pub(crate) struct Encoder(pub(crate) Vec<u8>);

impl Encoder {
    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// A string of at most 65,535 bytes; names are far shorter.
    pub(crate) fn string(&mut self, value: &str) {
        let len = value.len().min(usize::from(u16::MAX));
        self.u16(len as u16);
        self.0.extend_from_slice(&value.as_bytes()[..len]);
    }
}

/// Takes fields off the front of a buffer; `None` where the buffer ends too early.
pub(crate) struct Decoder<'a> {
    rest: &'a [u8],
    whole: usize,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            whole: bytes.len(),
        }
    }

    /// How many bytes were taken.
    pub(crate) fn offset(&self) -> usize {
        self.whole - self.rest.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn string(&mut self) -> Option<String> {
        let len = self.u16()?;
        String::from_utf8(self.bytes(usize::from(len))?.to_vec()).ok()
    }
}
