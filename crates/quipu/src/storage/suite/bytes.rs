//! What is in a blob.

use std::io::IoSlice;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::super::{OpenMode, Storage};
use super::{create, must, open, read, read_all, write};
use crate::error::Error;

/// A write is seen through every handle, opened before or after it.
pub fn read_your_writes(storage: &dyn Storage) {
    let writer = create(storage, "blob", b"");
    let before = open(storage, "blob", OpenMode::Read);
    write(&*writer, b"0123456789", 0);
    write(&*writer, b"abc", 4);
    must(writer.sync());
    let after = open(storage, "blob", OpenMode::Write);
    for reader in [&writer, &before, &after] {
        assert_eq!(must(reader.len()), 10);
        assert_eq!(read_all(&**reader), b"0123abc789");
        assert_eq!(read(&**reader, 3, 4), b"3abc");
    }
}

/// Buffers of one write stand back to back; empty ones and thousands of them are fine.
pub fn several_buffers_in_one_write(storage: &dyn Storage) {
    let blob = create(storage, "few", b"....");
    let few: [&[u8]; 5] = [b"", b"one", b"", b"two", b""];
    must(blob.write_at(&few.map(IoSlice::new), 2));
    assert_eq!(read_all(&*blob), b"..onetwo");

    let blob = create(storage, "many", b"");
    let content: Vec<u8> = (0..=255).cycle().take(3 * 5000).collect();
    let many: Vec<IoSlice<'_>> = content.chunks(3).map(IoSlice::new).collect();
    must(blob.write_at(&many, 7));
    assert_eq!(read(&*blob, 7, content.len()), content);
}

/// A write behind the end leaves zeros between.
pub fn holes_read_as_zeros(storage: &dyn Storage) {
    let blob = create(storage, "blob", b"x");
    write(&*blob, b"y", 200_000);
    assert_eq!(must(blob.len()), 200_001);
    assert_eq!(read(&*blob, 0, 3), b"x\0\0");
    assert!(read(&*blob, 1, 199_999).iter().all(|&b| b == 0));
    assert_eq!(read(&*blob, 199_999, 2), b"\0y");
}

/// Nothing but zeros is passed over on the way to the next byte that may have been written.
pub fn what_was_written_is_not_skipped(storage: &dyn Storage) {
    let blob = create(storage, "blob", b"x");
    let written = [0, 200_000, 200_001, 1_000_000];
    written.iter().for_each(|&at| write(&*blob, b"y", at));
    must(blob.resize(3_000_000));
    for offset in [
        0, 1, 5_000, 199_999, 200_000, 200_001, 200_002, 999_999, 1_000_001, 2_999_999,
    ] {
        let next = must(blob.next_written(offset));
        assert!((offset..=3_000_000).contains(&next), "{next} from {offset}");
        let passed = written.iter().find(|at| (offset..next).contains(at));
        assert_eq!(passed, None, "{next} from {offset}");
    }
}

/// A read that is not whole is an error that tells the length and the path.
pub fn reads_past_the_end(storage: &dyn Storage) {
    let blob = create(storage, "blob", b"0123456789");
    for (offset, wanted) in [(0, 11), (9, 2), (10, 1), (11, 1), (1 << 40, 70_000)] {
        match blob.read_at(&mut vec![0; wanted], offset) {
            Err(Error::OutOfBounds { path, len: 10, .. }) if path == blob.path() => {}
            other => panic!("{wanted} bytes at {offset}: {other:?}"),
        }
        let mut kept = b"kept".to_vec();
        let result = blob.read_into(&mut kept, offset, wanted);
        expect_error!(result, Error::OutOfBounds { len: 10, .. });
        assert_eq!(kept, b"kept");
    }
    // As a damaged size may ask for; no memory is taken for it.
    let huge = blob.read_into(&mut Vec::new(), 0, usize::MAX / 4);
    expect_error!(huge, Error::OutOfBounds { len: 10, .. });
}

/// `read_into` keeps what the buffer has, also in one with more room than is needed.
pub fn read_into_appends(storage: &dyn Storage) {
    let content: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let blob = create(storage, "blob", &content);
    for capacity in [0, 10, 4096, 1_000_000] {
        for len in [0, 1, 100, 5000, 299_999] {
            let mut buf = Vec::with_capacity(capacity);
            buf.extend_from_slice(b"head");
            must(blob.read_into(&mut buf, 1, len));
            assert_eq!(buf.len(), 4 + len);
            assert!(buf.starts_with(b"head") && buf.ends_with(&content[1..=len]));
        }
    }
}

