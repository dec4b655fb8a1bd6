//! The fixed journal and the glob on their own.

use std::ops::ControlFlow;
use std::sync::Arc;

use quipu::journal::{Config, Fixed, Glob, Record};
use quipu::storage::{Disk, Memory, OpenMode, Storage};
use quipu::{Error, Layout, PageCache, Result};

/// A record of 12 bytes, so that records straddle most pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Number(u64);

impl Record for Number {
    const SIZE: usize = 12;

    fn encode(&self, out: &mut [u8]) {
        out[..8].copy_from_slice(&self.0.to_be_bytes());
        out[8..].copy_from_slice(b"tail");
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        if &bytes[8..] != b"tail" {
            return Err(Error::Codec("expected a tail".to_owned()));
        }
        Ok(Self(
            bytes[..8]
                .iter()
                .fold(0, |n, &byte| n << 8 | u64::from(byte)),
        ))
    }
}

fn each(run: impl Fn(Arc<dyn Storage>)) {
    run(Arc::new(Memory::new()));
    let folder = tempfile::tempdir().unwrap();
    run(Arc::new(Disk::open(folder.path()).unwrap()));
}

fn open(storage: &Arc<dyn Storage>, page_size: u16) -> Fixed<Number> {
    Fixed::open(
        Arc::clone(storage),
        "numbers",
        Config::with_page_size(page_size),
    )
    .unwrap()
}

fn fill(storage: &Arc<dyn Storage>, page_size: u16, count: u64) {
    let mut journal = open(storage, page_size);
    for n in 0..count {
        assert_eq!(journal.append(3, &Number(n)).unwrap(), n);
    }
    journal.sync(3).unwrap();
}

fn file(storage: &Arc<dyn Storage>) -> Vec<u8> {
    let blob = storage
        .open("numbers", "0000000000000003", OpenMode::Read)
        .unwrap();
    let mut bytes = Vec::new();
    blob.read_into(&mut bytes, 0, blob.len().unwrap() as usize)
        .unwrap();
    bytes
}

fn put_file(storage: &Arc<dyn Storage>, bytes: &[u8]) {
    let blob = storage
        .open("numbers", "0000000000000003", OpenMode::Create)
        .unwrap();
    blob.resize(0).unwrap();
    blob.write_at(&[std::io::IoSlice::new(bytes)], 0).unwrap();
}

#[test]
fn pages_of_every_kind_of_size() {
    for page_size in [1, 2, 11, 12, 13, 64, 100, 4084, u16::MAX] {
        each(|storage| {
            let mut journal = open(&storage, page_size);
            for n in 0..200 {
                journal.append(3, &Number(n)).unwrap();
                if n % 7 == 0 {
                    journal.sync(3).unwrap();
                }
            }
            (0..200).for_each(|n| assert_eq!(journal.get(3, n).unwrap(), Number(n)));
            journal.sync_all().unwrap();
            drop(journal);
            let journal = open(&storage, page_size);
            (0..200)
                .rev()
                .for_each(|n| assert_eq!(journal.get(3, n).unwrap(), Number(n)));
            assert_eq!(
                (journal.section_len(3).unwrap(), journal.size(3).unwrap()),
                (200, 2400)
            );
        });
    }
}

#[test]
fn every_cut_leaves_the_records_that_are_whole() {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    fill(&storage, 20, 9);
    let whole = file(&storage);
    for cut in 0..=whole.len() {
        put_file(&storage, &whole[..cut]);
        let mut journal = open(&storage, 20);
        // Pages of 20 bytes take 32; the last holds 8.
        let pages = cut.saturating_sub(4096) / 32;
        let kept = (if pages == 6 { 108 } else { pages * 20 }) as u64 / 12;
        assert_eq!(journal.section_len(3).unwrap(), kept, "{cut}");
        (0..kept).for_each(|n| assert_eq!(journal.get(3, n).unwrap(), Number(n)));
        assert_eq!(journal.append(3, &Number(99)).unwrap(), kept);
        journal.sync(3).unwrap();
        drop(journal);
        assert_eq!(open(&storage, 20).last(3).unwrap(), Some(Number(99)));
    }
}

