//! Opening: from files to state, and what has to be put right on the way.
//!
//! The order matters. Settings are checked before anything is touched; a writer holds the lock
//! before it changes a file; what an interrupted prune, rewrite or removal left is finished first;
//! then each section is recovered on its own and read into memory.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::destroy;
use super::follow;
use super::listing::{Ahead, Listing, has_sections};
use super::load::{self, Loaded};
use super::one_writer::{self, BeforeCuts, lock};
use super::options::Options;
use super::redo;
use super::repair;
use super::rest::AtRest;
use super::settings;
use super::shared::Shared;
use super::upkeep;
use super::writer::Writer;
use crate::canary::Canary;
use crate::commit_log::CommitLog;
use crate::error::{Error, Result};
use crate::format::section_number;
use crate::journal::{SectionReport, Trust};
use crate::manifest::{self, Copies, Manifest, Marks, MarksLog, State, Wholeness};
use crate::storage::{Access, Lock, Reserve, Reserved, Storage};
use crate::sync::atomic::Ordering;
use crate::sync::thread;

/// A reader begins anew so often when the archive changes under it.
const MAX_OPEN_TRIES: u32 = 10;
/// How long a reader waits for a rewind to end before it begins anew, and how often. What is read
/// in the middle of one is right, but may be told missing.
const REWIND_PAUSE: Duration = Duration::from_millis(10);
const MAX_REWIND_PAUSES: u32 = 200;

/// What opening an archive found and put right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Sections of which something was cut, and why; torn ends that a crash left.
    pub sections: Vec<SectionReport>,
    /// Files that were removed: leftovers of a prune, of a creation, values without entries.
    pub removed: Vec<PathBuf>,
    /// Sections of which nothing can be read: a file of theirs is gone, or has a damaged header.
    /// Verification names it.
    pub unreadable: Vec<u64>,
    /// Indices that were durable and cannot be read.
    pub damaged: u128,
    /// Sections that got what the commit log had and their files lacked: the power went before it was flushed there.
    pub redone: Vec<u64>,
    /// Whether the commit log was damaged, or does not fit the section files: some of what it made durable may be lost.
    pub commit_log_incomplete: bool,
    /// Whether the durable marks were not whole: what they protected may have been cut as a torn
    /// end.
    pub marks_incomplete: bool,
    /// Whether one of the two copies of the manifest was missing or damaged; it was written again.
    pub manifest_restored: bool,
    /// Whether the lengths of the section files could not be looked at, so that damage of these is not among what is told here:
    /// calls that fail tell why.
    pub lengths_unread: bool,
}

impl Recovery {
    /// Whether everything was as a clean end leaves it.
    pub fn is_clean(&self) -> bool {
        *self == Self::default()
    }
}

/// Opens for writing; creates where there is nothing.
pub(super) fn open_writer(
    storage: Arc<dyn Storage>,
    options: &Options,
    key_size_of_type: Option<usize>,
) -> Result<(Writer, Recovery)> {
    options.check()?;
    let stored = Manifest::load(&*storage)?;
    if stored.is_none() {
        refuse_to_create(&*storage, options)?;
    }
    let key_size = settings::key_size(key_size_of_type, options, stored.as_ref())?;
    if let Some(manifest) = &stored {
        settings::check_against(options, key_size, manifest, storage.path("", ""))?;
    }
    let lock = lock(&*storage)?;
    let (partition, name) = (manifest::PARTITION, manifest::RESERVE);
    let reserve = Reserve::find(Arc::clone(&storage), partition, name, options.disk_reserve)?;
    let without_reserve = Arc::clone(&storage);
    // The open itself can use what an earlier one kept.
    let storage: Arc<dyn Storage> = match &reserve {
        Some(reserve) => Arc::new(Reserved::new(Arc::clone(reserve))),
        None => storage,
    };
    // Another writer may have changed it until the lock was ours.
    let (manifest, copies) = match manifest::load(&*storage)? {
        Some(loaded) => loaded,
        None => {
            let mut manifest = settings::new_manifest(options, key_size)?;
            // First: an archive has marks, so that their loss is noticed.
            MarksLog::create(&storage, &manifest, &Marks::default())?;
            manifest.store(&storage)?;
            (manifest, Copies::Same)
        }
    };
    let mut opening = Opening::new(storage, options, manifest, Trust::Ordered);
    opening.for_derived = without_reserve;
    // Readers of an earlier writer are told of it once anything is put.
    opening.manifest.opens = opening.manifest.opens.saturating_add(1);
    if copies != Copies::Same {
        // Before anything is done that only one of them announces.
        opening.manifest.store(&opening.storage)?;
        opening.recovery.manifest_restored = copies == Copies::OneLost;
    }
    let (mut writer, recovery) = opening.write(lock)?;
    if let Some(reserve) = reserve {
        // Without room for it the archive can be read and pruned all the same.
        reserve.settle()?;
        writer.reserve = (options.disk_reserve > 0).then_some(reserve);
    }
    Ok((writer, recovery))
}

