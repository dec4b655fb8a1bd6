//! `quipu import git`: a history of commits.

use std::path::Path;

use quipu::KeyBytes;

use super::git::Repository;
use super::import::{Appender, Imported, To};
use crate::archive::parse_key;
use crate::failure::{Failure, Result};
use crate::progress;

pub(super) fn run(repo: &Path, to: &To) -> Result<Imported> {
    let repo = Repository::new(repo);
    let id_size = repo.id_size()?;
    let commits = repo.commits()?;
    let mut appender = Appender::new(to.create.open(&to.archive, id_size)?);
    // What is there stays where it is; the rest keeps its order, so parents still come first.
    let mut new = Vec::new();
    for id in commits {
        match appender.archive.has(&id_of(&id, id_size)?)? {
            true => appender.skip(),
            false => new.push(id),
        }
    }
    let bar = progress::items("importing commits", new.len() as u64);
    for object in repo.objects(new)? {
        let (id, bytes) = object?;
        appender.append(&id_of(&id, id_size)?, &bytes)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    appender.finish()
}

fn id_of(id: &str, size: usize) -> Result<KeyBytes> {
    let key = parse_key(id)?;
    if key.as_ref().len() == size {
        return Ok(key);
    }
    Err(Failure::Other(format!(
        "git gave {id:?} as the id of a commit, expected {size} bytes"
    )))
}
