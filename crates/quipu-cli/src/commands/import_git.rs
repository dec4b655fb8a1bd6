//! `quipu import git`: a history of commits.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use quipu::KeyBytes;

use super::git::{Commit, Repository};
use super::import::{Appender, Imported, To};
use crate::archive::parse_key;
use crate::failure::{Failure, Result};
use crate::progress;

/// How many indices of one gap are looked at for damaged items.
const MOST_OF_A_GAP: usize = 1 << 20;

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

/// What of a history an archive lacks.
struct Sorted {
    /// Parents before children.
    new: Vec<String>,
    /// Commits that are damaged in the archive, and their indices.
    lost: Vec<(u64, String)>,
}

/// What the archive holds stays where it is. What a commit that it holds, or held, follows was in it
/// too: if it is not there, it was pruned since or is damaged.
fn sort(appender: &mut Appender, commits: Vec<Commit>, id_size: usize) -> Result<Sorted> {
    let damaged = damaged(appender)?;
    let (mut new, mut lost) = (Vec::new(), Vec::new());
    let mut followed = HashSet::new();
    for Commit { id, parents } in commits {
        let key = id_of(&id, id_size)?;
        let index = damaged.get(key.as_ref());
        if appender.archive.has(&key)? || index.is_some() || followed.contains(&id) {
            lost.extend(index.map(|&index| (index, id)));
            followed.extend(parents);
            appender.skip();
        } else {
            new.push(id);
        }
    }
    if followed.is_empty() && appender.archive.floor() > 0 && !new.is_empty() {
        return Err(Failure::Other(
            "everything of this history was pruned from the archive, so nobody can tell what is \
             new; import into a new archive"
                .to_owned(),
        ));
    }
    new.reverse();
    Ok(Sorted { new, lost })
}

/// The keys of items that are damaged and can still be told by their entries.
fn damaged(appender: &Appender) -> Result<HashMap<Vec<u8>, u64>> {
    let mut damaged = HashMap::new();
    for index in appender.archive.missing_ranges(0, usize::MAX) {
        for index in index.take(MOST_OF_A_GAP) {
            if let Some(key) = appender.archive.key_of(index)? {
                damaged.insert(key.as_ref().to_vec(), index);
            }
        }
    }
    Ok(damaged)
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
