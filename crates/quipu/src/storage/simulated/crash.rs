//! What the disk holds after a crash.
//!
//! Three things are decided apart, for each blob and each partition: which bytes of the pending
//! writes survive, which length, which names. So a length may be ahead of its bytes, which then are
//! zeros, or behind, which loses bytes; a name may be there without its bytes, or be lost with bytes
//! that were flushed.
//!
//! # Invariant
//!
//! Bytes that were flushed, and that nothing pending writes over or cuts, survive if their name
//! does.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::memory::content::Content;
use super::file::{BLOCK, Change, File, read_padded};
use super::names::{NameMap, Names};
use super::random::{Random, mix};

/// Which of the changes that were not flushed survive a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Survival {
    /// Any subset of the bytes of every write: everything that the contract of
    /// [`storage`](crate::storage) allows. Depending on the seed the subset is chosen byte by byte,
    /// in runs, or write by write, so that the ones that matter come often.
    Bytes,
    /// Every sector of 512 bytes is as it was at some moment since the flush.
    Sectors,
    /// The changes of each blob and each partition up to some moment; the last write may be torn.
    Prefix,
    /// Everything.
    All,
    /// Only what was flushed.
    Nothing,
    /// The end of the process alone: the system goes on, and has in its memory what was not flushed.
    /// It is seen, and not durable: the next crash may take it.
    Memory,
}

impl Survival {
    /// Every mode of a crash that takes what is in memory: all but [`Memory`](Self::Memory).
    pub const EVERY: [Self; 5] = [
        Self::Bytes,
        Self::Sectors,
        Self::Prefix,
        Self::All,
        Self::Nothing,
    ];
}

/// The content that a file has after a crash.
pub(super) fn content(file: &File, survival: Survival, random: &mut Random) -> Arc<Content> {
    if file.pending.is_empty() || survival == Survival::Nothing {
        return Arc::clone(&file.durable);
    }
    let mut content = Content::clone(&file.durable);
    match survival {
        Survival::Nothing => {}
        Survival::All | Survival::Memory => {
            file.pending.iter().for_each(|c| c.apply(&mut content));
        }
        Survival::Prefix => prefix(&mut content, &file.pending, random),
        Survival::Bytes | Survival::Sectors => {
            let pick = match survival {
                Survival::Sectors => Pick::Sectors {
                    seed: random.next(),
                },
                _ => Pick::choose(random),
            };
            subset(&mut content, &file.pending, pick, random);
        }
    }
    Arc::new(content)
}

fn prefix(content: &mut Content, pending: &[Change], random: &mut Random) {
    let (whole, rest) = split(pending, random);
    whole.iter().for_each(|change| change.apply(content));
    if let Some(Change::Write { offset, bytes }) = rest.first() {
        let kept = match random.coin() {
            true => random.up_to(bytes.len() as u64),
            false => 0,
        };
        let (kept, _) = bytes.split_at(kept as usize);
        content.write(*offset, kept);
    }
}

/// Cuts a list of changes in two, anywhere.
fn split<'a, T>(pending: &'a [T], random: &mut Random) -> (&'a [T], &'a [T]) {
    let at = random.up_to(pending.len() as u64) as usize;
    pending.split_at(at.min(pending.len()))
}

fn subset(content: &mut Content, pending: &[Change], pick: Pick, random: &mut Random) {
    let sectors = matches!(pick, Pick::Sectors { .. });
    let (moment, len) = surviving_len(content.len(), pending, sectors, random);
    for (number, change) in pending.iter().enumerate() {
        match change {
            Change::Write { offset, bytes } => {
                let mut merged = read_padded(content, *offset, bytes.len());
                let place = Place {
                    offset: *offset,
                    number: number as u64,
                    of: pending.len() as u64,
                };
                pick.merge(&mut merged, bytes, place, random);
                content.write(*offset, &merged);
            }
            // A cut takes bytes together with the length, or not at all.
            Change::Resize { len } if *len < content.len() => {
                if moment > number && pick.keeps_a_cut(random) {
                    content.resize(*len);
                }
            }
            Change::Resize { .. } => {}
        }
    }
    content.resize(len);
}

/// One of the lengths that the blob had since its flush, or one on the way as it grew; and how many
/// changes had been done then.
fn surviving_len(
    durable: u64,
    pending: &[Change],
    sectors: bool,
    random: &mut Random,
) -> (usize, u64) {
    let last = pending.len();
    let choice = random.below(4);
    let moment = match choice {
        0 => 0,
        1 => last,
        2 => random.up_to(last as u64) as usize,
        _ => random.below(last as u64) as usize,
    };
    let done = pending.iter().take(moment);
    let len = done.fold(durable, |len, change| change.len_after(len));
    let next = pending.get(moment).map_or(len, |next| next.len_after(len));
    if choice < 3 || next <= len {
        return (moment, len);
    }
    let between = len.saturating_add(random.up_to(next.saturating_sub(len)));
    let whole = (between / BLOCK).saturating_mul(BLOCK).max(len);
    (moment, if sectors { whole } else { between })
}

