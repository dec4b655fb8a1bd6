//! Puts and gets of an archive on disk: `cargo bench -p quipu --bench archive -- [ITEMS] [VALUE BYTES]`.
//!
//! Batches of 1,000 puts with one sync each, then a clean reopen, then random gets. It is a quick
//! look while one works on the code; figures of different machines or runs do not compare.

use std::time::Instant;

use quipu::Archive;

use self::common::{key, mix};

mod common;

const BATCH: u64 = 1000;
const GETS: u64 = 1_000_000;

fn report(what: &str, count: u64, started: Instant) {
    let elapsed = started.elapsed();
    let rate = count as f64 / elapsed.as_secs_f64();
    println!("{what:<16} {rate:>12.0}/s   {:>9.3} us each", 1e6 / rate);
}

fn main() -> quipu::Result<()> {
    let numbers: Vec<u64> = std::env::args()
        .filter_map(|arg| arg.parse().ok())
        .collect();
    let items = numbers.first().copied().unwrap_or(1_000_000);
    let value = vec![0x5a; numbers.get(1).copied().unwrap_or(256) as usize];
    let folder = tempfile::tempdir_in(std::env::var("BENCH_DIR").unwrap_or_else(|_| ".".into()));
    let folder = folder.map_err(|error| quipu::Error::io("create", "the bench's folder", error))?;
    let mut archive: Archive<[u8; 32]> = Archive::open(folder.path())?;
    let started = Instant::now();
    for index in 0..items {
        let _ = archive.put(index, &key(index), &value)?;
        if index % BATCH == BATCH - 1 {
            archive.sync()?;
        }
    }
    archive.sync()?;
    report("put", items, started);
    archive.close()?;
    let started = Instant::now();
    let archive: Archive<[u8; 32]> = Archive::open(folder.path())?;
    report("reopen, items", items, started);
    gets(&archive, items)?;
    let started = Instant::now();
    let scanned = archive.range(..).filter(|item| item.is_ok()).count() as u64;
    report("scan", scanned, started);
    let stats = archive.stats();
    println!(
        "memory of keys: {:.2} bytes each",
        stats.memory_keys as f64 / items as f64
    );
    println!(
        "open files: {}, unnecessary reads: {}",
        stats.open_files, stats.unnecessary_reads
    );
    Ok(())
}

fn gets(archive: &Archive<[u8; 32]>, items: u64) -> quipu::Result<()> {
    for warm in [true, false] {
        let count = if warm { items.min(GETS) } else { GETS };
        let started = Instant::now();
        for n in 0..count {
            assert!(archive.get(&key(mix(n) % items))?.is_some());
        }
        if !warm {
            report("get by key", count, started);
        }
    }
    let started = Instant::now();
    for n in 0..GETS {
        assert!(archive.get(mix(n) % items)?.is_some());
    }
    report("get by index", GETS, started);
    let started = Instant::now();
    for n in 0..GETS {
        assert!(archive.get(&key(items + n))?.is_none());
    }
    report("absent key", GETS, started);
    Ok(())
}
