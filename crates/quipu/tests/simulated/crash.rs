//! Bytes and lengths after a crash.

use std::collections::BTreeSet;

use quipu::storage::simulated::Fault;

use super::*;

const MODES: [Survival; 3] = [Survival::Bytes, Survival::Sectors, Survival::Prefix];

fn set<const N: usize>(contents: [&[u8]; N]) -> BTreeSet<Vec<u8>> {
    contents.iter().map(|bytes| bytes.to_vec()).collect()
}

#[test]
fn flushed_bytes_under_a_flushed_name_survive() {
    let (machine, _) = with_durable(b"durable");
    for survival in Survival::EVERY {
        assert_eq!(contents(&machine, survival), set([b"durable"]));
    }
}

#[test]
fn all_and_nothing_are_what_they_say() {
    let (machine, blob) = with_durable(b"old");
    write(&*blob, 1, b"NEW");
    assert_eq!(contents(&machine, Survival::All), set([b"oNEW"]));
    assert_eq!(contents(&machine, Survival::Nothing), set([b"old"]));
}

#[test]
fn any_subset_of_the_bytes() {
    let (machine, blob) = with_durable(b"abcd");
    write(&*blob, 0, b"ABCD");
    let all: BTreeSet<Vec<u8>> = (0..16_u8)
        .map(|kept| {
            let byte = |(at, byte): (usize, &u8)| byte ^ ((kept >> at & 1) << 5);
            b"abcd".iter().enumerate().map(byte).collect()
        })
        .collect();
    assert_eq!(contents(&machine, Survival::Bytes), all);
    // A sector of the disk is not torn; a process that ends may have written a part.
    assert_eq!(
        contents(&machine, Survival::Sectors),
        set([b"abcd", b"ABCD"])
    );
    assert_eq!(
        contents(&machine, Survival::Prefix),
        set([b"abcd", b"Abcd", b"ABcd", b"ABCd", b"ABCD"])
    );
}

#[test]
fn any_subset_of_several_writes() {
    let (machine, blob) = with_durable(b"abc");
    for (at, byte) in (0..).zip(b"ABC") {
        write(&*blob, at, &[*byte]);
    }
    assert_eq!(contents(&machine, Survival::Bytes).len(), 8);
    // In their order, as moments of one sector.
    let moments = set([b"abc", b"Abc", b"ABc", b"ABC"]);
    assert_eq!(contents(&machine, Survival::Sectors), moments);
    assert_eq!(contents(&machine, Survival::Prefix), moments);
}

#[test]
fn writes_to_one_place_leave_each_of_their_values() {
    let (machine, blob) = with_durable(b"0");
    write(&*blob, 0, b"1");
    write(&*blob, 0, b"2");
    for survival in MODES {
        assert_eq!(contents(&machine, survival), set([b"0", b"1", b"2"]));
    }
}

#[test]
fn sectors_survive_whole_and_on_their_own() {
    let (machine, blob) = with_durable(&[0; 1600]);
    write(&*blob, 100, &[1; 1500]);
    let seen = contents(&machine, Survival::Sectors);
    for bytes in &seen {
        for sector in bytes.chunks(512) {
            let written = sector.iter().filter(|&&byte| byte == 1).count();
            let part = sector.len().min(match sector.as_ptr() == bytes.as_ptr() {
                true => 412,
                false => 512,
            });
            assert!(written == 0 || written == part, "{written} of {part}");
        }
    }
    assert_eq!(seen.len(), 16);
}

#[test]
fn a_length_may_be_ahead_of_its_bytes() {
    let (machine, blob) = with_durable(b"ab");
    write(&*blob, 2, b"cd");
    for survival in [Survival::Bytes, Survival::Sectors] {
        let seen = contents(&machine, survival);
        assert!(seen.contains(&b"ab\0\0"[..]), "{survival:?}: {seen:?}");
    }
    let seen = contents(&machine, Survival::Prefix);
    assert_eq!(seen, set([b"ab", b"abc", b"abcd"]));
}

#[test]
fn a_length_may_be_behind_its_bytes() {
    let (machine, blob) = with_durable(b"ab");
    write(&*blob, 0, b"AB");
    write(&*blob, 2, b"CD");
    let seen = contents(&machine, Survival::Bytes);
    // Also between the two, where the file grew.
    for wanted in [&b"AB"[..], b"ABC", b"ab", b"abC", b"ab\0D", b"ABCD"] {
        assert!(seen.contains(wanted), "{wanted:?}: {seen:?}");
    }
    assert!(seen.iter().all(|bytes| (2..=4).contains(&bytes.len())));
}

#[test]
fn a_cut_survives_or_not() {
    let (machine, blob) = with_durable(b"abcd");
    blob.resize(2).unwrap();
    for survival in MODES {
        assert_eq!(contents(&machine, survival), set([b"ab", b"abcd"]));
    }
}

