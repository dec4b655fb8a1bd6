//! The oversized journal on its own: what recovery makes of each torn state, by name.
//!
//! Entries are an id and a location, 20 bytes; values have 16 bytes, 20 in the glob; a page holds
//! one entry and takes 32 bytes on disk. "Cut" means that a file is resized while nobody has it open.

mod operations;
mod recovery;

use std::sync::Arc;

use quipu::journal::{Config, Located, Oversized, Record};
use quipu::storage::{Disk, Memory, OpenMode, Storage};
use quipu::{Error, Result};

const HEADER: u64 = 4096;
const PAGE: u64 = 32;
const VALUE: u64 = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    id: u64,
    offset: u64,
    size: u32,
}

impl Record for Entry {
    const SIZE: usize = 20;

    fn encode(&self, out: &mut [u8]) {
        out[..8].copy_from_slice(&self.id.to_be_bytes());
        out[8..16].copy_from_slice(&self.offset.to_be_bytes());
        out[16..].copy_from_slice(&self.size.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let number = |from: usize, to: usize| {
            bytes[from..to]
                .iter()
                .fold(0, |n, &byte| n << 8 | u64::from(byte))
        };
        Ok(Self {
            id: number(0, 8),
            offset: number(8, 16),
            size: number(16, 20) as u32,
        })
    }
}

impl Located for Entry {
    fn location(&self) -> (u64, u32) {
        (self.offset, self.size)
    }

    fn locate(&mut self, offset: u64, size: u32) {
        (self.offset, self.size) = (offset, size);
    }
}

type Journal = Oversized<Entry>;

/// A storage, and a little language to break what is in it.
struct Case {
    storage: Arc<dyn Storage>,
}

fn name(section: u64) -> String {
    format!("{section:016x}")
}

fn value(id: u64) -> [u8; 16] {
    [id as u8 + 1; 16]
}

impl Case {
    /// Runs a case over memory and over a disk.
    fn each(run: impl Fn(&Self)) {
        run(&Self {
            storage: Arc::new(Memory::new()),
        });
        let folder = tempfile::tempdir().unwrap();
        run(&Self {
            storage: Arc::new(Disk::open(folder.path()).unwrap()),
        });
    }

    fn open(&self) -> Journal {
        Oversized::open(
            Arc::clone(&self.storage),
            "index",
            "values",
            Config::with_page_size(20),
        )
        .unwrap()
    }

    /// Appends so many entries to sections, and syncs them.
    fn write(&self, sections: &[(u64, u64)]) {
        let mut journal = self.open();
        for &(section, count) in sections {
            append(&mut journal, section, count);
        }
        journal.sync_all().unwrap();
    }

    fn cut(&self, partition: &str, section: u64, len: u64) {
        let blob = self
            .storage
            .open(partition, &name(section), OpenMode::Write)
            .unwrap();
        blob.resize(len).unwrap();
        blob.sync().unwrap();
    }

    fn cut_glob(&self, section: u64, values: u64) {
        self.cut("values", section, HEADER + values * VALUE);
    }

    fn cut_index(&self, section: u64, pages: u64) {
        self.cut("index", section, HEADER + pages * PAGE);
    }

    fn overwrite(&self, partition: &str, section: u64, at: u64, bytes: &[u8]) {
        let blob = self
            .storage
            .open(partition, &name(section), OpenMode::Write)
            .unwrap();
        blob.write_at(&[std::io::IoSlice::new(bytes)], at).unwrap();
    }

    fn remove(&self, partition: &str, section: u64) {
        self.storage.remove(partition, &name(section)).unwrap();
    }

    fn len_of(&self, partition: &str, section: u64) -> u64 {
        self.storage
            .open(partition, &name(section), OpenMode::Read)
            .unwrap()
            .len()
            .unwrap()
    }

    /// Opens, expects exactly so many whole entries, and that the next append stands right behind
    /// them and is read back, also after one more reopen.
    fn expect(&self, section: u64, count: u64) {
        let mut journal = self.open();
        holds(&journal, section, count);
        let (position, offset, _) = append(&mut journal, section, 1);
        assert_eq!((position, offset), (count, count * VALUE));
        journal.sync(section).unwrap();
        holds(&journal, section, count + 1);
        drop(journal);
        let journal = self.open();
        assert!(journal.recovery().is_empty(), "{:?}", journal.recovery());
        holds(&journal, section, count + 1);
    }
}

/// Appends entries with the ids that follow; the place of the last.
fn append(journal: &mut Journal, section: u64, count: u64) -> (u64, u64, u32) {
    let mut last = (0, 0, 0);
    for _ in 0..count {
        let id = journal.size(section).unwrap() / 20;
        last = journal
            .append(
                section,
                Entry {
                    id,
                    offset: 0,
                    size: 0,
                },
                &value(id),
            )
            .unwrap();
    }
    last
}

fn holds(journal: &Journal, section: u64, count: u64) {
    for position in 0..count {
        let entry = journal.get(section, position).unwrap();
        assert_eq!((entry.id, entry.offset), (position, position * VALUE));
        assert_eq!(
            journal
                .get_value(section, entry.offset, entry.size)
                .unwrap(),
            value(position)[..]
        );
    }
    let error = journal.get(section, count).unwrap_err();
    assert!(
        matches!(error, Error::ItemOutOfRange { position, len, .. } if position == count && len == count),
        "{error}"
    );
    assert_eq!(journal.size(section).unwrap(), count * 20);
    assert_eq!(journal.value_size(section).unwrap(), count * VALUE);
}
