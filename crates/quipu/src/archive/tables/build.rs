//! Building and merging tables; beside the writer, mostly in a thread of its own.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::held::Held;

use crate::archive::section::Section;
use crate::archive::shared::Shared;
use crate::canary::Canary;
use crate::entropy;
use crate::error::{Error, Result};
use crate::index::mix;
use crate::key_table::{self, Claim, Contents, KeyTable, MAX_SLOTS, NextSlots, ordinal_bits};
use crate::sync::atomic::{AtomicBool, Ordering};

/// So many tables of about one size are merged into one.
const TABLES_PER_MERGE: usize = 4;
/// Bytes of an index file that are read at a time: few enough to stay in the processor's caches.
const READ_BYTES: usize = 1 << 17;
/// Slots that are written to a table at a time.
const SLOTS_AT_ONCE: usize = 1 << 14;

/// What one job is to do.
pub(super) struct Job {
    pub(super) shared: Arc<Shared>,
    /// Durable entries that no table has.
    pub(super) claims: Vec<Claim>,
    /// About how many keys a table begins with.
    pub(super) keys_per_table: u64,
    /// Says that the job is to end early.
    pub(super) stop: Arc<AtomicBool>,
}

impl Job {
    /// Makes a table of the entries, and merges tables where there are many of a size.
    ///
    /// # Errors
    /// What reading an index file, or writing a table, fails with. What was not done is left to a later job.
    pub(super) fn run(&self) -> Result<()> {
        if let Some(table) = self.build()? {
            self.publish(&table);
        }
        while let Some(tables) = self.tables_to_merge() {
            self.merge(&tables)?;
        }
        Ok(())
    }

