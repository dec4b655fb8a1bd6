//! `quipu import`: real data in.

use std::path::PathBuf;

use clap::Subcommand;
use quipu::{Archive, Error, KeyBytes, Put};
use serde::Serialize;

use super::{import_git, import_lines};
use crate::archive::Create;
use crate::failure::{Failure, Result};
use crate::output::Output;

/// Items between two syncs of an import.
const SYNC_EVERY: u64 = 10_000;

/// Put real data into an archive: the history of a Git repository, or the lines of a file
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    from: From,
}

#[derive(Subcommand)]
enum From {
    /// Every commit reachable from HEAD, parents before children: index = ordinal, key = commit
    /// id, value = the raw commit object
    ///
    /// Run it again after new commits, and it adds only what is new, behind what is there. What is damaged and
    /// known to be (see `quipu verify --note`) is put back. Needs the program git.
    Git {
        /// The repository, with or without a work tree
        repo: PathBuf,
        #[command(flatten)]
        to: To,
    },
    /// One item a line: key = SHA-256 of the index (8 bytes, big-endian) and the line
    ///
    /// The line is stored without its newline. Lines are added behind the last index, each time
    /// it is run.
    Lines {
        /// The file, or - for standard input
        file: PathBuf,
        #[command(flatten)]
        to: To,
    },
}

#[derive(clap::Args)]
pub(crate) struct To {
    /// The archive's folder; made where there is none
    pub(crate) archive: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(crate) create: Create,
}

/// What an import did.
#[derive(Serialize)]
pub(crate) struct Imported {
    pub(crate) added: u64,
    pub(crate) skipped: u64,
    pub(crate) mended: u64,
    pub(crate) first: Option<u64>,
    pub(crate) last: Option<u64>,
}

pub(crate) fn run(args: Args) -> Result<()> {
    let (imported, to, what) = match args.from {
        From::Git { repo, to } => (import_git::run(&repo, &to)?, to, "commits"),
        From::Lines { file, to } => (import_lines::run(&file, &to)?, to, "lines"),
    };
    let mut out = Output::new();
    if to.json {
        out.json(&imported)?;
    } else {
        let archive = to.archive.display();
        out.line(&match (imported.first, imported.last) {
            (Some(first), Some(last)) => {
                format!(
                    "added {} {what} to {archive}, as {first} to {last}",
                    imported.added
                )
            }
            _ if imported.mended > 0 => {
                format!("put {} damaged {what} back into {archive}", imported.mended)
            }
            _ => format!(
                "nothing new: {archive} holds, or held, all {} {what}",
                imported.skipped
            ),
        })?;
    }
    out.finish()
}

/// Appends items behind the last index, syncing now and then.
pub(crate) struct Appender {
    pub(crate) archive: Archive<KeyBytes>,
    next: Option<u64>,
    imported: Imported,
}

impl Appender {
    pub(crate) fn new(archive: Archive<KeyBytes>) -> Self {
        let next = match archive.last_index() {
            Some(last) => last.checked_add(1),
            None => Some(archive.floor()),
        };
        Self {
            archive,
            next,
            imported: Imported {
                added: 0,
                skipped: 0,
                mended: 0,
                first: None,
                last: None,
            },
        }
    }

    /// The index that the next item gets.
    pub(crate) fn next(&self) -> Result<u64> {
        self.next.ok_or_else(|| {
            Failure::Other("the archive's last index is taken; start a new one".to_owned())
        })
    }

    /// Puts an item back where it was.
    pub(crate) fn mend(&mut self, index: u64, key: &KeyBytes, value: &[u8]) -> Result<()> {
        if self.put(index, key, value)? == Put::Stored {
            self.imported.mended += 1;
            self.imported.skipped = self.imported.skipped.saturating_sub(1);
        }
        Ok(())
    }

    pub(crate) fn append(&mut self, key: &KeyBytes, value: &[u8]) -> Result<()> {
        let index = self.next()?;
        if self.put(index, key, value)? == Put::Exists {
            return Err(Failure::Other(format!(
                "index {index} was taken by another writer"
            )));
        }
        self.imported.added += 1;
        self.imported.first.get_or_insert(index);
        self.imported.last = Some(index);
        self.next = index.checked_add(1);
        if self.imported.added.is_multiple_of(SYNC_EVERY) {
            self.archive.sync()?;
        }
        Ok(())
    }

    /// A put; what was put before one that the disk has no room for is kept, where that can be:
    /// with a disk reserve.
    fn put(&mut self, index: u64, key: &KeyBytes, value: &[u8]) -> Result<Put> {
        let put = self.archive.put(index, key, value);
        if let Err(Error::StorageFull { .. }) = put {
            // The put's own error says what is wrong.
            let _ = self.archive.sync();
        }
        Ok(put?)
    }

    pub(crate) fn skip(&mut self) {
        self.imported.skipped += 1;
    }

    pub(crate) fn finish(self) -> Result<Imported> {
        self.archive.close()?;
        Ok(self.imported)
    }
}