/// Turns a store without a manifest into an archive.
pub(super) fn take_over(
    storage: Arc<dyn Storage>,
    options: &Options,
    mut manifest: Manifest,
    marks: Marks,
    lock: Box<dyn Lock>,
) -> Result<Recovery> {
    let opening = Opening::new(
        Arc::clone(&storage),
        options,
        manifest.clone(),
        Trust::Unordered,
    );
    MarksLog::create(&storage, &manifest, &marks)?;
    let (mut writer, recovery) = opening.write(lock)?;
    // Last: a crash before it leaves a store that can be adopted again.
    manifest.store(&storage)?;
    writer.close()?;
    Ok(recovery)
}

/// Opens for reading only; changes nothing. Begins anew when the writer takes something back
/// meanwhile.
pub(super) fn open_reader(
    storage: Arc<dyn Storage>,
    options: &Options,
    key_size_of_type: Option<usize>,
) -> Result<(Arc<Shared>, Manifest)> {
    let (mut tries, mut pauses) = (0, 0);
    loop {
        // Until then no file is looked at but this.
        while pauses < MAX_REWIND_PAUSES && is_rewriting(&*storage)? {
            pauses += 1;
            thread::sleep(REWIND_PAUSE);
        }
        tries += 1;
        match open_reader_once(Arc::clone(&storage), options, key_size_of_type) {
            Err(Error::Stale { .. } | Error::NotFound { .. }) if tries < MAX_OPEN_TRIES => {}
            // Begun since. Either the writer is about to end it, or it was killed in it.
            Ok((_, manifest)) if manifest.state != State::Open && pauses < MAX_REWIND_PAUSES => {}
            other => return other,
        }
    }
}

/// Whether the writer says that it writes a section anew.
fn is_rewriting(storage: &dyn Storage) -> Result<bool> {
    let manifest = Manifest::load(storage)?;
    let state = manifest.map(|manifest| manifest.state);
    Ok(matches!(
        state,
        Some(State::Rewinding(_) | State::Repairing(_))
    ))
}

fn open_reader_once(
    storage: Arc<dyn Storage>,
    options: &Options,
    key_size_of_type: Option<usize>,
) -> Result<(Arc<Shared>, Manifest)> {
    let path = storage.path("", "");
    let Some(manifest) = Manifest::load(&*storage)? else {
        return Err(Error::NotAnArchive {
            path,
            reason: "it has no manifest".to_owned(),
        });
    };
    if manifest.state == State::Destroying {
        return Err(Error::NotAnArchive {
            path,
            reason: "it is being destroyed".to_owned(),
        });
    }
    let key_size = settings::key_size(key_size_of_type, options, Some(&manifest))?;
    settings::check_against(options, key_size, &manifest, path)?;
    let (marks, wholeness) = MarksLog::open(&storage, &manifest)?;
    let storage = redo::read_through(storage, &manifest, marks.marks())?;
    let shared = Arc::new(Shared::new(storage, options, &manifest, Access::Read));
    let trust = trust_in(wholeness);
    let incomplete = wholeness != Wholeness::Whole;
    shared.marks_incomplete.store(incomplete, Ordering::Relaxed);
    shared.tables.open(&*shared.storage)?;
    let (listing, at_rest) = AtRest::list(&shared, trust, marks.marks(), None)?;
    for number in listing.numbers_from(shared.floor()) {
        match at_rest.find(&shared, number, &listing, marks.marks()) {
            Some(resting) => shared.let_rest(vec![resting]),
            None => follow::load_section(&shared, number, &listing, marks.marks(), trust)?,
        }
        follow::forget_pruned(&shared, number);
    }
    load::note_lost_sections(&shared, &listing, marks.marks());
    let now = manifest.continued(&*shared.storage)?;
    if now.compression != manifest.compression {
        // Sections may have been taken for what they are not: another writer has come, or the floor was raised.
        let path = shared.path();
        return Err(Error::Stale { path });
    }
    // What was pruned between the look at the marks and that at the folders is not lost.
    follow::floor(&shared, now.floor);
    let (opened, storage) = (now.clone(), Arc::clone(&shared.storage));
    shared
        .files
        .guard_with(move || opened.continued(&*storage).map(drop));
    shared.shown_as.get_or_init(|| now.clone());
    Ok((shared, now))
}

