//! Value codecs, compressed values, translators, the key index, headers and names.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::IoSlice;
use std::sync::Arc;

use quipu::index::{Candidates, KeyIndex, MAX_LOCATION, TranslatorSpec};
use quipu::journal::{Config, Glob};
use quipu::storage::{Memory, OpenMode, Storage, check_blob_name, check_partition_name};
use quipu::{Bytes, Prefixed, Serde, Value};
use serde::{Deserialize, Serialize};

use crate::canary;
use crate::exercise::Exercise;
use crate::input::Input;
use crate::limit;
use crate::section::Parts;
use crate::shapes::{base, fail, limits};

/// Bytes that decoding may take for a byte of its input: a list of small strings.
const PER_BYTE: usize = 64;

pub(crate) fn run(input: &mut Input<'_>) {
    match input.below(6) {
        0 => values(input.rest()),
        1 => compressed(input),
        2 => translators(input),
        3 => key_index(input),
        4 => header(input),
        _ => names(input.rest()),
    }
}

/// A type with every kind of field that serde knows.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Any {
    Nothing,
    Numbers(u8, i64, u128, bool, char),
    Text(String, Option<Box<Any>>),
    Lists {
        bytes: Vec<u8>,
        all: Vec<String>,
        map: BTreeMap<u16, Vec<u32>>,
    },
}

fn values(bytes: &[u8]) {
    if canary::is_on() {
        careless(bytes);
    }
    limit::within(PER_BYTE * bytes.len() + (64 << 10), || {
        round_trip::<Prefixed>(bytes, true);
        round_trip::<Bytes>(bytes, true);
        round_trip::<Vec<u8>>(bytes, true);
        round_trip::<String>(bytes, true);
        round_trip::<[u8; 5]>(bytes, true);
        round_trip::<()>(bytes, true);
        round_trip::<bool>(bytes, true);
        round_trip::<u8>(bytes, true);
        round_trip::<i16>(bytes, true);
        round_trip::<u32>(bytes, true);
        round_trip::<u64>(bytes, true);
        round_trip::<i128>(bytes, true);
        // Postcard reads a number in more bytes than it needs, and a map in any order.
        round_trip::<Serde<Any>>(bytes, false);
    });
}

/// What decodes is encoded to what decodes to the same; to the same bytes where there is one way
/// only.
fn round_trip<V: Value + PartialEq + Debug>(bytes: &[u8], one_way: bool) {
    let Ok(value) = V::decode(Bytes::copy_from_slice(bytes)) else {
        return;
    };
    let mut encoded = Vec::new();
    value
        .encode(&mut encoded)
        .unwrap_or_else(|error| fail(&error));
    assert!(!one_way || encoded == bytes, "{value:?}");
    let again = V::decode(Bytes::from(encoded)).unwrap_or_else(|error| fail(&error));
    assert_eq!(again, value);
}

/// The planted defect: a length in LEB128 that is added up without a look at how long it is.
fn careless(bytes: &[u8]) {
    let mut len = 0_u32;
    for (nth, &byte) in bytes.iter().enumerate() {
        len |= u32::from(byte & 0x7f) << (7 * nth);
        if byte < 0x80 {
            break;
        }
    }
    std::hint::black_box(len);
}

/// Any bytes in place of a zstd frame, behind a right checksum.
fn compressed(input: &mut Input<'_>) {
    let base = base(1);
    let sizes = base.shape.sizes();
    let mut files = base.files.clone();
    let name = format!("{:016x}", 0);
    let index = files.get_mut("index", &name).clone();
    let mut parts = Parts::of(&index, files.get_mut("values", &name), sizes);
    let mut frame = zstd::bulk::compress(&vec![7; input.below(1 << 16)], 1).unwrap_or_default();
    for _ in 0..input.below(8) {
        let at = input.below(frame.len().max(1));
        if let Some(byte) = frame.get_mut(at) {
            *byte = input.u8();
        }
    }
    if input.flag() {
        frame = [&[0x28, 0xb5, 0x2f, 0xfd], input.rest()].concat();
    }
    parts.push(sizes, 9, base.shape.key(9).as_ref(), &frame);
    *files.get_mut("index", &name) = parts.index_file(sizes);
    *files.get_mut("values", &name) = parts.value_file();
    Exercise::of(&files, &limits).run(input);
}

fn translators(input: &mut Input<'_>) {
    let (cap, seed) = (input.u8(), input.flag().then(|| [input.u8(); 16]));
    let Some(translator) = TranslatorSpec::new(cap, seed) else {
        assert!(!(1..=8).contains(&cap), "{cap}");
        return;
    };
    let key = input.rest();
    let short = translator.translate(key);
    assert_eq!(short, translator.translate(key));
    if seed.is_none() {
        let mut padded = key.to_vec();
        padded.resize(key.len().max(8), 0);
        let expected = padded
            .iter()
            .take(cap.into())
            .fold(0, |n, &byte| n << 8 | u64::from(byte));
        assert_eq!(short, expected);
    }
}

/// Inserts and removals against a map.
fn key_index(input: &mut Input<'_>) {
    let index = KeyIndex::new();
    let mut model: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let mut found = Candidates::new();
    let mut next = 0;
    for _ in 0..2000 {
        if input.is_empty() {
            break;
        }
        let key = u64::from(input.u8() % 8) << input.below(64);
        let held = model.entry(key).or_default();
        match input.below(4) {
            0..=1 => {
                next += 1;
                let inserted = index.insert(key, next, &|_| false);
                inserted.map(drop).unwrap_or_else(|error| fail(&error));
                held.push(next);
            }
            2 => {
                let location = held.first().copied().unwrap_or(MAX_LOCATION);
                assert_eq!(index.remove(key, location), !held.is_empty());
                held.retain(|&of| of != location);
            }
            _ => {
                index.lookup(key, &mut found);
                let own: Vec<u64> = found
                    .iter()
                    .copied()
                    .filter(|of| held.contains(of))
                    .collect();
                assert_eq!(own, *held);
            }
        }
    }
    assert_eq!(index.len(), model.values().map(Vec::len).sum::<usize>());
}

/// Any bytes as a file with a header.
fn header(input: &mut Input<'_>) {
    let memory = Memory::new();
    let name = format!("{:016x}", 1);
    let mut bytes = input.string().to_vec();
    bytes.resize(bytes.len() + input.below(9000), 0);
    let blob = memory
        .open("glob", &name, OpenMode::Create)
        .unwrap_or_else(|error| fail(&error));
    blob.write_at(&[IoSlice::new(&bytes)], 0)
        .unwrap_or_else(|error| fail(&error));
    let opened = Glob::open(Arc::new(memory), "glob", Config::with_page_size(100));
    let Ok(mut glob) = opened else {
        return;
    };
    let (offset, size) = (input.number(), input.number() as u32);
    let _ = glob.get(1, offset, size);
    let _ = glob.rewind(1, input.number());
    if let Ok((offset, size)) = glob.append(1, b"value") {
        let value = glob
            .get(1, offset, size)
            .unwrap_or_else(|error| fail(&error));
        assert_eq!(value, "value");
    }
}

/// A name is refused by the check if and only if a storage refuses it.
fn names(bytes: &[u8]) {
    let name = String::from_utf8_lossy(bytes);
    let memory = Memory::new();
    let partition = memory.open(&name, "blob", OpenMode::Create);
    assert_eq!(check_partition_name(&name).is_ok(), partition.is_ok());
    let blob = memory.open("partition", &name, OpenMode::Create);
    assert_eq!(check_blob_name(&name).is_ok(), blob.is_ok());
}
