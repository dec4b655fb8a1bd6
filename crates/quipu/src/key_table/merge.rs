//! Merging: the slots of several tables in one sweep, without those of claims that do not hold any more.
//!
//! A slot of the merged table has more bits of ordinal and fewer of the key, so slots of one source that
//! were in order may be of one key now, in any order. So what goes together is all slots up to a key below
//! which every source has been read; sorting it finds the few runs that it is made of.

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
}

/// One table that is being merged.
struct Source<'a> {
    slots: Words<'a>,
    /// Slots as they were read last.
    raw: Vec<u64>,
    /// Slots as they will be in the merged table, by their keys; those before `at` are taken.
    mapped: Vec<u64>,
    at: usize,
    mask: u64,
    /// Bits of an ordinal in the merged table.
    bits: u32,
    /// (first ordinal, first ordinal in the merged table where the claim is kept), ascending
    moved: Vec<(u64, Option<u64>)>,
}

/// Prepares the merging of tables.
pub(crate) fn merge<'a>(tables: &'a [Arc<KeyTable>], holds: &dyn Fn(&Claim) -> bool) -> Merged<'a> {
    // (claim, which table, which of its claims)
    let mut kept: Vec<(Claim, usize, usize)> = Vec::new();
    let mut sources = Vec::new();
    for (of, table) in tables.iter().enumerate() {
        let mut source = Source {
            slots: table.slots(),
            raw: Vec::new(),
            mapped: Vec::new(),
            at: 0,
            mask: (1 << table.ordinal_bits()) - 1,
            bits: 0,
            moved: Vec::new(),
        };
        for (at, (start, claim)) in table.starts().enumerate() {
            source.moved.push((start, None));
            if holds(claim) {
                kept.push((*claim, of, at));
            }
        }
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
    let bits = ordinal_bits(ordinal).max(of_sources.unwrap_or_default());
    for source in &mut sources {
        source.bits = bits;
        source.join_moved();
    }
    Merged {
        claims,
        sources,
        bits,
    }
}

impl Merged<'_> {
    /// Adds the next slots to `out`, ascending; none behind the last.
    pub(crate) fn next(&mut self, out: &mut Vec<u64>) -> Result<()> {
        let before = out.len();
        loop {
            for source in self.sources.iter_mut().filter(|of| of.rest().is_empty()) {
                source.read()?;
            }
            // What a source has of this key may go on in what was not read of it.
            let more = self.sources.iter().filter(|of| !of.slots.is_at_end());
            let end = more.filter_map(Source::last_key).min();
            for source in &mut self.sources {
                source.take_below(end, out);
            }
            if out.len() > before {
                // Runs that are merged: not the sort to choose for what has no order.
                out.split_at_mut(before).1.sort();
                return Ok(());
            }
            let Some(end) = end else {
                return Ok(());
            };
            let of_one_key = |of: &&mut Source<'_>| of.last_key() == Some(end);
            for source in self.sources.iter_mut().filter(of_one_key) {
                source.read()?;
            }
        }
    }
}

impl Source<'_> {
    /// Slots that are not taken.
    fn rest(&self) -> &[u64] {
        self.mapped.get(self.at..).unwrap_or_default()
    }

    /// The key of the last slot that was read.
    fn last_key(&self) -> Option<u64> {
        self.rest().last().map(|slot| slot >> self.bits)
    }

    /// Reads on until there is one slot more at least, or none in the table.
    fn read(&mut self) -> Result<()> {
        self.mapped.drain(..self.at);
        self.at = 0;
        let before = self.mapped.len();
        while self.mapped.len() == before && !self.slots.is_at_end() {
            self.raw.clear();
            self.slots.next_pages(&mut self.raw)?;
            let (mask, bits, moved) = (self.mask, self.bits, &self.moved);
            let mapped = self.raw.iter().filter_map(|slot| {
                let ordinal = moved_to(moved, slot & mask)?;
                Some(slot >> bits << bits | ordinal)
            });
            self.mapped.extend(mapped);
        }
        Ok(())
    }

    /// Moves the slots of keys below `end`, or all of them, to `out`.
    fn take_below(&mut self, end: Option<u64>, out: &mut Vec<u64>) {
        let rest = self.rest();
        let count = end.map_or(rest.len(), |end| {
            rest.partition_point(|slot| slot >> self.bits < end)
        });
        out.extend_from_slice(rest.get(..count).unwrap_or_default());
        self.at += count;
    }

    /// Claims that stay beside each other are searched as one.
    fn join_moved(&mut self) {
        self.moved
            .dedup_by(|next, before| match (before.1, next.1) {
                (Some(before_to), Some(to)) => {
                    to.checked_sub(before_to) == next.0.checked_sub(before.0)
                }
                (before_to, to) => before_to == to,
            });
    }
}

/// What an ordinal is in the merged table; none where its claim is not kept.
fn moved_to(moved: &[(u64, Option<u64>)], ordinal: u64) -> Option<u64> {
    let behind = moved.partition_point(|&(start, _)| start <= ordinal);
    let (start, to) = *moved.get(behind.checked_sub(1)?)?;
    Some(to? + (ordinal - start))
}
