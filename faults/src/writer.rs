//! The process that writes until it is stopped, and reports what is done.
//!
//! ```text
//! > sync          it begins a step that it will report (open, sync, prune, rewind, reopen)
//! = 17            17 steps are done; what they promise holds from here on
//! + 17            17 steps are done and durable; puts are refused, since the disk is full
//! ! full MESSAGE  a call failed (full, io, other); it ends
//! ? MESSAGE       a promise is broken
//! ```
//!
//! Every line is written at once. A line without its end does not count.

use std::io::{self, Write};
use std::path::Path;

use quipu::Put::Stored;
use quipu::{Archive, Error};

use crate::content::{Key, key, value};
use crate::model::Model;
use crate::plan::{Plan, Put, Start, Step};
use crate::shape::Shape;

/// The exit codes of a writer.
pub const DONE: u8 = 0;
pub const FULL: u8 = 3;
pub const FAILED: u8 = 4;
pub const BROKEN: u8 = 5;

/// How a writer works.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Work {
    #[command(flatten)]
    pub shape: Shape,
    #[command(flatten)]
    pub start: Start,
    /// How many steps to do
    #[arg(long, default_value_t = u64::MAX)]
    pub steps: u64,
    /// After a failed call, read back everything that was acknowledged
    #[arg(long)]
    pub read_back: bool,
    /// Report syncs that are not made: a defect that every scenario must find
    #[arg(long)]
    pub lie: bool,
}

impl Work {
    /// Work that goes on until it is stopped.
    pub fn endless(shape: Shape, start: Start) -> Self {
        Self {
            shape,
            start,
            steps: u64::MAX,
            read_back: false,
            lie: false,
        }
    }
}

/// Writes; what the process should exit with.
pub fn run(work: &Work, folder: &Path, out: &mut dyn Write) -> io::Result<u8> {
    writeln!(out, "> open")?;
    let archive = match work.shape.open(folder) {
        Ok(archive) => archive,
        Err(error) => return report(out, &error),
    };
    let mut writer = Writer {
        archive: Some(archive),
        model: Model::new(work.start.section),
        work,
        folder,
    };
    writeln!(out, "= 0")?;
    let steps = usize::try_from(work.steps).unwrap_or(usize::MAX);
    for (done, step) in (1_u64..).zip(Plan::new(&work.start).take(steps)) {
        if step.is_reported() {
            writeln!(out, "> {}", step.word())?;
        }
        match writer.carry_out(&step) {
            Ok(true) => {}
            Ok(false) => {
                writeln!(out, "? {step:?} found its index taken")?;
                return Ok(BROKEN);
            }
            Err(error) => return writer.end(out, &step, done - 1, &error),
        }
        if step.is_reported() {
            writeln!(out, "= {done}")?;
        }
    }
    match writer.archive.map_or(Ok(()), Archive::close) {
        Ok(()) => Ok(DONE),
        Err(error) => report(out, &error),
    }
}

/// Tells of a failed call; the exit code.
fn report(out: &mut dyn Write, error: &Error) -> io::Result<u8> {
    let (word, code) = match error {
        Error::StorageFull { .. } => ("full", FULL),
        Error::Io { source, .. } if source.kind() == io::ErrorKind::FileTooLarge => ("full", FULL),
        Error::Io { .. } => ("io", FAILED),
        _ => ("other", FAILED),
    };
    writeln!(out, "! {word} {error}")?;
    Ok(code)
}

struct Writer<'a> {
    /// None only while it is opened again.
    archive: Option<Archive<Key>>,
    /// What this process put, and what of it is durable.
    model: Model,
    work: &'a Work,
    folder: &'a Path,
}

