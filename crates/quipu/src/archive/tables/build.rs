//! Building and merging tables; beside the writer, mostly in a thread of its own.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::archive::load::READ_AHEAD_BYTES;
use crate::archive::section::Section;
use crate::archive::shared::Shared;
use crate::canary::Canary;
use crate::entropy;
use crate::error::{Error, Result};
use crate::index::mix;
use crate::key_table::{self, Claim, Contents, KeyTable, MAX_SLOTS, ordinal_bits};
use crate::sync::atomic::{AtomicBool, Ordering};

/// So many tables of about one size are merged into one.
const TABLES_PER_MERGE: usize = 4;

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
        let (mut claims, mut slots) = (Vec::new(), Vec::new());
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
        slots.sort_unstable();
        let mut slots = slots.into_iter();
        let table = self.write(claims, bits, &mut || Ok(slots.next()))?;
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
        records.replay(claim.from, READ_AHEAD_BYTES, &mut |position, entry| {
            match entry {
                _ if position >= claim.to => return ControlFlow::Break(()),
                Ok(entry) if shared.number_of(shared.entry.index(entry)) == section.number => {
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

    fn write(
        &self,
        claims: Vec<Claim>,
        bits: u32,
        next: &mut dyn FnMut() -> Result<Option<u64>>,
    ) -> Result<Arc<KeyTable>> {
        let contents = Contents {
            archive: self.shared.id,
            table: entropy::number()?,
            claims,
            bits,
        };
        let number = self.shared.tables.next_number();
        let mut slots = 0_u32;
        let mut checked = || {
            slots = slots.wrapping_add(1);
            if slots.is_multiple_of(1 << 14) {
                self.check_wanted()?;
            }
            next()
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
        let live: Vec<&Claim> = table.claims().filter(|of| shared.is_live(of)).collect();
        let is_in_table = |(section, position)| {
            let first = live.partition_point(|claim| claim.section < section);
            let claims = live.get(first..).unwrap_or_default().iter();
            let mut claims = claims.take_while(|claim| claim.section == section);
            claims.any(|claim| claim.from <= position && position < claim.to)
        };
        let stays = |location| !shared.locations.resolve(location).is_some_and(is_in_table);
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
        let mut merged = key_table::merge(tables, &|claim| shared.is_live(claim))?;
        let claims = std::mem::take(&mut merged.claims);
        let new = match claims.is_empty() {
            true => None,
            false => Some(self.write(claims, merged.bits, &mut || merged.next())?),
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
