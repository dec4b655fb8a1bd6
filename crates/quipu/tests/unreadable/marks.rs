//! Marks, and copies of the manifest.

use super::*;

#[test]
fn marks_that_cannot_be_read_are_told_and_stop_no_open() {
    let store = filled();
    for at in (0..=len(&store, "quipu", "marks")).step_by(SECTOR as usize) {
        let store = again(&store);
        match at < len(&store, "quipu", "marks") {
            true => store.spoil("quipu", "marks", at..at + 1),
            false => store.spoil_open("quipu", "marks", EIO),
        }
        let context = format!("marks {at}");
        let reader = beside(&store).unwrap();
        all_there(&reader, &context);
        assert!(reader.verify(&mut |_| {}).unwrap().marks_incomplete);
        drop(reader);
        let archive = open(&store).unwrap();
        assert!(archive.recovery().marks_incomplete, "{context}");
        assert_eq!(archive.recovery().damaged, 0, "{context}");
        all_there(&archive, &context);
        assert!(archive.verify(&mut |_| {}).unwrap().is_clean(), "{context}");
        archive.close().unwrap();
        assert!(open(&store).unwrap().recovery().is_clean(), "{context}");
    }
}

#[test]
fn a_copy_of_the_manifest_that_cannot_be_read_is_told_and_written_again() {
    for name in ["manifest", "manifest-copy"] {
        let store = filled();
        store.spoil("quipu", name, 0..1);
        let reader = beside(&store).unwrap();
        assert_eq!(reader.verify(&mut |_| {}).unwrap().damaged_files, 1);
        let archive = open(&store).unwrap();
        assert!(archive.recovery().manifest_restored);
        assert!(archive.verify(&mut |_| {}).unwrap().is_clean());
    }
}

/// What stands behind the marks that can be read is not taken for torn.
#[test]
fn marks_that_cannot_be_read_make_no_torn_end() {
    let store = BadSectors::default();
    let options = options().items_per_section(1000).commit_log_bytes(0);
    let open = |store: &BadSectors| options.clone().open_on(Arc::new(store.clone())).unwrap();
    let mut archive: Store = open(&store);
    for index in 0..60 {
        put(&mut archive, index, index + 1);
        archive.sync().unwrap();
    }
    // With pages that no later sync wrote again.
    put(&mut archive, 60, ITEMS);
    archive.sync().unwrap();
    let store = again(&store);
    drop(archive);
    let marks = len(&store, "quipu", "marks");
    assert!(marks > 4 * SECTOR);
    store.spoil("quipu", "marks", 2 * SECTOR..marks);
    let name = "0000000000000000";
    let before = len(&store, "index", name);
    // A page well behind the marks that are left, and before the end.
    let blob = store.inner.open("index", name, OpenMode::Write).unwrap();
    blob.write_at(&[IoSlice::new(&[0xA5; 112])], 4096 + 25 * 112)
        .unwrap();
    let archive = open(&store);
    assert!(archive.recovery().marks_incomplete);
    assert_eq!(len(&store, "index", name), before);
    let whole = (0..ITEMS).filter(|&index| matches!(archive.get(index), Ok(Some(_))));
    assert!(whole.count() as u64 > ITEMS - 6);
}

/// Of items that neither the marks nor their own entries tell nobody knows: what is marked then must not count as all of
/// their section once the disk reads them again.
#[test]
fn items_that_nothing_told_of_are_there_once_they_can_be_read() {
    for first in [0, 50] {
        let store = filled();
        let name = format!("{first:016x}");
        store.spoil("quipu", "marks", 0..len(&store, "quipu", "marks"));
        store.spoil("index", &name, HEADER..HEADER + 1);
        let archive = open(&store).unwrap();
        assert_eq!(archive.status(first).unwrap(), Status::Missing);
        archive.close().unwrap();
        store.heal();
        let archive = open(&store).unwrap();
        assert_eq!(archive.ranges(), [0..=ITEMS - 1], "{name}");
        all_there(&archive, &name);
    }
}

/// An open that has to know what the marks said changes nothing: they may be read another time.
fn is_refused(store: &BadSectors, open: impl Fn(&BadSectors) -> quipu::Result<Store>) {
    let before = (blobs(store, "index"), blobs(store, "values"));
    store.spoil("quipu", "marks", 0..1);
    let error = open(store).unwrap_err();
    assert!(matches!(error, Error::Unreadable { .. }), "{error}");
    assert!(error.to_string().contains("marks"), "{error}");
    assert_eq!((blobs(store, "index"), blobs(store, "values")), before);
    store.heal();
}

fn blobs(store: &BadSectors, partition: &str) -> Vec<(String, Vec<u8>)> {
    let names = store.inner.list(partition).unwrap().into_iter();
    let read = |name: String| {
        let blob = store.inner.open(partition, &name, OpenMode::Read).unwrap();
        let mut bytes = vec![0; blob.len().unwrap() as usize];
        blob.read_at(&mut bytes, 0).unwrap();
        (name, bytes)
    };
    names.map(read).collect()
}