    fn check_wanted(&self) -> Result<()> {
        match self.stop.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err(Error::Closed {
                path: self.shared.path(),
            }),
        }
    }

    /// A table of the entries; none where none of them can be had.
    fn build(&self) -> Result<Option<Arc<KeyTable>>> {
        let wanted: u64 = self.claims.iter().map(Claim::len).sum();
        let bits = ordinal_bits(wanted.min(MAX_SLOTS));
        let mut claims = Vec::new();
        let mut slots = Vec::with_capacity(wanted.min(MAX_SLOTS) as usize);
        for claim in &self.claims {
            let before = slots.len();
            if before as u64 + claim.len() > MAX_SLOTS {
                // Those behind may fit; this one waits for the next table, and in vain where none is large enough.
                continue;
            }
            match self.read_slots(claim, bits, &mut slots)? {
                true => claims.push(*claim),
                // Damaged, or dropped since.
                false => slots.truncate(before),
            }
        }
        if claims.is_empty() {
            return Ok(None);
        }
        let slots = key_table::sort(slots);
        let mut pieces = slots.chunks(SLOTS_AT_ONCE);
        let table = self.write(claims, bits, &mut |some| {
            some.extend_from_slice(pieces.next().unwrap_or_default());
            Ok(())
        })?;
        Ok(Some(table))
    }

    /// Adds the slots of the entries of a claim; false where not all of them are there.
    fn read_slots(&self, claim: &Claim, bits: u32, slots: &mut Vec<u64>) -> Result<bool> {
        self.check_wanted()?;
        let shared = &*self.shared;
        let section = shared.open_section(claim.section);
        let Some(section) = section.filter(|section| is_fit(section, claim)) else {
            return Ok(false);
        };
        let end = slots.len() as u64 + claim.len();
        let mut failed = None;
        let records = &section.pair.records;
        let is_within = |index: u64| {
            let behind = index.checked_sub(section.number);
            behind.is_some_and(|behind| behind < shared.items_per_section)
        };
        records.replay(claim.from, READ_BYTES, &mut |position, entry| {
            match entry {
                _ if position >= claim.to => return ControlFlow::Break(()),
                Ok(entry) if is_within(shared.entry.index(entry)) => {
                    let translated = shared.translator.translate(shared.entry.key(entry));
                    let mut mix = mix(translated, shared.id);
                    if position + 1 == claim.to && Canary::TableClaimsMore.sings() {
                        mix = !mix;
                    }
                    slots.push(mix >> bits << bits | slots.len() as u64);
                }
                Ok(_) => return ControlFlow::Break(()),
                Err(error) => {
                    failed = Some(error);
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        })?;
        match failed {
            Some(error) if !error.is_corruption() => Err(error),
            _ => Ok(slots.len() as u64 == end),
        }
    }

    fn write(&self, claims: Vec<Claim>, bits: u32, next: NextSlots<'_>) -> Result<Arc<KeyTable>> {
        let contents = Contents {
            archive: self.shared.id,
            table: entropy::number()?,
            claims,
            bits,
        };
        let number = self.shared.tables.next_number();
        let mut checked = |some: &mut Vec<u64>| {
            self.check_wanted()?;
            next(some)
        };
        let (storage, memory) = (&self.shared.for_derived, &self.shared.tables.memory);
        key_table::write(storage, number, contents, memory, &mut checked).map(Arc::new)
    }

    /// Makes a table known, and takes its keys out of the key index.
    fn publish(&self, table: &Arc<KeyTable>) {
        let shared = &*self.shared;
        let _one_at_a_time = shared.tables.moving.lock();
        shared.tables.replace(&[], Some(Arc::clone(table)));
        for claim in table.claims() {
            let section = shared.open_section(claim.section);
            if let Some(section) = section.filter(|section| section.epoch == claim.epoch) {
                let covered = section.covered.load(Ordering::Relaxed);
                if claim.from <= covered {
                    section.covered.fetch_max(claim.to, Ordering::Relaxed);
                }
            }
        }
        // Asked once, not for each key: what dies meanwhile needs its keys no more.
        let held = Held::new(table.claims().filter(|of| shared.is_live(of)).copied());
        let stays = |location| {
            let place = shared.locations.resolve(location);
            !place.is_some_and(|(section, position)| held.has(section, position))
        };
        for shard in 0..shared.keys.shards() {
            shared.keys.retain_shard(shard, &stays);
        }
    }

    /// Tables of about one size, if there are enough of them; or one that is worn.
    fn tables_to_merge(&self) -> Option<Vec<Arc<KeyTable>>> {
        let list = self.shared.tables.list();
        if let Some(worn) = list.iter().find(|table| self.shared.is_worn(table)) {
            return Some(vec![Arc::clone(worn)]);
        }
        let fan = TABLES_PER_MERGE as u64;
        let size = |table: &KeyTable| (table.len() / self.keys_per_table).max(1).ilog(fan);
        let sizes = list.iter().map(|table| size(table));
        let merged = sizes.filter_map(|of| {
            let same = || list.iter().filter(|table| size(table) == of);
            let slots: u64 = same().map(|table| table.len()).sum();
            let are_enough = same().count() >= TABLES_PER_MERGE && slots <= MAX_SLOTS;
            are_enough.then(|| same().cloned().collect())
        });
        merged.min_by_key(Vec::len)
    }

    fn merge(&self, tables: &[Arc<KeyTable>]) -> Result<()> {
        let shared = &*self.shared;
        let mut merged = key_table::merge(tables, &|claim| shared.is_live(claim));
        let claims = std::mem::take(&mut merged.claims);
        let new = match claims.is_empty() {
            true => None,
            false => Some(self.write(claims, merged.bits, &mut |some| merged.next(some))?),
        };
        {
            let _one_at_a_time = shared.tables.moving.lock();
            // One that was found damaged meanwhile has its keys in the key index.
            shared.tables.replace(tables, new);
        }
        shared.remove_tables(tables);
        Ok(())
    }
}

/// Whether the section is still the one that was to be read, and nothing of it is damaged.
fn is_fit(section: &Section, claim: &Claim) -> bool {
    section.epoch == claim.epoch && section.is_sound() && !section.is_retired()
}
