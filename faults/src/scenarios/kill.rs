//! `kill -9` of a process that writes: what it acknowledged is there.
//!
//! The system stays up, so this tests the order of what the process does, and its recovery, in each
//! kind of step; not what a disk keeps.

use std::path::Path;

use anyhow::{Result, ensure};

use super::Args;
use crate::check::{Leave, check, check_beside};
use crate::child::{self, Moment};
use crate::model::Model;
use crate::shape::Shape;
use crate::tally::Tally;

/// After so many rounds another archive is begun.
const ROUNDS_PER_ARCHIVE: u64 = 25;

pub fn run(args: &Args, folder: &Path, tally: &mut Tally) -> Result<()> {
    let mut rng = fastrand::Rng::with_seed(args.seed);
    let mut archives = 0;
    while tally.rounds() < args.rounds {
        let shape = Shape::of(archives);
        let archive = folder.join(format!("archive-{archives}"));
        let mut model = Model::new(shape.section());
        for _ in 0..ROUNDS_PER_ARCHIVE.min(args.rounds - tally.rounds()) {
            round(args, &archive, shape, &mut model, &mut rng, tally)?;
        }
        archives += 1;
    }
    Ok(())
}

fn round(
    args: &Args,
    archive: &Path,
    shape: Shape,
    model: &mut Model,
    rng: &mut fastrand::Rng,
    tally: &mut Tally,
) -> Result<()> {
    let start = model.start(args.seed, tally.rounds());
    let work = args.work(shape, start);
    let command = child::writer(&work, archive)?;
    let ended = child::run(command, Moment::random(rng), &mut |child| Ok(child.kill()?))?;
    ensure!(ended.failed.is_none(), "the writer: {ended:?}");
    model.crash(&start, ended.done);
    let is_rewinding = ended.within.as_deref() == Some("rewind");
    let is_archive = archive.join("quipu/manifest").exists();
    if rng.bool()
        && is_archive
        && !is_rewinding
        && let Some(outcome) = check_beside(archive, shape, model)?
    {
        super::must_be_right(&outcome)?;
    }
    // Dropped, it leaves its own work to the next open as well.
    let leave = match rng.bool() {
        true => Leave::Closed,
        false => Leave::Dropped,
    };
    let outcome = check(archive, shape, model, leave)?;
    tally.add(&ended, &outcome);
    super::must_be_right(&outcome)
}
