//! Merging: the slots of several tables in one sweep, without those of claims that do not hold any more.
//!
//! A slot of the merged table has more bits of ordinal and fewer of the key, so slots of one source that
//! were in order may be of one key now, in any order: each such group, which is of a few slots, is sorted.

use std::sync::Arc;

use super::file::KeyTable;
use super::page::Words;
use super::{Claim, ordinal_bits};
use crate::error::Result;

/// The claims of several tables that `holds` wants, in order, and the slots of their entries.
pub(crate) struct Merged<'a> {
    /// In the order of section and position. Where one ends and the next begins they are one.
    pub(crate) claims: Vec<Claim>,
    /// How many bits of a slot are its ordinal.
    pub(crate) bits: u32,
    sources: Vec<Source<'a>>,
    /// Slots with the same bits of the key, descending.
    group: Vec<u64>,
}

/// One table that is being merged.
struct Source<'a> {
    slots: Words<'a>,
    next: Option<u64>,
    mask: u64,
    /// (first ordinal, first ordinal in the merged table where the claim is kept), ascending
    moved: Vec<(u64, Option<u64>)>,
}

/// Prepares the merging of tables.
pub(crate) fn merge<'a>(
    tables: &'a [Arc<KeyTable>],
    holds: &dyn Fn(&Claim) -> bool,
) -> Result<Merged<'a>> {
    // (claim, which table, which of its claims)
    let mut kept: Vec<(Claim, usize, usize)> = Vec::new();
    let mut sources = Vec::new();
    for (of, table) in tables.iter().enumerate() {
        let mut source = Source {
            slots: table.slots(),
            next: None,
            mask: (1 << table.ordinal_bits()) - 1,
            moved: Vec::new(),
        };
        for (at, (start, claim)) in table.starts().enumerate() {
            source.moved.push((start, None));
            if holds(claim) {
                kept.push((*claim, of, at));
            }
        }
        source.next = source.slots.next()?;
        sources.push(source);
    }
    kept.sort_unstable();
    kept.sort_by_key(|(claim, ..)| (claim.section, claim.from));
    let mut claims: Vec<Claim> = Vec::new();
    let mut ordinal = 0;
    for (claim, of, at) in kept {
        let source: Option<&mut Source<'_>> = sources.get_mut(of);
        if let Some(moved) = source.and_then(|source| source.moved.get_mut(at)) {
            moved.1 = Some(ordinal);
        }
        ordinal += claim.len();
        match claims.last_mut() {
            Some(last)
                if (last.section, last.epoch, last.to)
                    == (claim.section, claim.epoch, claim.from) =>
            {
                last.to = claim.to;
            }
            _ => claims.push(claim),
        }
    }
    // Of what ordinals take in a source, nothing of the key is known.
    let of_sources = tables.iter().map(|table| table.ordinal_bits()).max();
    Ok(Merged {
        claims,
        sources,
        bits: ordinal_bits(ordinal).max(of_sources.unwrap_or_default()),
        group: Vec::new(),
    })
}

impl Merged<'_> {
    /// The next slot, ascending.
    pub(crate) fn next(&mut self) -> Result<Option<u64>> {
        while self.group.is_empty() {
            let least = self.sources.iter().filter_map(|source| source.next).min();
            let Some(least) = least else {
                return Ok(None);
            };
            self.gather(least >> self.bits)?;
        }
        Ok(self.group.pop())
    }

    /// Takes all slots with these bits of the key.
    fn gather(&mut self, key: u64) -> Result<()> {
        for source in &mut self.sources {
            while let Some(slot) = source.next.filter(|slot| slot >> self.bits == key) {
                if let Some(ordinal) = source.ordinal(slot & source.mask) {
                    self.group.push(key << self.bits | ordinal);
                }
                source.next = source.slots.next()?;
            }
        }
        self.group.sort_unstable_by(|a, b| b.cmp(a));
        Ok(())
    }
}

impl Source<'_> {
    /// What an ordinal is in the merged table; none where its claim is not kept.
    fn ordinal(&self, ordinal: u64) -> Option<u64> {
        let behind = self.moved.partition_point(|&(start, _)| start <= ordinal);
        let (start, to) = *self.moved.get(behind.checked_sub(1)?)?;
        Some(to? + (ordinal - start))
    }
}
