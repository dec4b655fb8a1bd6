//! Section files that somebody has changed since a clean end: every answer is as after a look at the open.

use super::answers::QUESTIONS;
use super::*;

type Change = fn(&Memory);

fn resize(memory: &Memory, partition: &str, name: &str, by: i64) {
    let mut bytes = read(memory, partition, name);
    let len = bytes.len().saturating_add_signed(by as isize);
    bytes.resize(len, 7);
    write(memory, partition, name, &bytes);
}

/// As another program leaves the second section that has put to it.
fn go_on(memory: &Memory, files: &[&str]) {
    let other = copy_of(memory);
    let mut archive = open(&other);
    put(&mut archive, 15..18);
    archive.close().unwrap();
    for partition in files {
        let bytes = read(&other, partition, SECOND);
        write(memory, partition, SECOND, &bytes);
    }
}

const CHANGES: &[(&str, Change)] = &[
    ("nothing", |_| {}),
    ("entries cut", |of| resize(of, "index", SECOND, -130)),
    ("a part of an entry cut", |of| {
        resize(of, "index", SECOND, -1);
    }),
    ("values cut", |of| resize(of, "values", SECOND, -40)),
    ("a byte of a value cut", |of| {
        resize(of, "values", SECOND, -1)
    }),
    ("both cut", |of| {
        resize(of, "index", SECOND, -112);
        resize(of, "values", SECOND, -70);
    }),
    ("entries emptied", |of| write(of, "index", SECOND, &[])),
    ("values emptied", |of| write(of, "values", SECOND, &[])),
    ("entries but for the header", |of| {
        let bytes = read(of, "index", SECOND);
        write(of, "index", SECOND, &bytes[..HEADER]);
    }),
    ("a part of the header", |of| {
        let bytes = read(of, "index", FIRST);
        write(of, "index", FIRST, &bytes[..HEADER / 2]);
    }),
    ("entries grown", |of| resize(of, "index", SECOND, 50)),
    ("entries grown by pages", |of| {
        resize(of, "index", SECOND, 500);
    }),
    ("values grown", |of| resize(of, "values", SECOND, 50)),
    ("both grown", |of| {
        resize(of, "index", SECOND, 300);
        resize(of, "values", SECOND, 50);
    }),
    ("items added", |of| go_on(of, &["values", "index"])),
    ("entries added alone", |of| go_on(of, &["index"])),
    ("values added alone", |of| go_on(of, &["values"])),
    ("another section's entries", |of| {
        let bytes = read(of, "index", FIRST);
        write(of, "index", SECOND, &bytes);
    }),
    ("another section's values", |of| {
        let bytes = read(of, "values", FIRST);
        write(of, "values", SECOND, &bytes);
    }),
    ("entries gone", |of| of.remove("index", SECOND).unwrap()),
    ("values gone", |of| of.remove("values", SECOND).unwrap()),
    ("both gone", |of| {
        of.remove("index", SECOND).unwrap();
        of.remove("values", SECOND).unwrap();
    }),
    ("two sections cut", |of| {
        resize(of, "index", FIRST, -112);
        resize(of, "values", SECOND, -112);
    }),
];

/// What is said of it now, and by an open that comes later.
fn answers(memory: &Memory, ask: fn(&mut Store) -> String) -> [String; 3] {
    let mut archive = open(memory);
    let answer = ask(&mut archive);
    let behind = format!("{:?} {:?}", archive.ranges(), archive.missing_items(0, 100));
    drop(archive);
    let mut archive = open(memory);
    let ranges = format!("{:?} {:?}", archive.ranges(), archive.missing_items(0, 100));
    let (_, verify) = QUESTIONS
        .iter()
        .find(|(what, _)| *what == "verify")
        .unwrap();
    [answer, behind, ranges + &verify(&mut archive)]
}

#[test]
fn every_answer_is_as_with_a_look_at_the_open() {
    let filled = filled();
    for (change_is, change) in CHANGES {
        let changed = copy_of(&filled);
        change(&changed);
        let with_look = copy_of(&changed);
        tell_of_end(&with_look, u64::MAX);
        for (question, ask) in QUESTIONS {
            let late = answers(&copy_of(&changed), *ask);
            let early = answers(&copy_of(&with_look), *ask);
            assert_eq!(late, early, "{change_is}: {question}");
        }
    }
}

/// The same where two questions are asked one after the other.
#[test]
fn no_answer_is_another_for_one_before_it() {
    let filled = filled();
    let of = |what: &str| QUESTIONS.iter().find(|(of, _)| *of == what).unwrap().1;
    for (change_is, change) in CHANGES {
        let changed = copy_of(&filled);
        change(&changed);
        let with_look = copy_of(&changed);
        tell_of_end(&with_look, u64::MAX);
        for before in ["get by index", "get backwards", "get many"] {
            for question in ["ranges", "put", "verify", "status", "rewind", "sections"] {
                let both = |memory: &Memory| {
                    let mut archive = open(&copy_of(memory));
                    let before = of(before)(&mut archive);
                    (before, of(question)(&mut archive))
                };
                let (late, early) = (both(&changed), both(&with_look));
                assert_eq!(late, early, "{change_is}: {before}, {question}");
            }
        }
    }
}

/// On each storage: what was lost is told, put again, and stays.
#[test]
fn what_was_cut_since_a_clean_end_is_told_and_put_again() {
    each(|bench| {
        bench.fill(35);
        let bytes = bench.read("index", SECOND);
        bench.write("index", SECOND, &bytes[..HEADER + 112]);
        let mut archive: Store = bench.open();
        assert_eq!(archive.get(25).unwrap().unwrap(), value(25, 30));
        let missing = archive.missing_items(0, 100);
        assert!(!missing.is_empty() && missing.iter().all(|of| (10..20).contains(of)));
        assert_eq!(archive.recovery().damaged, missing.len() as u128);
        put(&mut archive, missing);
        archive.close().unwrap();
        let archive: Store = bench.open();
        assert_eq!(archive.ranges(), [0..=34]);
        (0..35).for_each(|of| assert_eq!(archive.get(&key(of)).unwrap().unwrap(), value(of, 30)));
    });
}

/// Another program has put to the last section: its items are found by index and by key, whichever is asked for first.
#[test]
fn what_another_program_has_added_is_found_by_key() {
    let bench = filled();
    go_on(&bench, &["values", "index"]);
    let archive = open(&bench);
    assert_eq!(archive.get(&key::<8>(17)).unwrap().unwrap(), value(17, 30));
    let archive = {
        drop(archive);
        open(&bench)
    };
    assert!(archive.has(&key::<8>(16)).unwrap());
    assert_eq!(archive.get(15).unwrap().unwrap(), value(15, 30));
    archive.close().unwrap();
    let archive = open(&bench);
    assert_eq!(archive.ranges(), [0..=17, 20..=39]);
    assert!(archive.recovery().is_clean());
}
