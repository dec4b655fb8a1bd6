//! What can be read of blobs that are closed.

use super::super::{OpenMode, Storage, Window};
use super::{PARTITION, create, must, open, read_all, write};
use crate::error::Error;

/// Bytes from `offset` on, as a window shows them; none where it does not.
fn look(window: &dyn Window, offset: u64, len: usize) -> Option<Vec<u8>> {
    let mut bytes = b"before".to_vec();
    let is_shown = window.read_into(&mut bytes, offset, len);
    assert_eq!(bytes.get(..6), Some(&b"before"[..]));
    let read = bytes.split_off(6);
    assert_eq!(read.len(), if is_shown { len } else { 0 });
    is_shown.then_some(read)
}

/// A window shows the bytes of its blob or says that it does not, whatever becomes of the blob; and a blob that is opened
/// with one is the blob of that name.
pub fn windows(storage: &dyn Storage) {
    let content: Vec<u8> = (0..300_000).map(|at| (at / 5) as u8).collect();
    let blob = create(storage, "a", &content);
    // Often enough that a storage may think of something.
    for at in (0..40).map(|nth| nth * 7_000) {
        must(blob.read_into(&mut Vec::new(), at, 5_000));
    }
    let Some(window) = blob.window() else {
        return;
    };
    drop(blob);
    let shows = |content: &[u8]| {
        for (at, len) in [(0, 1), (7_000, 5_000), (65_000, 2_000), (299_990, 10)] {
            let expected = content.get(at..at + len);
            let shown = look(&*window, at as u64, len);
            assert!(shown.is_none() || shown.as_deref() == expected, "{at}");
        }
    };
    shows(&content);
    for (at, len) in [
        (299_999, 2),
        (300_000, 1),
        (1 << 40, 5),
        (u64::MAX, 1),
        (u64::MAX - 3, 8),
    ] {
        assert_eq!(look(&*window, at, len), None, "{at}");
    }

    let again = must(storage.open_again(PARTITION, "a", OpenMode::Write, &window));
    assert_eq!(read_all(&*again), content);
    let mut changed = content.clone();
    changed.splice(7_100..7_103, *b"new");
    write(&*again, b"new", 7_100);
    shows(&changed);

    create(storage, "b", b"other");
    must(storage.rename(PARTITION, "b", "a"));
    shows(&changed);
    let other = must(storage.open_again(PARTITION, "a", OpenMode::Read, &window));
    assert_eq!(read_all(&*other), b"other");
    must(storage.remove(PARTITION, "a"));
    shows(&changed);
    let gone = storage.open_again(PARTITION, "a", OpenMode::Read, &window);
    expect_error!(gone, Error::NotFound { .. });

    must(again.resize(10));
    let shown = look(&*window, 0, 5);
    assert!(shown.is_none() || shown.as_deref() == changed.get(..5));
    assert_eq!(look(&*window, 7_000, 5_000), None);
    assert!(open(storage, "a", OpenMode::Create).window().is_some());
}
