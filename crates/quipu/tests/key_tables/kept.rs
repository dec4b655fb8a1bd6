//! Tables as they are made, merged and lost while the archive goes on: which keys they take out of memory,
//! and which come back.

use std::io::IoSlice;
use std::sync::Arc;
use std::time::Duration;

use quipu::Stats;
use quipu::storage::{OpenMode, Storage};

use super::gate::{Closed, Gate};
use super::*;

/// Waits for what is done beside the writer.
#[track_caller]
fn wait(archive: &Store, is_so: impl Fn(&Stats) -> bool) {
    let came = |_| {
        std::thread::sleep(Duration::from_millis(1));
        is_so(&archive.stats())
    };
    assert!((0..5_000).any(came), "{:?}", archive.stats());
}

/// Keys that no table has.
fn in_memory(stats: &Stats) -> u64 {
    stats.keys - stats.keys_in_tables
}

/// Puts, and waits until tables have all keys.
#[track_caller]
fn put_into_table(archive: &mut Store, indices: std::ops::Range<u64>, life: u64) {
    put(archive, indices, life);
    // While a table is written anew, the sync begins no other.
    let came = |_| {
        archive.sync().unwrap();
        std::thread::sleep(Duration::from_millis(1));
        in_memory(&archive.stats()) == 0
    };
    assert!((0..5_000).any(came), "{:?}", archive.stats());
}

/// A byte of a table's first page of slots.
const SLOTS: usize = 4096 + 100;

/// The table took the keys out of memory, and says nothing of the section once that is written anew.
#[test]
fn keys_that_left_the_memory_are_there_after_a_rewind() {
    each(|bench| {
        let mut archive: Store = bench.open();
        put_into_table(&mut archive, 0..18, 0);
        archive.rewind(14).unwrap();
        assert_holds(&archive, 0..15, 0);
        assert_eq!(archive.get(&key(15)).unwrap(), None);
        put_into_table(&mut archive, 15..25, 1);
        assert_holds(&archive, 15..25, 1);
    });
}

/// One of two tables of a section is lost: its keys are back in memory, those of the other one are not.
#[test]
fn keys_of_the_table_beside_a_lost_one_are_there_after_a_rewind() {
    for rewinds in [false, true] {
        each(|bench| {
            let options = bench.options().keys_per_table(5);
            let mut archive: Store = options.open_on(bench.storage()).unwrap();
            put_into_table(&mut archive, 0..5, 0);
            let first = tables(bench).remove(0);
            put_into_table(&mut archive, 5..10, 0);
            bench.flip("quipu", &first, SLOTS);
            assert_holds(&archive, 0..5, 0);
            assert_eq!(archive.stats().tables_lost, 1);
            if rewinds {
                archive.rewind(8).unwrap();
                assert_holds(&archive, 0..9, 0);
                // Each once.
                assert_eq!(in_memory(&archive.stats()), 9);
            } else {
                // The last page of entries, of which the repair keeps the others.
                let name = "0000000000000000";
                let len = bench.read("index", name).len();
                bench.flip("index", name, len - PAGE + 20);
                archive.repair().unwrap();
            }
            assert_holds(&archive, 0..7, 0);
        });
    }
}

/// Its section is read to its damaged page; what was read is of no table, and shifts none of the next one's.
#[test]
fn a_section_that_cannot_be_read_is_left_out_of_a_table() {
    each(|bench| {
        let options = bench.options().keys_per_table(16);
        let mut archive: Store = options.open_on(bench.storage()).unwrap();
        put(&mut archive, 0..15, 0);
        archive.sync().unwrap();
        bench.flip("index", "0000000000000000", HEADER + PAGE + 20);
        put(&mut archive, 15..20, 0);
        archive.sync().unwrap();
        wait(&archive, |stats| in_memory(stats) == 10);
        assert_eq!(archive.stats().keys_in_tables, 10);
        assert_holds(&archive, 10..20, 0);
        assert_holds(&archive, 0..3, 0);
    });
}

/// An archive that is held up in making a table of its first eight items, until what is given with it is dropped.
pub(super) fn making_a_table() -> (Store, Closed) {
    let gate = Gate::default();
    let options = options().items_per_section(100);
    let mut archive: Store = options.open_on(Arc::new(gate.clone())).unwrap();
    let closed = gate.close();
    put(&mut archive, 0..8, 0);
    archive.sync().unwrap();
    gate.wait_for_a_table();
    (archive, closed)
}

