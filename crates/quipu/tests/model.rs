//! Random operations, checked against a model that keeps everything in a map.

mod common;

use std::collections::BTreeMap;

use common::{Bench, key, mix, value};
use proptest::collection::vec;
use proptest::prelude::*;
use quipu::index::{EightCap, Hashed, OneCap};
use quipu::{Archive, Compression, Error, Options, Put, Status};

const SPAN: u64 = 60;

type KeyValue = ([u8; 8], Vec<u8>);

#[derive(Clone, Debug)]
enum Op {
    Put(u64),
    PutMulti(u64),
    Batch(u64, u64),
    Sync,
    Reopen,
    Kill,
    Prune(u64),
    Rewind(u64),
    Compress(bool),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (0..SPAN).prop_map(Op::Put),
        3 => (0..SPAN).prop_map(Op::PutMulti),
        3 => (0..SPAN, 1..20u64).prop_map(|(from, len)| Op::Batch(from, len)),
        4 => Just(Op::Sync),
        2 => Just(Op::Reopen),
        1 => Just(Op::Kill),
        1 => (0..SPAN).prop_map(Op::Prune),
        2 => (0..SPAN).prop_map(Op::Rewind),
        1 => any::<bool>().prop_map(Op::Compress),
    ]
}

/// What an archive should hold: at each index its items in order.
#[derive(Clone, Default)]
struct Model {
    items: BTreeMap<u64, Vec<KeyValue>>,
    floor: u64,
    items_per_section: u64,
    puts: u64,
}

impl Model {
    /// A fresh key and value; each put has its own.
    fn next(&mut self) -> KeyValue {
        self.puts += 1;
        (
            key(self.puts),
            value(self.puts, (mix(self.puts) % 300) as usize),
        )
    }

    fn put(&mut self, archive: &mut Archive<[u8; 8]>, index: u64, multi: bool) {
        let (key, value) = self.next();
        let put = match multi {
            true => archive.put_multi(index, &key, &value),
            false => archive.put(index, &key, &value),
        };
        if index < self.floor {
            assert!(matches!(put, Err(Error::BelowFloor { .. })));
        } else if self.items.contains_key(&index) && !multi {
            assert_eq!(put.unwrap(), Put::Exists);
        } else {
            assert_eq!(put.unwrap(), Put::Stored);
            self.items.entry(index).or_default().push((key, value));
        }
    }

    /// Below the floor the batch stops with an error, and what came before is stored.
    fn put_batch(&mut self, archive: &mut Archive<[u8; 8]>, indices: impl Iterator<Item = u64>) {
        let items: Vec<_> = indices.map(|index| (index, self.next())).collect();
        let batch = items
            .iter()
            .map(|(index, (key, value))| (*index, key, value.clone()));
        let stored = archive.put_batch(batch);
        let mut expected = 0;
        for (index, item) in items {
            if index < self.floor {
                assert!(matches!(stored, Err(Error::BelowFloor { .. })));
                return;
            }
            let at = self.items.entry(index).or_default();
            if at.is_empty() {
                at.push(item);
                expected += 1;
            }
        }
        assert_eq!(stored.unwrap(), expected);
    }

    fn prune(&mut self, min: u64) {
        self.floor = self.floor.max(min - min % self.items_per_section);
        self.items = self.items.split_off(&self.floor);
    }

    fn rewind(&mut self, index: u64) {
        self.items.retain(|&of, _| of <= index);
    }

    fn check(&self, archive: &Archive<[u8; 8]>) {
        assert_eq!(archive.floor(), self.floor);
        assert_eq!(archive.stats().items_tracked, self.items.len() as u128);
        for index in 0..SPAN + 20 {
            self.check_index(archive, index);
        }
        let all = self.items.iter().flat_map(|(index, items)| {
            items
                .iter()
                .map(move |(key, value)| (*index, *key, value.clone()))
        });
        let all: Vec<_> = all.collect();
        let scan = |item: quipu::Result<quipu::Item<[u8; 8]>>| {
            item.map(|item| (item.index, item.key, item.value.to_vec()))
                .unwrap()
        };
        assert_eq!(archive.range(..).map(scan).collect::<Vec<_>>(), all);
        let mut back: Vec<_> = archive.range(..).rev().map(scan).collect();
        back.reverse();
        assert_eq!(back, all);
        self.check_gaps(archive);
    }

