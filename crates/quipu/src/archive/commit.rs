//! How puts become durable: by the commit log where they are few, else by the section files themselves.

use std::sync::Arc;
use std::time::Instant;

use super::section::Section;
use super::writer::Writer;
use crate::canary::Canary;
use crate::error::Result;
use crate::sync::atomic::Ordering;

/// How far a sync goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// What is put is durable, in the section files or in the commit log.
    Any,
    /// All is durable in the section files.
    Sections,
}

impl Writer {
    /// Makes every put before it durable.
    pub(super) fn sync(&mut self) -> Result<()> {
        self.sync_as_far(Reach::Any)
    }

    /// Makes every put before it durable in the section files, so that nothing is in the commit log.
    pub(super) fn checkpoint(&mut self) -> Result<()> {
        self.sync_as_far(Reach::Sections)
    }

    fn sync_as_far(&mut self, reach: Reach) -> Result<()> {
        if self.cuts.is_some() && !self.shared.damage.read().unmarked.is_empty() {
            // That has to be marked; nothing is written yet, so a look that fails stops nothing else.
            self.check_usable()?;
            self.look()?;
        }
        self.sync_dirty(reach).inspect_err(|_| self.refill())?;
        self.prepare_next()?;
        self.refill();
        Ok(())
    }

    fn sync_dirty(&mut self, reach: Reach) -> Result<()> {
        self.check_usable()?;
        self.sweep.step_at_sync(&self.shared);
        let started = Instant::now();
        let is_dirty = !self.dirty.is_empty();
        if is_dirty && (reach == Reach::Sections || !self.log_dirty()?) {
            let current = self.current.as_ref().map(|current| current.section.number);
            let dirty: Vec<_> = self.dirty.iter().copied().collect();
            for section in self.sync_sections(&dirty)? {
                if Some(section.number) != current {
                    section.pair.release_buffers();
                }
            }
        }
        if is_dirty {
            self.shared.counters.sync_calls.record(started);
        }
        let marked = match self.unmarked.is_empty() {
            true => self.mark_damage(),
            // These may be sections that the writer has synced on its own since.
            false => self.mark_sync(),
        };
        // A table may be done by now, and another one due.
        let kept = marked.and_then(|()| self.keep_tables());
        self.poison_on_error(kept)
    }

    /// Makes what was put durable by the commit log, if it takes that.
    fn log_dirty(&mut self) -> Result<bool> {
        let shared = Arc::clone(&self.shared);
        let sections = self.dirty.iter().filter_map(|&of| shared.open_section(of));
        let sections: Vec<_> = sections.collect();
        let unshown = sections.iter().map(|section| section.pair.unshown());
        let bytes = unshown.sum::<Option<usize>>();
        if bytes == Some(0) {
            return Ok(true);
        }
        let has_more = |section: &&Arc<Section>| section.pair.unshown() != Some(0);
        let sections: Vec<_> = sections.iter().filter(has_more).collect();
        let Some(bytes) = bytes.filter(|&of| self.log.takes(of, sections.len())) else {
            return Ok(false);
        };
        let pairs = sections.iter().map(|of| (of.number, of.epoch, &of.pair));
        let appended = self.log.append(bytes, pairs);
        if !self.poison_on_error(appended)? {
            return Ok(false);
        }
        for section in &sections {
            let shown = section.pair.show();
            self.poison_on_error(shown)?;
            shared.counters.syncs.fetch_add(1, Ordering::Relaxed);
        }
        Ok(true)
    }

    /// Makes sections durable, side by side where the storage serves that: none needs another to be. Where the
    /// commit log holds syncs, those of all, and clears it.
    pub(super) fn sync_sections(&mut self, numbers: &[u64]) -> Result<Vec<Arc<Section>>> {
        let shared = Arc::clone(&self.shared);
        let mut numbers = numbers.to_vec();
        if self.log.holds_syncs() {
            numbers.extend(
                self.dirty
                    .iter()
                    .filter(|of| !numbers.contains(of))
                    .collect::<Vec<_>>(),
            );
        }
        if Canary::CommitLogClearedFirst.sings() {
            self.log.clear()?;
        }
        let sections = numbers.iter().filter_map(|&of| shared.open_section(of));
        let sections: Vec<_> = sections.collect();
        let freed = self.free_log(&sections);
        self.poison_on_error(freed)?;
        // What comes behind damage that no mark tells of would be behind a torn end: their marks are flushed.
        let is_behind = |of: &Arc<Section>| of.pair.records.is_behind_damage();
        self.unmarked.rolled |= sections.iter().any(is_behind);
        let sync = |part: &[Arc<Section>]| -> Result<()> {
            part.iter().try_for_each(|section| section.pair.sync())
        };
        for synced in shared.side_by_side(&sections, 1, sync) {
            self.poison_on_error(synced)?;
        }
        // Before anything else is written to these files, or they go.
        let cleared = self.log.clear();
        self.poison_on_error(cleared)?;
        for section in &sections {
            shared.counters.syncs.fetch_add(1, Ordering::Relaxed);
            self.unmarked.add(section.number, &[]);
        }
        for number in &numbers {
            self.dirty.remove(number);
        }
        // The next put finds its section anew, and counts it as dirty again.
        self.forget_current();
        Ok(sections)
    }

    /// What the log keeps for files that are away goes before the first entry comes to those that are in their place
    /// now: an open could not tell the two apart. Their values are durable by then: what failed of them takes nothing.
    fn free_log(&mut self, sections: &[Arc<Section>]) -> Result<()> {
        let are_synced = |number| sections.iter().any(|section| section.number == number);
        if !self.log.keeps_for(&are_synced) {
            return Ok(());
        }
        let mut kept = sections
            .iter()
            .filter(|section| self.log.keeps_for(&|number| number == section.number));
        kept.try_for_each(|section| section.pair.values.sync())?;
        self.log.forget(&are_synced)
    }

    /// What an open has found in the log stays there for sections that the disk could not read: a killed process may have
    /// left it in the system's memory alone.
    pub(super) fn keep_log_of_unreadable(&mut self) {
        let unreadable = self.shared.unreadable.read();
        self.log.keep_for(|section| unreadable.contains(&section));
    }

    /// Makes everything durable and marks it.
    pub(super) fn close(&mut self) -> Result<()> {
        self.checkpoint()?;
        let marked = self.mark_synced().and_then(|()| self.marks.flush());
        self.poison_on_error(marked)?;
        self.close_tables();
        self.discard_prepared(|_| true)?;
        let settled = self.settle_end().and_then(|()| self.log.close());
        self.poison_on_error(settled)
    }

    /// Says in the marks that this was a clean end, now that everything is durable and marked. Not where an open may bring
    /// section files further, from what the log keeps.
    fn settle_end(&mut self) -> Result<()> {
        match self.log.keeps_for(&|_| true) {
            true => self.marks.settle(),
            false => {
                let manifest = self.stored_manifest();
                self.marks.settle_end(&manifest)
            }
        }
    }
}
