//! Opens after a clean end: they look at no section file, and answer as those that do.

mod answers;
mod changed;
#[path = "../common/mod.rs"]
mod common;
mod counted;
#[allow(dead_code, unreachable_pub)]
#[path = "../common/hooked.rs"]
mod hooked;
mod late;
mod many;
mod stale;

use std::io::IoSlice;
use std::sync::Arc;

use common::{Bench, copy_of, key, value};
use counted::Counted;
use quipu::format::crc32c;
use quipu::storage::{Memory, OpenMode, Storage};
use quipu::{Archive, Options};

type Store = Archive<[u8; 8]>;

/// Bytes of a header of a section file.
const HEADER: usize = 4096;
const FIRST: &str = "0000000000000000";
const SECOND: &str = "000000000000000a";
/// Where the marks have the number of the clean end, and how long their header is.
const ENDED: usize = 36;
const MARKS_HEADER: usize = 48;

fn options() -> Options {
    let options = Options::new().items_per_section(10).page_size(100);
    options.keys_per_table(1)
}

fn each(check: impl Fn(&Bench)) {
    Bench::each(options(), check);
}

fn put(archive: &mut Store, indices: impl IntoIterator<Item = u64>) {
    for index in indices {
        let _ = archive.put(index, &key(index), &value(index, 30)).unwrap();
    }
}

/// Four sections, the second half full, after a clean end.
fn filled() -> Memory {
    let memory = Memory::new();
    let mut archive = open(&memory);
    put(&mut archive, (0..15).chain(20..40));
    archive.close().unwrap();
    memory
}

fn open(memory: &Memory) -> Store {
    options().open_on(Arc::new(memory.clone())).unwrap()
}

fn read(memory: &Memory, partition: &str, name: &str) -> Vec<u8> {
    let blob = memory.open(partition, name, OpenMode::Read).unwrap();
    let mut bytes = Vec::new();
    let len = blob.len().unwrap() as usize;
    blob.read_into(&mut bytes, 0, len).unwrap();
    bytes
}

fn write(memory: &Memory, partition: &str, name: &str, bytes: &[u8]) {
    let blob = memory.open(partition, name, OpenMode::Create).unwrap();
    blob.resize(0).unwrap();
    blob.write_at(&[IoSlice::new(bytes)], 0).unwrap();
}

/// The number that the marks have of a clean end.
fn ended(memory: &Memory) -> u64 {
    let marks = read(memory, "quipu", "marks");
    u64::from_be_bytes(marks[ENDED..ENDED + 8].try_into().unwrap())
}

/// Has the marks tell of another end, or of none.
fn tell_of_end(memory: &Memory, number: u64) {
    let mut marks = read(memory, "quipu", "marks");
    marks[ENDED..ENDED + 8].copy_from_slice(&number.to_be_bytes());
    let crc = crc32c(&marks[..MARKS_HEADER - 4]);
    marks[MARKS_HEADER - 4..MARKS_HEADER].copy_from_slice(&crc.to_be_bytes());
    write(memory, "quipu", "marks", &marks);
}

/// Whether an open of it looks at section files.
fn looks(memory: &Memory) -> bool {
    let counted = Counted::new(copy_of(memory));
    let archive: Store = options().open_on(Arc::new(counted.clone())).unwrap();
    let calls = counted.of_sections();
    drop(archive);
    calls > 0
}