    fn check_index(&self, archive: &Archive<[u8; 8]>, index: u64) {
        let items = self.items.get(&index).cloned().unwrap_or_default();
        let values: Vec<_> = archive
            .get_all(index)
            .unwrap()
            .iter()
            .map(|value| value.to_vec())
            .collect();
        assert_eq!(
            values,
            items.iter().map(|item| item.1.clone()).collect::<Vec<_>>(),
            "index {index}"
        );
        assert_eq!(
            archive.get(index).unwrap().map(|value| value.to_vec()),
            values.first().cloned()
        );
        assert_eq!(archive.has(index).unwrap(), !items.is_empty());
        let status = match items.is_empty() {
            false => Status::Present,
            true if index < self.floor => Status::Pruned,
            true => Status::Missing,
        };
        assert_eq!(archive.status(index).unwrap(), status);
        for (key, value) in &items {
            assert_eq!(archive.get(key).unwrap().unwrap(), *value);
            assert!(
                archive.has_at(index, key).unwrap() && !archive.has_at(index + 1, key).unwrap()
            );
        }
    }

    fn check_gaps(&self, archive: &Archive<[u8; 8]>) {
        let last = self.items.keys().next_back().copied();
        let missing: Vec<u64> = (self.floor..last.unwrap_or(0))
            .filter(|index| !self.items.contains_key(index))
            .collect();
        assert_eq!(archive.missing_items(0, usize::MAX), missing);
        assert_eq!(archive.first_index(), self.items.keys().next().copied());
        assert_eq!(archive.last_index(), last);
    }
}

fn run(options: Options, items_per_section: u64, ops: Vec<Op>, disk: bool) {
    let check = |bench: &Bench| {
        let mut model = Model {
            items_per_section,
            ..Model::default()
        };
        let mut archive = bench.open::<8>();
        let mut options = bench.options();
        for op in ops.clone() {
            match op {
                Op::Put(index) => model.put(&mut archive, index, false),
                Op::PutMulti(index) => model.put(&mut archive, index, true),
                Op::Batch(from, len) => {
                    // Some indices twice in one batch, some behind others.
                    let indices = (from..from + len).chain([from + len / 2, from + len / 3]);
                    model.put_batch(&mut archive, indices);
                }
                Op::Sync => archive.sync().unwrap(),
                Op::Prune(min) => {
                    archive.prune(min).unwrap();
                    model.prune(min);
                }
                Op::Rewind(index) => {
                    archive.rewind(index).unwrap();
                    model.rewind(index);
                }
                Op::Compress(on) => {
                    options = options.compression(if on {
                        Compression::Zstd(1)
                    } else {
                        Compression::Off
                    });
                }
                Op::Reopen | Op::Kill => {
                    // Memory and a healthy disk keep what was written, so what a sync covered
                    // must be there whether or not the archive was closed.
                    match op {
                        Op::Reopen => archive.close().unwrap(),
                        _ => {
                            archive.sync().unwrap();
                            drop(archive);
                        }
                    }
                    archive = options.clone().open_on(bench.storage()).unwrap();
                    assert!(archive.recovery().is_clean(), "{:?}", archive.recovery());
                    model.check(&archive);
                }
            }
        }
        model.check(&archive);
        assert!(archive.verify(&mut |_| {}).unwrap().is_clean());
    };
    match disk {
        true => Bench::disk(options, check),
        false => Bench::memory(options, check),
    }
}

fn options(items: u64, page: u16, buffer: usize) -> Options {
    Options::new()
        .items_per_section(items)
        .page_size(page)
        .write_buffer(buffer)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn in_memory(
        items in prop_oneof![Just(1u64), Just(7), Just(16), Just(u64::MAX)],
        page in prop_oneof![Just(1u16), Just(13), Just(36), Just(100), Just(4084), Just(65535)],
        buffer in prop_oneof![Just(1usize), Just(100), Just(1 << 20)],
        one_cap in any::<bool>(),
        ops in vec(op(), 1..60),
    ) {
        let options = options(items, page, buffer);
        let options = match one_cap {
            true => options.translator(OneCap),
            false => options.translator(Hashed::<EightCap>::with_seed([1; 16])),
        };
        run(options, items, ops, false);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn on_disk(items in prop_oneof![Just(1u64), Just(7), Just(16)], page in prop_oneof![Just(36u16), Just(4084)], ops in vec(op(), 1..40)) {
        run(options(items, page, 1 << 20), items, ops, true);
    }
}
