//! A table that is damaged: its keys come back into the key index, from the index files that it was made of.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::archive::load::READ_AHEAD_BYTES;
use crate::archive::section::Section;
use crate::archive::shared::Shared;
use crate::error::{Error, Result};
use crate::index::Candidates;
use crate::key_table::{Claim, KeyTable};
use crate::storage::Access;
use crate::sync::atomic::Ordering;

impl Shared {
    /// Reads every page of every table; hands over the error of each that is damaged, and is done without
    /// from now on.
    pub(in crate::archive) fn verify_tables(&self, on: &mut dyn FnMut(Error)) -> Result<()> {
        for table in self.tables.list().iter() {
            match table.verify() {
                Err(error) if error.is_corruption() => {
                    self.heal(table)?;
                    on(error);
                }
                verified => verified?,
            }
        }
        Ok(())
    }

    /// Puts the keys of a table into the key index, and takes the table out.
    #[cold]
    pub(super) fn heal(&self, table: &Arc<KeyTable>) -> Result<()> {
        let _one_at_a_time = self.tables.moving.lock();
        if !self.tables.contains(table) {
            return Ok(());
        }
        for claim in table.claims().filter(|claim| self.is_live(claim)) {
            if let Some(section) = self.section(claim.section)? {
                let brought = self.bring_back(&section, claim);
                if !self.is_dropped(&section, &brought) {
                    brought?;
                }
                if section.is_retired() {
                    // Its locations were released before some of these were given out.
                    self.locations.release(section.number);
                }
            }
        }
        // Before it is taken out: who finds its keys in neither looks again.
        self.rewrites.fetch_add(1, Ordering::SeqCst);
        let gone = std::slice::from_ref(table);
        self.tables.replace(gone, None);
        if self.files.access() == Access::Write {
            self.remove_tables(gone);
        }
        self.counters.tables_lost.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn bring_back(&self, section: &Section, claim: &Claim) -> Result<()> {
        if section.epoch != claim.epoch {
            return Ok(());
        }
        let mut failed = Ok(());
        let records = &section.pair.records;
        records.replay(claim.from, READ_AHEAD_BYTES, &mut |position, entry| {
            if position >= claim.to {
                return ControlFlow::Break(());
            }
            let added = match entry {
                Ok(entry) => self.know_key(section.number, position, self.entry.key(entry)),
                Err(error) if error.is_corruption() => Ok(()),
                Err(error) => Err(error),
            };
            match added {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Err(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        failed?;
        section.covered.fetch_min(claim.from, Ordering::Relaxed);
        Ok(())
    }

    /// Puts a key into the key index, unless it is there.
    pub(in crate::archive) fn know_key(
        &self,
        section: u64,
        position: u64,
        key: &[u8],
    ) -> Result<()> {
        let location = self.locations.locate(section, position)?;
        let translated = self.translator.translate(key);
        let mut there = Candidates::default();
        self.keys.lookup(translated, &mut there);
        if !there.contains(&location) {
            self.keys.insert(translated, location, &|_| false)?;
        }
        Ok(())
    }
}
