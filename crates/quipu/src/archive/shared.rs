//! What writer and readers share: the sections, the key index, the stored runs, the floor.
//!
//! Locks are held for the time of a look-up or an insertion, never during a read, a write or a
//! flush of a file. There is one writer; a reader that finds an item has all of it, since the
//! writer publishes an item in this order: value, entry, position, run, key.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::look::Look;
use super::options::Options;
use super::scrub::ScrubState;
use super::section::Section;
use super::section_table::SectionTable;
use super::settings::Settings;
use super::stats::Counters;
use super::tables::Tables;
use crate::entropy;
use crate::error::{Error, Result};
use crate::format::{EntryLayout, Layouts};
use crate::index::{KeyIndex, Locations, Runs};
use crate::journal::{Pair, PairConfig, RecordConfig, ValueConfig};
use crate::manifest::{CompressionMap, Manifest, State};
use crate::paged::PageCache;
use crate::storage::{Access, BlobFile, OpenFiles, Storage};
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Mutex, OnceLock, RwLock};

/// The state of one open archive. Of the locks below, no two are ever held at once, but for
/// `following`, `waking` and that of tables whose keys move; others are taken while a section's locks of its damage
/// and its positions are held, in this order. Sections, open files and the list of tables are reached without one.
pub(crate) struct Shared {
    pub(super) settings: RwLock<Settings>,
    pub(super) entry: EntryLayout,
    pub(super) items_per_section: u64,
    pub(super) max_value_size: u32,
    pub(super) storage: Arc<dyn Storage>,
    /// The same for what is derived, without the disk reserve: nothing rests on that, so it is given up when the disk
    /// is full.
    pub(super) for_derived: Arc<dyn Storage>,
    pub(super) files: Arc<OpenFiles>,
    pub(super) cache: PageCache,
    pub(super) partitions: Partitions,
    pub(super) pair: PairConfig,
    pub(super) compression: RwLock<CompressionMap>,
    pub(super) translator: crate::index::TranslatorSpec,
    pub(super) sections: SectionTable,
    /// Held while a section wakes, or its positions are read.
    pub(super) waking: Mutex<()>,
    /// The look at the lengths of the files of sections at rest.
    pub(super) look: Look,
    /// Keys that no table has.
    pub(super) keys: KeyIndex,
    pub(super) tables: Tables,
    pub(super) locations: Locations,
    /// Counts sections that were written anew, and tables that were lost: a key that was looked for
    /// meanwhile may have moved.
    pub(super) rewrites: AtomicU64,
    pub(super) runs: RwLock<Runs>,
    pub(super) damage: RwLock<Damage>,
    pub(super) has_damage: AtomicBool,
    pub(super) floor: AtomicU64,
    /// Sections of which a file is there, or was, that cannot be taken for one of theirs.
    pub(super) unreadable: RwLock<BTreeSet<u64>>,
    /// Whether a reader found the marks cut short or damaged.
    pub(super) marks_incomplete: AtomicBool,
    /// The manifest with which a reader beside was opened, once it is shown.
    pub(super) shown_as: OnceLock<Manifest>,
    /// The section whose index file the writer was about to replace when a reader was opened.
    pub(super) being_rewritten: Option<u64>,
    /// The archive's, as its manifest has it.
    pub(super) id: u64,
    /// One more than the opens for writing that the manifest had on the disk when the writer went; 0 while that is
    /// there.
    pub(super) ended: AtomicU64,
    /// Held while a reader beside the writer of another process takes in a higher floor.
    pub(super) following: Mutex<()>,
    /// Whether the last look-up of many ids took as long as if it waited for a disk.
    pub(super) waits: AtomicBool,
    pub(super) counters: Counters,
    pub(super) scrub: ScrubState,
}

/// The names of the two partitions.
pub(super) struct Partitions {
    pub(super) index: Arc<str>,
    pub(super) values: Arc<str>,
}

/// Indices that were durable and cannot be read.
#[derive(Default)]
pub(super) struct Damage {
    /// These indices hold nothing else.
    pub(super) indices: Runs,
    /// Sections with damage that is not in the marks yet.
    pub(super) unmarked: BTreeSet<u64>,
}

impl Shared {
    pub(super) fn new(
        storage: Arc<dyn Storage>,
        options: &Options,
        manifest: &Manifest,
        access: Access,
    ) -> Self {
        let settings = Settings::of(manifest);
        let entry = settings.entry();
        let (cache, key_memory) = options.memory.resolve(entry.size());
        let (section_files, tables) = options.files_and_tables();
        let files = OpenFiles::new(Arc::clone(&storage), section_files, access, manifest.layout);
        Self {
            entry,
            items_per_section: settings.items_per_section,
            translator: settings.translator,
            max_value_size: options.max_value_size,
            files,
            partitions: Partitions {
                index: Arc::from(manifest.index_partition.as_str()),
                values: Arc::from(manifest.value_partition.as_str()),
            },
            pair: PairConfig {
                record: RecordConfig {
                    record_size: entry.size(),
                    page_size: manifest.page_size,
                    cache: cache.clone(),
                },
                value: ValueConfig {
                    write_buffer: options.write_buffer,
                },
                location: location_of,
            },
            cache,
            for_derived: Arc::clone(&storage),
            storage,
            compression: RwLock::new(manifest.compression.clone()),
            settings: RwLock::new(settings),
            sections: SectionTable::new(manifest.items_per_section),
            waking: Mutex::default(),
            look: Look::default(),
            keys: KeyIndex::new(),
            tables: Tables::new(tables.map(|_| manifest.id), key_memory),
            locations: Locations::new(),
            rewrites: AtomicU64::new(0),
            runs: RwLock::default(),
            damage: RwLock::default(),
            has_damage: AtomicBool::new(false),
            floor: AtomicU64::new(manifest.floor),
            unreadable: RwLock::default(),
            marks_incomplete: AtomicBool::new(false),
            shown_as: OnceLock::new(),
            being_rewritten: match manifest.state {
                State::Rewinding(index) => Some(index - index % manifest.items_per_section),
                State::Repairing(section) => Some(section),
                _ => None,
            },
            id: manifest.id,
            ended: AtomicU64::new(0),
            following: Mutex::default(),
            waits: AtomicBool::new(true),
            counters: Counters::default(),
            scrub: ScrubState::default(),
        }
    }

