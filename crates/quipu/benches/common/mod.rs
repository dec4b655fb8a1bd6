//! Numbers and keys of chance, the same in every run.

pub(crate) fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

pub(crate) fn key(index: u64) -> [u8; 32] {
    let mut key = [0; 32];
    for (part, bytes) in key.chunks_mut(8).enumerate() {
        bytes.copy_from_slice(&mix(index ^ ((part as u64) << 60)).to_le_bytes());
    }
    key
}
