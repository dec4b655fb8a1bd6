//! Changes to the files of a store, as an input asks for them: first to what the sections mean, with
//! checksums made right again, then to the bytes.

use quipu::format::crc32c;

use crate::files::Files;
use crate::input::Input;
use crate::section::{Field, Parts, Sizes};
use crate::shapes::Base;

/// Changes that one input may make of each kind.
const MOST_CHANGES: usize = 24;
/// Copies of an entry that one change makes at most.
const MOST_COPIES: usize = 200;

/// Takes sections apart, changes entries and values, puts them together again.
pub(crate) fn change_meaning(base: &Base, files: &mut Files, input: &mut Input<'_>) {
    let sizes = base.shape.sizes();
    let names: Vec<String> = names_of(files, "index");
    if names.is_empty() {
        return;
    }
    for _ in 0..input.below(MOST_CHANGES) {
        let name = &names[input.below(names.len())];
        let index = files.get_mut("index", name).clone();
        let values = files.get_mut("values", name).clone();
        let mut parts = Parts::of(&index, &values, sizes);
        change_parts(&mut parts, sizes, base, input);
        *files.get_mut("index", name) = parts.index_file(sizes);
        *files.get_mut("values", name) = parts.value_file();
    }
}

fn change_parts(parts: &mut Parts, sizes: Sizes, base: &Base, input: &mut Input<'_>) {
    let entry = input.below(parts.len(sizes).max(1));
    match input.below(10) {
        way @ 0..=3 => {
            let field = [Field::Index, Field::Key, Field::Offset, Field::Size][way];
            parts.set(sizes, entry, field, input.number());
        }
        4 => {
            // An index of the same section.
            let index = parts.get(sizes, entry, Field::Index);
            let index = base
                .shape
                .section_of(index)
                .saturating_add(input.below(300) as u64);
            parts.set(sizes, entry, Field::Index, index);
        }
        5 => {
            let copied = entry * sizes.entry()..(entry + 1) * sizes.entry();
            let copied = parts.entries.get(copied).unwrap_or_default().to_vec();
            for _ in 0..input.below(MOST_COPIES) {
                parts.entries.extend_from_slice(&copied);
            }
        }
        6 => {
            let index = parts.get(sizes, entry, Field::Index);
            let value = value(input);
            parts.push(sizes, index, base.shape.key(index).as_ref(), &value);
        }
        7 => parts.entries.truncate(input.below(parts.entries.len() + 1)),
        8 => parts.values.truncate(input.below(parts.values.len() + 1)),
        _ => parts.values.extend_from_slice(input.string()),
    }
}

/// A value: some bytes, or a zstd frame, whole or with other bytes in its head.
fn value(input: &mut Input<'_>) -> Vec<u8> {
    let (len, kind) = (input.below(1 << 16), input.below(4));
    match kind {
        0 => input.string().to_vec(),
        1 => vec![7; len],
        _ => {
            let plain = vec![7; len * 16];
            let mut frame = zstd::bulk::compress(&plain, 1).unwrap_or_default();
            if kind == 3 {
                for byte in frame.iter_mut().skip(4).take(usize::from(input.u8() % 16)) {
                    *byte ^= input.u8();
                }
            }
            frame
        }
    }
}

/// Changes bytes of files, and which files there are.
pub(crate) fn change_bytes(files: &mut Files, partitions: &[&str], input: &mut Input<'_>) {
    for _ in 0..input.below(MOST_CHANGES) {
        let partition = partitions[input.below(partitions.len())];
        let names = names_of(files, partition);
        if names.is_empty() {
            return;
        }
        let name = &names[input.below(names.len())];
        let bytes = files.get_mut(partition, name);
        match input.below(8) {
            0 => {
                let at = input.below(bytes.len().max(1));
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= input.u8();
                }
            }
            1 => bytes.truncate(input.below(bytes.len() + 1)),
            2 => bytes.extend_from_slice(input.string()),
            3 => bytes.resize(bytes.len() + input.below(9000), 0),
            4 => *bytes = input.string().to_vec(),
            5 => _ = files.0.remove(&(partition.to_owned(), name.clone())),
            6 => {
                let copy = bytes.clone();
                let to = format!("{:016x}", input.number());
                *files.get_mut(partition, &to) = copy;
            }
            _ => fix_page(bytes, input),
        }
    }
}

/// Writes a slot of a page anew, with a right checksum of a length that may not be.
fn fix_page(bytes: &mut [u8], input: &mut Input<'_>) {
    let (page, len) = (input.below(400) + 1, input.below(1 << 16));
    let start = input.below(4) * (page + 12) + if input.flag() { 8 } else { 4096 };
    let Some(raw) = bytes.get_mut(start..start + page + 12) else {
        return;
    };
    let crc = crc32c(raw.get(..len).unwrap_or_default()).to_be_bytes();
    let at = page + if input.flag() { 6 } else { 0 };
    raw[at..at + 2].copy_from_slice(&(len as u16).to_be_bytes());
    raw[at + 2..at + 6].copy_from_slice(&crc);
}

fn names_of(files: &Files, partition: &str) -> Vec<String> {
    let keys = files.0.keys().filter(|(of, _)| of == partition);
    keys.map(|(_, name)| name.clone()).collect()
}
