//! zstd frames as values: what they claim, what they grow to, what they ask for.

use quipu::storage::Storage;
use quipu::{Compression, Error};

use super::crafted::*;
use super::{alone, within};

fn with_frame(frame: &[u8]) -> Crafted {
    let crafted = Crafted::with(options().compression(Compression::Zstd(3)));
    let values = stored(frame);
    crafted.section(0, &[(0, 0, values.len() as u32)], &values);
    crafted
}

#[test]
fn a_frame_that_grows_past_the_greatest_value() {
    let _alone = alone();
    // The level and size make blocks of repeated bytes: 128 MiB in a few KiB.
    let huge = zstd::bulk::compress(&vec![0; 128 << 20], 1).unwrap();
    let mut unsized_frame = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    std::io::copy(
        &mut std::io::Read::take(std::io::repeat(0), 128 << 20),
        &mut unsized_frame,
    )
    .unwrap();
    for frame in [huge, unsized_frame.finish().unwrap()] {
        assert!(frame.len() < 1 << 16);
        let crafted = with_frame(&frame);
        let read = within(4 * MAX_VALUE_SIZE as usize, || {
            let archive = crafted.open().unwrap();
            assert!(archive.range(..1).next().unwrap().is_err());
            archive.get(0)
        });
        assert!(
            matches!(
                read,
                Err(Error::ValueTooLarge { .. } | Error::Decompression(_))
            ),
            "{read:?}"
        );
    }
}

#[test]
fn a_frame_that_only_claims_to_be_huge() {
    let _alone = alone();
    for claimed in [1 << 17, 1 << 31, 1 << 40, u64::MAX - 1, u64::MAX] {
        // Magic, a descriptor with a size of 8 bytes in a single segment, one raw block of a byte.
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xe0];
        frame.extend_from_slice(&u64::to_le_bytes(claimed));
        frame.extend_from_slice(&[0x09, 0, 0, b'x']);
        let crafted = with_frame(&frame);
        let read = within(4 * MAX_VALUE_SIZE as usize, || {
            crafted.open().unwrap().get(0)
        });
        assert!(read.is_err(), "{claimed}: {read:?}");
    }
}

/// zstd takes the window that a frame asks for before it looks at anything else.
#[test]
fn a_frame_whose_window_no_value_needs() {
    let _alone = alone();
    // A window of 2^27 bytes, size not said.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3, 0x09, 0, 0, b'x'];
    let read = with_frame(&frame).open().unwrap().get(0);
    assert!(matches!(read, Err(Error::Decompression(_))), "{read:?}");
}

#[test]
fn a_compressed_value_larger_than_any_can_be_is_not_read() {
    let _alone = alone();
    let crafted = Crafted::with(options().compression(Compression::Zstd(3)));
    let len = 1 << 30;
    crafted.section(0, &[(0, 0, len)], b"");
    let blob = crafted.memory.open(
        "values",
        "0000000000000000",
        quipu::storage::OpenMode::Write,
    );
    blob.unwrap().resize(u64::from(len) + 8).unwrap();
    let read = within(1 << 20, || crafted.open().unwrap().get(0));
    assert!(matches!(read, Err(Error::ValueTooLarge { .. })), "{read:?}");
}