/// Entries that come to a section while a table of it is made are not in it.
#[test]
fn what_is_put_while_a_table_is_made_waits_for_the_next() {
    let (mut archive, closed) = making_a_table();
    put(&mut archive, 8..12, 0);
    archive.sync().unwrap();
    put(&mut archive, 12..16, 0);
    drop(closed);
    wait(&archive, |stats| stats.keys_in_tables == 8);
    put(&mut archive, 16..24, 0);
    assert_holds(&archive, 0..24, 0);
    // The thread may still be about to end: then a later sync finds that a table is due.
    for _ in 0..1000 {
        archive.sync().unwrap();
        if in_memory(&archive.stats()) == 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    // Each in one.
    assert_eq!(archive.stats().keys_in_tables, 24);
    assert_holds(&archive, 0..24, 0);
}

/// What came while a table was made goes into the next with a sync that has nothing else to do.
#[test]
fn a_sync_without_puts_has_a_table_made_that_is_due() {
    let (mut archive, closed) = making_a_table();
    put(&mut archive, 8..24, 0);
    archive.sync().unwrap();
    drop(closed);
    wait(&archive, |stats| stats.keys_in_tables == 8);
    for _ in 0..1000 {
        archive.sync().unwrap();
        if in_memory(&archive.stats()) == 0 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(archive.stats().keys_in_tables, 24);
    assert_holds(&archive, 0..24, 0);
}

/// A table is lost while one of later entries of the same section is made, which takes its own keys out of
/// memory and no others. These wait for a table again.
#[test]
fn what_a_lost_table_had_goes_into_another() {
    let gate = Gate::default();
    let options = options().items_per_section(100);
    let mut archive: Store = options.open_on(Arc::new(gate.clone())).unwrap();
    put_into_table(&mut archive, 0..8, 0);
    let names = gate.list("quipu").unwrap();
    let first = names.iter().find(|name| name.starts_with("keys-")).unwrap();
    let closed = gate.close();
    put(&mut archive, 8..16, 0);
    archive.sync().unwrap();
    gate.wait_for_a_table();
    let blob = gate.memory.open("quipu", first, OpenMode::Write).unwrap();
    blob.write_at(&[IoSlice::new(b"?")], SLOTS as u64).unwrap();
    assert_holds(&archive, 0..16, 0);
    assert_eq!(archive.stats().tables_lost, 1);
    drop(closed);
    wait(&archive, |stats| stats.keys_in_tables == 8);
    wait(&archive, |stats| in_memory(stats) == 8);
    assert_holds(&archive, 0..16, 0);
    put_into_table(&mut archive, 16..24, 0);
    assert_holds(&archive, 0..24, 0);
}

/// Nor does a table that was merged into it, and comes back, stay.
#[test]
fn a_merged_table_has_nothing_of_what_a_rewind_dropped() {
    each(|bench| {
        let mut archive: Store = bench.open();
        put_into_table(&mut archive, 0..15, 0);
        archive.rewind(9).unwrap();
        let mut sources = Vec::new();
        for first in [10, 20, 30] {
            // The worn one may be written anew right now: files come and go.
            let taken = bench.blobs_there("quipu");
            let is_table = |name: &str| name.starts_with("keys-") && !name.ends_with(".new");
            sources.extend(taken.into_iter().filter(|(name, _)| is_table(name)));
            put_into_table(&mut archive, first..first + 10, 1);
        }
        wait(&archive, |stats| stats.keys_in_tables == 40);
        archive.close().unwrap();
        let merged = tables(bench);
        assert_eq!(merged.len(), 1);
        assert!(!sources.is_empty());
        for (name, bytes) in &sources {
            bench.write("quipu", name, bytes);
        }
        let archive: Store = bench.open();
        assert_eq!(tables(bench), merged);
        assert_eq!(archive.stats().keys_in_tables, 40);
        assert_holds(&archive, 0..10, 0);
        assert_holds(&archive, 10..40, 1);
    });
}

/// Slots of tables that were large keep the bits of their keys where others stand, of whatever little is left of
/// them in the table that they are merged into.
#[test]
fn tables_of_which_most_is_dropped_lose_no_key_in_a_merge() {
    each(|bench| {
        let options = bench.options().keys_per_table(16).max_open_files(512);
        let mut archive: Store = options.open_on(bench.storage()).unwrap();
        for (low, high) in [(0, 1_000), (60, 1_010), (120, 1_020)] {
            put(&mut archive, low..low + 56, 0);
            put_into_table(&mut archive, high..high + 4, 0);
        }
        assert_eq!(archive.stats().keys_in_tables, 180);
        archive.prune(1_000).unwrap();
        put_into_table(&mut archive, 1_030..1_050, 0);
        wait(&archive, |stats| stats.keys_in_tables == 32);
        for high in [1_000, 1_010, 1_020] {
            assert_holds(&archive, high..high + 4, 0);
        }
        assert_holds(&archive, 1_030..1_050, 0);
    });
}

/// Positions of another life of a section do not wait for a table.
#[test]
fn what_waits_for_a_table_is_forgotten_with_its_section() {
    // Of the second section, which a table has in part: written anew, and dropped.
    for at in [14, 9] {
        each(|bench| {
            let mut archive: Store = bench.open();
            put_into_table(&mut archive, 0..18, 0);
            put(&mut archive, 18..23, 0);
            archive.sync().unwrap();
            archive.rewind(at).unwrap();
            put_into_table(&mut archive, at + 1..30, 1);
            assert_holds(&archive, 0..at + 1, 0);
            assert_holds(&archive, at + 1..30, 1);
        });
    }
}

/// An archive is put back to how it was, but for a table that was made since: of one section it says what
/// holds, of another what came after.
#[test]
fn a_later_table_of_another_life_does_not_stand_for_an_earlier_one() {
    each(|bench| {
        let mut archive = bench.open();
        put(&mut archive, 0..15, 0);
        archive.close().unwrap();
        let before = bench.blobs();
        bench.flip("quipu", &tables(bench)[0], 20);
        let mut archive: Store = bench.open();
        archive.rewind(12).unwrap();
        put(&mut archive, 13..20, 1);
        archive.close().unwrap();
        for ((partition, name), bytes) in &before {
            bench.write(partition, name, bytes);
        }
        // The one from before, and of the other life as many as its threads came to make.
        assert!(tables(bench).len() >= 2);
        assert_holds(&bench.open::<8>(), 0..15, 0);
    });
}

/// Marks lag, so the end of a section was cut as a torn one; a table has more entries than are left, and the one
/// before it is gone. What comes in their place is in none of them.
#[test]
fn a_table_of_entries_that_were_cut_does_not_speak_for_others() {
    const NAME: &str = "0000000000000000";
    let options = options().keys_per_table(5).items_per_section(100);
    Bench::memory(options.page_size(28), |bench| {
        let mut archive = bench.open();
        put_into_table(&mut archive, 0..5, 0);
        let first = tables(bench).remove(0);
        put(&mut archive, 5..8, 0);
        archive.sync().unwrap();
        let marks = bench.read("quipu", "marks");
        put_into_table(&mut archive, 8..10, 0);
        drop(archive);
        bench.storage().remove("quipu", &first).unwrap();
        bench.write("quipu", "marks", &marks);
        let index = bench.read("index", NAME);
        bench.write("index", NAME, &index[..HEADER + 8 * (28 + 12)]);
        let mut archive: Store = bench.open();
        put_into_table(&mut archive, 100..101, 0);
        put(&mut archive, 8..10, 1);
        archive.sync().unwrap();
        drop(archive);
        let archive: Store = bench.open();
        assert_holds(&archive, 0..8, 0);
        assert_holds(&archive, 8..10, 1);
    });
}

/// As before, but the table is of another section too, and stays; and a loss of power takes the marks of what is put
/// behind the cut. That the section has begun another life was durable before.
#[test]
fn a_table_of_a_past_life_is_not_believed_after_a_loss_of_power() {
    const NAME: &str = "0000000000000000";
    let options = options().keys_per_table(10).items_per_section(100);
    Bench::memory(options.page_size(28), |bench| {
        let mut archive = bench.open();
        put(&mut archive, (0..8).chain([100]), 0);
        archive.sync().unwrap();
        let marks = bench.read("quipu", "marks");
        put_into_table(&mut archive, 8..10, 0);
        drop(archive);
        bench.write("quipu", "marks", &marks);
        let index = bench.read("index", NAME);
        bench.write("index", NAME, &index[..HEADER + 8 * (28 + 12)]);
        let values = bench.read("values", NAME);
        bench.write("values", NAME, &values[..HEADER + 8 * (LEN + 4)]);
        let mut archive: Store = bench.open();
        let marks = bench.read("quipu", "marks");
        put(&mut archive, 8..10, 1);
        archive.sync().unwrap();
        drop(archive);
        bench.write("quipu", "marks", &marks);
        let archive: Store = bench.open();
        assert_holds(&archive, (0..8).chain([100]), 0);
        assert_holds(&archive, 8..10, 1);
    });
}

/// A table of which a prune took a third or more is written anew without that; one of which it took less stays.
#[test]
fn a_table_of_which_a_prune_took_much_is_written_anew() {
    each(|bench| {
        let options = bench.options().keys_per_table(4_000);
        let mut archive: Store = options.open_on(bench.storage()).unwrap();
        put_into_table(&mut archive, 0..4_000, 0);
        assert_eq!(archive.stats().keys_in_tables, 4_000);
        archive.prune(1_000).unwrap();
        let first = archive.stats();
        assert_eq!(first.keys_in_tables, 4_000);
        archive.prune(2_000).unwrap();
        wait(&archive, |stats| stats.keys_in_tables == 2_000);
        assert_holds(&archive, 2_000..4_000, 0);
        assert_eq!(tables(bench).len(), 1);
        assert!(archive.stats().disk_tables < first.disk_tables);
        archive.close().unwrap();
        let archive: Store = bench.open();
        assert_holds(&archive, 2_000..4_000, 0);
        assert_eq!(archive.stats().keys_in_tables, 2_000);
    });
}
