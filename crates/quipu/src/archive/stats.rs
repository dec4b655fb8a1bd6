//! What an archive counts.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::repair;
use super::shared::Shared;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::striped::{OfThread, Striped};

/// Buckets of a histogram: the first counts up to 1 µs, each next one up to twice as much.
const BUCKETS: usize = 24;

/// How long calls took: counts by duration. Of gets and puts every 16th of a thread is timed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Histogram {
    /// How many calls were timed.
    pub count: u64,
    /// All their time together.
    pub total: Duration,
    /// (upper bound, calls that took at most that and more than the bound before).
    pub buckets: Vec<(Duration, u64)>,
}

/// Counters of an archive since it was opened, and what it holds now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Indices that are stored.
    pub items_tracked: u128,
    /// Indices that were pruned since the archive was opened.
    pub indices_pruned: u64,
    /// Look-ups of values.
    pub gets: u64,
    /// Look-ups of presence.
    pub has: u64,
    /// Items stored.
    pub puts: u64,
    /// Sections synced.
    pub syncs: u64,
    /// Entries read in vain, because another key had the same short form.
    pub unnecessary_reads: u64,
    /// Sections that have files.
    pub sections: u64,
    /// Keys in memory and in key tables, those of pruned items included until they are removed.
    pub keys: u64,
    /// Those of them that are in key tables.
    pub keys_in_tables: u64,
    /// Keys in memory that share their short form with one before them.
    pub key_conflicts: u64,
    /// Short forms of pruned keys that were removed from memory.
    pub pruned: u64,
    /// Pages found in the page cache, which other archives may share.
    pub page_cache_hits: u64,
    /// Pages read from disk.
    pub page_cache_misses: u64,
    /// Bytes of the index files on disk.
    pub disk_index: u64,
    /// Bytes of the value files on disk, those waiting to be written included.
    pub disk_values: u64,
    /// Bytes of the key tables on disk.
    pub disk_tables: u64,
    /// Bytes on disk of everything else: the manifest, the marks, the disk reserve, what repairs have
    /// kept.
    pub disk_other: u64,
    /// Bytes of memory of the keys that no table has.
    pub memory_keys: u64,
    /// Bytes of memory of the key tables: filters, and pages that are kept.
    pub memory_tables: u64,
    /// Bytes of memory of the sections: buffers, positions, and the set of open files. Not what a writer's marks
    /// have of the runs of sections that are loaded, about as much again as [`Self::memory_runs`].
    pub memory_sections: u64,
    /// Bytes of memory of the stored runs.
    pub memory_runs: u64,
    /// Bytes of memory of the page cache, which other archives may share.
    pub memory_page_cache: u64,
    /// Section files that are open.
    pub open_files: u64,
    /// Key tables that a look-up found damaged, so that their keys were read from the index files again. Those that an open finds
    /// unusable, and leaves out, do not count.
    pub tables_lost: u64,
    /// Indices that were durable and cannot be read.
    pub damaged: u64,
    /// Bytes that the pass of a scrub has checked; 0 before the first scrub of this open.
    pub scrub_done: u64,
    /// Bytes that the pass is to check.
    pub scrub_total: u64,
    /// Passes of scrubs that have ended, those before this open included; 0 until a scrub is begun.
    pub scrub_passes: u64,
    /// Damage that the pass has found: entries, files, sections that cannot be read.
    pub scrub_findings: u64,
    /// How long gets took.
    pub get_duration: Histogram,
    /// How long puts took.
    pub put_duration: Histogram,
    /// How long syncs took.
    pub sync_duration: Histogram,
}

/// So many calls of a thread share one reading of the clock, which takes as long as a tenth of a
/// put.
const CALLS_PER_TIMED: u32 = 16;

/// Calls, and how long they took, counted without a lock.
#[derive(Debug, Default)]
pub(super) struct Durations {
    calls: Striped<AtomicU64>,
    nanos: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
}

/// A call that has begun.
#[derive(Clone, Copy)]
pub(super) struct Started {
    at: Option<Instant>,
    thread: OfThread,
}

impl Durations {
    /// The begin of a call; of some the time is taken.
    #[inline]
    pub(super) fn start() -> Started {
        crate::sync::thread_local!(static CALLS: Cell<u32> = const { Cell::new(0) });
        let calls = CALLS.with(|calls| {
            calls.set(calls.get().wrapping_add(1));
            calls.get()
        });
        let at = calls.is_multiple_of(CALLS_PER_TIMED).then(Instant::now);
        let thread = OfThread::get();
        Started { at, thread }
    }

