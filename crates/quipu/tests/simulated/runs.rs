//! The same seed gives the same run; the log tells what was called.

use quipu::storage::simulated::{CallKind, Fault, FaultRates};
use quipu::{Archive, Options};

use super::*;

/// Uses every kind of call, with faults by chance.
fn run(seed: u64) -> Simulated {
    let machine = Simulated::new(seed);
    let mut rates = FaultRates::none();
    for &fault in Fault::ALL {
        rates = rates.with(fault, 30_000);
    }
    machine.fault_rates(Some(rates));
    for round in 0..100_u8 {
        let _lock = machine.lock("p", "lock", "me");
        let Ok(blob) = machine.open("p", "b", OpenMode::Create) else {
            continue;
        };
        let _ = blob.write_at(&[IoSlice::new(&[round; 700])], u64::from(round) * 100);
        let _ = blob.read_at(&mut [0; 700], 0);
        let _ = blob.sync();
        let _ = blob.resize(u64::from(round) * 90);
        let _ = machine.rename("p", "b", "c");
        let _ = machine.sync_partition("p");
        let _ = machine.list("p");
        let _ = machine.remove("p", "c");
    }
    machine
}

#[test]
fn one_seed_is_one_run() {
    for seed in 0..5 {
        let (one, two) = (run(seed), run(seed));
        assert_eq!(one.log_hash(), two.log_hash());
        assert_eq!(one.log(), two.log());
        for survival in Survival::EVERY {
            assert_eq!(
                name_sets(&one, survival),
                name_sets(&two, survival),
                "{survival:?}"
            );
        }
        assert_ne!(one.log_hash(), run(seed + 1000).log_hash());
    }
}

#[test]
fn the_hash_of_the_log_has_every_byte_in_it() {
    let hash = |partition: &str, name: &str, offset, bytes: &[u8]| {
        let machine = Simulated::new(0);
        let blob = machine.open(partition, name, OpenMode::Create).unwrap();
        write(&*blob, offset, bytes);
        machine.log_hash()
    };
    let all = [
        hash("p", "b", 0, b"abc"),
        hash("q", "b", 0, b"abc"),
        hash("p", "c", 0, b"abc"),
        hash("p", "b", 1, b"abc"),
        hash("p", "b", 0, b"abd"),
        hash("p", "b", 0, b"ab"),
    ];
    assert_eq!(BTreeSet::from(all).len(), all.len());
    assert_eq!(all[0], hash("p", "b", 0, b"abc"));
}

#[test]
fn the_hash_of_the_log_has_what_was_read() {
    let hash = |damaged: bool| {
        let (machine, _) = with_durable(b"abc");
        if damaged {
            machine.flip_bit("p", "b", 3).unwrap();
        }
        read(&machine, "b").unwrap();
        machine.log_hash()
    };
    assert_ne!(hash(false), hash(true));
}

#[test]
fn the_log_tells_every_call_in_a_line() {
    let machine = Simulated::new(0);
    let blob = create(&machine, "b", b"abc");
    assert!(blob.read_at(&mut [0; 2], 2).is_err());
    blob.resize(1).unwrap();
    blob.sync().unwrap();
    machine.rename("p", "b", "c").unwrap();
    machine.inject(0, Fault::FlushFails);
    assert!(machine.sync_partition("p").is_err());
    drop(blob);
    machine.stop();
    assert!(machine.list("p").is_err());
    let lines: Vec<String> = machine.log().iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "0 create p/b: done",
            "1 write p/b 3 bytes at 0: done",
            "2 read p/b 2 bytes at 2: out of bounds",
            "3 resize p/b to 1 bytes: done",
            "4 flush p/b: done",
            "5 rename p/b to c: done",
            "6 flush p: failed by FlushFails",
            "7 list p: the machine has stopped",
        ]
    );
    assert_eq!(machine.calls(), 8);
    assert_eq!(machine.log()[1].kind, CallKind::Write);
}

#[test]
fn clones_are_one_machine() {
    let machine = Simulated::new(0);
    create(&machine.clone(), "b", b"abc");
    assert_eq!(read(&machine, "b").unwrap(), b"abc");
    machine.clone().stop();
    assert!(machine.is_stopped());
}

#[test]
fn what_survives_does_not_hang_on_earlier_looks() {
    let (machine, blob) = with_durable(&[0; 600]);
    write(&*blob, 0, &[1; 600]);
    let look = |seed| read(&machine.after_crash(Survival::Bytes, seed), "b");
    let forwards: Vec<_> = (0..20).map(look).collect();
    let mut backwards: Vec<_> = (0..20).rev().map(look).collect();
    backwards.reverse();
    assert_eq!(forwards, backwards);
    assert_eq!(machine.calls(), 5);
}

/// An archive on a machine that is stopped at each call has what it acknowledged.
#[test]
fn an_archive_runs_on_it() {
    let machine = Simulated::new(0);
    let storage = || Arc::new(machine.clone());
    let mut archive: Archive<[u8; 4]> = Options::new().open_on(storage()).unwrap();
    for index in 0..50 {
        let _ = archive.put(index, b"key.", &[index as u8; 50]).unwrap();
    }
    archive.sync().unwrap();
    drop(archive);
    for seed in 0..50 {
        let disk = Arc::new(machine.after_crash(Survival::Bytes, seed));
        let archive: Archive<[u8; 4]> = Options::new().open_on(disk).unwrap();
        assert!((0..50).all(|index| *archive.get(index).unwrap().unwrap() == [index as u8; 50]));
    }
}