/// They look like those that a creation left.
#[test]
fn values_whose_entries_are_away_stay_where_marks_cannot_be_read() {
    let store = filled();
    let whole = copy_of(&store.inner);
    store.inner.remove("index", SECOND).unwrap();
    is_refused(&store, open);
    copy_blob(&whole, &store.inner, "index", SECOND);
    all_there(&open(&store).unwrap(), "index file is back");
}

/// Nor may they be those of a section where the marks are damaged, which do not come back.
#[test]
fn values_whose_entries_are_away_are_kept_where_marks_are_damaged() {
    let store = filled();
    let whole = copy_of(&store.inner);
    let blob = store.inner.open("quipu", "marks", OpenMode::Write).unwrap();
    blob.write_at(&[IoSlice::new(&[0xA5; 40])], 0).unwrap();
    store.inner.remove("index", SECOND).unwrap();
    let archive = open(&store).unwrap();
    assert!(archive.recovery().marks_incomplete);
    assert_eq!(archive.recovery().removed.len(), 1);
    assert_eq!(archive.get(60).unwrap(), None);
    archive.close().unwrap();
    let kept = format!("{SECOND}-1.values");
    let there = store.inner.list("quarantine").unwrap();
    assert_eq!(there, std::slice::from_ref(&kept));
    copy_blob(&whole, &store.inner, "index", SECOND);
    move_blob(&store.inner, ("quarantine", &kept), ("values", SECOND));
    all_there(&open(&store).unwrap(), "both files are back");
}

/// What the disk cannot read of them it may another time: nothing of them goes before that.
#[test]
fn values_whose_entries_are_away_stay_as_long_as_the_disk_cannot_read_them() {
    let spoils: [fn(&BadSectors); 3] = [
        |store| store.spoil("values", SECOND, 0..1),
        |store| store.spoil("values", SECOND, HEADER + 600..HEADER + 601),
        |store| store.spoil_open("values", SECOND, EIO),
    ];
    for spoil in spoils {
        let store = filled();
        let whole = copy_of(&store.inner);
        let blob = store.inner.open("quipu", "marks", OpenMode::Write).unwrap();
        blob.write_at(&[IoSlice::new(&[0xA5; 40])], 0).unwrap();
        store.inner.remove("index", SECOND).unwrap();
        spoil(&store);
        let before = blobs(&store, "values");
        for _ in 0..2 {
            let opened = open(&store);
            assert!(
                matches!(opened, Err(Error::Unreadable { .. })),
                "{opened:?}"
            );
            assert_eq!(blobs(&store, "values"), before);
            assert!(store.inner.list("quarantine").unwrap().is_empty());
        }
        store.heal();
        drop(open(&store).unwrap());
        let kept = format!("{SECOND}-1.values");
        copy_blob(&whole, &store.inner, "index", SECOND);
        move_blob(&store.inner, ("quarantine", &kept), ("values", SECOND));
        all_there(&open(&store).unwrap(), "both files are back");
    }
}

fn move_blob(memory: &Memory, from: (&str, &str), to: (&str, &str)) {
    let blob = memory.open(from.0, from.1, OpenMode::Read).unwrap();
    let mut bytes = vec![0; blob.len().unwrap() as usize];
    blob.read_at(&mut bytes, 0).unwrap();
    let blob = memory.open(to.0, to.1, OpenMode::Create).unwrap();
    blob.write_at(&[IoSlice::new(&bytes)], 0).unwrap();
}

/// Where the data of a file begins whose header is damaged, the marks tell.
#[test]
fn a_section_that_needs_marks_waits_for_those_that_cannot_be_read() {
    let store = filled();
    let blob = store.inner.open("index", SECOND, OpenMode::Write).unwrap();
    blob.write_at(&[IoSlice::new(&[0xA5; 16])], 0).unwrap();
    is_refused(&store, open);
    all_there(&open(&store).unwrap(), "marks are read");
}

/// A file that is shorter than its mark gets what the log has behind that.
#[test]
fn no_sync_is_lost_with_marks_that_the_commit_log_needs() {
    let store = powerless(false);
    let blob = store.inner.open("index", SECOND, OpenMode::Write).unwrap();
    blob.resize(HEADER).unwrap();
    is_refused(&store, with_log);
    let archive = with_log(&store).unwrap();
    // The others shared their pages with what was cut off.
    for index in 58..100 {
        assert_eq!(archive.get(index).unwrap(), Some(value(index, 30).into()));
    }
}

/// One of the copies may be behind the other.
#[test]
fn a_copy_of_the_manifest_is_not_lost_with_a_call_that_fails() {
    for name in ["manifest", "manifest-copy"] {
        let store = filled();
        store.spoil_open("quipu", name, EMFILE);
        let opened = open(&store);
        assert!(matches!(opened, Err(Error::Io { .. })), "{opened:?}");
        assert!(matches!(beside(&store), Err(Error::Io { .. })));
        store.heal();
        assert!(open(&store).unwrap().recovery().is_clean());
    }
}