impl Writer<'_> {
    /// Tells of a failed call, and whether the promises hold after it.
    fn end(mut self, out: &mut dyn Write, step: &Step, done: u64, error: &Error) -> io::Result<u8> {
        let code = report(out, error)?;
        let is_refused = code == FULL && !step.is_reported() && self.work.shape.reserve > 0;
        let checked = match is_refused {
            true => self.check_refused(),
            false => self.check_after(step, error),
        };
        if let Err(broken) = checked {
            writeln!(out, "? {broken}")?;
            return Ok(BROKEN);
        }
        if is_refused {
            writeln!(out, "+ {done}")?;
        }
        Ok(code)
    }

    /// With a reserve a full disk refuses puts, and nothing else.
    fn check_refused(&mut self) -> Result<(), String> {
        let Some(archive) = &mut self.archive else {
            return Ok(());
        };
        archive
            .sync()
            .map_err(|error| format!("a sync failed in spite of the reserve: {error}"))?;
        match archive.put(u64::MAX, &key(0), "refused") {
            Err(Error::StorageFull { .. }) => {}
            other => return Err(format!("on a full disk a put gave {other:?}")),
        }
        self.model.apply(&Step::Sync);
        self.read_back(&|_| true)
    }

    /// Whether it was done; a put is not where its index is taken, which none of the plan is.
    fn carry_out(&mut self, step: &Step) -> quipu::Result<bool> {
        if *step == Step::Reopen {
            return self.reopen();
        }
        let Some(archive) = &mut self.archive else {
            return Ok(false);
        };
        let stored = match step {
            Step::Put(put) => {
                archive.put(put.index, &key(put.serial), &value(put.serial))? == Stored
            }
            Step::Multi(put) => {
                archive.put_multi(put.index, &key(put.serial), &value(put.serial))? == Stored
            }
            Step::Batch(puts) => archive.put_batch(puts.iter().map(item))? == puts.len() as u64,
            Step::Sync if self.work.lie => true,
            Step::Sync => archive.sync().map(|()| true)?,
            Step::Prune(min) => archive.prune(*min).map(|_| true)?,
            Step::Rewind(last) => archive.rewind(*last).map(|()| true)?,
            Step::Reopen => false,
        };
        self.model.apply(step);
        Ok(stored)
    }

    fn reopen(&mut self) -> quipu::Result<bool> {
        if let Some(archive) = self.archive.take() {
            archive.close()?;
        }
        self.archive = Some(self.work.shape.open(self.folder)?);
        self.model.apply(&Step::Reopen);
        Ok(true)
    }

    /// After a call failed: nothing more is believed, and what was durable can still be read.
    fn check_after(&mut self, step: &Step, failed: &Error) -> Result<(), String> {
        let Some(archive) = &mut self.archive else {
            return Ok(());
        };
        match archive.sync() {
            Err(Error::Poisoned { .. }) => {}
            other => return Err(format!("after {failed}, a sync gave {other:?}")),
        }
        match archive.put(u64::MAX, &key(0), "refused") {
            Err(Error::Poisoned { .. }) => {}
            other => return Err(format!("after {failed}, a put gave {other:?}")),
        }
        if !self.work.read_back {
            return Ok(());
        }
        // A prune or a rewind that failed may have begun to drop its items.
        let stays = |index: u64| match *step {
            Step::Prune(min) => index >= min / self.work.start.section * self.work.start.section,
            Step::Rewind(last) => index <= last,
            _ => true,
        };
        self.read_back(&stays)
    }

    /// Every acknowledged item that stays can be read.
    fn read_back(&self, stays: &dyn Fn(u64) -> bool) -> Result<(), String> {
        let Some(archive) = &self.archive else {
            return Ok(());
        };
        for (index, serial) in self.model.acknowledged().filter(|&(index, _)| stays(index)) {
            let found = archive.get_item(&key(serial));
            match &found {
                Ok(Some(item)) if item.index == index && item.value == value(serial) => {}
                _ => return Err(format!("index {index}, serial {serial}: {found:?}")),
            }
            match archive.has(index) {
                Ok(true) => {}
                other => return Err(format!("has({index}) gave {other:?}")),
            }
        }
        Ok(())
    }
}

fn item(put: &Put) -> (u64, Key, Vec<u8>) {
    (put.index, key(put.serial), value(put.serial))
}
