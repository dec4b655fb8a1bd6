//! Writing a table.

use std::sync::Arc;

use super::file::{HEADER_WORDS, Header, KeyTable};
use super::filter::Filter;
use super::page::{WORDS, Writer};
use super::{Claim, PARTITION, PageMemory, name};
use crate::error::{Error, Result};
use crate::format::NEW_SUFFIX;
use crate::storage::{OpenMode, Storage};

/// What a table is to hold.
pub(crate) struct Contents {
    /// The archive.
    pub(crate) archive: u64,
    /// A random number of the table's own.
    pub(crate) table: u64,
    /// In the order of section and position.
    pub(crate) claims: Vec<Claim>,
    /// How many bits of a slot are its ordinal.
    pub(crate) bits: u32,
}

/// What adds the next few slots to those it is given, ascending; none where there are no more.
pub(crate) type NextSlots<'a> = &'a mut dyn FnMut(&mut Vec<u64>) -> Result<()>;

/// Writes a table, durably, and opens it. `next` gives the slots, as many as the claims have entries; an
/// error of it ends the writing, and nothing is left then.
pub(crate) fn write(
    storage: &Arc<dyn Storage>,
    number: u64,
    contents: Contents,
    memory: &Arc<PageMemory>,
    next: NextSlots<'_>,
) -> Result<KeyTable> {
    let name = name(number);
    let unfinished = format!("{name}{NEW_SUFFIX}");
    let written = write_file(&**storage, &unfinished, &contents, next).and_then(|()| {
        storage.rename(PARTITION, &unfinished, &name)?;
        storage.sync_partition(PARTITION)
    });
    if let Err(error) = written {
        // Also where the removal fails: the next open removes it.
        let _ = storage.remove(PARTITION, &unfinished);
        return Err(error);
    }
    match KeyTable::open(&**storage, number, contents.archive, Arc::clone(memory))? {
        Some(table) => Ok(table),
        None => Err(Error::Damaged {
            path: storage.path(PARTITION, &name),
            offset: 0,
            reason: "the key table that was just written does not check".to_owned(),
        }),
    }
}

fn write_file(
    storage: &dyn Storage,
    name: &str,
    contents: &Contents,
    next: NextSlots<'_>,
) -> Result<()> {
    match storage.remove(PARTITION, name) {
        Ok(()) | Err(Error::NotFound { .. }) => {}
        Err(error) => return Err(error),
    }
    let blob = storage.open(PARTITION, name, OpenMode::Create)?;
    let slots = contents.claims.iter().map(Claim::len).sum();
    let header = Header {
        archive: contents.archive,
        table: contents.table,
        slots,
        bits: contents.bits,
        claims: contents.claims.len() as u64,
    };
    let mut out = Writer::new(&*blob, contents.table);
    let words: [u64; HEADER_WORDS] = header.words();
    words.into_iter().try_for_each(|word| out.word(word))?;
    out.end_run()?;
    let mut filter = Filter::new(slots);
    let mut fences = Vec::new();
    let (mut written, mut some) = (0, Vec::new());
    while written < slots {
        some.clear();
        next(&mut some)?;
        if some.is_empty() {
            return Err(Error::Damaged {
                path: blob.path().to_path_buf(),
                offset: 0,
                reason: format!("a key table of {slots} slots was given {written}"),
            });
        }
        some.truncate(usize::try_from(slots - written).unwrap_or(usize::MAX));
        let first = written.next_multiple_of(WORDS as u64) - written;
        fences.extend(some.iter().skip(first as usize).step_by(WORDS));
        some.iter().for_each(|&slot| filter.insert(slot));
        out.words(&some)?;
        written += some.len() as u64;
    }
    out.end_run()?;
    out.words(&fences)?;
    out.end_run()?;
    filter.words().try_for_each(|word| out.word(word))?;
    out.end_run()?;
    for claim in &contents.claims {
        for word in [claim.section, claim.epoch, claim.from, claim.to] {
            out.word(word)?;
        }
    }
    out.end()?;
    blob.sync()
}
