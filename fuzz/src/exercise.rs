//! Everything that can be asked of an archive and done to it, and what must hold whatever its files
//! are made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use quipu::storage::Memory;
use quipu::{
    Archive, Bytes, Error, Item, KeyBytes, Options, Put, Reader, Recovery, Result, Status,
};

use crate::files::Files;
use crate::input::Input;
use crate::limit;
use crate::shapes::{BUFFER_BYTES, CACHE_BYTES, MAX_VALUE_SIZE, fail};

type Any = Archive<KeyBytes, Bytes>;

/// Items that a look at an archive takes at most.
const MOST_ITEMS: usize = 3000;
/// How often a look has the value of an entry in memory: in two lists, and in what is asked. The
/// values of one index are given all at once.
const COPIES: usize = 4;
/// Bytes of the smallest entry.
const ENTRY_BYTES: usize = 20;

/// What one input does with one store.
pub(crate) struct Exercise<'a> {
    storage: Memory,
    /// Made anew for each open.
    options: &'a dyn Fn() -> Options,
    /// How many files there are and how many bytes they have.
    files: usize,
    bytes: usize,
    /// Whether each item must be found by its key.
    by_key: bool,
}

/// Whole items by index, in the order stored.
type Seen = BTreeMap<u64, Vec<(KeyBytes, Bytes)>>;

impl<'a> Exercise<'a> {
    /// Of a store with these files.
    pub(crate) fn of(files: &Files, options: &'a dyn Fn() -> Options) -> Self {
        Self {
            storage: files.storage(),
            options,
            files: files.0.len(),
            bytes: files.bytes(),
            by_key: true,
        }
    }

    /// Keys may be hidden: a key table says with right checksums what is not so.
    pub(crate) fn without_keys(self) -> Self {
        Self {
            by_key: false,
            ..self
        }
    }

    /// Runs it within the memory that its files and options allow.
    pub(crate) fn run(&self, input: &mut Input<'_>) {
        limit::within(self.allowed(), || self.open_and_use(input));
    }

    /// Adopts the store first; a store that is refused is left at that.
    pub(crate) fn adopt_and_run(&self, input: &mut Input<'_>) {
        limit::within(self.allowed(), || {
            let adopted: Result<Recovery> =
                (self.options)().adopt_on(Arc::new(self.storage.clone()));
            if adopted.is_ok() {
                self.open_and_use(input);
            }
        });
    }

    fn allowed(&self) -> usize {
        limit::BASE
            + limit::FACTOR * self.bytes
            + limit::PER_FILE * self.files
            + CACHE_BYTES
            + BUFFER_BYTES * self.files
            + (self.bytes / ENTRY_BYTES).min(MOST_ITEMS) * COPIES * MAX_VALUE_SIZE as usize
    }

    fn open(&self) -> Result<Any> {
        let options = (self.options)().create(false);
        options.open_on(Arc::new(self.storage.clone()))
    }

    fn open_and_use(&self, input: &mut Input<'_>) {
        let Ok(mut archive) = self.open() else {
            return;
        };
        let before = look(&archive, self.by_key);
        let put = put_some(&mut archive, input);
        let dropped = drop_some(&mut archive, input);
        if archive.close().is_err() {
            return;
        }
        // What could be opened and was closed can be opened again, and holds what it held.
        let archive = self.open().unwrap_or_else(|error| fail(&error));
        let after = look(&archive, self.by_key);
        let kept =
            |index: u64| index >= archive.floor() && dropped.is_none_or(|above| index <= above);
        for (index, items) in before.iter().filter(|(index, _)| kept(**index)) {
            let found = after.get(index).map(Vec::as_slice).unwrap_or_default();
            let differs = items
                .iter()
                .zip(found)
                .position(|(before, after)| before != after);
            assert!(
                found.starts_with(items),
                "at {index} {} items became {}, they differ at {differs:?}",
                items.len(),
                found.len()
            );
        }
        for (index, value) in put.iter().filter(|(index, _)| kept(**index)) {
            let found = archive.get(*index).unwrap_or_else(|error| fail(&error));
            assert_eq!(found.as_ref(), Some(value), "put at {index}");
        }
        drop(archive);
        self.read_only();
    }

    fn read_only(&self) {
        let options = (self.options)();
        let opened = options.open_read_only_on::<KeyBytes, Bytes>(Arc::new(self.storage.clone()));
        let mut reader = opened.unwrap_or_else(|error| fail(&error));
        look(&reader, self.by_key);
        let _ = reader.refresh();
    }
}

/// Asks everything; the items that are whole.
fn look(reader: &Reader<KeyBytes, Bytes>, by_key: bool) -> Seen {
    let mut seen = Seen::new();
    let forwards: Vec<Item<KeyBytes, Bytes>> = reader
        .range(..)
        .take(MOST_ITEMS)
        .filter_map(Result::ok)
        .collect();
    let all = reader.range(..).take(MOST_ITEMS).count();
    assert!(forwards.is_sorted_by_key(|item| item.index));
    if all < MOST_ITEMS {
        let backwards: Vec<_> = reader.range(..).rev().filter_map(Result::ok).collect();
        assert!(
            forwards.iter().eq(backwards.iter().rev()),
            "{forwards:?} {backwards:?}"
        );
    }
    for item in &forwards {
        let at = seen.entry(item.index).or_default();
        at.push((item.key.clone(), item.value.clone()));
    }
    for (&index, items) in &seen {
        look_at(reader, index, items);
    }
    for item in forwards.iter().take(64) {
        look_for(reader, item, &seen, (all < MOST_ITEMS, by_key));
    }
    look_around(reader);
    seen
}

