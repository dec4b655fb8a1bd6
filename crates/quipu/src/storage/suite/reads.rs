//! Several reads at once.

use std::sync::Arc;

use super::super::{Blob, Read, Storage};
use super::{create, must, read, write};
use crate::error::Error;

fn all(storage: &dyn Storage, reads: &[Read<'_>]) -> Vec<Vec<u8>> {
    let made = storage.read_many(reads);
    assert_eq!(made.len(), reads.len());
    made.into_iter().map(must).collect()
}

/// Each read gets its own bytes: out of order, one place twice, of several blobs, of no bytes and of many.
pub fn reads_made_at_once(storage: &dyn Storage) {
    let content =
        |blob: usize| -> Vec<u8> { (0..100_000).map(|at| (at / 7 + blob) as u8).collect() };
    let blobs: Vec<Arc<dyn Blob>> = (0..3)
        .map(|nth| create(storage, &nth.to_string(), &content(nth)))
        .collect();
    let mut places = Vec::new();
    for nth in 0..1000_usize {
        places.push((nth % 3, nth * 7919 % 90_000, nth * 31 % 300));
    }
    places.extend([
        (1, 0, 100_000),
        (1, 0, 100_000),
        (2, 100_000, 0),
        (0, 99_999, 1),
    ]);
    let reads: Vec<Read<'_>> = places
        .iter()
        .map(|&(blob, offset, len)| Read {
            blob: &*blobs[blob],
            offset: offset as u64,
            len,
        })
        .collect();
    for (&(blob, offset, len), bytes) in places.iter().zip(all(storage, &reads)) {
        assert!(
            bytes == content(blob)[offset..offset + len],
            "{blob}: {len} at {offset}"
        );
    }
    assert!(all(storage, &[]).is_empty());
}

/// A read that fails says why, as it would alone, and no other fails with it; no memory is taken for what is not
/// there.
pub fn reads_at_once_that_fail(storage: &dyn Storage) {
    let blob = create(storage, "blob", b"0123456789");
    let places = [
        (0, 10),
        (9, 2),
        (0, usize::MAX / 4),
        (1 << 40, 70_000),
        (3, 4),
        (i64::MAX as u64, 2),
        (u64::MAX, 1),
        (u64::MAX, 0),
        (1 << 40, 0),
        (9, 1),
    ];
    let reads = places.map(|(offset, len)| Read {
        blob: &*blob,
        offset,
        len,
    });
    let made = storage.read_many(&reads);
    for ((offset, len), made) in places.into_iter().zip(&made) {
        match (blob.read_into(&mut Vec::new(), offset, len), made) {
            (Ok(()), Ok(bytes)) => assert_eq!(bytes, &read(&*blob, offset, len)),
            (Err(alone), Err(Error::OutOfBounds { path, len: 10, .. })) if path == blob.path() => {
                assert!(matches!(alone, Error::OutOfBounds { len: 10, .. }));
            }
            other => panic!("{len} bytes at {offset}: {other:?}"),
        }
    }
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 4);
}

/// What was written is read, whatever was in memory of it before.
pub fn reads_at_once_see_writes(storage: &dyn Storage) {
    let blob = create(storage, "blob", &[0; 20_000]);
    for round in 1..20_u8 {
        let offset = u64::from(round) * 997;
        write(&*blob, &[round; 50], offset);
        // A hint, whatever it says.
        let _ = blob.is_in_memory(offset, 50);
        let read = Read {
            blob: &*blob,
            offset,
            len: 50,
        };
        assert_eq!(all(storage, &[read; 3]), [[round; 50]; 3]);
    }
}
