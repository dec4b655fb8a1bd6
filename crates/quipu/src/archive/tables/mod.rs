//! The key tables of an archive: which there are, and what they cover.
//!
//! The list is published whole: a look-up takes the one of its moment. A table is added before the keys that
//! it has leave the key index, and where one is lost its keys are back in the key index before it is taken
//! out, so that a key is in one of the two at any time; `Shared::rewrites` tells a look-up that fell between.

mod build;
mod find;
mod heal;
mod held;
mod keeper;

use std::sync::Arc;

pub(super) use find::{InTables, TablePage};
pub(super) use keeper::Keeper;

use super::memory_limits::KeyMemory;
use super::shared::Shared;
use crate::canary::Canary;
use crate::error::{Error, Result};
use crate::format::NEW_SUFFIX;
use crate::key_table::{self, Claim, KeyTable, PageMemory};
use crate::manifest::PARTITION;
use crate::storage::Storage;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{ArcSwap, Guard, Mutex, MutexGuard};

type List = Vec<Arc<KeyTable>>;

/// All tables that are open.
pub(super) struct Tables {
    /// Whose they are; none where no tables are used.
    archive: Option<u64>,
    /// Ascending by number.
    list: ArcSwap<List>,
    /// The greatest number that any had.
    last: AtomicU64,
    memory: Arc<PageMemory>,
    /// Held while keys leave the key index for a table, or come back from one.
    moving: Mutex<()>,
}

impl Tables {
    /// None yet.
    pub(super) fn new(archive: Option<u64>, memory: KeyMemory) -> Self {
        Self {
            archive,
            list: ArcSwap::default(),
            last: AtomicU64::new(0),
            memory: Arc::new(PageMemory::new(match memory {
                KeyMemory::All => None,
                KeyMemory::AtMost(bytes) => Some(bytes as u64),
            })),
            moving: Mutex::default(),
        }
    }

    /// Opens those that are there. One that is not this archive's, is damaged, cannot be read, or is gone again is left
    /// out: what it covers is read from the index files.
    pub(super) fn open(&self, storage: &dyn Storage) -> Result<()> {
        let Some(archive) = self.archive else {
            return Ok(());
        };
        let mut tables = Vec::new();
        for number in names(storage)?
            .iter()
            .filter_map(|name| key_table::number(name))
        {
            self.last.fetch_max(number, Ordering::Relaxed);
            match KeyTable::open(storage, number, archive, Arc::clone(&self.memory)) {
                Err(Error::NotFound { .. }) => {}
                Err(error) if error.is_corruption() => {}
                opened => tables.extend(opened?.map(Arc::new)),
            }
        }
        self.list.store(Arc::new(tables));
        Ok(())
    }

    /// No key moves into a table, or back from one, as long as this is held.
    pub(super) fn hold(&self) -> MutexGuard<'_, ()> {
        self.moving.lock()
    }

    /// The list of this moment.
    #[inline]
    pub(super) fn list(&self) -> Guard<Arc<List>> {
        self.list.load()
    }

    /// How many entries of a section in this life the tables have, from the first on.
    pub(super) fn covered(&self, section: u64, epoch: u64) -> u64 {
        let list = self.list();
        let is_of_life = |claim: &&Claim| claim.epoch == epoch || Canary::TableEpochIgnored.sings();
        let all = list.iter().flat_map(|table| table.claims_of(section));
        let mut of_life = all.filter(is_of_life);
        let first = of_life.next();
        // Mostly it is in one table.
        let Some(second) = of_life.next() else {
            return first.map_or(0, |claim| if claim.from == 0 { claim.to } else { 0 });
        };
        let mut claims: Vec<_> = first.into_iter().chain([second]).chain(of_life).collect();
        claims.sort_unstable_by_key(|claim| claim.from);
        claims
            .iter()
            .fold(0, |covered, claim| match claim.from <= covered {
                true => covered.max(claim.to),
                false => covered,
            })
    }

    /// Up to where the tables have entries of a section in this life, though one that was lost may have left
    /// a gap before.
    pub(super) fn claimed(&self, section: u64, epoch: u64) -> u64 {
        let list = self.list();
        let claims = list.iter().flat_map(|table| table.claims_of(section));
        let of_life = claims.filter(|claim| claim.epoch == epoch);
        of_life.map(|claim| claim.to).max().unwrap_or(0)
    }

    /// The number of the next one.
    fn next_number(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Puts a table in the place of others.
    fn replace(&self, gone: &[Arc<KeyTable>], new: Option<Arc<KeyTable>>) {
        let stays = |table: &&Arc<KeyTable>| !gone.iter().any(|gone| Arc::ptr_eq(gone, table));
        self.list.rcu(|list| {
            let stay = list.iter().filter(stays).cloned();
            stay.chain(new.clone()).collect::<List>()
        });
    }

    fn contains(&self, table: &Arc<KeyTable>) -> bool {
        self.list().iter().any(|of| Arc::ptr_eq(of, table))
    }

    /// How many keys they have.
    pub(super) fn len(&self) -> u64 {
        self.list().iter().map(|table| table.len()).sum()
    }

    /// Bytes of memory, pages included.
    pub(super) fn memory(&self) -> usize {
        let tables = self
            .list()
            .iter()
            .map(|table| table.memory())
            .sum::<usize>();
        tables + self.memory.memory()
    }

    /// Bytes on disk.
    pub(super) fn disk_len(&self) -> u64 {
        self.list().iter().map(|table| table.disk_len()).sum()
    }
}

