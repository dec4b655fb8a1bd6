//! Runs that are gone over in pieces, beside whoever changes them.
//!
//! What holds a lock over millions of runs makes a put wait for it that long. A look takes the next 1,024 of them at most and
//! lets go of the lock; the next look begins behind the last one taken. That one is handed out only then, since it may
//! have grown, or have come to touch the next: so runs do not touch here either.
//!
//! What was stored before the first look, and was not removed since, is in a run that is handed out. What is added or
//! removed meanwhile is in one or not.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use super::runs::Runs;
use crate::sync::RwLock;

/// Runs that one look takes at most. With `shuttle` few, so that little runs take several looks.
const MOST_PER_LOOK: usize = if cfg!(shuttle) { 2 } else { 1024 };
/// Runs that the first look takes: who wants few gaps is not to pay for more. Each look takes four times those before.
const FIRST_LOOK: usize = if cfg!(shuttle) { 1 } else { 16 };

/// The runs from the one on that holds or follows an index, ascending: first and last index.
pub(crate) struct RunsInPieces<'a> {
    runs: &'a RwLock<Runs>,
    /// Taken, and not handed out yet.
    piece: VecDeque<(u64, u64)>,
    /// Where the next look begins; none where the last one came to the end.
    next: Option<u64>,
    per_look: usize,
    /// The greatest index that was stored at the last look.
    last_stored: Option<u64>,
}

impl<'a> RunsInPieces<'a> {
    pub(crate) fn new(runs: &'a RwLock<Runs>, index: u64) -> Self {
        Self {
            runs,
            piece: VecDeque::new(),
            next: Some(index),
            per_look: FIRST_LOOK,
            last_stored: None,
        }
    }

    /// All of them, but for what a rewind or a prune took meanwhile: what lies behind the last index that there was at the
    /// last look, or below the floor in the end.
    pub(crate) fn into_ranges(mut self, floor: impl FnOnce() -> u64) -> Vec<RangeInclusive<u64>> {
        let mut ranges: Vec<_> = self.by_ref().map(|(first, last)| first..=last).collect();
        cut_behind(&mut ranges, self.last_stored);
        cut_below(&mut ranges, floor());
        ranges
    }

    fn look(&mut self, from: u64) {
        let runs = self.runs.read();
        self.last_stored = runs.last();
        let mut taken = 0;
        for run in runs.ranges_from(from).take(self.per_look) {
            let (first, last) = run.into_inner();
            match self.piece.back_mut() {
                Some((_, end)) if end.checked_add(1).is_none_or(|next| first <= next) => {
                    *end = last
                }
                _ => self.piece.push_back((first, last)),
            }
            self.next = last.checked_add(1);
            taken += 1;
        }
        if taken < self.per_look {
            self.next = None;
        }
        self.per_look = MOST_PER_LOOK.min(self.per_look * 4);
    }
}

impl Iterator for RunsInPieces<'_> {
    type Item = (u64, u64);

    fn next(&mut self) -> Option<(u64, u64)> {
        while self.piece.len() <= 1
            && let Some(from) = self.next.take()
        {
            self.look(from);
        }
        self.piece.pop_front()
    }
}

/// What is not stored from an index on and lies before a stored one, ascending: first and last index.
pub(crate) struct Gaps<'a> {
    runs: RunsInPieces<'a>,
    from: Option<u64>,
}

impl<'a> Gaps<'a> {
    pub(crate) fn new(runs: &'a RwLock<Runs>, start: u64) -> Self {
        Self {
            runs: RunsInPieces::new(runs, start),
            from: Some(start),
        }
    }

    /// What follows what was handed out: once there are no more gaps, the first index behind the last run.
    pub(crate) fn behind(&self) -> Option<u64> {
        self.from
    }
}

impl Iterator for Gaps<'_> {
    type Item = (u64, u64);

    fn next(&mut self) -> Option<(u64, u64)> {
        loop {
            let from = self.from?;
            let (first, last) = self.runs.next()?;
            self.from = last.checked_add(1);
            if let Some(to) = first.checked_sub(1).filter(|&to| from <= to) {
                return Some((from, to));
            }
        }
    }
}

