//! What each fault does, and when.

use quipu::storage::simulated::{Fault, FaultRates, Outcome, When};
use quipu::{Error, Result};

use super::*;

fn next(machine: &Simulated, fault: Fault) {
    machine.inject(machine.calls(), fault);
}

#[track_caller]
fn failed<T: std::fmt::Debug>(result: Result<T>) {
    match result {
        Err(Error::Io { path, .. }) if path.starts_with("simulated") => {}
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn is_full<T: std::fmt::Debug>(result: Result<T>) {
    assert!(
        matches!(result, Err(Error::StorageFull { .. })),
        "{result:?}"
    );
}

fn try_write(blob: &dyn Blob, offset: u64, parts: [&[u8]; 2]) -> Result<()> {
    blob.write_at(&parts.map(IoSlice::new), offset)
}

#[test]
fn an_error_before_does_nothing_and_one_after_does_it() {
    for (fault, wanted) in [(Fault::ErrorBefore, b"old"), (Fault::ErrorAfter, b"new")] {
        let (machine, blob) = with_durable(b"old");
        next(&machine, fault);
        failed(try_write(&*blob, 0, [b"n", b"ew"]));
        assert_eq!(read(&machine, "b").unwrap(), wanted);

        next(&machine, fault);
        failed(machine.rename("p", "b", "c"));
        let moved = machine.list("p").unwrap() == ["c"];
        assert_eq!(moved, fault == Fault::ErrorAfter);

        next(&machine, fault);
        failed(machine.lock("p", "lock", "me"));
        drop(machine.lock("p", "lock", "me").unwrap());
    }
}

#[test]
fn a_flush_fails_after_it_was_done() {
    let (machine, blob) = with_durable(b"old");
    write(&*blob, 0, b"new");
    next(&machine, Fault::ErrorAfter);
    failed(blob.sync());
    assert_eq!(
        contents(&machine, Survival::Nothing),
        [b"new".to_vec()].into()
    );
}

#[test]
fn a_short_write_writes_a_part_from_the_front() {
    let mut seen = BTreeSet::new();
    for seed in 0..SEEDS {
        let machine = Simulated::new(seed);
        let blob = create(&machine, "b", b"....");
        next(&machine, Fault::ShortWrite);
        failed(try_write(&*blob, 0, [b"ab", b"cd"]));
        seen.insert(String::from_utf8(read(&machine, "b").unwrap()).unwrap());
    }
    let parts = ["....", "a...", "ab..", "abc."].map(str::to_owned);
    assert_eq!(seen, parts.into());
}

#[test]
fn no_space_comes_to_calls_that_need_some() {
    let (machine, blob) = with_durable(b"old");
    next(&machine, Fault::NoSpace);
    blob.sync().unwrap();
    blob.resize(2).unwrap();
    machine.open("p", "b", OpenMode::Create).unwrap();
    is_full(blob.resize(3));
    next(&machine, Fault::NoSpace);
    is_full(machine.open("p", "c", OpenMode::Create));
    next(&machine, Fault::NoSpace);
    is_full(machine.rename("p", "b", "c"));
    next(&machine, Fault::NoSpace);
    is_full(try_write(&*blob, 2, [b"x", b"y"]));
    assert_eq!(machine.list("p").unwrap(), ["b"]);
    assert!(b"olxy".starts_with(&read(&machine, "b").unwrap()[..]));
}

#[test]
fn a_flush_that_failed_is_not_made_good_by_the_next() {
    let mut seen = BTreeSet::new();
    for seed in 0..SEEDS {
        let machine = Simulated::new(seed);
        let blob = create(&machine, "b", b"ab");
        blob.sync().unwrap();
        machine.sync_partition("p").unwrap();
        write(&*blob, 0, b"A");
        write(&*blob, 1, b"BC");
        next(&machine, Fault::FlushFails);
        failed(blob.sync());
        seen.insert(read(&machine, "b").unwrap());
        blob.sync().unwrap();
        for survival in Survival::EVERY {
            assert_eq!(contents_of(&machine, survival, seed), b"ab");
        }
        // What is written again is durable; what was not is a hole.
        write(&*blob, 2, b"C");
        blob.sync().unwrap();
        assert_eq!(contents_of(&machine, Survival::Nothing, seed), b"abC");
    }
    // Each write is seen on or not; the length stays.
    let wanted = ["ab\0", "Ab\0", "aBC", "ABC"].map(|text| text.as_bytes().to_vec());
    assert_eq!(seen, wanted.into());
}

fn contents_of(machine: &Simulated, survival: Survival, seed: u64) -> Vec<u8> {
    read(&machine.after_crash(survival, seed), "b").unwrap()
}

#[test]
fn a_flush_of_a_partition_that_fails_leaves_names_open() {
    let machine = Simulated::new(0);
    create(&machine, "b", b"");
    next(&machine, Fault::FlushFails);
    failed(machine.sync_partition("p"));
    assert_eq!(name_sets(&machine, Survival::Bytes).len(), 2);
    machine.sync_partition("p").unwrap();
    assert_eq!(name_sets(&machine, Survival::Nothing).len(), 1);
}

#[test]
fn a_read_error_reads_nothing() {
    let (machine, blob) = with_durable(b"abc");
    for read in [1, 2] {
        next(&machine, Fault::ReadError);
        let mut bytes = b"old".to_vec();
        blob.read_into(&mut Vec::new(), 0, 0).unwrap();
        failed(match read {
            1 => blob.read_at(&mut bytes, 0),
            _ => blob.read_into(&mut bytes, 0, 3),
        });
        assert_eq!(bytes, b"old");
    }
    assert_eq!(read(&machine, "b").unwrap(), b"abc");
}

#[test]
fn a_silent_fault_changes_the_disk_where_it_is_read() {
    for fault in [Fault::FlippedBit, Fault::ZeroedBlock, Fault::StaleBlock] {
        let (machine, blob) = with_durable(&[1; 2000]);
        write(&*blob, 0, &[2; 2000]);
        blob.sync().unwrap();
        next(&machine, fault);
        let mut bytes = [0; 512];
        blob.read_at(&mut bytes, 512).unwrap();
        let changed = bytes.iter().filter(|&&byte| byte != 2).count();
        assert_eq!(changed, if fault == Fault::FlippedBit { 1 } else { 512 });
        let outcome = machine.log().last().unwrap().outcome;
        assert_eq!(outcome, Outcome::Damaged(fault));
        // It stays, and nothing else changed.
        let mut wanted = vec![2; 2000];
        wanted[512..1024].copy_from_slice(&bytes);
        assert_eq!(read(&machine, "b").unwrap(), wanted);
        assert_eq!(contents(&machine, Survival::Nothing), [wanted].into());
    }
}

#[test]
fn a_silent_fault_waits_for_durable_bytes() {
    let machine = Simulated::new(0);
    let blob = create(&machine, "b", &[1; 100]);
    next(&machine, Fault::FlippedBit);
    next(&machine, Fault::StaleBlock);
    assert_eq!(read(&machine, "b").unwrap(), [1; 100]);
    blob.sync().unwrap();
    let flipped = read(&machine, "b").unwrap();
    assert_eq!(flipped.iter().filter(|&&byte| byte != 1).count(), 1);
    // There was no older content; now there is.
    write(&*blob, 0, &[2; 100]);
    blob.sync().unwrap();
    assert_eq!(read(&machine, "b").unwrap(), flipped);
}

#[test]
fn faults_come_at_their_call_and_once() {
    let (machine, blob) = with_durable(b"abc");
    let at = machine.calls() + 2;
    machine.inject(at, Fault::ErrorBefore);
    machine.inject(at, Fault::ErrorBefore);
    let results: Vec<bool> = (0..5).map(|_| blob.len().is_ok()).collect();
    assert_eq!(results, [true, true, false, false, true]);
}

#[test]
fn faults_by_chance_come_about_as_often_as_was_said() {
    for &fault in Fault::ALL {
        let (machine, blob) = with_durable(&[1; 512]);
        write(&*blob, 0, &[2; 512]);
        blob.sync().unwrap();
        machine.fault_rates(Some(FaultRates::none().with(fault, 200_000)));
        let from = machine.calls() as usize;
        for round in 0..1000 {
            let _ = blob.write_at(&[IoSlice::new(&[round as u8; 512])], 0);
            let _ = blob.sync();
            let _ = blob.read_at(&mut [0; 512], 0);
        }
        machine.fault_rates(None);
        let log = machine.log();
        let hit =
            |outcome: Outcome| [Outcome::Failed(fault), Outcome::Damaged(fault)].contains(&outcome);
        let hits = log[from..].iter().filter(|call| hit(call.outcome)).count();
        let each = if matches!(fault, Fault::ErrorBefore | Fault::ErrorAfter) {
            3
        } else {
            1
        };
        // 200 of each 1,000 calls that it applies to.
        assert!(
            (120 * each..=280 * each).contains(&hits),
            "{fault:?}: {hits}"
        );
    }
}

#[test]
fn a_machine_stops_before_or_after_a_call() {
    for (when, wanted) in [(When::Before, b"old"), (When::After, b"new")] {
        let (machine, blob) = with_durable(b"old");
        machine.stop_at(machine.calls() + 1, when);
        write(&*blob, 0, b"new");
        assert!(!machine.is_stopped());
        failed(blob.sync());
        assert!(machine.is_stopped());
        failed(blob.read_at(&mut [0], 0));
        failed(machine.list("p"));
        let last = machine.log().pop().unwrap();
        assert_eq!(last.outcome, Outcome::Stopped);
        assert_eq!(contents_of(&machine, Survival::Nothing, 0), wanted);
        assert_eq!(contents_of(&machine, Survival::All, 0), b"new");
    }
}

#[test]
fn a_call_that_is_past_stops_the_next_one() {
    let (machine, blob) = with_durable(b"old");
    machine.stop_at(0, When::Before);
    failed(blob.len());
}

#[test]
fn a_full_disk_takes_what_fits() {
    let (machine, blob) = with_durable(b"abcd");
    machine.set_capacity(Some(6));
    write(&*blob, 0, b"ABCD");
    is_full(try_write(&*blob, 3, [b"de", b"fg"]));
    assert_eq!(read(&machine, "b").unwrap(), b"ABCdef");
    machine.open("p", "empty", OpenMode::Create).unwrap();
    // A crash does not make the disk larger.
    let after = machine.after_crash(Survival::All, 0);
    let there = after.open("p", "empty", OpenMode::Write).unwrap();
    is_full(try_write(&*there, 0, [b"x", b""]));
    blob.resize(5).unwrap();
    let other = machine.open("p", "empty", OpenMode::Write).unwrap();
    is_full(try_write(&*other, 0, [b"x", b"y"]));
    assert_eq!(read(&machine, "empty").unwrap(), b"x");
}

#[test]
fn a_removed_blob_takes_its_room_until_it_is_closed() {
    let (machine, blob) = with_durable(b"abcd");
    machine.set_capacity(Some(4));
    machine.remove("p", "b").unwrap();
    let other = machine.open("p", "other", OpenMode::Create).unwrap();
    is_full(try_write(&*other, 0, [b"x", b""]));
    drop(blob);
    write(&*other, 0, b"wxyz");
}
