//! Any bytes as the manifest and the marks of an archive whose section files are whole.
//!
//! Bytes are changed in place and checksums made right again, so that every field can have every
//! value; or the file is made of records that the input names; or it is any bytes at all.

use quipu::format::crc32c;

use crate::canary;
use crate::exercise::Exercise;
use crate::files::Files;
use crate::input::Input;
use crate::shapes::{base, limits};

/// Bytes before the manifest's fields, and where of these items per section stand.
const FRAME: usize = 16;
const ITEMS_PER_SECTION: usize = FRAME + 8 + 8 + 8 + 4 + 2 + 1;
/// Bytes before the records of marks.
const MARKS_HEADER: usize = 48;
/// Where in them stands how many are durable at once; the checksum of the header follows.
const MARKS_DURABLE: usize = 28;
/// Records of marks that an input makes at most.
const MOST_RECORDS: usize = 64;

pub(crate) fn run(input: &mut Input<'_>) {
    let base = base(usize::from(input.u8()));
    let mut files = base.files.clone();
    // What is kept twice is changed in both places, or in one.
    for name in names(&files, "manifest") {
        if input.below(4) != 0 {
            change_manifest(files.get_mut("quipu", &name), input);
        }
    }
    for name in names(&files, "marks") {
        change_marks(files.get_mut("quipu", &name), input);
    }
    for name in ["scrub", "reserve"] {
        if input.below(8) == 1 {
            *files.get_mut("quipu", name) = input.string().to_vec();
        }
    }
    if canary::is_on() {
        careless(&files);
    }
    Exercise::of(&files, &limits).run(input);
}

fn names(files: &Files, of: &str) -> Vec<String> {
    let keys = files.0.keys().filter(|(partition, _)| partition == "quipu");
    keys.map(|(_, name)| name.clone())
        .filter(|name| name.starts_with(of))
        .collect()
}

/// Changes fields; on most inputs the checksum is then made right.
fn change_manifest(bytes: &mut Vec<u8>, input: &mut Input<'_>) {
    if input.below(16) == 1 {
        *bytes = input.string().to_vec();
        return;
    }
    bytes.truncate(bytes.len().saturating_sub(4));
    for _ in 0..input.below(8) {
        change_field(bytes, input);
    }
    let len = bytes.len().saturating_sub(FRAME) as u32;
    if let Some(place) = bytes.get_mut(12..FRAME).filter(|_| input.below(16) != 1) {
        place.copy_from_slice(&len.to_be_bytes());
    }
    let mut crc = crc32c(bytes);
    if input.below(8) == 1 {
        crc ^= 1;
    }
    bytes.extend_from_slice(&crc.to_be_bytes());
}

/// Puts a number of some width at some place, or other bytes, or more or fewer of them.
fn change_field(bytes: &mut Vec<u8>, input: &mut Input<'_>) {
    let at = FRAME + input.below(160);
    let number = input.number().to_be_bytes();
    match input.below(8) {
        way @ 0..=3 => {
            let width = 1 << way;
            if let Some(field) = bytes.get_mut(at..at + width) {
                field.copy_from_slice(&number[8 - width..]);
            }
        }
        4 => {
            if let Some(field) = bytes.get_mut(ITEMS_PER_SECTION..ITEMS_PER_SECTION + 8) {
                field.copy_from_slice(&number);
            }
        }
        5 => bytes.truncate(at),
        6 => {
            // Spans of compression: their count is the last field before them.
            let spans = input.below(200);
            let count = bytes.len().saturating_sub(4);
            bytes.truncate(count);
            bytes.extend_from_slice(&(spans as u32).to_be_bytes());
            for _ in 0..spans {
                bytes.extend_from_slice(&input.number().to_be_bytes());
                bytes.extend_from_slice(&input.number().to_be_bytes());
                bytes.push(input.u8());
            }
        }
        _ => {
            let more = input.string();
            let at = at.min(bytes.len());
            bytes.splice(at..at, more.iter().copied());
        }
    }
}

