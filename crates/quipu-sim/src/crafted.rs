//! Histories in which one safety step counts, for defects that cases of chance seldom meet.
//!
//! A crafted case leaves open at which call its last fault or crash comes and which bytes survive, or which
//! bit is flipped: it is run with each of them, `calls` times `seeds` variants. With the defect that it is for some
//! of them fail; without it none does.

use quipu::canary::{self, Canary};

use crate::case::{Case, Step};
use crate::run::run;

/// Damage that varies comes so many bits further on each time.
const BITS_APART: u64 = 5;

/// A case in many variants.
#[derive(Clone, Copy, Debug)]
pub struct Crafted {
    /// What it is for.
    pub defect: Canary,
    /// The history, in words.
    pub story: &'static str,
    /// The case's text. Call and seed of the step that varies count for nothing.
    pub text: &'static str,
    /// The step that varies, from 0: a fault, a crash or damage.
    pub varies: usize,
    /// It comes at each of so many calls,
    pub calls: u64,
    /// and a crash keeps what each of so many seeds says.
    pub seeds: u64,
}

impl Crafted {
    /// The variants.
    pub fn cases(&self) -> Result<Vec<Case>, String> {
        let case: Case = self.text.parse()?;
        let mut cases = Vec::new();
        for call in 0..self.calls {
            for of_seed in 0..self.seeds {
                let mut case = case.clone();
                match case.steps.get_mut(self.varies) {
                    Some(Step::Crash(crash)) => (crash.after, crash.seed) = (call, of_seed),
                    Some(Step::Fault { after, .. }) => *after = call,
                    Some(Step::Damage(damage)) => damage.at += BITS_APART * call,
                    _ => return Err(format!("step {} cannot vary", self.varies)),
                }
                cases.push(case);
            }
        }
        Ok(cases)
    }

    /// Runs all variants, with a defect or without; how many there are, and how many of them failed.
    pub fn run(&self, defect: Option<Canary>) -> (usize, usize) {
        let cases = self.cases().unwrap_or_default();
        canary::select(defect);
        let failed = cases.iter().filter(|case| run(case).is_err()).count();
        canary::select(None);
        (cases.len(), failed)
    }
}

/// All crafted cases.
pub const CRAFTED: &[Crafted] = &[
    Crafted {
        defect: Canary::CutNotFlushed,
        story: "A sync of two pages is torn: of the first nothing is left, the second is whole. The \
            recovery cuts both, to exactly what is marked, so that the open has nothing to write \
            again. A new entry takes the place of the first page, a crash keeps it but not the cut, \
            and the second page is back behind it.",
        text: "items=1000 page=28 layout=0 buffer=1048576 | put_sync 0 1 9 | batch 1 2 9 2 3 9 | \
               crash 2 after bytes 35 | sync | put 3 4 60 | crash 0 after bytes 0 | sync",
        varies: 5,
        calls: 4,
        seeds: 64,
    },
    Crafted {
        defect: Canary::LoadedNotFlushed,
        story: "A sync fails before its entries are durable. The next open shows them, out of the \
            system's memory, so they must stay; then the power goes.",
        text: "items=8 buffer=1000 | put_sync 0 1 9 | put 1 2 9 | fault 0 error-before | sync | \
               drop | crash 0 before none 0",
        varies: 2,
        calls: 6,
        seeds: 1,
    },
    Crafted {
        defect: Canary::LoadedNotFlushed,
        story: "The flush of the entries fails. The system takes their pages for clean, so a later \
            flush does nothing for them, unless they are written again.",
        text: "items=8 buffer=1000 | put_sync 0 1 9 | put 1 2 9 | fault 0 flush-fails | sync | \
               drop | put_sync 2 3 9 | crash 0 before none 0",
        varies: 2,
        calls: 6,
        seeds: 1,
    },
    Crafted {
        defect: Canary::RewindUnannounced,
        story: "A rewind removes the files of two sections; between the two the machine stops. An \
            open that does not know of the rewind shows one of them.",
        text: "items=4 | put 3 1 9 | put 5 2 9 | sync | crash 0 before all 0 | rewind 2",
        varies: 3,
        calls: 40,
        seeds: 1,
    },
    Crafted {
        defect: Canary::ValueBytesReused,
        story: "A rewind stops after it cut the values and before the entries that name them are \
            gone: they are damage.",
        text: "items=8 | put 0 1 20 | put 1 2 20 | sync | crash 0 before all 0 | rewind 0",
        varies: 3,
        calls: 40,
        seeds: 1,
    },
    Crafted {
        defect: Canary::CommitLogSettledFirst,
        story: "A process ends whose syncs the log alone has durably, and the power goes while the next one opens: \
            between the flush of the log, which begins anew, and that of the section files.",
        text: "items=8 page=28 buffer=1000 log=20000 | put_sync 0 1 9 | put_sync 1 2 9 | put_sync 2 3 9 | \
            put_sync 3 4 9 | crash 0 before none 0 | drop",
        varies: 4,
        calls: 90,
        seeds: 1,
    },
    Crafted {
        defect: Canary::CleanEndAssumed,
        story: "After a clean end come syncs that the log alone has durably, and the process is killed. The next open \
            takes the files for those of the clean end, begins the log anew, and the power goes before anybody \
            looks at them.",
        text: "items=8 page=28 buffer=1000 tables=1 log=20000 | put_sync 0 1 9 | put_sync 1 2 9 | close | \
            put_sync 2 3 9 | put_sync 3 4 9 | crash 0 before none 0 | drop",
        varies: 5,
        calls: 120,
        seeds: 1,
    },
    Crafted {
        defect: Canary::CommitLogOfOldName,
        story: "The log is made anew for syncs of several sections, so it is another file. Syncs that go to the old one, \
            which has no name any more, go with the power.",
        text: "items=8 page=28 buffer=65536 log=20000 | put_sync 0 1 9 | put_sync 8 2 9 | put_sync 1 3 9 | put_sync 9 4 9 | \
            batch 2 5 700 10 6 700 | sync | batch 3 7 700 11 8 700 | sync | crash 0 before none 0 | put_sync 4 9 9",
        varies: 8,
        calls: 8,
        seeds: 1,
    },
    Crafted {
        defect: Canary::UnreadableTorn,
        story: "A flush of entries fails that the commit log has, and the disk cannot read their page while the next open \
            looks for the end of the file: cut there, they are lost once the log begins anew.",
        text: "items=8 page=28 layout=0 cap=1 buffer=1000 log=20000 | put_sync 0 1 9 | put_sync 1 2 9 | put_sync 2 3 9 | \
            put 3 4 9 | fault 0 flush-fails | sync | fault 0 unreadable | drop",
        varies: 6,
        calls: 71,
        seeds: 1,
    },
    Crafted {
        defect: Canary::TableUnchecked,
        story: "A bit of a slot in a key table is flipped: the key is looked for where another item stands.",
        text: "items=64 page=200 cap=0 tables=1 | batch 0 1 9 1 2 9 2 3 9 3 4 9 4 5 9 5 6 9 | close | \
            damage flip tables 0 32768 | read",
        varies: 2,
        calls: 64,
        seeds: 1,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crafted_cases_go_well_without_their_defect() {
        for crafted in CRAFTED {
            let variants = (crafted.calls * crafted.seeds) as usize;
            assert_eq!(crafted.run(None), (variants, 0), "{}", crafted.story);
        }
    }
}
