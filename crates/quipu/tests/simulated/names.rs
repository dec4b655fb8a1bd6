//! Names after a crash.

use quipu::Error;

use super::*;

type Set = Vec<(String, Vec<u8>)>;

fn names<const N: usize>(names: [(&str, &[u8]); N]) -> Set {
    let owned = names.map(|(name, bytes)| (name.to_owned(), bytes.to_vec()));
    owned.into_iter().collect()
}

const MODES: [Survival; 3] = [Survival::Bytes, Survival::Sectors, Survival::Prefix];

#[test]
fn a_blob_whose_name_is_lost_is_gone_though_it_was_flushed() {
    let machine = Simulated::new(0);
    create(&machine, "b", b"flushed").sync().unwrap();
    for survival in MODES {
        let seen = name_sets(&machine, survival);
        assert_eq!(seen, [names([]), names([("b", b"flushed")])].into());
    }
    assert_eq!(name_sets(&machine, Survival::Nothing), [names([])].into());
    machine.sync_partition("p").unwrap();
    let kept = [names([("b", b"flushed")])].into();
    assert_eq!(name_sets(&machine, Survival::Nothing), kept);
}

#[test]
fn a_name_may_be_there_without_its_bytes() {
    let machine = Simulated::new(0);
    create(&machine, "b", b"x");
    machine.sync_partition("p").unwrap();
    let seen = contents(&machine, Survival::Bytes);
    let wanted: BTreeSet<Vec<u8>> = [vec![], b"\0".to_vec(), b"x".to_vec()].into();
    assert_eq!(seen, wanted);
}

#[test]
fn a_rename_leaves_the_old_blob_or_the_new_one() {
    let (machine, _) = with_durable(b"old");
    create(&machine, "new", b"new").sync().unwrap();
    machine.sync_partition("p").unwrap();
    machine.rename("p", "new", "b").unwrap();
    for survival in MODES {
        let seen = name_sets(&machine, survival);
        let before = names([("b", b"old"), ("new", b"new")]);
        assert_eq!(seen, [names([("b", b"new")]), before].into());
    }
}

#[test]
fn a_rename_of_a_name_that_is_lost_still_moves_its_blob() {
    let (machine, _) = with_durable(b"old");
    create(&machine, "new", b"new").sync().unwrap();
    machine.rename("p", "new", "b").unwrap();
    let seen = name_sets(&machine, Survival::Bytes);
    let wanted = [
        names([("b", b"old")]),
        names([("b", b"old"), ("new", b"new")]),
        names([("b", b"new")]),
    ];
    assert_eq!(seen, wanted.into());
}

#[test]
fn no_crash_gives_a_blob_two_names() {
    let (machine, _) = with_durable(b"one");
    machine.rename("p", "b", "c").unwrap();
    machine.rename("p", "c", "d").unwrap();
    let seen = name_sets(&machine, Survival::Bytes);
    let wanted = ["b", "c", "d"].map(|name| names([(name, b"one")]));
    assert_eq!(seen, wanted.into());
}

#[test]
fn a_removal_that_is_lost_brings_the_blob_back() {
    let (machine, blob) = with_durable(b"kept");
    machine.remove("p", "b").unwrap();
    for survival in MODES {
        let seen = name_sets(&machine, survival);
        assert_eq!(seen, [names([]), names([("b", b"kept")])].into());
    }
    machine.sync_partition("p").unwrap();
    for survival in Survival::EVERY {
        assert_eq!(name_sets(&machine, survival), [names([])].into());
    }
    // The handle still reads what no name leads to.
    assert_eq!(blob.len().unwrap(), 4);
}

#[test]
fn a_name_made_again_is_the_old_blob_or_the_new_one_or_none() {
    let (machine, _) = with_durable(b"old");
    machine.remove("p", "b").unwrap();
    create(&machine, "b", b"new").sync().unwrap();
    let seen = name_sets(&machine, Survival::Bytes);
    let wanted = [names([]), names([("b", b"old")]), names([("b", b"new")])];
    assert_eq!(seen, wanted.into());
}

#[test]
fn names_survive_in_any_subset() {
    let machine = Simulated::new(0);
    for name in ["a", "b", "c"] {
        create(&machine, name, b"");
    }
    assert_eq!(name_sets(&machine, Survival::Bytes).len(), 8);
    assert_eq!(name_sets(&machine, Survival::Prefix).len(), 4);
}

#[test]
fn partitions_are_durable_at_once() {
    let machine = Simulated::new(0);
    create(&machine, "b", b"");
    let after = machine.after_crash(Survival::Nothing, 0);
    after.sync_partition("p").unwrap();
    // So is their removal, with all that it took.
    let (machine, _) = with_durable(b"x");
    machine.remove("p", "b").unwrap();
    machine.remove_partition("p").unwrap();
    for survival in Survival::EVERY {
        let after = machine.after_crash(survival, 0);
        let flushed = after.sync_partition("p");
        assert!(matches!(flushed, Err(Error::NotFound { .. })));
    }
}

#[test]
fn a_crash_frees_locks() {
    let machine = Simulated::new(0);
    let held = machine.lock("p", "lock", "me").unwrap();
    machine.stop();
    let after = machine.after_crash(Survival::Bytes, 0);
    let _again = after.lock("p", "lock", "you").unwrap();
    let before = machine.after_crash(Survival::All, 0);
    drop(held);
    // A machine that has stopped writes nothing any more.
    let text = |machine: &Simulated| read(machine, "lock").unwrap();
    assert_eq!(text(&before), b"me");
    assert_eq!(text(&machine.after_crash(Survival::All, 0)), b"me");
}
