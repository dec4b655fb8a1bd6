//! What the writer does for the tables: it notes what is durable, and has a table made of it now and then.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::build::Job;
use crate::archive::section::Section;
use crate::archive::shared::Shared;
use crate::archive::writer::Writer;
use crate::entropy;
use crate::error::Result;
use crate::key_table::Claim;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::thread;

/// Where an open would have to read this part of as many entries as a table begins with, a table is made when the archive
/// is closed: fewer are read in the time that it takes to open a table.
const LEAST_AT_CLOSE: u64 = 16;

/// Entries that wait for a table, and the job that makes one.
pub(in crate::archive) struct Keeper {
    /// About how many keys a table begins with; none where no tables are made.
    keys_per_table: Option<u64>,
    /// By section, positions of durable entries that no table has.
    waiting: BTreeMap<u64, Range<u64>>,
    waiting_keys: u64,
    /// By section, up to where the job under way makes a table of its entries.
    claimed: BTreeMap<u64, u64>,
    job: Option<thread::JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl Keeper {
    pub(in crate::archive) fn new(keys_per_table: Option<u64>) -> Self {
        Self {
            keys_per_table,
            waiting: BTreeMap::new(),
            waiting_keys: 0,
            claimed: BTreeMap::new(),
            job: None,
            stop: Arc::default(),
        }
    }

    /// Notes that all entries of a section are durable, and that the marks say so.
    pub(in crate::archive) fn note(&mut self, section: &Section) {
        let covered = section.covered.load(Ordering::Relaxed);
        let claimed = self.claimed.get(&section.number).copied();
        let covered = covered.max(claimed.unwrap_or_default());
        let entries = section.pair.records.len();
        if self.keys_per_table.is_none() || entries <= covered || !section.is_sound() {
            return;
        }
        let waiting = self
            .waiting
            .entry(section.number)
            .or_insert(covered..covered);
        self.waiting_keys += entries.saturating_sub(waiting.end);
        waiting.end = waiting.end.max(entries);
    }

    /// The section is gone, or another.
    pub(in crate::archive) fn forget(&mut self, section: u64) {
        if let Some(waiting) = self.waiting.remove(&section) {
            self.waiting_keys -= waiting.end - waiting.start;
        }
    }

    /// What is to be done for a table, if so many keys wait.
    fn job(&mut self, shared: &Arc<Shared>, least: u64) -> Option<Job> {
        let keys_per_table = self.keys_per_table?;
        if self.waiting_keys == 0 || self.waiting_keys < least {
            return None;
        }
        self.waiting_keys = 0;
        let waiting = std::mem::take(&mut self.waiting);
        self.claimed = waiting
            .iter()
            .map(|(&section, of)| (section, of.end))
            .collect();
        let claims = waiting.into_iter().filter_map(|(section, positions)| {
            Some(Claim {
                section,
                epoch: shared.sections.epoch(section)?,
                from: positions.start,
                to: positions.end,
            })
        });
        Some(Job {
            shared: Arc::clone(shared),
            claims: claims.collect(),
            keys_per_table,
            stop: Arc::clone(&self.stop),
        })
    }

    /// A job that writes worn tables anew, and no more.
    fn rewrite_job(&self, shared: &Arc<Shared>) -> Option<Job> {
        let keys_per_table = self.keys_per_table?;
        shared.has_worn_table().then(|| Job {
            shared: Arc::clone(shared),
            claims: Vec::new(),
            keys_per_table,
            stop: Arc::clone(&self.stop),
        })
    }

    /// Runs a job beside the writer. Simulations have one thread, so that all runs of a seed are the same.
    fn start(&mut self, job: Job) {
        let shared = Arc::clone(&job.shared);
        // Tables are derived data: one that could not be made is made another time.
        let run = move || drop(job.run());
        if entropy::is_simulated() {
            run();
            return self.end(&shared);
        }
        let name = "quipu-tables".to_owned();
        match thread::Builder::new().name(name).spawn(run) {
            Ok(thread) => self.job = Some(thread),
            Err(_) => self.end(&shared),
        }
    }

    /// Whether a job is under way.
    fn is_busy(&mut self, shared: &Shared) -> bool {
        if self
            .job
            .as_ref()
            .is_some_and(thread::JoinHandle::is_finished)
        {
            self.wait(shared);
        }
        self.job.is_some()
    }

    /// Waits for a job that is under way.
    fn wait(&mut self, shared: &Shared) {
        if let Some(job) = self.job.take() {
            let _ = job.join();
            self.end(shared);
        }
    }

    /// A job has ended: entries that it made no table of wait again.
    fn end(&mut self, shared: &Shared) {
        for (number, end) in std::mem::take(&mut self.claimed) {
            let Some(section) = shared.open_section(number).filter(|of| of.is_sound()) else {
                continue;
            };
            let covered = section.covered.load(Ordering::Relaxed);
            if covered < end {
                let waiting = self.waiting.entry(number).or_insert(end..end);
                self.waiting_keys += waiting.start.saturating_sub(covered);
                waiting.start = waiting.start.min(covered);
            }
        }
    }

    /// Ends a job that is under way: sections are about to be written anew, or the archive to be closed.
    pub(in crate::archive) fn stop(&mut self, shared: &Shared) {
        self.stop.store(true, Ordering::Relaxed);
        self.wait(shared);
        self.stop = Arc::default();
    }
}

impl Writer {
    /// Entries that an open had to read wait for a table like those that were put since: or each open after
    /// a killed process would read them again.
    pub(in crate::archive) fn note_loaded(&mut self) {
        for section in self.shared.sections.all_open() {
            self.keeper.note(&section);
        }
    }

    /// Has a table made where enough keys wait for one. What it claims is durable, and so are the marks that
    /// it goes by.
    pub(in crate::archive) fn keep_tables(&mut self) -> Result<()> {
        let least = self.keeper.keys_per_table.unwrap_or(u64::MAX);
        if self.keeper.waiting_keys < least || self.keeper.is_busy(&self.shared) {
            return Ok(());
        }
        self.marks.flush()?;
        if let Some(job) = self.keeper.job(&self.shared, least) {
            self.keeper.start(job);
        }
        Ok(())
    }

    /// Has tables written anew of which a prune took much. A job that is under way looks for them itself at its
    /// end.
    pub(in crate::archive) fn rewrite_tables(&mut self) {
        if !self.keeper.is_busy(&self.shared)
            && let Some(job) = self.keeper.rewrite_job(&self.shared)
        {
            self.keeper.start(job);
        }
    }

    /// Makes tables of what is left, so that the next open need not read it. The marks are durable.
    pub(in crate::archive) fn close_tables(&mut self) {
        self.keeper.wait(&self.shared);
        let least = self.keeper.keys_per_table.unwrap_or(u64::MAX) / LEAST_AT_CLOSE;
        // Of a section that is not in tables as a whole an open reads all.
        let to_read: u64 = self.keeper.waiting.values().map(|of| of.end).sum();
        if to_read >= least
            && let Some(job) = self.keeper.job(&self.shared, 1)
        {
            let _ = job.run();
            self.keeper.end(&self.shared);
        }
    }
}
