//! Which ends are clean, and what ends the note of one.

use super::*;

#[test]
fn an_open_after_a_clean_end_looks_at_no_section_file() {
    let calls_of = |sections: u64| {
        let counted = Counted::new(Memory::new());
        let open = || -> Store { options().open_on(Arc::new(counted.clone())).unwrap() };
        let mut archive = open();
        put(&mut archive, 0..10 * sections);
        archive.close().unwrap();
        let (before, of_sections) = (counted.calls(), counted.of_sections());
        let archive = open();
        assert_eq!(counted.of_sections(), of_sections);
        let calls = counted.calls() - before;
        let tables = counted.inner.list("quipu").unwrap().len() as u64;
        // The first answer from what is known looks at all files, and no later one at any.
        assert_eq!(archive.last_index(), Some(10 * sections - 1));
        let looked = counted.of_sections() - of_sections;
        assert!(
            (2 * sections..2 * sections + 4).contains(&looked),
            "{looked}"
        );
        assert_eq!(archive.ranges(), [0..=10 * sections - 1]);
        assert!(archive.recovery().is_clean());
        assert_eq!(counted.of_sections(), of_sections + looked);
        calls - tables
    };
    // But for the tables, which are as many as they are.
    assert!(calls_of(200).abs_diff(calls_of(20)) <= 8);
}

/// A get takes the files that it reads.
#[test]
fn a_get_after_a_clean_end_opens_its_own_section_alone() {
    let counted = Counted::new(filled());
    let archive: Store = options().open_on(Arc::new(counted.clone())).unwrap();
    assert_eq!(archive.get(31).unwrap().unwrap(), value(31, 30));
    assert_eq!(archive.get(&key::<8>(33)).unwrap().unwrap(), value(33, 30));
    assert_eq!(counted.of_sections(), 2);
    assert_eq!(archive.get(&key::<8>(99)).unwrap(), None);
    assert!(counted.of_sections() > 2);
}

#[test]
fn an_idle_end_is_as_clean_as_the_one_before_it() {
    let memory = filled();
    let before = read(&memory, "quipu", "marks");
    for closes in [true, false] {
        let archive = open(&memory);
        assert!(archive.get(31).unwrap().is_some());
        match closes {
            true => archive.close().unwrap(),
            false => drop(archive),
        }
        assert_eq!(read(&memory, "quipu", "marks"), before);
        assert!(!looks(&memory));
    }
    tell_of_end(&memory, u64::MAX);
    assert!(looks(&memory));
    open(&memory).close().unwrap();
    assert!(!looks(&memory));
}

type Change = (&'static str, fn(&mut Store));

/// Whatever changes section files, the note of the end before it says nothing any more.
#[test]
fn a_note_is_of_one_end_alone() {
    let changes: [Change; 6] = [
        ("put", |archive| put(archive, 40..41)),
        ("put and sync", |archive| {
            put(archive, 15..16);
            archive.sync().unwrap();
        }),
        ("put multi", |archive| {
            let _ = archive.put_multi(3, &key(3), &value(3, 30)).unwrap();
        }),
        ("prune", |archive| assert_eq!(archive.prune(10).unwrap(), 1)),
        ("rewind", |archive| archive.rewind(33).unwrap()),
        ("rewind to a section's end", |archive| {
            archive.rewind(29).unwrap();
        }),
    ];
    for (what, change) in changes {
        let memory = filled();
        let note = ended(&memory);
        let mut archive = open(&memory);
        change(&mut archive);
        drop(archive);
        assert!(looks(&memory), "{what}");
        tell_of_end(&memory, note);
        assert!(looks(&memory), "{what}");
        open(&memory).close().unwrap();
        assert_ne!(ended(&memory), u64::MAX, "{what}");
        // What was made for the put alone is an empty section, which does not rest.
        assert_eq!(looks(&memory), what == "put", "{what}");
    }
}

#[test]
fn a_repair_ends_the_note_and_an_idle_end_makes_another() {
    let memory = filled();
    let mut bytes = read(&memory, "values", SECOND);
    bytes[HEADER + 3] ^= 1;
    write(&memory, "values", SECOND, &bytes);
    let mut archive = open(&memory);
    assert_eq!(archive.repair().unwrap().entries_lost(), 1);
    drop(archive);
    assert!(looks(&memory));
    open(&memory).close().unwrap();
    let archive = open(&memory);
    assert_eq!(archive.missing_items(0, 100), [10, 15, 16, 17, 18, 19]);
}

/// The marks of the clean end are there, and a writer has come since that was killed.
#[test]
fn another_writer_that_was_killed_makes_it_stale() {
    let memory = filled();
    let marks = read(&memory, "quipu", "marks");
    let mut archive = open(&memory);
    put(&mut archive, 15..17);
    archive.sync().unwrap();
    let killed = copy_of(&memory);
    write(&killed, "quipu", "marks", &marks);
    assert!(looks(&killed));
    let archive = open(&killed);
    assert_eq!(archive.ranges(), [0..=16, 20..=39]);
}

#[test]
fn a_note_that_a_crash_tore_is_none() {
    let memory = filled();
    let marks = read(&memory, "quipu", "marks");
    for len in [0, 8, ENDED, ENDED + 3, MARKS_HEADER - 1, marks.len() - 1] {
        let torn = copy_of(&memory);
        write(&torn, "quipu", "marks", &marks[..len]);
        assert!(looks(&torn), "{len}");
        let archive = open(&torn);
        assert_eq!(archive.ranges(), [0..=14, 20..=39], "{len}");
    }
    for at in ENDED..ENDED + 8 {
        let flipped = copy_of(&memory);
        let mut bytes = marks.clone();
        bytes[at] ^= 1;
        write(&flipped, "quipu", "marks", &bytes);
        assert!(looks(&flipped), "{at}");
    }
    // A record that was appended behind it, and torn.
    let torn = copy_of(&memory);
    let more = [&marks[..], &[0, 0, 0, 25, 1]].concat();
    write(&torn, "quipu", "marks", &more);
    assert!(looks(&torn));
}

#[test]
fn a_note_of_another_number_is_none() {
    let memory = filled();
    let number = ended(&memory);
    for other in [0, number.wrapping_sub(1), number + 1, u64::MAX] {
        tell_of_end(&memory, other);
        assert_eq!(looks(&memory), other != number, "{other}");
    }
}