/// Moving no bytes does nothing, wherever.
pub fn empty_reads_and_writes(storage: &dyn Storage) {
    let blob = create(storage, "blob", b"abc");
    for offset in [0, 3, 4, 1 << 40] {
        must(blob.read_at(&mut [], offset));
        must(blob.read_into(&mut Vec::new(), offset, 0));
        must(blob.write_at(&[], offset));
        write(&*blob, b"", offset);
    }
    assert_eq!(read_all(&*blob), b"abc");
    assert!(!must(blob.is_empty()));
}

/// What reaches beyond the last offset is an error, and changes nothing.
pub fn offsets_near_the_limit(storage: &dyn Storage) {
    let blob = create(storage, "blob", b"abc");
    let limit = i64::MAX as u64;
    for offset in [limit - 1, limit, limit + 1, u64::MAX - 1, u64::MAX] {
        expect_error!(
            blob.read_at(&mut [0; 2], offset),
            Error::OutOfBounds { len: 3, .. }
        );
        expect_error!(
            blob.read_into(&mut Vec::new(), offset, 2),
            Error::OutOfBounds { len: 3, .. }
        );
        expect_error!(
            blob.read_into(&mut Vec::new(), offset, usize::MAX),
            Error::OutOfBounds { .. }
        );
        if offset >= limit {
            let bufs = [IoSlice::new(b"x"), IoSlice::new(b"y")];
            expect_error!(blob.write_at(&bufs, offset), Error::OutOfBounds { .. });
        }
        if offset > limit {
            expect_error!(blob.resize(offset), Error::OutOfBounds { .. });
        }
    }
    assert_eq!(read_all(&*blob), b"abc");
}

/// Offsets beyond 32 bits work. The blob gets 5 GiB long and has a few bytes in it.
pub fn blobs_of_several_gib(storage: &dyn Storage) {
    const GIB: u64 = 1 << 30;
    let blob = create(storage, "blob", b"start");
    write(&*blob, b"end", 5 * GIB);
    write(&*blob, b"across", 4 * GIB - 3);
    assert_eq!(must(blob.len()), 5 * GIB + 3);
    assert_eq!(read(&*blob, 4 * GIB - 4, 8), b"\0across\0");
    assert_eq!(read(&*blob, 0, 6), b"start\0");
    assert_eq!(read(&*blob, 5 * GIB - 1, 4), b"\0end");
    must(blob.resize(4 * GIB));
    assert_eq!(read(&*blob, 4 * GIB - 3, 3), b"acr");
    expect_error!(
        blob.read_at(&mut [0; 4], 4 * GIB - 3),
        Error::OutOfBounds { .. }
    );
}

/// A cut takes bytes away for good: growing again shows zeros.
pub fn resize_both_ways(storage: &dyn Storage) {
    let blob = create(storage, "blob", &[7; 10_000]);
    for cut in [9_999, 4096, 4095, 1, 0] {
        must(blob.resize(cut));
        assert_eq!(must(blob.len()), cut);
        must(blob.resize(10_000));
        let mut wanted = vec![7; cut as usize];
        wanted.resize(10_000, 0);
        assert!(read_all(&*blob) == wanted, "cut to {cut}");
        must(blob.sync());
    }
    must(blob.resize(0));
    assert!(must(blob.is_empty()));
}

/// Readers run beside a writer and see every write that has returned, whole.
pub fn concurrent_readers(storage: &dyn Storage) {
    const BLOCK: usize = 3000;
    const BLOCKS: u64 = 250;
    let writer = create(storage, "blob", &[0; BLOCK]);
    let written = AtomicU64::new(1);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let reader = open(storage, "blob", OpenMode::Read);
                loop {
                    let blocks = written.load(Ordering::Acquire);
                    let last = read(&*reader, (blocks - 1) * BLOCK as u64, BLOCK);
                    assert!(last.iter().all(|&b| u64::from(b) == blocks - 1));
                    if blocks == BLOCKS {
                        break;
                    }
                }
            });
        }
        for block in 1..BLOCKS {
            write(&*writer, &[block as u8; BLOCK], block * BLOCK as u64);
            written.store(block + 1, Ordering::Release);
        }
    });
}