    /// Counts a call that has begun.
    #[inline]
    pub(super) fn end(&self, started: Started) {
        let calls = self.calls.of(started.thread);
        calls.fetch_add(1, Ordering::Relaxed);
        if let Some(at) = started.at {
            self.record(at);
        }
    }

    /// How many calls have ended.
    fn calls(&self) -> u64 {
        let lines = self.calls.iter();
        lines.map(|calls| calls.load(Ordering::Relaxed)).sum()
    }

    #[inline]
    pub(super) fn record(&self, started: Instant) {
        let nanos = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let micros = (nanos / 1000).max(1);
        let bucket = (u64::BITS - (micros - 1).leading_zeros()) as usize;
        if let Some(bucket) = self.buckets.get(bucket.min(BUCKETS - 1)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.buckets
            .iter()
            .map(|bucket| bucket.load(Ordering::Relaxed))
            .sum()
    }

    fn snapshot(&self) -> Histogram {
        let bound = |bucket: usize| Duration::from_micros(1 << bucket);
        let counts = self
            .buckets
            .iter()
            .map(|bucket| bucket.load(Ordering::Relaxed));
        Histogram {
            count: self.count(),
            total: Duration::from_nanos(self.nanos.load(Ordering::Relaxed)),
            buckets: counts
                .enumerate()
                .map(|(at, count)| (bound(at), count))
                .collect(),
        }
    }
}

/// Counters that readers and the writer add to.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) gets: Durations,
    pub(super) puts: Durations,
    pub(super) sync_calls: Durations,
    pub(super) has: AtomicU64,
    pub(super) syncs: AtomicU64,
    pub(super) unnecessary_reads: AtomicU64,
    pub(super) pruned: AtomicU64,
    pub(super) indices_pruned: AtomicU64,
    pub(super) damaged: AtomicU64,
    pub(super) tables_lost: AtomicU64,
}

impl Shared {
    /// What the archive counts and holds; costs a look at every section.
    pub(super) fn stats(&self) -> Stats {
        let sections = self.sections.all();
        let counters = &self.counters;
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (items_tracked, memory_runs) = {
            let runs = self.runs.read();
            (runs.count(), runs.memory() as u64)
        };
        let scrub = self.scrub.figures();
        let damaged = self.damage.read().indices.count();
        Stats {
            items_tracked,
            indices_pruned: load(&counters.indices_pruned),
            gets: counters.gets.calls(),
            has: load(&counters.has),
            puts: counters.puts.calls(),
            syncs: load(&counters.syncs),
            unnecessary_reads: load(&counters.unnecessary_reads),
            sections: sections.len() as u64,
            keys: (self.keys.len() as u64).saturating_add(self.tables.len()),
            keys_in_tables: self.tables.len(),
            key_conflicts: self.keys.conflicts() as u64,
            pruned: load(&counters.pruned),
            page_cache_hits: self.cache.hits(),
            page_cache_misses: self.cache.misses(),
            disk_index: sections
                .iter()
                .map(|section| section.disk_len().0)
                .fold(0, u64::saturating_add),
            disk_values: sections
                .iter()
                .map(|section| section.disk_len().1)
                .fold(0, u64::saturating_add),
            disk_tables: self.tables.disk_len(),
            disk_other: crate::manifest::disk_len(&*self.storage)
                .saturating_add(repair::disk_len(&*self.storage)),
            memory_keys: (self.keys.memory() + self.locations.memory()) as u64,
            memory_tables: self.tables.memory() as u64,
            memory_sections: self.sections.memory() + self.files.memory() as u64,
            memory_runs,
            memory_page_cache: self.cache.memory() as u64,
            open_files: self.files.open_count() as u64,
            tables_lost: load(&counters.tables_lost),
            damaged: u64::try_from(damaged).unwrap_or(u64::MAX),
            scrub_done: scrub.done,
            scrub_total: scrub.total,
            scrub_passes: scrub.passes,
            scrub_findings: scrub.findings,
            get_duration: counters.gets.snapshot(),
            put_duration: counters.puts.snapshot(),
            sync_duration: counters.sync_calls.snapshot(),
        }
    }
}

/// One section, as [`Reader::sections`](super::Reader::sections) tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SectionInfo {
    /// Its number: its first possible index.
    pub section: u64,
    /// How many entries it holds.
    pub entries: u64,
    /// How many of them are known damaged.
    pub damaged: u64,
    /// Bytes of its index file.
    pub index_bytes: u64,
    /// Bytes of its value file, those waiting to be written included.
    pub value_bytes: u64,
    /// Whether its values are compressed.
    pub compressed: bool,
}