/// One index, at which these items are whole.
fn look_at(reader: &Reader<KeyBytes, Bytes>, index: u64, items: &[(KeyBytes, Bytes)]) {
    match reader.get(index) {
        // The first item is whole, and larger than what was asked for.
        Err(Error::ValueTooLarge { .. }) => {}
        first => {
            let first = first.unwrap_or_else(|error| fail(&error));
            let expected = items.first().map(|(_, value)| value);
            assert_eq!(first.as_ref(), expected, "get {index}");
        }
    }
    assert!(
        matches!(
            reader.status(index),
            Ok(Status::Present) | Err(Error::ValueTooLarge { .. })
        ),
        "status of {index}"
    );
    assert!(matches!(reader.has(index), Ok(true)), "has {index}");
    if let Ok(all) = reader.get_all(index) {
        assert!(
            all.iter().eq(items.iter().map(|(_, value)| value)),
            "get_all {index}"
        );
    }
    let _ = reader.next_gap(index);
    let _ = reader.missing_items(index, 4);
}

/// One item by its key. Where not all items were seen, another one with the key may be among the others:
/// then it must be the one that is read at its index.
fn look_for(
    reader: &Reader<KeyBytes, Bytes>,
    item: &Item<KeyBytes, Bytes>,
    seen: &Seen,
    (all_seen, by_key): (bool, bool),
) {
    let found = match reader.get_item(&item.key) {
        Err(Error::ValueTooLarge { .. }) => return,
        found => found.unwrap_or_else(|error| fail(&error)),
    };
    let is_beyond = |found: &Item<KeyBytes, Bytes>| {
        let last = seen.last_key_value().map(|(&index, _)| index);
        let at_index = || {
            reader
                .get_all(found.index)
                .unwrap_or_else(|error| fail(&error))
        };
        !all_seen && last < Some(found.index) && at_index().contains(&found.value)
    };
    let is_stored = |found: &Item<KeyBytes, Bytes>| {
        let at = seen
            .get(&found.index)
            .map(Vec::as_slice)
            .unwrap_or_default();
        // Four zeros are what is stored of an empty value, and a hole has them too: one that was
        // lost with the end of its file is read again once the file has grown over it, also where
        // the index was put again.
        (found.key == item.key && (found.value.is_empty() || is_beyond(found)))
            || at
                .iter()
                .any(|(key, value)| *key == item.key && *value == found.value)
    };
    assert!(
        found.as_ref().map_or(!by_key, is_stored),
        "{item:?} by its key is {found:?}"
    );
    let has = reader.has_at(item.index, &item.key);
    assert!(
        matches!(has, Ok(has) if has || !by_key),
        "has_at({}, {:?}) is {has:?}",
        item.index,
        item.key
    );
}

fn look_around(reader: &Reader<KeyBytes, Bytes>) {
    for index in [0, 1, reader.floor(), u64::MAX]
        .into_iter()
        .chain(reader.first_index())
    {
        let _ = (
            reader.get(index),
            reader.status(index),
            reader.key_of(index),
        );
        let _ = (reader.next_gap(index), reader.ranges_from(index));
        assert!(reader.missing_items(index, 100).len() <= 100);
        assert!(reader.missing_ranges(index, 100).len() <= 100);
    }
    let _ = reader.get_many([0, 5, 71, u64::MAX]);
    let (stats, sections) = (reader.stats(), reader.sections());
    assert_eq!(stats.sections, sections.len() as u64);
    let mut told = 0_u64;
    if let Ok(report) = reader.verify(&mut |_| told = told.wrapping_add(1)) {
        assert!(report.damaged <= report.entries);
    }
}

/// Puts at a few indices and syncs; what is durable then.
fn put_some(archive: &mut Any, input: &mut Input<'_>) -> BTreeMap<u64, Bytes> {
    let mut put = BTreeMap::new();
    let key_size = archive.settings().key_size;
    for _ in 0..input.below(6) {
        let index = match input.below(4) {
            0 => archive.floor(),
            1 => archive.last_index().unwrap_or(0).wrapping_add(1),
            2 => archive.missing_items(0, 1).first().copied().unwrap_or(3),
            _ => input.number(),
        };
        let value = Bytes::from(vec![0x5a; input.below(300)]);
        let key = KeyBytes::from(vec![0xc3; key_size]);
        match archive.put(index, &key, &value) {
            Ok(Put::Stored) => _ = put.insert(index, value),
            Ok(Put::Exists) | Err(_) => {}
        }
    }
    match archive.sync() {
        Ok(()) => put,
        Err(_) => BTreeMap::new(),
    }
}

/// Prunes or rewinds; the index above which nothing is, after a rewind.
fn drop_some(archive: &mut Any, input: &mut Input<'_>) -> Option<u64> {
    match input.below(6) {
        0 => {
            let _ = archive.prune(input.number());
            None
        }
        1 => {
            let index = input.number();
            let _ = archive.rewind(index);
            Some(index)
        }
        _ => None,
    }
}