/// An archive is created only where nothing of one is.
fn refuse_to_create(storage: &dyn Storage, options: &Options) -> Result<()> {
    let reason = if !options.create {
        "it has no manifest, and creating one was not asked for"
    } else if has_sections(storage, options)? {
        "it has section files but no manifest; adopt it first"
    } else {
        return Ok(());
    };
    Err(Error::NotAnArchive {
        path: storage.path("", ""),
        reason: reason.to_owned(),
    })
}

/// An open for writing that is under way.
struct Opening<'a> {
    storage: Arc<dyn Storage>,
    /// As [`Shared::for_derived`].
    for_derived: Arc<dyn Storage>,
    options: &'a Options,
    manifest: Manifest,
    trust: Trust,
    recovery: Recovery,
}

impl<'a> Opening<'a> {
    fn new(
        storage: Arc<dyn Storage>,
        options: &'a Options,
        manifest: Manifest,
        trust: Trust,
    ) -> Self {
        Self {
            for_derived: Arc::clone(&storage),
            storage,
            options,
            manifest,
            trust,
            recovery: Recovery::default(),
        }
    }

    fn write(mut self, lock: Box<dyn Lock>) -> Result<(Writer, Recovery)> {
        if self.manifest.state == State::Destroying {
            upkeep::settle_names(&*self.storage, &self.manifest)?;
            self.manifest = destroy::finish(&self.storage, self.options, &self.manifest)?;
        }
        let (marks, wholeness) = MarksLog::open(&self.storage, &self.manifest)?;
        self.recovery.marks_incomplete = wholeness != Wholeness::Whole;
        if self.trust == Trust::Ordered {
            self.trust = trust_in(wholeness);
        }
        let storage = Arc::clone(&self.storage);
        let shared = Arc::new(Shared {
            for_derived: Arc::clone(&self.for_derived),
            ..Shared::new(storage, self.options, &self.manifest, Access::Write)
        });
        // Much of what is done meanwhile waits for the disk.
        let ended = marks.tell_end_of(&self.manifest);
        let sections = marks.marks().sections.len();
        let ahead = ended.then(|| Ahead::begin(&shared, sections)).flatten();
        let prepared = self.prepare(&shared, &marks);
        let listing = ahead.map(|ahead| ahead.end(&shared)).transpose();
        let (log, lost) = prepared?;
        // Before the manifest is stored again: the section files are as it found them.
        let after_clean_end = match self.is_after_clean_end(&marks, &log) {
            true => Some(listing?.map_or_else(|| Listing::read(&shared), Ok)?),
            false => None,
        };
        let (listing, at_rest) = self.clean_up(&shared, &marks, after_clean_end)?;
        self.change_compression(&shared, &listing, marks.marks())?;
        // A store that is being adopted gets its manifest last, and had no writer before.
        let cuts =
            (self.trust != Trust::Unordered).then(|| BeforeCuts::begin(&shared, &self.manifest));
        let some_rest = self.load_sections(&shared, &listing, &at_rest, &marks)?;
        if some_rest && matches!(at_rest, AtRest::AsNamed) {
            shared.look.leave_for_later();
        }
        let (manifest, cuts) = match cuts {
            Some(cuts) => cuts.keep(&shared),
            None => (self.manifest, None),
        };
        shared.tidy_tables()?;
        load::note_lost_sections(&shared, &listing, marks.marks());
        redo::note_lost(&shared, &lost);
        self.recovery.unreadable = shared.unreadable();
        self.recovery.damaged = shared.damage.read().indices.count();
        let mut writer = Writer::new(shared, manifest, marks, log, lock, self.options)?;
        writer.cuts = cuts;
        writer.forget_lost_positions()?;
        if Canary::CommitLogSettledFirst.sings() {
            writer.log.settle()?;
        }
        writer.mark_loaded()?;
        // Now that what it holds is durable in the section files, but in those that could not be opened.
        writer.keep_log_of_unreadable();
        writer.log.settle()?;
        writer.note_loaded();
        match writer.manifest.state {
            State::Rewinding(_) => match writer.end_pending_rewind() {
                // What can be read stays readable; the rewind ends when the file is back.
                Err(Error::RewindPending { .. }) => {}
                other => other?,
            },
            // A section is as it was before the repair or as it is after it.
            State::Repairing(_) => writer.end_repair()?,
            State::Open | State::Destroying => {}
        }
        Ok((writer, self.recovery))
    }

    /// What is done before sections are looked at; no section file comes or goes with it, but by what the commit log holds.
    fn prepare(&mut self, shared: &Shared, marks: &MarksLog) -> Result<(CommitLog, Vec<u64>)> {
        // Before anything is finished that the manifest says was begun.
        upkeep::settle_names(&*self.storage, &self.manifest)?;
        let redone = redo::redo(
            &self.storage,
            &self.for_derived,
            self.options,
            &self.manifest,
            marks,
            &mut self.recovery,
        )?;
        shared.tables.open(&*self.storage)?;
        Ok(redone)
    }

