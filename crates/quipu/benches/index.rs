//! What the key index costs: memory, pauses, speed, reads in vain.
//!
//! `cargo bench -p quipu --bench index` prints a table for 1, 4 and 10 million random 32-byte keys; other
//! numbers of millions can be given behind `--`. Memory is what the allocator handed out, not what
//! the index says of itself. Lookups run one after the other on one thread, in random order.

// An allocator that counts.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use quipu::index::{Candidates, EightCap, Hashed, KeyIndex, Translator};

/// How often the same filling is done. Of each insert the shortest time counts: the others were
/// interrupted, by the system or by what else the machine does.
const FILLS: usize = 4;
/// Inserts that took less are not remembered from fill to fill.
const SLOW: Duration = Duration::from_micros(2);
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

/// Bytes a key, as the allocator counts them, and the inserts that took long.
struct Filled {
    /// The most after an insert.
    largest: f64,
    at_end: f64,
    /// The most inside an insert.
    in_step: f64,
    /// How many inserts allocated.
    steps: u64,
    /// Which inserts were slow, and the shortest time each took.
    slow: Vec<(u64, Duration)>,
}

impl Filled {
    fn longest_us(&self) -> f64 {
        let longest = self.slow.iter().map(|(_, took)| *took).max();
        longest.unwrap_or_default().as_nanos() as f64 / 1e3
    }
}

/// Inserts `count` keys, each timed, with the memory looked at after each.
fn fill(seed: u64, count: u64) -> (KeyIndex, Filled) {
    let mut filled = Filled {
        largest: 0.0,
        at_end: 0.0,
        in_step: 0.0,
        steps: 0,
        slow: Vec::with_capacity(count as usize / 2), // not while the memory is counted
    };
    let before = LIVE.load(Relaxed);
    let index = KeyIndex::new();
    for n in 0..count {
        let translated = EightCap.translate(&key(seed, n));
        PEAK.store(LIVE.load(Relaxed), Relaxed);
        let calls = CALLS.with(Cell::get);
        let start = Instant::now();
        index.insert(translated, n, &|_| false).unwrap();
        let took = start.elapsed();
        filled.steps += u64::from(CALLS.with(Cell::get) != calls);
        if took > SLOW && filled.slow.len() < filled.slow.capacity() {
            filled.slow.push((n, took));
        }
        // The first tenth would show the memory of the empty shards.
        if n >= count / 10 {
            let a_key = |bytes: usize| (bytes - before) as f64 / (n + 1) as f64;
            filled.largest = filled.largest.max(a_key(LIVE.load(Relaxed)));
            filled.in_step = filled.in_step.max(a_key(PEAK.load(Relaxed)));
        }
    }
    filled.at_end = (LIVE.load(Relaxed) - before) as f64 / count as f64;
    (index, filled)
}

/// Does the same filling again and keeps the shorter times.
fn fill_again(seed: u64, count: u64, filled: &mut Filled) {
    let index = KeyIndex::new();
    let mut slow = filled.slow.iter_mut().peekable();
    for n in 0..count {
        let translated = EightCap.translate(&key(seed, n));
        let start = Instant::now();
        index.insert(translated, n, &|_| false).unwrap();
        let took = start.elapsed();
        if let Some((_, least)) = slow.next_if(|(at, _)| *at == n) {
            *least = took.min(*least);
        }
    }
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

/// Nanoseconds a lookup, the least of some runs, for keys made ready before.
fn lookup_ns(index: &KeyIndex, keys: &[u64]) -> f64 {
    let mut out = Candidates::new();
    let run = |_| {
        let start = Instant::now();
        for &key in keys {
            index.lookup(key, &mut out);
            black_box(out.first());
        }
        start.elapsed().as_nanos() as f64 / keys.len() as f64
    };
    (0..5).map(run).fold(f64::MAX, f64::min)
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
    let (seed, count) = (millions, millions * 1_000_000);
    let (index, mut filled) = fill(seed, count);
    let once = filled.longest_us();
    println!("{millions} million keys, {} growth steps", filled.steps);
    println!("  bytes a key: largest        {:8.2}", filled.largest);
    println!("               at the end     {:8.2}", filled.at_end);
    println!("               inside a step  {:8.2}", filled.in_step);
    report_lookups(&index, seed, count);
    report_prune(&index, count);
    drop(index);
    (1..FILLS).for_each(|_| fill_again(seed, count, &mut filled));
    println!(
        "  longest insert              {:8.1} us ({once:.1} with interruptions)",
        filled.longest_us()
    );
    let rate = insert_rate(count) / 1e6;
    println!("  inserts                     {rate:8.2} million/s");
}

fn report_lookups(index: &KeyIndex, seed: u64, count: u64) {
    let present: Vec<u64> = (0..LOOKUPS.min(count))
        .map(|n| EightCap.translate(&key(seed, scattered(n, count))))
        .collect();
    let absent = translated(seed + 2000, LOOKUPS);
    let (hit, miss) = (lookup_ns(index, &present), lookup_ns(index, &absent));
    let (vain_hit, vain_miss) = in_vain(index, seed, count);
    println!("  lookup, present             {hit:8.1} ns");
    println!("  lookup, absent              {miss:8.1} ns");
    println!("  read in vain, present       {:>8}", one_in(vain_hit));
    println!("  read in vain, absent        {:>8}", one_in(vain_miss));
}

fn report_prune(index: &KeyIndex, count: u64) {
    let before = LIVE.load(Relaxed);
    let start = Instant::now();
    let removed = index.retain(&|location| location >= count / 2);
    let took = start.elapsed().as_secs_f64() * 1e3;
    let after = LIVE.load(Relaxed);
    let freed = (before - after) as f64 / 1e6;
    let a_key = index.memory() as f64 / index.len() as f64;
    println!(
        "  {removed} pruned in {took:.0} ms: {freed:.1} MB freed, {a_key:.2} bytes a key left"
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