/// Takes out what of ascending runs lies below the floor.
pub(crate) fn cut_below(ranges: &mut Vec<RangeInclusive<u64>>, floor: u64) {
    ranges.drain(..ranges.partition_point(|run| *run.end() < floor));
    if let Some(first) = ranges.first_mut() {
        *first = floor.max(*first.start())..=*first.end();
    }
}

/// Takes out what of ascending runs lies behind the last index; all, where there is none.
fn cut_behind(ranges: &mut Vec<RangeInclusive<u64>>, last: Option<u64>) {
    let is_before = |run: &RangeInclusive<u64>| last.is_some_and(|last| *run.start() <= last);
    ranges.truncate(ranges.partition_point(is_before));
    if let (Some(run), Some(last)) = (ranges.last_mut(), last) {
        *run = *run.start()..=last.min(*run.end());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn evens(count: u64) -> RwLock<Runs> {
        let mut runs = Runs::default();
        (0..count).for_each(|nth| runs.insert_run(2 * nth, 2 * nth));
        RwLock::new(runs)
    }

    /// Whoever adds an index waits for no more than one look, and that takes few.
    #[test]
    fn an_insert_waits_for_few_of_a_million_runs() {
        let runs = evens(1_000_000);
        let mut pieces = RunsInPieces::new(&runs, 0);
        let (mut told, mut most) = (Vec::new(), 0);
        while let Some(run) = pieces.next() {
            most = most.max(pieces.piece.len());
            told.push(run);
            if told.len() % 1_000 == 0 {
                // Nobody holds the lock: this returns.
                runs.write().insert(3_000_000 + told.len() as u64);
            }
        }
        assert!(most <= MOST_PER_LOOK, "{most}");
        let evens = (0..1_000_000).map(|nth| (2 * nth, 2 * nth));
        assert!(told.iter().copied().take(1_000_000).eq(evens));
    }

    /// Or each question for the next few gaps would copy a thousand runs.
    #[test]
    fn who_wants_few_takes_few() {
        let runs = evens(100_000);
        let mut gaps = Gaps::new(&runs, 0);
        assert_eq!(gaps.next(), Some((1, 1)));
        assert!(gaps.runs.piece.capacity() <= 4 * FIRST_LOOK);
    }

    #[test]
    fn a_run_that_grows_into_the_next_piece_is_one() {
        let runs = evens(FIRST_LOOK as u64 + 4);
        let mut pieces = RunsInPieces::new(&runs, 0);
        let last = 2 * (FIRST_LOOK as u64 - 1);
        let before: Vec<_> = pieces.by_ref().take(FIRST_LOOK - 1).collect();
        assert_eq!(before.last(), Some(&(last - 2, last - 2)));
        // The last of the first look, which is taken and not handed out, joins both of its neighbours.
        runs.write().insert(last - 1);
        runs.write().insert(last + 1);
        let behind: Vec<_> = pieces.collect();
        assert_eq!(behind[..2], [(last, last + 2), (last + 4, last + 4)]);
    }

    #[test]
    fn both_ends_of_u64() {
        let mut ends = Runs::default();
        ends.insert_run(0, 0);
        ends.insert_run(u64::MAX, u64::MAX);
        let runs = RwLock::new(ends);
        let all: Vec<_> = RunsInPieces::new(&runs, 0).collect();
        assert_eq!(all, [(0, 0), (u64::MAX, u64::MAX)]);
        let gaps = |start| Gaps::new(&runs, start).collect::<Vec<_>>();
        assert_eq!(gaps(0), [(1, u64::MAX - 1)]);
        assert_eq!(gaps(u64::MAX - 1), [(u64::MAX - 1, u64::MAX - 1)]);
        assert_eq!(gaps(u64::MAX), []);
        let mut all = Gaps::new(&runs, 5);
        assert_eq!((all.by_ref().count(), all.behind()), (1, None));
        let none = RwLock::new(Runs::default());
        let mut none = Gaps::new(&none, 7);
        assert_eq!((none.next(), none.behind()), (None, Some(7)));
    }

    #[test]
    fn what_a_rewind_or_a_prune_took_meanwhile_is_not_told() {
        let mut stored = Runs::default();
        (0..40).for_each(|nth| stored.insert_run(10 * nth, 10 * nth + 5));
        for (floor, last) in [(0, 395), (30, 105), (33, 108), (102, 102), (99, 0)] {
            let runs = RwLock::new(stored.clone());
            let mut pieces = RunsInPieces::new(&runs, 0);
            let begin = pieces.next.take();
            pieces.look(begin.unwrap());
            runs.write().remove_above(last);
            runs.write().remove_below(floor);
            let told = runs.read().ranges().collect::<Vec<_>>();
            assert_eq!(pieces.into_ranges(|| floor), told, "{floor} {last}");
        }
    }

    /// A change after so many runs: an index that is added, one that goes, all below one, all above one.
    type Change = (usize, u8, u64);

    fn change(runs: &RwLock<Runs>, (_, what, index): Change) -> Runs {
        let mut runs = runs.write();
        match what {
            0..=3 => _ = runs.insert(index),
            4 => _ = runs.remove(index),
            5 => _ = runs.remove_below(index),
            _ => _ = runs.remove_above(index),
        }
        runs.clone()
    }

    fn contents(runs: &Runs) -> BTreeSet<u64> {
        runs.ranges().flatten().collect()
    }

    proptest! {
        #[test]
        fn beside_changes_they_are_what_stayed_and_nothing_that_never_was(
            stored in prop::collection::vec(0..300_u64, 0..200),
            start in 0..300_u64,
            mut changes in prop::collection::vec((0..80_usize, 0..7_u8, 0..320_u64), 0..20),
        ) {
            let mut runs = Runs::default();
            stored.into_iter().for_each(|index| _ = runs.insert(index));
            let (mut stayed, mut ever) = (contents(&runs), contents(&runs));
            let runs = RwLock::new(runs);
            changes.sort_unstable();
            let mut changes = changes.into_iter().peekable();
            let (mut pieces, mut told) = (RunsInPieces::new(&runs, start), Vec::new());
            loop {
                while let Some(next) = changes.next_if(|of| of.0 <= told.len()) {
                    let now = contents(&change(&runs, next));
                    // Before the first look it is no change beside one.
                    stayed.retain(|index| now.contains(index));
                    ever.extend(now);
                }
                let Some(run) = pieces.next() else { break };
                told.push(run);
            }
            let apart = told.windows(2).all(|two| two[0].1 + 1 < two[1].0);
            prop_assert!(apart, "{told:?}");
            let told: BTreeSet<u64> = told.iter().flat_map(|&(first, last)| first..=last).collect();
            let missed: Vec<_> = stayed.range(start..).filter(|index| !told.contains(index)).collect();
            prop_assert!(missed.is_empty(), "{missed:?}");
            prop_assert!(told.is_subset(&ever));
        }

        #[test]
        fn gaps_are_what_runs_leave(
            stored in prop::collection::vec(0..300_u64, 0..200),
            start in 0..300_u64,
        ) {
            let mut runs = Runs::default();
            stored.iter().for_each(|&index| _ = runs.insert(index));
            let last = stored.iter().copied().max().unwrap_or(0);
            let missing: Vec<_> = (start..last).filter(|index| !runs.contains(*index)).collect();
            let from: Vec<_> = runs.ranges_from(start).map(|run| run.into_inner()).collect();
            let runs = RwLock::new(runs);
            prop_assert_eq!(RunsInPieces::new(&runs, start).collect::<Vec<_>>(), from);
            let gaps: Vec<_> = Gaps::new(&runs, start).flat_map(|(first, last)| first..=last).collect();
            prop_assert_eq!(gaps, missing);
        }
    }
}
