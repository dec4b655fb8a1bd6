//! What the key index costs: memory, pauses, speed, reads in vain.
//!
//! `cargo bench -p quipu --bench index` prints a table for 1, 4 and 10 million random 32-byte keys; other
//! numbers of millions can be given behind `--`. Memory is what the allocator handed out, not what
//! the index says of itself. Lookups run one after the other on one thread, in random order.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use quipu::index::{Candidates, EightCap, Hashed, KeyIndex, Translator};

/// Runs of the filling; of the longest inserts the least is reported, as the others were
/// interrupted, and the greatest, as they may not have been.
const FILLS: u64 = 5;
const LOOKUPS: u64 = 2_000_000;
/// So many absent keys are looked up to count reads in vain.
const ABSENT: u64 = 10_000_000;

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

fn grew(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(live, Relaxed);
    CALLS.with(|calls| calls.set(calls.get() + 1));
}

// SAFETY: every call is handed on to the system's allocator as it came; beside that only counters
// change.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grew(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the pointer is one that `System` gave for this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        grew(size); // old and new at once, as where the block has to move
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The random 32-byte key number `n`, under `seed`.
fn key(seed: u64, n: u64) -> [u8; 32] {
    let mut key = [0; 32];
    let mut state = seed.wrapping_mul(0xA076_1D64_78BD_642F) ^ n;
    for chunk in key.chunks_exact_mut(8) {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = (state ^ state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ word >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        chunk.copy_from_slice(&(word ^ word >> 31).to_le_bytes());
    }
    key
}

/// A permutation of `0..count`, so that lookups do not come in the order of inserts.
fn scattered(n: u64, count: u64) -> u64 {
    n.wrapping_mul(11_400_714_819_323_198_485) % count
}

#[derive(Default)]
struct Filled {
    /// Bytes a key: the greatest after an insert, at the end, the greatest inside an insert.
    largest: f64,
    at_end: f64,
    in_step: f64,
    longest: Duration,
    steps: u64,
}

/// Inserts `count` keys, each timed, with the memory looked at after each.
fn fill(seed: u64, count: u64) -> (KeyIndex, Filled) {
    let before = LIVE.load(Relaxed);
    let index = KeyIndex::new();
    let mut filled = Filled::default();
    // Small numbers of keys share the empty shards; the figures are for the number asked for.
    let counted = count / 10;
    for n in 0..count {
        let translated = EightCap.translate(&key(seed, n));
        PEAK.store(LIVE.load(Relaxed), Relaxed);
        let calls = CALLS.with(Cell::get);
        let start = Instant::now();
        index.insert(translated, n, &|_| false).unwrap();
        filled.longest = filled.longest.max(start.elapsed());
        if n >= counted {
            let a_key = |bytes: usize| (bytes - before) as f64 / (n + 1) as f64;
            filled.largest = filled.largest.max(a_key(LIVE.load(Relaxed)));
            filled.in_step = filled.in_step.max(a_key(PEAK.load(Relaxed)));
        }
        filled.steps += u64::from(CALLS.with(Cell::get) != calls);
    }
    filled.at_end = (LIVE.load(Relaxed) - before) as f64 / count as f64;
    (index, filled)
}

fn insert_rate(count: u64) -> f64 {
    let keys = translated(0, 1 << 20);
    let index = KeyIndex::new();
    let start = Instant::now();
    for n in 0..count {
        let key = keys[n as usize % keys.len()] ^ n >> 20;
        index.insert(key, n, &|_| false).unwrap();
    }
    count as f64 / start.elapsed().as_secs_f64()
}

fn translated(seed: u64, count: u64) -> Vec<u64> {
    (0..count)
        .map(|n| EightCap.translate(&key(seed, n)))
        .collect()
}

/// Nanoseconds a lookup, for keys made ready before.
fn lookup_ns(index: &KeyIndex, keys: &[u64]) -> f64 {
    let mut out = Candidates::new();
    let start = Instant::now();
    for &key in keys {
        index.lookup(key, &mut out);
        black_box(out.first());
    }
    start.elapsed().as_nanos() as f64 / keys.len() as f64
}

/// Candidates that are another key's, a lookup: of all keys that are there, of absent ones.
fn in_vain(index: &KeyIndex, seed: u64, count: u64) -> (f64, f64) {
    let mut out = Candidates::new();
    let mut hits = 0;
    for n in 0..count {
        index.lookup(EightCap.translate(&key(seed, n)), &mut out);
        let found = out.iter().position(|location| *location == n);
        hits += found.expect("an inserted key is found"); // reads before the right one
    }
    let mut misses = 0;
    for n in 0..ABSENT {
        index.lookup(EightCap.translate(&key(seed + 1000, n)), &mut out);
        misses += out.len();
    }
    (hits as f64 / count as f64, misses as f64 / ABSENT as f64)
}

fn one_in(share: f64) -> String {
    match share {
        0.0 => "none".to_owned(),
        share => format!("1 in {:.0}", 1.0 / share),
    }
}

fn report(millions: u64) {
    let count = millions * 1_000_000;
    let mut fills = Vec::new();
    let mut last = None;
    for seed in 0..FILLS {
        last = None; // freed before the next one is measured
        let (index, filled) = fill(seed, count);
        fills.push(filled);
        last = Some(index);
        black_box(&last);
    }
    let Some(index) = last else { return };
    let max = |of: fn(&Filled) -> f64| fills.iter().map(of).fold(0.0, f64::max);
    let longest = || fills.iter().map(|f| f.longest.as_nanos() as f64 / 1e3);
    let seed = FILLS - 1;
    let present: Vec<u64> = (0..LOOKUPS.min(count))
        .map(|n| EightCap.translate(&key(seed, scattered(n, count))))
        .collect();
    let absent = translated(seed + 2000, LOOKUPS);
    let (hit, miss) = (lookup_ns(&index, &present), lookup_ns(&index, &absent));
    drop((present, absent));
    let (vain_hit, vain_miss) = in_vain(&index, seed, count);

    println!("{millions} million keys, {} growth steps", fills[0].steps);
    println!("  bytes a key: largest        {:8.2}", max(|f| f.largest));
    println!("               at the end     {:8.2}", max(|f| f.at_end));
    println!("               inside a step  {:8.2}", max(|f| f.in_step));
    let (least, most) = (
        longest().fold(f64::MAX, f64::min),
        longest().fold(0.0, f64::max),
    );
    println!("  longest insert              {least:8.1} us (to {most:.1} in {FILLS} fills)");
    println!(
        "  inserts                     {:8.2} million/s",
        insert_rate(count) / 1e6
    );
    println!("  lookup, present             {hit:8.1} ns");
    println!("  lookup, absent              {miss:8.1} ns");
    println!("  read in vain, present       {:>8}", one_in(vain_hit));
    println!("  read in vain, absent        {:>8}", one_in(vain_miss));
    report_prune(&index, count);
}

fn report_prune(index: &KeyIndex, count: u64) {
    let before = LIVE.load(Relaxed);
    let start = Instant::now();
    let removed = index.retain(&|location| location >= count / 2);
    let took = start.elapsed();
    let freed = before - LIVE.load(Relaxed);
    println!(
        "  pruned half                 {removed} keys in {:.0} ms; memory {:.1} -> {:.1} MB",
        took.as_secs_f64() * 1e3,
        before as f64 / 1e6,
        (before - freed) as f64 / 1e6,
    );
    println!(
        "               bytes a key    {:8.2}",
        index.memory() as f64 / index.len() as f64
    );
}

/// Many keys with one short form: inserted, and all found.
fn report_conflict(count: u64) {
    let index = KeyIndex::new();
    let start = Instant::now();
    for n in 0..count {
        index.insert(42, n, &|_| false).unwrap();
    }
    let inserted = start.elapsed();
    let mut out = Candidates::new();
    let start = Instant::now();
    index.lookup(42, &mut out);
    assert!(out.iter().copied().eq(0..count));
    println!(
        "{count} keys in one conflict: inserted in {:.2} ms, all found in {:.1} us",
        inserted.as_secs_f64() * 1e3,
        start.elapsed().as_nanos() as f64 / 1e3,
    );
}

fn report_translators() {
    let hashed = Hashed::<EightCap>::with_seed([7; 16]);
    let keys: Vec<_> = (0..1_000_000).map(|n| key(3, n)).collect();
    let start = Instant::now();
    let sum = keys.iter().fold(0, |sum, key| sum ^ hashed.translate(key));
    black_box(sum);
    let ns = start.elapsed().as_nanos() as f64 / keys.len() as f64;
    println!("hashing a 32-byte key: {ns:.1} ns");
}

fn main() {
    // cargo hands over flags such as --bench; numbers are millions of keys.
    let given: Vec<u64> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let sizes = if given.is_empty() {
        vec![1, 4, 10]
    } else {
        given
    };
    println!("an empty index: {} bytes", KeyIndex::new().memory());
    report_translators();
    report_conflict(10_000);
    report_conflict(1_000_000);
    sizes.into_iter().for_each(report);
}