/// How the bytes are chosen that survive.
#[derive(Clone, Copy, Debug)]
enum Pick {
    All,
    Nothing,
    /// Each write whole or not at all.
    Writes,
    /// Runs of up to `max` bytes, by turns.
    Runs {
        max: u64,
    },
    /// Each byte on its own.
    Bytes,
    /// Each sector as it was at a moment that a hash of its number says.
    Sectors {
        seed: u64,
    },
}

/// Where a write goes, and when it came.
#[derive(Clone, Copy)]
struct Place {
    offset: u64,
    /// Its number among the pending changes.
    number: u64,
    /// How many changes are pending.
    of: u64,
}

impl Pick {
    fn choose(random: &mut Random) -> Self {
        let max = [8, 64, 512, 8192];
        match random.below(10) {
            0 => Self::All,
            1 => Self::Nothing,
            2..=4 => Self::Writes,
            5..=7 => Self::Runs {
                max: max.get(random.below(4) as usize).copied().unwrap_or(1),
            },
            _ => Self::Bytes,
        }
    }

    fn keeps_a_cut(self, random: &mut Random) -> bool {
        match self {
            Self::All => true,
            Self::Nothing => false,
            _ => random.coin(),
        }
    }

    /// Puts those bytes of `new` over `old` that survive; both are equally long.
    fn merge(self, old: &mut [u8], new: &[u8], place: Place, random: &mut Random) {
        match self {
            Self::Nothing => {}
            Self::All => old.copy_from_slice(new),
            Self::Writes => {
                if random.coin() {
                    old.copy_from_slice(new);
                }
            }
            Self::Runs { max } => {
                let max = max.min(new.len() as u64);
                merge_parts(old, new, random.coin(), |_, kept| {
                    (1 + random.below(max), !kept)
                });
            }
            Self::Bytes => {
                for (old, new) in old.iter_mut().zip(new) {
                    if random.coin() {
                        *old = *new;
                    }
                }
            }
            Self::Sectors { seed } => {
                let moments = place.of.saturating_add(1);
                merge_parts(old, new, false, |done, _| {
                    let at = place.offset.saturating_add(done);
                    let moment = Random::new(seed ^ mix(at / BLOCK)).below(moments);
                    (BLOCK - at % BLOCK, place.number < moment)
                });
            }
        }
    }
}

/// Goes through both in parts; `next` is told how many bytes are done and whether the last part
/// was kept, and says how long the next one is and whether it is.
fn merge_parts(
    old: &mut [u8],
    new: &[u8],
    first: bool,
    mut next: impl FnMut(u64, bool) -> (u64, bool),
) {
    let (mut old, mut new, mut kept, mut done) = (old, new, first, 0_u64);
    while !new.is_empty() {
        let (len, keep) = next(done, kept);
        let len = (len.max(1) as usize).min(new.len());
        let (old_part, old_rest) = old.split_at_mut(len.min(old.len()));
        let (new_part, new_rest) = new.split_at(len);
        if keep && old_part.len() == new_part.len() {
            old_part.copy_from_slice(new_part);
        }
        (old, new, kept) = (old_rest, new_rest, keep);
        done = done.saturating_add(len as u64);
    }
}

/// The names that a partition has after a crash.
pub(super) fn names(names: &Names, survival: Survival, random: &mut Random) -> NameMap {
    let mut map = names.durable.clone();
    let pending = &names.pending;
    let whole = match survival {
        Survival::Nothing => 0,
        Survival::All | Survival::Memory => pending.len(),
        Survival::Prefix => split(pending, random).0.len(),
        Survival::Bytes | Survival::Sectors => match random.below(8) {
            0 => 0,
            1 => pending.len(),
            2 => split(pending, random).0.len(),
            _ => {
                let kept = pending.iter().filter(|_| random.coin());
                kept.for_each(|change| change.apply(&mut map));
                return map;
            }
        },
    };
    let kept = pending.iter().take(whole);
    kept.for_each(|change| change.apply(&mut map));
    map
}

/// The files and partitions that a crash leaves.
pub(super) struct Remains {
    pub(super) files: Vec<File>,
    pub(super) partitions: BTreeMap<Arc<str>, Names>,
}

/// Decides what survives of everything. Each blob and each partition has a seed of its own, so that
/// a change of one does not decide anew about the others.
pub(super) fn remains(
    files: &[File],
    partitions: &BTreeMap<Arc<str>, Names>,
    survival: Survival,
    seed: u64,
) -> Remains {
    if survival == Survival::Memory {
        return Remains {
            files: files.iter().map(File::without_handles).collect(),
            partitions: partitions.clone(),
        };
    }
    let mut left = Remains {
        files: Vec::new(),
        partitions: BTreeMap::new(),
    };
    for (number, (partition, was)) in (0_u64..).zip(partitions) {
        let mut random = Random::new(mix(mix(seed) ^ number));
        let mut map = names(was, survival, &mut random);
        for id in map.values_mut() {
            let mut random = Random::new(mix(seed ^ mix(*id as u64)));
            let Some(file) = files.get(*id) else { continue };
            let content = content(file, survival, &mut random);
            *id = left.files.len();
            left.files.push(file.after_crash(content));
        }
        left.partitions
            .insert(Arc::clone(partition), Names::durable(map));
    }
    left
}
