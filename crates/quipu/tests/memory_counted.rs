//! That the memory which an archive says it takes is what it asks the allocator for.

use quipu::{Archive, KeyMemory, Options, PageCache, ReadOnly, Stats};

type Store = Archive<[u8; 32]>;

fn key(index: u64) -> [u8; 32] {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&index.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
    key
}

/// Syncs so often that no more than one section is flushed at a time: what other threads ask for is not measured.
fn put(archive: &mut Store, indices: impl Iterator<Item = u64>, batch: u64) {
    for index in indices {
        let _ = archive.put(index, &key(index), &[7; 100][..]).unwrap();
        if index % batch == batch - 1 {
            archive.sync().unwrap();
        }
    }
    archive.sync().unwrap();
}

fn counted(stats: &Stats) -> u64 {
    [
        stats.memory_keys,
        stats.memory_tables,
        stats.memory_sections,
        stats.memory_runs,
        stats.memory_page_cache,
    ]
    .iter()
    .sum()
}

#[track_caller]
fn assert_near(stats: &Stats, asked: i64) {
    let counted = counted(stats) as i64;
    let off = (counted - asked).abs() * 100 / asked;
    assert!(
        off <= 10,
        "counted {counted}, asked for {asked}: {stats:#?}"
    );
}

/// Does some work with an archive, and holds the count against what the allocator gave and has not back.
#[track_caller]
fn hold(options: impl Fn() -> Options, work: impl Fn(&mut Store)) {
    let folder = tempfile::tempdir().unwrap();
    // Key tables are then made by the thread that is measured.
    quipu::seed_random_numbers(Some(1));
    for _life in 0..2 {
        let mut kept = None;
        let asked = allocation_counter::measure(|| {
            let mut archive: Store = options().open(folder.path()).unwrap();
            work(&mut archive);
            kept = Some(archive);
        });
        assert_near(&kept.as_ref().unwrap().stats(), asked.bytes_current);
        kept.unwrap().close().unwrap();
    }
    quipu::seed_random_numbers(None);
}

const ITEMS: u64 = 200_000;

fn read_all(archive: &Store) {
    for index in 0..ITEMS {
        assert!(archive.get(&key(index)).unwrap().is_some());
    }
}

#[test]
fn of_keys_in_memory() {
    let options = || Options::new().key_memory(KeyMemory::All);
    hold(options, |archive| put(archive, 0..ITEMS, 1000));
}

#[test]
fn of_keys_in_tables_and_pages_that_were_read() {
    let options = || Options::new().keys_per_table(10_000);
    hold(options, |archive| {
        put(archive, 0..ITEMS, 1000);
        read_all(archive);
    });
}

#[test]
fn of_bounded_pages() {
    let options = || {
        Options::new()
            .keys_per_table(10_000)
            .page_cache(PageCache::new(2 << 20))
            .key_memory(KeyMemory::AtMost(1 << 20))
    };
    hold(options, |archive| {
        put(archive, 0..ITEMS, 1000);
        read_all(archive);
    });
}

#[test]
fn of_many_sections() {
    let options = || Options::new().items_per_section(100);
    hold(options, |archive| put(archive, 0..ITEMS / 2, 100));
}

/// Whether its last sync came with its last item, or items of the next one were there by then.
#[test]
fn a_section_that_is_left_keeps_no_buffers() {
    for batch in [700, 1_000] {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::new().items_per_section(1_000);
        let mut archive: Store = options.open(folder.path()).unwrap();
        put(&mut archive, 0..100_000, batch);
        let stats = archive.stats();
        assert_eq!(stats.sections, 100);
        let each = stats.memory_sections / stats.sections;
        assert!(each < 8 << 10, "a sync each {batch}: {each}");
    }
}

/// Or a window of items that moves on would fill the cache with pages that nobody reads any more.
#[test]
fn pages_of_what_was_pruned_leave_the_cache() {
    const SECTION: u64 = 1_000;
    let folder = tempfile::tempdir().unwrap();
    let cache = PageCache::new(32 << 20);
    let options = Options::new()
        .items_per_section(SECTION)
        .page_cache(cache.clone());
    let mut archive: Store = options.open(folder.path()).unwrap();
    let mut bytes = Vec::new();
    for first in (0..40 * SECTION).step_by(SECTION as usize) {
        put(&mut archive, first..first + SECTION, 100);
        archive.prune(first.saturating_sub(SECTION)).unwrap();
        for index in first..first + SECTION {
            assert!(archive.get(index).unwrap().is_some());
        }
        bytes.push(cache.bytes());
    }
    let (first, last) = (bytes[2], bytes[bytes.len() - 1]);
    assert!(first > 0 && last <= 2 * first, "{bytes:?}");
    archive.prune(40 * SECTION).unwrap();
    assert_eq!(cache.bytes(), 0);
}

/// Every third index: runs, and positions one by one. What the writer's marks have of the runs beside is not counted,
/// and left out here by a look at what a reader takes.
#[test]
fn of_items_far_apart() {
    let options = || Options::new().items_per_section(1 << 14);
    let folder = tempfile::tempdir().unwrap();
    let mut archive: Store = options().open(folder.path()).unwrap();
    put(&mut archive, (0..ITEMS / 2).step_by(3), 1000);
    drop(archive);
    let mut kept = None;
    let asked = allocation_counter::measure(|| {
        let reader: ReadOnly<[u8; 32]> = options().open_read_only(folder.path()).unwrap();
        kept = Some(reader);
    });
    assert_near(&kept.unwrap().stats(), asked.bytes_current);
}
