//! Index and value files: what is in a sector is damaged as long as it cannot be read.

use quipu::journal::{Config, Fixed, Record};

use super::*;

/// Every sector of every section file in turn, behind a close and behind a killed process.
fn each_sector(check: impl Fn(&BadSectors, &str, &str, u64)) {
    for store in [filled(), killed(true), killed(false)] {
        for partition in ["index", "values"] {
            for name in store.inner.list(partition).unwrap() {
                for at in (0..len(&store, partition, &name)).step_by(SECTOR as usize) {
                    let store = again(&store);
                    store.spoil(partition, &name, at..at + 1);
                    check(&store, partition, &name, at);
                }
            }
        }
    }
}

/// Entries of 28 bytes on pages of 112, and values of 34, that a sector can hold, and the entries at its ends.
const MOST: usize = 26;

#[test]
fn a_sector_of_a_section_costs_what_is_in_it() {
    each_sector(|store, partition, name, at| {
        let context = format!("{partition}/{name} {at}");
        let before = len(store, partition, name);
        let seen = lost(&beside(store).unwrap(), &context);
        let archive = open(store).unwrap();
        assert_eq!(lost(&archive, &context), seen, "{context}");
        assert!(seen.len() <= MOST, "{context}: {seen:?}");
        assert_eq!(seen.is_empty(), at < HEADER, "{context}: {seen:?}");
        let (mut damaged, mut files) = (0, 0);
        let report = archive.verify(&mut |event| match event {
            VerifyEvent::Damage(_) => damaged += 1,
            VerifyEvent::File { section, .. } => {
                assert!(section.is_some());
                files += 1;
            }
            _ => {}
        });
        let report = report.unwrap();
        assert_eq!(report.sections, 3, "{context}");
        assert_eq!(report.lost_indices, told(&archive, &seen), "{context}");
        assert_eq!(
            (damaged > 0, files > 0),
            (at >= HEADER, at < HEADER),
            "{context}"
        );
        assert!(len(store, partition, name) >= before, "{context}");
    });
}

/// Nothing was cut, and nothing durable was made of it.
#[test]
fn what_can_be_read_again_is_there_again() {
    each_sector(|store, partition, name, at| {
        let context = format!("{partition}/{name} {at}");
        let archive = open(store).unwrap();
        lost(&archive, &context);
        archive.verify(&mut |_| {}).unwrap();
        archive.close().unwrap();
        store.heal();
        all_there(&beside(store).unwrap(), &context);
        let archive = open(store).unwrap();
        all_there(&archive, &context);
        assert!(archive.verify(&mut |_| {}).unwrap().is_clean(), "{context}");
    });
}

#[test]
fn what_cannot_be_read_is_put_again() {
    each_sector(|store, partition, name, at| {
        let context = format!("{partition}/{name} {at}");
        if partition == "values" && at + SECTOR > len(store, partition, name) {
            // Nothing tells at the open that the next value would stand in that sector.
            return;
        }
        let mut archive = open(store).unwrap();
        for index in lost(&archive, &context) {
            let put = archive.put(index, &key(index), &value(index, 30)).unwrap();
            assert_eq!(put, Put::Stored, "{context}");
        }
        archive.sync().unwrap();
        all_there(&archive, &format!("{context}, at once"));
        archive.close().unwrap();
        all_there(&open(store).unwrap(), &format!("{context}, opened again"));
        store.heal();
        // There may be two items at an index then.
        let archive = open(store).unwrap();
        for index in 0..ITEMS {
            let expected = value(index, 30);
            assert_eq!(archive.get(index).unwrap().unwrap(), expected, "{context}");
            let by_key = archive.get(&key::<8>(index)).unwrap();
            assert_eq!(by_key.unwrap(), expected, "{context}");
        }
    });
}

#[test]
fn a_repair_keeps_what_can_be_read() {
    each_sector(|store, partition, name, at| {
        let context = format!("{partition}/{name} {at}");
        let mut archive = open(store).unwrap();
        let seen = lost(&archive, &context);
        let plan = archive.plan_repair().unwrap();
        assert_eq!(plan.sections.len(), 1, "{context}");
        assert_eq!(plan.lost_indices(), told(&archive, &seen), "{context}");
        let report = archive.repair().unwrap();
        assert_eq!(report.sections.len(), 1, "{context}");
        let kept = report.sections[0].quarantine.iter();
        let unreadable: u64 = kept.map(|kept| kept.unreadable).sum();
        assert!(unreadable <= SECTOR, "{context}");
        assert!(unreadable > 0, "{context}");
        assert_eq!(lost(&archive, &context), seen, "{context}");
        let verified = archive.verify(&mut |_| {}).unwrap();
        assert!(!verified.needs_repair(), "{context}: {verified:?}");
        archive.close().unwrap();
        assert_eq!(lost(&open(store).unwrap(), &context), seen, "{context}");
    });
}

