//! Gaps and runs, computed anew from the indices that a range gave.

use std::collections::BTreeSet;

use quipu::Reader;

use super::{Seen, Trouble};
use crate::item::Key;

/// So many missing indices are compared; a gap may be as wide as all of u64.
const MISSING: usize = 40;

/// Compares what the reader tells of runs and gaps, at each index of interest.
pub(super) fn check(
    reader: &Reader<Key>,
    seen: &Seen,
    interest: &BTreeSet<u64>,
) -> Result<(), Trouble> {
    if seen.broken {
        // An index of several items, some of them damaged, is stored and in no simple way.
        return Ok(());
    }
    let runs = runs(seen.items.keys().copied());
    let told: Vec<(u64, u64)> = reader
        .ranges()
        .into_iter()
        .map(std::ops::RangeInclusive::into_inner)
        .collect();
    expect("ranges", &told, &runs)?;
    expect(
        "first_index",
        &reader.first_index(),
        &runs.first().map(|r| r.0),
    )?;
    expect(
        "last_index",
        &reader.last_index(),
        &runs.last().map(|r| r.1),
    )?;
    for &index in interest {
        let holds = |&&(first, last): &&(u64, u64)| (first..=last).contains(&index);
        let end = runs.iter().find(holds).map(|run| run.1);
        let next = runs.iter().find(|run| run.0 > index).map(|run| run.0);
        let what = format!("next_gap({index})");
        expect(&what, &reader.next_gap(index), &(end, next))?;
    }
    let missing = missing(&runs, seen);
    expect("missing_items", &reader.missing_items(0, MISSING), &missing)
}

fn runs(indices: impl Iterator<Item = u64>) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for index in indices {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(index) => *last = index,
            _ => runs.push((index, index)),
        }
    }
    runs
}

/// What is not stored from the floor on and lies before a later one that was.
fn missing(runs: &[(u64, u64)], seen: &Seen) -> Vec<u64> {
    let last = runs
        .last()
        .map(|run| run.1)
        .max(seen.damaged.last().copied());
    let Some(last) = last else {
        return Vec::new();
    };
    let mut missing = Vec::new();
    let mut next = Some(seen.floor);
    for &(first, end) in runs {
        missing.extend(next.into_iter().flat_map(|next| next..first).take(MISSING));
        next = end.checked_add(1);
    }
    let behind = next.filter(|&next| next <= last);
    missing.extend(
        behind
            .into_iter()
            .flat_map(|next| next..=last)
            .take(MISSING),
    );
    missing.truncate(MISSING);
    missing
}

fn expect<T: PartialEq + std::fmt::Debug>(
    what: &str,
    found: &T,
    expected: &T,
) -> Result<(), Trouble> {
    match found == expected {
        true => Ok(()),
        false => Err(format!("{what} gives {found:?}, expected {expected:?}").into()),
    }
}