fn change_marks(bytes: &mut Vec<u8>, input: &mut Input<'_>) {
    match input.below(6) {
        0 => {}
        1 => *bytes = input.string().to_vec(),
        2 => bytes.truncate(input.below(bytes.len() + 1)),
        way => {
            if way > 3 {
                bytes.truncate(MARKS_DURABLE);
                let durable = match input.below(4) {
                    0 => input.number(),
                    _ => MARKS_HEADER as u64,
                };
                bytes.extend_from_slice(&durable.to_be_bytes());
                // Of a clean end: of none, of the first writer's, or of any.
                let ended = match input.below(4) {
                    0 => u64::MAX,
                    1 => input.number(),
                    _ => 1,
                };
                bytes.extend_from_slice(&ended.to_be_bytes());
                let crc = crc32c(bytes);
                bytes.extend_from_slice(&crc.to_be_bytes());
            }
            for _ in 0..input.below(MOST_RECORDS) {
                push_record(bytes, input);
            }
        }
    }
}

/// The epoch of each section: it says something to key tables alone, of which there are none.
const EPOCH: u64 = 7;

/// Places where a section was written anew, samples and foreign entries of it.
fn push_fingerprint(payload: &mut Vec<u8>, input: &mut Input<'_>) {
    let numbers = |payload: &mut Vec<u8>, count, input: &mut Input<'_>| {
        for _ in 0..count {
            payload.extend_from_slice(&input.number().to_be_bytes());
        }
    };
    let (moved, samples, ranges) = (input.below(3), input.below(4), input.below(3));
    payload.push(moved as u8);
    numbers(payload, moved, input);
    payload.push(samples as u8);
    // A position and two checksums each.
    numbers(payload, 2 * samples, input);
    payload.extend_from_slice(&(ranges as u32).to_be_bytes());
    numbers(payload, 2 * ranges, input);
}

/// A record with a right checksum, mostly of a kind that there is.
fn push_record(bytes: &mut Vec<u8>, input: &mut Input<'_>) {
    let mut payload = Vec::new();
    let kind = input.below(5);
    payload.push(if kind < 4 {
        kind as u8 % 2 + 1
    } else {
        input.u8()
    });
    let numbers = match payload[0] {
        1 => 3 + 2 * input.below(8),
        2 => 3,
        _ => input.below(6),
    };
    for nth in 0..numbers {
        // Sections and small numbers often, so that records speak of what there is.
        let number = match input.below(3) {
            0 if nth == 0 => 8 * (input.number() / 8),
            1 => u64::from(input.u8() % 16),
            _ => input.number(),
        };
        payload.extend_from_slice(&number.to_be_bytes());
        if nth == 2 && payload[0] == 1 {
            // The layouts of the two files, and what its entries are known by.
            payload.push(input.u8() % 16);
            payload.extend_from_slice(&EPOCH.to_be_bytes());
            push_fingerprint(&mut payload, input);
        }
    }
    payload.extend_from_slice(input.bytes(input.clone().below(64) / 60));
    let crc = crc32c(&payload) ^ u32::from(input.below(32) == 1);
    bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    bytes.extend_from_slice(&crc.to_be_bytes());
    bytes.extend_from_slice(&payload);
}

/// The planted defect: a reader that divides by the items per section without a look at them.
fn careless(files: &Files) {
    for name in names(files, "manifest") {
        let key = ("quipu".to_owned(), name);
        let bytes = files.0.get(&key).map(Vec::as_slice).unwrap_or_default();
        let Some((body, crc)) = bytes.split_last_chunk::<4>() else {
            continue;
        };
        let field = body
            .get(ITEMS_PER_SECTION..)
            .and_then(|bytes| bytes.first_chunk::<8>());
        if let Some(items) = field.filter(|_| u32::from_be_bytes(*crc) == crc32c(body)) {
            let _ = std::hint::black_box(1000 / u64::from_be_bytes(*items));
        }
    }
}
