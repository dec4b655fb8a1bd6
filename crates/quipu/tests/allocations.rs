//! How often a call asks the allocator for memory.

use quipu::{Archive, Options};

const BATCH: u64 = 1000;
const KEYS_PER_TABLE: u64 = 8192;

fn key(index: u64) -> [u8; 32] {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&index.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
    key
}

/// Whether no more keys are in memory than wait for a table: none that a table has as well, which go from memory one shard
/// after the other.
fn are_settled(archive: &Archive<[u8; 32]>, items: u64) -> bool {
    let stats = archive.stats();
    stats.keys == items && stats.keys - stats.keys_in_tables < 2 * KEYS_PER_TABLE
}

/// Puts items in order, and syncs after each batch; how often the puts of each asked for memory.
fn put(archive: &mut Archive<[u8; 32]>, batches: std::ops::Range<u64>) -> Vec<u64> {
    let value = [7; 256];
    let mut counts = Vec::new();
    for batch in batches {
        let counted = allocation_counter::measure(|| {
            for index in batch * BATCH..(batch + 1) * BATCH {
                let _ = archive.put(index, &key(index), &value[..]).unwrap();
            }
        });
        archive.sync().unwrap();
        // However slow the machine is, and whichever thread it lets go on.
        while !are_settled(archive, (batch + 1) * BATCH) {
            std::thread::sleep(std::time::Duration::from_millis(1));
            archive.sync().unwrap();
        }
        counts.push(counted.count_total);
    }
    counts
}

/// Keys go to tables again and again, so the memory of those before is there for the next ones.
#[test]
fn puts_ask_for_no_memory_in_the_steady_state() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::new().keys_per_table(KEYS_PER_TABLE);
    let mut archive: Archive<[u8; 32]> = options.open(folder.path()).unwrap();
    put(&mut archive, 0..150);
    let counts = put(&mut archive, 150..300);
    // A shard of the key index that never had as many keys as now makes room for them, more and more rarely; a
    // section that begins makes what it needs.
    let none = counts.iter().filter(|&&count| count == 0).count();
    assert!(none >= 30, "{counts:?}");
    let all: u64 = counts.iter().sum();
    assert!(all <= 150 * BATCH / 100, "{counts:?}");
}

/// The bytes of the value, and what shares them out. A page that is not in the cache is read into memory of its own.
#[test]
fn a_get_asks_for_memory_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut archive: Archive<[u8; 32]> = Archive::open(folder.path()).unwrap();
    put(&mut archive, 0..3);
    // Pages come into the cache as they are read.
    (0..3000).for_each(|index| drop(archive.get(index).unwrap()));
    let get = |index: u64| {
        let by_index = allocation_counter::measure(|| drop(archive.get(index).unwrap().unwrap()));
        let by_key =
            allocation_counter::measure(|| drop(archive.get(&key(index)).unwrap().unwrap()));
        let absent = allocation_counter::measure(|| {
            assert!(archive.get(&key(index + 1_000_000)).unwrap().is_none());
        });
        [by_index, by_key, absent].map(|counted| counted.count_total)
    };
    for index in 0..3000 {
        let counts = get(index);
        let few = counts
            .iter()
            .zip([2, 2, 0])
            .all(|(&found, most)| found <= most);
        assert!(index < 20 || few, "{index}: {counts:?}");
    }
}
