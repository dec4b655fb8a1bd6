//! `quipu import git`: a history of commits.

use std::collections::HashSet;
use std::path::Path;

use quipu::KeyBytes;

use super::git::{Commit, Repository};
use super::import::{Appender, Imported, To};
use crate::archive::parse_key;
use crate::failure::{Failure, Result};
use crate::progress;

pub(super) fn run(repo: &Path, to: &To) -> Result<Imported> {
    let repo = Repository::new(repo);
    let id_size = repo.id_size()?;
    let commits = repo.commits()?;
    let mut appender = Appender::new(to.create.open(&to.archive, id_size)?);
    let Sorted { new, lost } = sort(&mut appender, commits, id_size)?;
    let bar = progress::items("importing commits", (lost.len() + new.len()) as u64);
    let (indices, lost): (Vec<u64>, Vec<String>) = lost.into_iter().unzip();
    for (index, object) in indices.into_iter().zip(repo.objects(lost)?) {
        let (id, bytes) = object?;
        appender.mend(index, &id_of(&id, id_size)?, &bytes)?;
        bar.inc(1);
    }
    for object in repo.objects(new)? {
        let (id, bytes) = object?;
        appender.append(&id_of(&id, id_size)?, &bytes)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    appender.finish()
}

/// What of a history an archive lacks, parents before children.
struct Sorted {
    new: Vec<String>,
    /// Commits that were in the archive and are damaged, and their indices.
    lost: Vec<(u64, String)>,
}

/// What the archive holds stays where it is. What a commit that it holds, or held, follows was in it
/// too: it was pruned since, or is damaged.
fn sort(appender: &mut Appender, commits: Vec<Commit>, id_size: usize) -> Result<Sorted> {
    let (mut new, mut absent) = (Vec::new(), Vec::new());
    let mut followed = HashSet::new();
    for Commit { id, parents } in commits {
        let held = appender.archive.has(&id_of(&id, id_size)?)?;
        let known = held || followed.contains(&id);
        if known {
            followed.extend(parents);
            appender.skip();
        }
        match (held, known) {
            (true, _) => {}
            (false, true) => absent.push(id),
            (false, false) => new.push(id),
        }
    }
    new.reverse();
    absent.reverse();
    let missing = appender.archive.missing_items(0, absent.len() + 1);
    // With some pruned or some missing for another reason, nobody can tell which is which.
    let lost = match missing.len() == absent.len() {
        true => missing.into_iter().zip(absent).collect(),
        false => Vec::new(),
    };
    Ok(Sorted { new, lost })
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