    /// The first index that is not pruned.
    #[inline]
    pub(super) fn floor(&self) -> u64 {
        self.floor.load(Ordering::Acquire)
    }

    /// The number of the section that an index belongs to.
    #[inline]
    pub(super) fn number_of(&self, index: u64) -> u64 {
        index - index % self.items_per_section
    }

    /// No index from here on is stored, as far as is known: of all, while nobody has looked.
    pub(super) fn unused_from(&self) -> u128 {
        let last = self.runs.read().last();
        match self.look.is_due() {
            true => u128::MAX,
            false => last.map_or(0, |last| u128::from(last) + 1),
        }
    }

    /// The numbers of sections that cannot be read but have, or had, a file.
    pub(super) fn unreadable(&self) -> Vec<u64> {
        self.unreadable.read().iter().copied().collect()
    }

    /// The two files of a section, and what is known of their headers; opens nothing.
    pub(super) fn files_of(&self, number: u64, known: Layouts) -> (BlobFile, BlobFile) {
        let records = BlobFile::new(&self.files, &self.partitions.index, number);
        let values = BlobFile::new(&self.files, &self.partitions.values, number);
        records.know_layout(known.records);
        values.know_layout(known.values);
        (records, values)
    }

    /// Creates the files of a section that does not exist.
    pub(super) fn create_section(&self, number: u64) -> Result<Arc<Section>> {
        let (records, values) = self.files_of(number, Layouts::default());
        let pair = Pair::create(records, values, &self.pair)?;
        let compressed = self.compression.read().is_compressed(number);
        let section = Arc::new(Section::new(number, pair, compressed, entropy::number()?));
        self.sections.insert(Arc::clone(&section));
        Ok(section)
    }

    /// Notes that the item at a position cannot be read; until the next open alone where that need not last, since the
    /// [disk could not read it](Error::is_unreadable). The index then counts as missing, unless another entry of it is
    /// whole.
    pub(super) fn note_damage(&self, section: &Section, position: u64, index: u64, lasts: bool) {
        // Or other items of the index could be taken for one that is there. What cannot be read is
        // found by the next look.
        let _ = self.settle(section);
        section.note_damage(position, index, lasts, |nothing_whole| {
            self.counters.damaged.fetch_add(1, Ordering::Relaxed);
            if nothing_whole {
                // First, so that nobody takes the index for one that never was.
                self.note_lost(index);
                self.runs.write().remove(index);
            }
            self.damage.write().unmarked.insert(section.number);
        });
    }

    /// Notes an index whose entry is gone with its page.
    pub(super) fn note_lost(&self, index: u64) {
        self.damage.write().indices.insert(index);
        self.has_damage.store(true, Ordering::Release);
    }

    /// Notes runs of indices whose entries are gone.
    pub(super) fn note_lost_runs(&self, lost: &[(u64, u64)]) {
        let mut damage = self.damage.write();
        for &(first, last) in lost {
            damage.indices.insert_run(first, last);
        }
        drop(damage);
        if !lost.is_empty() {
            self.has_damage.store(true, Ordering::Release);
        }
    }

    /// Indices that were taken for stored, and hold nothing whole, are damaged from now on.
    pub(super) fn lose(&self, lost: &Runs) {
        for run in lost.ranges() {
            let (first, last) = run.into_inner();
            // First, so that no reader takes such an index for one that never was.
            self.damage.write().indices.insert_run(first, last);
            self.has_damage.store(true, Ordering::Release);
            let mut runs = self.runs.write();
            while let Some(index) = runs.at_or_after(first).filter(|&index| index <= last) {
                runs.remove(index);
            }
        }
    }

    /// Whether the index was durable and cannot be read.
    pub(super) fn is_damaged(&self, index: u64) -> bool {
        self.has_damage.load(Ordering::Acquire) && self.damage.read().indices.contains(index)
    }

    /// What a reader read, unless its writer has gone and another has come since: that one may cut
    /// files, and write others under their names.
    #[inline]
    pub(super) fn checked<T>(&self, read: Result<T>) -> Result<T> {
        // After the read: a writer says that it goes before another can come.
        match self.ended.load(Ordering::SeqCst) {
            0 => read,
            ended => self.check_alone(ended).and(read),
        }
    }

    #[cold]
    fn check_alone(&self, ended: u64) -> Result<()> {
        let now = Manifest::load(&*self.storage)?;
        let is_same = |now: &Manifest| {
            now.id == self.id
                && now.opens.saturating_add(1) == ended
                && now.state != State::Destroying
        };
        match now.as_ref().is_some_and(is_same) {
            true => Ok(()),
            false => Err(Error::Closed { path: self.path() }),
        }
    }

    /// What errors call the archive.
    pub(super) fn path(&self) -> PathBuf {
        self.storage.path("", "")
    }
}

/// Where an entry's value stands: the last twelve bytes, whatever the key's size.
fn location_of(entry: &[u8]) -> (u64, u32) {
    EntryLayout {
        key_size: entry
            .len()
            .saturating_sub(EntryLayout { key_size: 0 }.size()),
    }
    .location(entry)
}
