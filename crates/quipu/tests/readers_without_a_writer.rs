//! Readers that are used for longer than the archive they came from.

mod common;

use common::{Bench, key, value};
use quipu::{Archive, Error, Options};

type Store = Archive<[u8; 8]>;

fn options() -> Options {
    Options::new().items_per_section(8).write_buffer(16)
}

fn fill(archive: &mut Store, indices: std::ops::Range<u64>, round: u64) {
    for index in indices {
        let number = round * 1000 + index;
        let _ = archive
            .put(index, &key(number), &value(number, 20))
            .unwrap();
    }
}

#[test]
fn they_read_on_until_another_writer_comes() {
    Bench::each(options(), |bench| {
        let mut archive: Store = bench.open();
        fill(&mut archive, 0..20, 1);
        let reader = archive.reader();
        archive.close().unwrap();
        assert_eq!(reader.get(7).unwrap().unwrap(), value(1007, 20));
        assert_eq!(reader.range(..).filter(Result::is_ok).count(), 20);
        let mut next: Store = bench.open();
        assert_eq!(reader.get(7).unwrap().unwrap(), value(1007, 20));
        fill(&mut next, 20..21, 1);
        assert!(matches!(reader.get(7), Err(Error::Closed { .. })));
        assert!(matches!(reader.has(7), Err(Error::Closed { .. })));
        assert!(matches!(
            reader.get(&key::<8>(1007)),
            Err(Error::Closed { .. })
        ));
        let items: Vec<_> = reader.range(..).collect();
        assert!(matches!(&items[..], [Err(Error::Closed { .. })]));
        assert!(next.get(7).unwrap().is_some());
    });
}

#[test]
fn they_never_give_the_bytes_of_another_writer() {
    Bench::each(options(), |bench| {
        let mut archive: Store = bench.open();
        fill(&mut archive, 0..4, 1);
        archive.sync().unwrap();
        // Written, but not synced: the next writer puts others in their place.
        fill(&mut archive, 4..8, 1);
        let reader = archive.reader();
        drop(archive);
        let mut next: Store = bench.open();
        fill(&mut next, 4..8, 2);
        next.sync().unwrap();
        for index in 4..8 {
            assert!(matches!(reader.get(index), Err(Error::Closed { .. })));
            assert_eq!(next.get(index).unwrap().unwrap(), value(2000 + index, 20));
        }
    });
}

#[test]
fn a_destroyed_archive_has_no_readers() {
    Bench::each(options(), |bench| {
        let mut archive: Store = bench.open();
        fill(&mut archive, 0..20, 1);
        let reader = archive.reader();
        archive.destroy().unwrap();
        assert!(matches!(reader.get(7), Err(Error::Closed { .. })));
    });
}