#[test]
fn what_was_cut_may_be_under_what_came_after() {
    let (machine, blob) = with_durable(b"abcd");
    blob.resize(1).unwrap();
    write(&*blob, 1, b"XY");
    let seen = contents(&machine, Survival::Bytes);
    for wanted in [
        &b"abcd"[..],
        b"a",
        b"aXY",
        b"aXYd",
        b"aXcd",
        b"a\0Y",
        b"a\0\0",
    ] {
        assert!(seen.contains(wanted), "{wanted:?}: {seen:?}");
    }
    // The byte that nothing touched stays.
    assert!(seen.iter().all(|bytes| bytes[0] == b'a'));
    // A moment has the cut before the write.
    assert_eq!(
        contents(&machine, Survival::Prefix),
        set([b"abcd", b"a", b"aX", b"aXY"])
    );
}

#[test]
fn bytes_belong_to_the_blob_and_not_to_its_name() {
    let (machine, blob) = with_durable(b"old");
    write(&*blob, 0, b"NEW");
    machine.rename("p", "b", "moved").unwrap();
    machine.sync_partition("p").unwrap();
    let crash = |seed| read(&machine.after_crash(Survival::Bytes, seed), "moved").unwrap();
    let seen: BTreeSet<Vec<u8>> = (0..SEEDS).map(crash).collect();
    assert!(seen.contains(&b"old"[..]) && seen.contains(&b"NEW"[..]));
    blob.sync().unwrap();
    assert!((0..SEEDS).all(|seed| crash(seed) == b"NEW"));
}

#[test]
fn each_blob_is_decided_on_its_own() {
    let machine = Simulated::new(0);
    for name in ["a", "b"] {
        create(&machine, name, b"0").sync().unwrap();
    }
    machine.sync_partition("p").unwrap();
    for name in ["a", "b"] {
        create(&machine, name, b"1");
    }
    for survival in MODES {
        assert_eq!(name_sets(&machine, survival).len(), 4, "{survival:?}");
    }
}

#[test]
fn a_huge_hole_costs_nothing() {
    let (machine, blob) = with_durable(b"ab");
    write(&*blob, 5 << 30, b"end");
    blob.resize(1).unwrap();
    let after = machine.after_crash(Survival::Bytes, 1);
    let len = after.open("p", "b", OpenMode::Read).unwrap().len().unwrap();
    assert!(len <= (5 << 30) + 3);
    blob.sync().unwrap();
    assert_eq!(contents(&machine, Survival::Bytes), set([b"a"]));
}

#[test]
fn the_result_is_durable_and_a_machine_of_its_own() {
    let (machine, blob) = with_durable(b"old");
    write(&*blob, 0, b"NEW");
    machine.stop();
    let after = machine.after_crash(Survival::All, 0);
    assert_eq!(contents(&after, Survival::Nothing), set([b"NEW"]));
    create(&after, "b", b"N2W").sync().unwrap();
    assert_eq!(contents(&machine, Survival::All), set([b"NEW"]));
    assert_eq!(contents(&after, Survival::Nothing), set([b"N2W"]));
}

#[test]
fn the_end_of_the_process_alone_leaves_everything_in_memory() {
    let (machine, blob) = with_durable(b"old");
    write(&*blob, 0, b"NEW");
    create(&machine, "c", b"fresh");
    machine.stop();
    let next = machine.after_crash(Survival::Memory, 0);
    assert_eq!(read(&next, "b").unwrap(), b"NEW");
    assert_eq!(read(&next, "c").unwrap(), b"fresh");
    let lost = next.after_crash(Survival::Nothing, 0);
    assert_eq!(read(&lost, "b").unwrap(), b"old");
    assert_eq!(read(&lost, "c"), None);
    // The next process can make it durable.
    next.open("p", "b", OpenMode::Write)
        .unwrap()
        .sync()
        .unwrap();
    assert_eq!(contents(&next, Survival::Nothing), set([b"NEW"]));
}

#[test]
fn a_flush_that_failed_is_not_made_good_by_the_next_process() {
    for seed in 0..20 {
        let (machine, blob) = with_durable(b"old");
        machine.inject(machine.calls() + 1, Fault::FlushFails);
        write(&*blob, 0, b"NEW");
        assert!(blob.sync().is_err());
        let next = machine.after_crash(Survival::Memory, seed);
        next.open("p", "b", OpenMode::Write)
            .unwrap()
            .sync()
            .unwrap();
        assert_eq!(contents(&next, Survival::Nothing), set([b"old"]));
    }
}

#[test]
fn the_end_of_the_process_alone_frees_locks_and_rooms() {
    let (machine, blob) = with_durable(&[1; 1000]);
    let lock = machine.lock("p", "lock", "first").unwrap();
    machine.remove("p", "b").unwrap();
    machine.set_capacity(Some(1000));
    let next = machine.after_crash(Survival::Memory, 0);
    drop(next.lock("p", "lock", "second").unwrap());
    // Nobody holds the removed blob any more.
    create(&next, "c", &[2; 900]);
    drop((lock, blob));
}