    /// Whether the section files are as a clean end has left them, but for what somebody did by hand. Where the commit log holds
    /// anything they may have been brought further since.
    fn is_after_clean_end(&self, marks: &MarksLog, log: &CommitLog) -> bool {
        let is_told = self.manifest.state == State::Open
            && marks.tell_end_of(&self.manifest)
            && !log.holds_syncs();
        is_told || Canary::CleanEndAssumed.sings()
    }

    /// Lists the sections and removes what an interrupted prune or creation left.
    fn clean_up(
        &mut self,
        shared: &Shared,
        marks: &MarksLog,
        after_clean_end: Option<Listing>,
    ) -> Result<(Listing, AtRest)> {
        let (mut listing, at_rest) =
            AtRest::list(shared, self.trust, marks.marks(), after_clean_end)?;
        let gone = listing.take_leftovers(shared, marks)?;
        let is_dropped = |(is_index, name): &(bool, String)| {
            *is_index && section_number(name).is_some_and(|of| of >= shared.floor())
        };
        if gone.iter().any(is_dropped) {
            // By a rewind that failed, whose readers may have them all the same.
            one_writer::announce(&mut self.manifest, &self.storage)?;
        }
        for (is_index, name) in &gone {
            self.keep_doubtful(shared, *is_index, name)?;
            let partition = if *is_index {
                &shared.partitions.index
            } else {
                &shared.partitions.values
            };
            shared.storage.remove(partition, name)?;
            self.recovery
                .removed
                .push(shared.storage.path(partition, name));
        }
        for is_index in [true, false] {
            if gone.iter().any(|(of, _)| *of == is_index) {
                let partition = if is_index {
                    &shared.partitions.index
                } else {
                    &shared.partitions.values
                };
                shared.storage.sync_partition(partition)?;
            }
        }
        Ok((listing, at_rest))
    }

    /// Without the marks nobody knows whether values without entries are those of a section whose entries are away.
    fn keep_doubtful(&self, shared: &Shared, is_index: bool, name: &str) -> Result<()> {
        let is_doubtful = !is_index && self.trust == Trust::Unmarked;
        match section_number(name).filter(|&of| is_doubtful && of >= shared.floor()) {
            Some(section) => repair::keep_values(shared, section),
            None => Ok(()),
        }
    }

    /// Sections that exist keep the compression they were written with, and so do those whose files are away: they may
    /// come back.
    fn change_compression(
        &mut self,
        shared: &Shared,
        listing: &Listing,
        marks: &Marks,
    ) -> Result<()> {
        let Some(wanted) = self.options.compression else {
            return Ok(());
        };
        let map = &mut self.manifest.compression;
        if map.current == wanted {
            return Ok(());
        }
        let mut existing = listing.numbers_from(self.manifest.floor);
        let marked = marks.sections.range(self.manifest.floor..);
        existing.extend(marked.map(|(&of, _)| of));
        existing.sort();
        existing.dedup();
        map.change(wanted, &existing, self.manifest.items_per_section);
        self.manifest.store(&self.storage)?;
        *shared.compression.write() = self.manifest.compression.clone();
        shared.settings.write().compression = wanted;
        Ok(())
    }

    /// Reads the sections, but for those that may rest; whether some do.
    fn load_sections(
        &mut self,
        shared: &Shared,
        listing: &Listing,
        at_rest: &AtRest,
        marks: &MarksLog,
    ) -> Result<bool> {
        let numbers = listing.numbers_from(0);
        let find = |&number| at_rest.find(shared, number, listing, marks.marks());
        let resting: Vec<_> = numbers.iter().map(find).collect();
        let rests: Vec<bool> = resting.iter().map(Option::is_some).collect();
        shared.let_rest(resting.into_iter().flatten().collect());
        let all = numbers.len() as u64;
        for (done, (number, &rests)) in numbers.into_iter().zip(&rests).enumerate() {
            if !rests {
                let present = listing.present(number);
                let loaded = load::load(shared, number, present, marks.marks(), self.trust)?;
                if loaded.is_none() {
                    marks.check_readable("a section may be readable with it")?;
                }
                let report = loaded.map(|Loaded { report, .. }| report);
                let report = report.filter(|report| !report.is_clean());
                self.recovery.sections.extend(report);
            }
            if let Some(progress) = &self.options.progress {
                progress(done as u64 + 1, all);
            }
        }
        Ok(rests.contains(&true))
    }
}

/// How far the ends of files are to be believed with what was found of the marks.
pub(super) fn trust_in(wholeness: Wholeness) -> Trust {
    match wholeness {
        Wholeness::Whole | Wholeness::Torn => Trust::Ordered,
        Wholeness::Lost => Trust::Unmarked,
    }
}