impl Shared {
    /// Whether what a table says of a section is of its life now.
    fn is_live(&self, claim: &Claim) -> bool {
        self.sections.epoch(claim.section) == Some(claim.epoch)
    }

    /// Whether so much of a table is void that it is worth writing anew: a third, so that what is written for it is
    /// no more than twice what goes.
    fn is_worn(&self, table: &KeyTable) -> bool {
        let live = table.claims().filter(|claim| self.is_live(claim));
        let live: u64 = live.map(Claim::len).sum();
        (table.len() - live.min(table.len())).saturating_mul(3) >= table.len().max(1)
    }

    /// Whether a table is to be written anew.
    fn has_worn_table(&self) -> bool {
        self.tables.list().iter().any(|table| self.is_worn(table))
    }

    /// Takes out tables of which nothing is live, and removes their files. What cannot be removed the next
    /// open removes.
    pub(super) fn drop_void_tables(&self) {
        let list = self.tables.list();
        let is_void = |table: &&Arc<KeyTable>| !table.claims().any(|claim| self.is_live(claim));
        let void: Vec<_> = list.iter().filter(is_void).cloned().collect();
        if !void.is_empty() {
            self.tables.replace(&void, None);
            self.remove_tables(&void);
        }
    }

    fn remove_tables(&self, tables: &[Arc<KeyTable>]) {
        for table in tables {
            let _ = self
                .storage
                .remove(PARTITION, &key_table::name(table.number()));
        }
    }

    /// Removes what is of no use: tables that nothing is live of, those that were merged into another, and
    /// what is no table.
    pub(super) fn tidy_tables(&self) -> Result<()> {
        if self.tables.archive.is_none() {
            return Ok(());
        }
        self.drop_void_tables();
        let list = self.tables.list();
        let is_in_later = |table: &&Arc<KeyTable>| {
            let later = || list.iter().filter(|of| of.number() > table.number());
            let mut claims = table.claims().filter(|claim| self.is_live(claim));
            claims.all(|claim| later().any(|table| includes(table, claim)))
        };
        let merged: Vec<_> = list.iter().filter(is_in_later).cloned().collect();
        self.tables.replace(&merged, None);
        let list = self.tables.list();
        for name in names(&*self.storage)? {
            let finished = name.strip_suffix(NEW_SUFFIX);
            let is_table = |number| list.iter().any(|table| table.number() == number);
            let is_of_use = key_table::number(&name).is_none_or(is_table)
                && finished.and_then(key_table::number).is_none();
            if !is_of_use {
                self.storage.remove(PARTITION, &name)?;
            }
        }
        Ok(())
    }
}

/// Whether a table has all entries of a claim.
fn includes(table: &KeyTable, claim: &Claim) -> bool {
    let mut claims = table.claims_of(claim.section);
    claims.any(|of| of.epoch == claim.epoch && of.from <= claim.from && claim.to <= of.to)
}

/// The names of everything where tables are. Where somebody put what is no blob they cannot be told, and
/// tables are done without.
fn names(storage: &dyn Storage) -> Result<Vec<String>> {
    match storage.list(PARTITION) {
        Err(Error::NotABlob { .. }) => Ok(Vec::new()),
        listed => listed,
    }
}

/// Removes every table of an archive.
pub(super) fn remove_all(shared: &Shared) -> Result<()> {
    shared.remove_tables(&shared.tables.list());
    for name in names(&*shared.storage)? {
        let finished = name.strip_suffix(NEW_SUFFIX).unwrap_or(&name);
        if key_table::number(finished).is_some() {
            shared.storage.remove(PARTITION, &name)?;
        }
    }
    Ok(())
}
