//! Opens an archive after a fault and holds it against the model.

use std::path::Path;

use anyhow::{Context, Result};
use quipu::{Error, Reader, Status};

use crate::content::{Key, key, serial_of, value};
use crate::model::{Model, Outcome};
use crate::shape::Shape;

/// Of so many missing indices the status is asked.
const ASKED_MISSING: usize = 1000;

/// How a check leaves the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Closed: everything is marked as durable.
    Closed,
    /// Dropped without a word.
    Dropped,
}

/// Opens for writing, which recovers, and compares; the model then is what was found.
pub fn check(folder: &Path, shape: Shape, model: &mut Model, leave: Leave) -> Result<Outcome> {
    let archive = shape.open(folder).context("the archive cannot be opened")?;
    let mut outcome = compare(&archive, model)?;
    let recovery = archive.recovery();
    if recovery.damaged > 0 {
        let told = format!("recovery found {} damaged indices", recovery.damaged);
        outcome.wrong.push(told);
    }
    if leave == Leave::Closed {
        archive.close().context("the archive cannot be closed")?;
    }
    Ok(outcome)
}

/// Opens for reading only, which changes nothing, and compares with a copy of the model. None when
/// a rewind or a prune stands in the middle: only a writer ends them.
pub fn check_beside(folder: &Path, shape: Shape, model: &Model) -> Result<Option<Outcome>> {
    match shape.open_read_only(folder) {
        Ok(archive) => compare(&archive, &mut model.clone()).map(Some),
        Err(Error::Stale { .. } | Error::NotAnArchive { .. }) => Ok(None),
        Err(error) => Err(error).context("the archive cannot be opened for reading"),
    }
}

fn compare(reader: &Reader<Key>, model: &mut Model) -> Result<Outcome> {
    let mut found = Vec::new();
    let mut wrong = Vec::new();
    for item in reader.range(..) {
        let item = match item {
            Ok(item) => item,
            Err(error) => {
                wrong.push(error.to_string());
                continue;
            }
        };
        let index = item.index;
        match serial_of(&item.key) {
            Some(serial) if item.value == value(serial) => found.push((index, serial)),
            Some(serial) => wrong.push(format!("index {index}, serial {serial}: other bytes")),
            None => wrong.push(format!("index {index}: a key that was never put")),
        }
    }
    let mut outcome = model.compare(reader.floor(), &found);
    outcome.wrong.append(&mut wrong);
    let told = by_key(reader, &found)?;
    outcome.wrong.extend(told);
    outcome.wrong.extend(gaps(reader, &found)?);
    let report = reader.verify(&mut |_| {})?;
    // Marks are not flushed: a crash may take some. The open that found it made them anew.
    if report.damaged > 0 || report.unreadable_sections > 0 || report.lost_indices > 0 {
        outcome.wrong.push(format!("verify says {report:?}"));
    }
    Ok(outcome)
}

/// Every item that was found by its index is found by its key, and no other key is.
fn by_key(reader: &Reader<Key>, found: &[(u64, u64)]) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for &(index, serial) in found {
        let item = reader.get_item(&key(serial))?;
        let there = item.is_some_and(|item| item.index == index && item.value == value(serial));
        if !there || !reader.has_at(index, &key(serial))? {
            wrong.push(format!("index {index}, serial {serial}: not under its key"));
        }
    }
    if reader.has(&key(u64::MAX))? {
        wrong.push("a key is there that was never put".to_owned());
    }
    Ok(wrong)
}

/// Presence, gaps and missing indices say the same as the items.
fn gaps(reader: &Reader<Key>, found: &[(u64, u64)]) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    let (mut next, mut missing) = (reader.floor(), Vec::new());
    for &(index, _) in found {
        missing.extend(next..index);
        next = next.max(index + 1);
    }
    if reader.missing_items(0, usize::MAX) != missing {
        wrong.push("missing_items differs from what lies between the items".to_owned());
    }
    for &(index, _) in found {
        if reader.status(index)? != Status::Present {
            wrong.push(format!("index {index}: not present, though it was read"));
        }
    }
    for index in missing.into_iter().take(ASKED_MISSING) {
        if reader.status(index)? != Status::Missing || reader.get(index)?.is_some() {
            wrong.push(format!(
                "index {index}: not missing, though it was not read"
            ));
        }
    }
    Ok(wrong)
}
