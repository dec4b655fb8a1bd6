//! Batches whose values are compressed ahead: the files are those that puts one by one make.

mod common;

use common::{Bench, key, mix};
use quipu::{Archive, Bytes, Compression, Error, Options, Put, Result, Value};

type Store<V = Bytes> = Archive<[u8; 16], V>;

fn options() -> Options {
    Options::new()
        .items_per_section(64)
        .compression(Compression::Zstd(3))
}

/// Some that compress well and some that do not, of nothing to 40,000 bytes; 8 MiB together.
fn value(index: u64) -> Vec<u8> {
    let random = mix(index);
    let len = match random % 5 {
        0 => random % 40_000,
        1 => 0,
        _ => random % 9000,
    };
    let noise = random % 3;
    (0..len)
        .map(|at| match noise {
            0 => mix(index + at) as u8,
            _ => (at / 100) as u8,
        })
        .collect()
}

fn blobs(bench: &Bench) -> Vec<((String, String), Vec<u8>)> {
    let is_sections =
        |(partition, _): &(String, String)| partition == "index" || partition == "values";
    let blobs = bench.blobs().into_iter();
    blobs.filter(|(name, _)| is_sections(name)).collect()
}

#[test]
fn a_batch_makes_the_files_that_puts_one_by_one_make() {
    // In order, then some that are there already and some between.
    let indices: Vec<u64> = (0..1000).chain((0..2000).step_by(3)).collect();
    Bench::each(options(), |one_by_one| {
        let mut archive: Store = one_by_one.open();
        let mut stored = 0;
        for &index in &indices {
            let put = archive.put(index, &key(index), &value(index)).unwrap();
            stored += u64::from(put == Put::Stored);
        }
        archive.close().unwrap();
        Bench::disk(options(), |batch| {
            let mut archive: Store = batch.open();
            let items = indices
                .iter()
                .map(|&index| (index, key(index), value(index)));
            assert_eq!(archive.put_batch(items).unwrap(), stored);
            for &index in &indices {
                assert_eq!(archive.get(index).unwrap().unwrap(), value(index));
            }
            archive.close().unwrap();
            assert!(blobs(one_by_one) == blobs(batch));
        });
    });
}

/// Sections from before the setting was changed stay as they are.
#[test]
fn a_batch_goes_on_with_sections_that_are_not_compressed() {
    Bench::each(options(), |bench| {
        let plain = || {
            Options::new()
                .items_per_section(64)
                .compression(Compression::Off)
        };
        let mut archive: Store = plain().open_on(bench.storage()).unwrap();
        for index in (0..300).step_by(2) {
            let _ = archive.put(index, &key(index), &value(index)).unwrap();
        }
        archive.close().unwrap();
        let mut archive: Store = bench.open();
        let items = (0..600).map(|index| (index, key(index), value(index)));
        assert_eq!(archive.put_batch(items).unwrap(), 450);
        archive.close().unwrap();
        let archive: Store = bench.open();
        for index in 0..600 {
            assert_eq!(archive.get(index).unwrap().unwrap(), value(index));
        }
    });
}

/// A value that cannot be stored in one of so many cases.
#[derive(Debug)]
struct Picky(u64);

impl Value for Picky {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        if self.0 == 777 {
            return Err(Error::Codec("not this one".to_owned()));
        }
        out.extend_from_slice(&value(self.0));
        Ok(())
    }

    fn decode(bytes: Bytes) -> Result<Self> {
        Ok(Self(bytes.len() as u64))
    }
}

#[test]
fn what_comes_before_an_error_is_stored_and_nothing_behind_it() {
    Bench::each(options(), |bench| {
        let mut archive: Store<Picky> = bench.options().open_on(bench.storage()).unwrap();
        let items = (0..2000).map(|index| (index, key(index), Picky(index)));
        let put = archive.put_batch(items);
        assert!(matches!(put, Err(Error::Codec(_))), "{put:?}");
        assert_eq!(archive.ranges(), [0..=776]);
        assert_eq!(
            archive.get(776).unwrap().unwrap().0,
            value(776).len() as u64
        );
        archive.sync().unwrap();
    });
    // Nor behind one that is too large.
    Bench::each(options().max_value_size(5000), |bench| {
        let mut archive: Store = bench.open();
        let fits = |index: u64| value(index).len() <= 5000;
        let first = (0..1000).find(|&index| !fits(index)).unwrap();
        let put = archive.put_batch((0..1000).map(|index| (index, key(index), value(index))));
        assert!(matches!(put, Err(Error::ValueTooLarge { .. })), "{put:?}");
        assert_eq!(archive.last_index(), first.checked_sub(1));
    });
}
