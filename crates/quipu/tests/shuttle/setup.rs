//! What the scenarios share: schedulers, a small archive, items that tell what they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quipu::index::OneCap;
use quipu::storage::{Memory, OpenMode, Storage};
use quipu::{Archive, Bytes, Item, Options, Reader};
use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler};
use shuttle::{Config, Runner};

pub(crate) type Key = [u8; 16];

/// Runs a scenario in many orders.
pub(crate) fn explore(scenario: fn()) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    if let Ok(schedule) = std::env::var("QUIPU_SCHEDULE") {
        let mut replay = ReplayScheduler::new_from_encoded(&schedule);
        // It ends where the failure began: what was let go after that is not in it.
        replay.set_allow_incomplete();
        run(replay, scenario);
        return println!("the schedule did not fail, or is of another build");
    }
    let seed = number("QUIPU_SEED").unwrap_or(0x0071_7569_7075);
    let orders = number("QUIPU_ITERATIONS").unwrap_or(300) as usize;
    println!("QUIPU_SEED={seed}, {orders} orders at random");
    run(RandomScheduler::new_from_seed(seed, orders), scenario);
    for depth in [2, 4] {
        println!("QUIPU_SEED={seed}, {orders} orders of {depth} switches");
        run(PctScheduler::new_from_seed(seed, depth, orders), scenario);
    }
}

fn run(scheduler: impl Scheduler + 'static, scenario: fn()) {
    let mut config = Config::new();
    config.stack_size = 1 << 20;
    config.silence_warnings = true;
    let orders = Orders::default();
    let tried = Arc::clone(&orders.0);
    Runner::new(scheduler, config).run(move || {
        tried.fetch_add(1, Ordering::Relaxed);
        scenario();
    });
}

/// How many orders were tried; tells when one has failed.
#[derive(Default)]
struct Orders(Arc<AtomicU64>);

impl Drop for Orders {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("order {} failed", self.0.load(Ordering::Relaxed));
        }
    }
}

/// Sections of 4 items, pages and buffers of a few, no more open files than two sections have.
/// Many keys have one short form.
pub(crate) fn options() -> Options {
    Options::new()
        .items_per_section(4)
        .page_size(70)
        .write_buffer(80)
        .max_open_files(8)
        .translator(OneCap)
}

pub(crate) fn open(storage: &Memory, options: Options) -> Archive<Key> {
    options.open_on(Arc::new(storage.clone())).unwrap()
}

pub(crate) fn with_items(
    options: Options,
    indices: impl IntoIterator<Item = u64>,
) -> (Memory, Archive<Key>) {
    let storage = Memory::new();
    let mut archive = open(&storage, options);
    for index in indices {
        put(&mut archive, index, 0);
    }
    archive.sync().unwrap();
    (storage, archive)
}

/// The key of an item: it tells the index and how often that was put before. One of four short
/// forms.
pub(crate) fn key(index: u64, generation: u64) -> Key {
    let mut key = [0; 16];
    key[0] = (index % 4) as u8;
    key[1..8].copy_from_slice(&index.to_be_bytes()[1..]);
    key[8..].copy_from_slice(&generation.to_be_bytes());
    key
}

pub(crate) fn value(index: u64, generation: u64) -> Vec<u8> {
    key(index, generation).repeat(1 + index as usize % 2)
}

/// Puts an item that must be new.
pub(crate) fn put(archive: &mut Archive<Key>, index: u64, generation: u64) {
    let put = archive.put(index, &key(index, generation), &value(index, generation));
    assert_eq!(put.unwrap(), quipu::Put::Stored, "{index}");
}

/// Checks that an item is one that was put; which generation.
pub(crate) fn generation_of(item: &Item<Key, Bytes>) -> u64 {
    let generation = u64::from_be_bytes(item.key[8..].try_into().unwrap());
    assert_eq!(item.key, key(item.index, generation));
    assert_eq!(item.value, value(item.index, generation));
    generation
}

/// The item at an index, found both ways, is this one.
pub(crate) fn assert_found(reader: &Reader<Key>, index: u64, generation: u64) {
    let by_index = reader.get_item(index).unwrap();
    let by_index = by_index.unwrap_or_else(|| panic!("index {index} is not found"));
    assert_eq!(generation_of(&by_index), generation);
    let by_key = reader.get(&key(index, generation)).unwrap();
    let by_key = by_key.unwrap_or_else(|| panic!("the key of {index} is not found"));
    assert_eq!(by_key, value(index, generation));
    assert!(reader.has(index).unwrap());
    assert!(reader.has_at(index, &key(index, generation)).unwrap());
}

/// Bytes that the files of new archives begin with.
pub(crate) const HEADER: usize = 4096;

/// Turns a bit of what a blob has where `find` says.
pub(crate) fn flip(
    storage: &Memory,
    partition: &str,
    section: u64,
    find: impl FnOnce(&[u8]) -> usize,
) {
    let name = format!("{section:016x}");
    let blob = storage.open(partition, &name, OpenMode::Write).unwrap();
    let mut bytes = Vec::new();
    blob.read_into(&mut bytes, 0, blob.len().unwrap() as usize)
        .unwrap();
    let at = find(&bytes);
    blob.write_at(&[std::io::IoSlice::new(&[bytes[at] ^ 1])], at as u64)
        .unwrap();
}

/// Turns a bit in the stored value of an item.
pub(crate) fn hurt(storage: &Memory, section: u64, index: u64) {
    let stored = value(index, 0);
    flip(storage, "values", section, |bytes| {
        let at = bytes.windows(stored.len()).position(|part| part == stored);
        at.unwrap()
    });
}

/// What the threads of a scenario tell each other, without a switch: not of `shuttle`.
#[derive(Default)]
pub(crate) struct Told(AtomicU64);

impl Told {
    pub(crate) fn tell(&self, number: u64) {
        self.0.store(number, Ordering::SeqCst);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}