#[test]
fn a_section_file_that_cannot_be_opened_costs_its_section() {
    for partition in ["index", "values"] {
        let store = filled();
        store.spoil_open(partition, SECOND, EIO);
        let mut archive = open(&store).unwrap();
        let seen = lost(&archive, partition);
        assert_eq!(seen, (50..100).collect(), "{partition}");
        let verified = archive.verify(&mut |_| {}).unwrap();
        assert_eq!(verified.unreadable_sections, 1, "{partition}");
        assert_eq!(archive.plan_repair().unwrap().sections.len(), 1);
        archive.repair().unwrap();
        put(&mut archive, 50, 100);
        archive.close().unwrap();
        all_there(&open(&store).unwrap(), partition);
    }
}

#[test]
fn a_section_file_that_cannot_be_opened_again_is_told() {
    for partition in ["index", "values"] {
        let store = filled();
        let archive = open(&store).unwrap();
        all_there(&archive, partition);
        store.spoil_open(partition, SECOND, EIO);
        let verified = archive.verify(&mut |_| {}).unwrap();
        assert_eq!((verified.damaged_files, verified.sections), (1, 3));
    }
}

/// The header of eight bytes can be read, and nothing else tells where the data begins.
#[test]
fn a_sector_behind_a_short_header_costs_no_section_without_marks() {
    let store = BadSectors::default();
    let options = options().layout(quipu::Layout::V0).keys_per_table(1 << 20);
    let open = |store: &BadSectors| options.clone().open_on(Arc::new(store.clone())).unwrap();
    let mut archive: Store = open(&store);
    put(&mut archive, 0, ITEMS);
    archive.close().unwrap();
    for partition in ["index", "values"] {
        let store = again(&store);
        store.inner.remove("quipu", "marks").unwrap();
        store.spoil(partition, SECOND, SECTOR..SECTOR + 1);
        let archive: Store = open(&store);
        assert!(archive.recovery().unreadable.is_empty());
        let whole = (0..ITEMS).filter(|&index| matches!(archive.get(index), Ok(Some(_))));
        let whole = whole.count();
        assert!(
            (ITEMS as usize - MOST..ITEMS as usize).contains(&whole),
            "{whole}"
        );
    }
}

/// The last record begins on a page that cannot be read and ends on one that can.
#[test]
fn a_record_that_cannot_be_read_is_no_torn_end() {
    let store = BadSectors::default();
    let options = options().items_per_section(1000).commit_log_bytes(0);
    let open = |store: &BadSectors| options.clone().open_on(Arc::new(store.clone())).unwrap();
    let mut archive: Store = open(&store);
    put(&mut archive, 0, 60);
    archive.sync().unwrap();
    let marks = copy_of(&store.inner);
    // Entry 114 has bytes 3,192 to 3,220: page 32, which begins a sector, has the last of them.
    put(&mut archive, 60, 115);
    archive.sync().unwrap();
    let store = again(&store);
    drop(archive);
    copy_blob(&marks, &store.inner, "quipu", "marks");
    store.spoil("index", "0000000000000000", HEADER + 3072..HEADER + 3073);
    open(&store).close().unwrap();
    store.heal();
    let archive = open(&store);
    for index in 0..115 {
        assert_eq!(
            archive.get(index).unwrap().unwrap(),
            value(index, 30),
            "{index}"
        );
    }
}

/// What was to go could be read again later.
#[test]
fn a_journal_is_not_cut_within_a_page_that_cannot_be_read() {
    let store = BadSectors::default();
    let open = || {
        let config = Config::with_page_size(100);
        Fixed::<Number>::open(Arc::new(store.clone()), "numbers", config)
    };
    let mut journal = open().unwrap();
    for n in 0..100 {
        assert_eq!(journal.append(3, &Number(n)).unwrap(), n);
    }
    journal.sync(3).unwrap();
    drop(journal);
    for number in [EIO, ENOMEM] {
        let page = HEADER..HEADER + 1;
        store.fail("numbers", "0000000000000003", page, number);
        let cut = open().and_then(|mut journal| journal.rewind_section(3, 12 * 8));
        let is_told = matches!(cut, Err(Error::Unreadable { .. } | Error::Io { .. }));
        assert!(is_told, "{cut:?}");
        store.heal();
        assert_eq!(open().unwrap().section_len(3).unwrap(), 100);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Number(u64);

impl Record for Number {
    const SIZE: usize = 8;

    fn encode(&self, out: &mut [u8]) {
        out.copy_from_slice(&self.0.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> quipu::Result<Self> {
        let bytes = bytes.first_chunk().copied().unwrap_or_default();
        Ok(Self(u64::from_be_bytes(bytes)))
    }
}