#[test]
fn every_flipped_byte_hits_the_records_of_its_page_alone() {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    fill(&storage, 20, 9);
    let whole = file(&storage);
    for at in 4096..4096 + 5 * 32 {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x20;
        put_file(&storage, &bytes);
        let journal = open(&storage, 20);
        let (page, within) = ((at - 4096) / 32, (at - 4096) % 32);
        let hit = |n: u64| {
            within < 26 && n * 12 < (page as u64 + 1) * 20 && n * 12 + 12 > page as u64 * 20
        };
        let mut seen = 0;
        journal
            .replay(3, 0, |_, n, record| {
                seen += 1;
                assert_eq!(record.is_err(), hit(n), "byte {at}, record {n}");
                assert_eq!(journal.get(3, n).is_err(), hit(n), "byte {at}, record {n}");
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(seen, 9);
    }
}

#[test]
fn rewinds_to_every_length() {
    for page_size in [5, 20, 4084] {
        for kept in 0..=9 {
            each(|storage| {
                fill(&storage, page_size, 9);
                let mut journal = open(&storage, page_size);
                // What was read before the cut must not come back after it.
                (0..9).for_each(|n| assert_eq!(journal.get(3, n).unwrap(), Number(n)));
                journal.rewind(3, kept * 12 + 5).unwrap();
                assert_eq!(journal.section_len(3).unwrap(), kept);
                for n in kept..9 {
                    assert_eq!(journal.append(3, &Number(n + 100)).unwrap(), n);
                }
                journal.sync(3).unwrap();
                let expected = |n| Number(if n < kept { n } else { n + 100 });
                (0..9).for_each(|n| assert_eq!(journal.get(3, n).unwrap(), expected(n)));
                drop(journal);
                let journal = open(&storage, page_size);
                (0..9).for_each(|n| assert_eq!(journal.get(3, n).unwrap(), expected(n)));
            });
        }
    }
}

/// A page that was cut, and filled again, is not the one that is in the cache.
#[test]
fn a_page_that_is_filled_again_after_a_rewind_is_read_anew() {
    each(|storage| {
        let mut config = Config::with_page_size(64);
        config.page_cache = PageCache::new(100_000);
        let mut journal: Fixed<Number> = Fixed::open(storage, "numbers", config.clone()).unwrap();
        for life in 0..3 {
            for n in (life * 7)..50 {
                assert_eq!(journal.append(3, &Number(n + 100 * life)).unwrap(), n);
            }
            journal.sync(3).unwrap();
            let hits = config.page_cache.hits();
            let number = |n| {
                (0..=life)
                    .rev()
                    .find(|life| n >= life * 7)
                    .map(|life| n + 100 * life)
            };
            (0..50).for_each(|n| assert_eq!(journal.get(3, n).ok().map(|of| of.0), number(n)));
            assert!(config.page_cache.hits() > hits);
            journal.rewind(3, (life + 1) * 7 * 12).unwrap();
        }
    });
}

#[test]
fn sections_come_and_go() {
    each(|storage| {
        let mut journal = open(&storage, 64);
        for section in [0, 5, u64::MAX - 1, u64::MAX] {
            journal.append(section, &Number(section)).unwrap();
        }
        journal.sync_all().unwrap();
        assert!(journal.prune(5).unwrap() && !journal.prune(5).unwrap());
        assert!(matches!(
            journal.get(0, 0),
            Err(Error::SectionPruned {
                section: 0,
                oldest: 5
            })
        ));
        assert!(matches!(
            journal.append(4, &Number(0)),
            Err(Error::SectionPruned { .. })
        ));
        assert!(matches!(
            journal.get(7, 0),
            Err(Error::SectionOutOfRange { section: 7 })
        ));
        assert!(matches!(
            journal.get(5, 1),
            Err(Error::ItemOutOfRange {
                position: 1,
                len: 1,
                ..
            })
        ));
        assert!(journal.get(5, u64::MAX).is_err());
        assert_eq!(
            journal.sections().collect::<Vec<_>>(),
            [5, u64::MAX - 1, u64::MAX]
        );
        journal.rewind(u64::MAX - 1, 12).unwrap();
        assert_eq!(
            (journal.oldest_section(), journal.newest_section()),
            (Some(5), Some(u64::MAX - 1))
        );
        journal.clear().unwrap();
        assert_eq!(journal.append(0, &Number(7)).unwrap(), 0);
        journal.sync_all().unwrap();
        journal.destroy().unwrap();
        assert_eq!(storage.list("numbers").unwrap(), [""; 0]);
    });
}

#[test]
fn both_header_layouts_and_a_shared_cache() {
    for layout in [Layout::V0, Layout::V1] {
        each(|storage| {
            let mut config = Config::with_page_size(64);
            config.layout = layout;
            config.page_cache = PageCache::new(10_000);
            let mut journal: Fixed<Number> =
                Fixed::open(Arc::clone(&storage), "numbers", config.clone()).unwrap();
            for n in 0..100 {
                journal.append(3, &Number(n)).unwrap();
            }
            journal.sync_all().unwrap();
            let again: Fixed<Number> =
                Fixed::open(Arc::clone(&storage), "numbers", config.clone()).unwrap();
            (0..100).for_each(|n| assert_eq!(again.get(3, n).unwrap(), Number(n)));
            assert!(config.page_cache.hits() > 0 && config.page_cache.bytes() <= 10_000);
            assert_eq!(
                file(&storage)[..4],
                if layout == Layout::V0 {
                    *b"CWIC"
                } else {
                    *b"CWIK"
                }
            );
        });
    }
}

#[test]
fn values_of_a_glob_through_the_buffer_and_around_it() {
    each(|storage| {
        let mut config = Config::default();
        config.write_buffer = 100;
        let mut glob = Glob::open(Arc::clone(&storage), "values", config.clone()).unwrap();
        let lens = [0usize, 1, 50, 96, 97, 100, 1000, 3];
        let places: Vec<_> = lens
            .iter()
            .map(|&len| glob.append(1, &vec![len as u8; len]).unwrap())
            .collect();
        let check = |glob: &Glob| {
            for (&len, &(offset, size)) in lens.iter().zip(&places) {
                assert_eq!(size as usize, len + 4);
                assert_eq!(glob.get(1, offset, size).unwrap(), vec![len as u8; len]);
            }
        };
        check(&glob);
        glob.sync(1).unwrap();
        drop(glob);
        let mut glob = Glob::open(storage, "values", config).unwrap();
        check(&glob);
        assert_eq!(
            glob.size(1).unwrap(),
            lens.iter().map(|len| *len as u64 + 4).sum::<u64>()
        );
        glob.rewind_section(1, places[3].0).unwrap();
        assert!(matches!(
            glob.get(1, places[3].0, places[3].1),
            Err(Error::OutOfBounds { .. })
        ));
        assert!(glob.remove_section(1).unwrap() && !glob.remove_section(1).unwrap());
        assert_eq!(glob.append(1, b"again").unwrap().0, 0);
        glob.destroy().unwrap();
    });
}

#[test]
fn another_page_size_is_an_error_and_cuts_nothing() {
    each(|storage| {
        fill(&storage, 100, 50);
        let before = file(&storage);
        for asked in [1, 99, 200, u16::MAX] {
            let config = Config::with_page_size(asked);
            let error = Fixed::<Number>::open(Arc::clone(&storage), "numbers", config).unwrap_err();
            let said = error.to_string();
            assert!(matches!(error, Error::Settings { .. }), "{said}");
            assert!(
                said.contains("100") && said.contains(&asked.to_string()),
                "{said}"
            );
            assert_eq!(file(&storage), before);
        }
    });
}
