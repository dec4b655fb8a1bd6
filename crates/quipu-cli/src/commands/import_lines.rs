//! `quipu import lines`: one item a line.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use quipu::KeyBytes;
use sha2::{Digest, Sha256};

use super::import::{Appender, Imported, To};
use crate::failure::{Failure, Result};
use crate::progress;

/// Bytes of a SHA-256.
pub(super) const KEY_SIZE: usize = 32;

pub(super) fn run(file: &Path, to: &To) -> Result<Imported> {
    // Before the archive is made: a file that is not there makes none.
    let mut lines = open(file)?;
    let mut appender = Appender::new(to.create.open(&to.archive, KEY_SIZE)?);
    let bar = progress::counter("importing lines");
    let name = file.display().to_string();
    append_all(&mut lines, &name, &mut appender, &mut || bar.inc(1))?;
    bar.finish_and_clear();
    appender.finish()
}

/// Appends every line; `done` is called after each.
pub(crate) fn append_all(
    lines: &mut dyn BufRead,
    name: &str,
    appender: &mut Appender,
    done: &mut dyn FnMut(),
) -> Result<()> {
    let unreadable = |error: io::Error| Failure::Other(format!("cannot read {name}: {error}"));
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).map_err(unreadable)? > 0 {
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        let key = key_of(appender.next()?, &line);
        appender.append(&key, &line)?;
        line.clear();
        done();
    }
    Ok(())
}

fn open(file: &Path) -> Result<Box<dyn BufRead>> {
    if file == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    let opened = File::open(file).and_then(|opened| match opened.metadata()?.is_dir() {
        true => Err(io::Error::other("it is a folder; give a file")),
        false => Ok(opened),
    });
    let opened = opened
        .map_err(|error| Failure::Other(format!("cannot read {}: {error}", file.display())))?;
    Ok(Box::new(BufReader::with_capacity(1 << 20, opened)))
}

/// The key of an item that has none of its own: SHA-256 of index and value.
pub(super) fn key_of(index: u64, value: &[u8]) -> KeyBytes {
    let hash = Sha256::new()
        .chain_update(index.to_be_bytes())
        .chain_update(value)
        .finalize();
    KeyBytes::from(&hash[..])
}
