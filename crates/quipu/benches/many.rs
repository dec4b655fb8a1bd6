//! Many items a call, by threads and through io_uring:
//! `cargo bench -p quipu --features io-uring --bench many -- [ITEMS] [VALUE BYTES] [ROUNDS]`.
//!
//! Each round asks for random items, by index and by key, with each of the two: an archive that was just opened,
//! whose sections are awake and of whose files the system has nothing in memory; then the same items again, which
//! are in memory by then. The two take turns; the medians of the rounds count.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quipu::storage::Disk;
use quipu::{Archive, Options};

use self::common::{key, mix};

mod common;

type Store = Archive<[u8; 32]>;

const BATCH: u64 = 1000;
const COUNTS: [u64; 3] = [8, 32, 1000];
/// Items of the calls that find everything in memory, of which the fastest counts.
const WARM: usize = 20_000;

fn open(folder: &Path, rings: bool) -> Store {
    let disk = Disk::create(folder).unwrap().with_io_uring(rings);
    Options::new().open_on(Arc::new(disk)).unwrap()
}

fn fill(folder: &Path, items: u64, value_bytes: usize) {
    let mut archive = open(folder, false);
    let mut value = vec![0; value_bytes];
    for index in 0..items {
        for (at, bytes) in value.chunks_mut(8).enumerate() {
            let word = mix(index ^ ((at as u64) << 40)).to_le_bytes();
            bytes.copy_from_slice(&word[..bytes.len()]);
        }
        let _ = archive.put(index, &key(index), &value).unwrap();
        if index % BATCH == BATCH - 1 {
            archive.sync().unwrap();
        }
    }
    archive.close().unwrap();
}

/// Has the system forget what it has of the files in memory; pages of maps that are in use stay.
#[cfg(target_os = "linux")]
fn forget(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            forget(&path);
            continue;
        }
        let file = File::open(path).unwrap();
        let _ = file.sync_data();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    }
}

#[cfg(not(target_os = "linux"))]
fn forget(_: &Path) {}

struct Times {
    cold: Duration,
    warm: Duration,
}

/// One call that finds nothing in memory, and the fastest of those behind it.
fn time(folder: &Path, rings: bool, by_key: bool, indices: &[u64]) -> Times {
    let archive = open(folder, rings);
    for section in archive.sections() {
        // An item next to those that are asked for wakes a section and reads what leads to its keys.
        assert!(archive.get(section.section).unwrap().is_some());
        assert!(archive.get(&key(section.section)).unwrap().is_some());
    }
    let keys: Vec<_> = indices.iter().map(|&index| key(index)).collect();
    let call = || {
        let found = match by_key {
            true => archive.get_many(&keys).unwrap(),
            false => archive.get_many(indices.iter().copied()).unwrap(),
        };
        assert!(found.iter().all(Option::is_some));
    };
    forget(folder);
    let started = Instant::now();
    call();
    let cold = started.elapsed();
    // Once more, so that what is mapped behind a first read is.
    call();
    let calls = (0..WARM / indices.len()).map(|_| {
        let started = Instant::now();
        call();
        started.elapsed()
    });
    let warm = calls.min().unwrap_or_default();
    Times { cold, warm }
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}

fn main() {
    let numbers: Vec<u64> = std::env::args()
        .filter_map(|arg| arg.parse().ok())
        .collect();
    let number = |at: usize, usual| numbers.get(at).copied().unwrap_or(usual);
    let (items, value_bytes, rounds) = (number(0, 1_000_000), number(1, 256), number(2, 15));
    let folder = tempfile::tempdir_in(std::env::var("BENCH_DIR").unwrap_or_else(|_| ".".into()));
    let folder = folder.unwrap();
    fill(folder.path(), items, value_bytes as usize);
    println!("{items} items of {value_bytes} bytes; us a call, medians of {rounds}");
    println!("items a call      cold: threads       ring   warm: threads       ring");
    for (by_key, count) in [false, true]
        .into_iter()
        .flat_map(|by| COUNTS.map(|of| (by, of)))
    {
        let mut times: [Vec<Times>; 2] = [Vec::new(), Vec::new()];
        for round in 0..rounds {
            let first = mix(round << 32 | count << 1 | u64::from(by_key));
            let indices: Vec<_> = (0..count).map(|nth| mix(first ^ nth) % items).collect();
            for turn in [round % 2, 1 - round % 2] {
                let taken = time(folder.path(), turn == 1, by_key, &indices);
                times[turn as usize].push(taken);
            }
        }
        let [threads, rings] = times;
        let cold = |times: &[Times]| median(times.iter().map(|times| times.cold).collect());
        let warm = |times: &[Times]| median(times.iter().map(|times| times.warm).collect());
        println!(
            "{count:>5} by {:<7} {:>13.0} {:>10.0} {:>15.1} {:>10.1}",
            if by_key { "key" } else { "index" },
            cold(&threads),
            cold(&rings),
            warm(&threads),
            warm(&rings),
        );
    }
}
