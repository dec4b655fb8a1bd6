//! Workloads with a purpose each, short enough to be stopped at every single call.

use crate::case::Case;

/// A workload by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// What it is for.
    pub name: &'static str,
    /// The case's text.
    pub text: &'static str,
}

impl Fixed {
    /// The workload as a case.
    pub fn case(&self) -> Result<Case, String> {
        self.text.parse()
    }
}

/// The workloads of *every step*.
pub const FIXED: [Fixed; 28] = [
    Fixed {
        name: "in order, with syncs",
        text: "items=4 page=50 buffer=64 | put 0 1 20 | put 1 2 20 | sync | put 2 3 20 | sync | \
               put 3 4 20 | put 4 5 20 | sync | put 5 6 9",
    },
    Fixed {
        name: "out of order, over three sections",
        text: "items=4 page=30 buffer=64 | put 9 1 12 | put 2 2 30 | put 6 3 8 | sync | \
               put 1 4 40 | put 10 5 3 | sync | put 5 6 0",
    },
    Fixed {
        name: "several items at one index",
        text: "items=8 page=60 buffer=20 | multi 3 1 20 | multi 3 2 20 | sync | multi 3 3 5 | \
               put 3 4 9 | multi_sync 2 5 0 | multi 3 6 7",
    },
    Fixed {
        name: "a batch that crosses sections",
        text: "items=3 page=40 buffer=30 | batch 0 1 9 1 2 9 2 3 9 3 4 9 4 5 9 6 6 9 | sync | \
               batch 5 7 9 7 8 9 1 9 9",
    },
    Fixed {
        name: "a partial page that grows by single syncs",
        text: "items=100 page=200 buffer=64 | put_sync 0 1 5 | put_sync 1 2 6 | put_sync 2 3 7 | \
               put_sync 3 4 8 | put_sync 4 5 9 | put_sync 5 6 9 | put_sync 6 7 9 | put_sync 7 8 9",
    },
    Fixed {
        name: "entries that straddle pages, one by one",
        text: "items=100 page=13 buffer=1 | put_sync 0 1 5 | put_sync 1 2 6 | put_sync 2 3 7 | \
               put_sync 3 4 8",
    },
    Fixed {
        name: "values larger than the write buffer",
        text: "items=8 page=50 buffer=100 | put 0 1 600 | put 1 2 10 | put 2 3 1400 | sync | \
               put 3 4 700 | put 4 5 90 | sync",
    },
    Fixed {
        name: "a prune of several sections",
        text: "items=2 page=50 buffer=64 | batch 0 1 9 1 2 9 2 3 9 3 4 9 4 5 9 5 6 9 | sync | \
               prune 4 | put 6 7 9 | sync",
    },
    Fixed {
        name: "prunes between puts, also below the floor",
        text: "items=1 page=50 buffer=64 | put_sync 5 1 9 | put_sync 6 2 9 | prune 6 | put 5 3 9 | \
               put_sync 7 4 9 | prune 3 | prune 8 | put_sync 8 5 9",
    },
    Fixed {
        name: "a rewind within a section",
        text: "items=8 page=50 buffer=64 | batch 0 1 9 1 2 9 2 3 9 3 4 9 4 5 9 | sync | rewind 2 | \
               put_sync 3 6 30 | put 4 7 9",
    },
    Fixed {
        name: "a rewind to the end of a section",
        text: "items=3 page=50 buffer=64 | batch 0 1 9 1 2 9 2 3 9 3 4 9 4 5 9 6 6 9 | sync | \
               rewind 2 | put_sync 3 7 30",
    },
    Fixed {
        name: "a rewind of items out of order, without a sync before",
        text: "items=8 page=40 buffer=30 | put 5 1 9 | put 1 2 9 | put 7 3 9 | put 3 4 9 | sync | \
               put 12 5 9 | put 2 6 9 | rewind 3 | put_sync 5 7 9",
    },
    Fixed {
        name: "a rewind below everything",
        text: "items=4 page=50 buffer=64 | put 3 1 9 | put 5 2 9 | sync | rewind 2 | \
               put_sync 3 3 20",
    },
    Fixed {
        name: "closed and opened",
        text: "items=8 page=50 buffer=64 | put 0 1 9 | close | put 1 2 9 | close | put_sync 2 3 9 | \
               close",
    },
    Fixed {
        name: "let go and opened, as when a process is killed",
        text: "items=8 page=50 buffer=1 | put 0 1 9 | drop | put_sync 1 2 9 | put 2 3 9 | drop | \
               put 3 4 9 | sync",
    },
    Fixed {
        name: "compression on, then off",
        text: "items=2 page=50 zstd=1 buffer=64 | put 0 2 60 | put 2 4 60 | close zstd=0 | \
               put 1 6 60 | put 4 8 60 | sync | close zstd=1 | put 6 10 60 | sync",
    },
    Fixed {
        name: "adopted, with a torn end",
        text: "items=3 page=50 layout=0 buffer=64 | batch 0 1 9 1 2 9 2 3 9 3 4 9 4 5 9 | sync | \
               adopt 8 | put_sync 4 6 20 | put 5 7 9",
    },
    Fixed {
        name: "destroyed and made anew",
        text: "items=2 page=50 buffer=64 | put 0 1 9 | put_sync 3 2 9 | destroy | put_sync 0 3 20",
    },
    Fixed {
        name: "the last indices there are",
        text: "items=16 page=50 layout=0 buffer=64 | put 18446744073709551615 1 9 | \
               put 18446744073709551600 2 9 | sync | put 18446744073709551599 3 9 | \
               prune 18446744073709551600 | rewind 18446744073709551614 | sync",
    },
    Fixed {
        name: "a prune, a rewind, a gap filled, in sections that are dirty",
        text: "items=3 page=28 buffer=20 | put 2 1 9 | put 4 2 9 | put 8 3 9 | put 10 4 9 | \
               prune 3 | rewind 8 | put 5 5 9 | put 9 6 9 | sync | close",
    },
    Fixed {
        name: "key tables: made at a close, read after it",
        text: "items=4 page=50 buffer=64 tables=3 | put 0 1 9 | put 1 2 9 | put 2 3 9 | put_sync 4 4 9 | \
               close | read | put 5 5 9 | put_sync 3 6 9 | close | read",
    },
    Fixed {
        name: "key tables: merged, while the front is pruned",
        text: "items=3 page=28 buffer=64 tables=1 | put_sync 0 1 9 | put_sync 1 2 9 | put_sync 3 3 9 | \
               put_sync 4 4 9 | put_sync 6 5 9 | prune 3 | put_sync 7 6 9 | close | read",
    },
    Fixed {
        name: "key tables: older than a rewind",
        text: "items=6 page=50 buffer=64 tables=2 | put 0 1 9 | put_sync 1 2 9 | put 2 3 9 | put_sync 7 4 9 | \
               close | rewind 1 | put 2 5 9 | put_sync 7 6 9 | close | read",
    },
    Fixed {
        name: "key tables: sections that are filled out of order, a reader beside",
        text: "items=8 page=50 buffer=64 tables=2 | put 3 1 9 | put_sync 1 2 9 | put_sync 9 3 9 | close | \
               beside | put 2 4 9 | multi_sync 3 5 9 | beside | close | read",
    },
    Fixed {
        name: "a commit log: small syncs, a large one, small ones again",
        text: "items=100 page=50 buffer=64 log=16900 | put_sync 0 1 9 | put_sync 1 2 30 | put_sync 2 3 0 | \
               batch 3 4 60 4 5 60 5 6 60 | sync | put_sync 6 7 9 | put_sync 7 8 9 | close | put_sync 8 9 9",
    },
    Fixed {
        name: "a commit log that is full, over two sections",
        text: "items=3 page=28 buffer=1000 log=16384 | put_sync 0 1 20 | put_sync 4 2 20 | put_sync 1 3 20 | \
               put_sync 5 4 20 | put_sync 2 5 20 | put 3 6 20 | put_sync 6 7 20 | put_sync 7 8 9",
    },
    Fixed {
        name: "a commit log: rewound, pruned, a reader beside",
        text: "items=4 page=50 buffer=64 log=20000 | put_sync 0 1 9 | put_sync 1 2 9 | put_sync 2 3 9 | beside | \
               rewind 1 | put_sync 2 4 30 | put_sync 3 5 9 | put_sync 4 6 9 | put_sync 5 7 9 | prune 4 | put_sync 6 8 9",
    },
    Fixed {
        name: "a commit log: let go, opened, destroyed, compressed",
        text: "items=8 page=50 buffer=64 zstd=1 log=20000 | put_sync 0 1 60 | put_sync 1 2 60 | put_sync 2 3 60 | drop | \
               put_sync 3 4 60 | put_sync 4 5 60 | destroy | put_sync 0 6 9 | put_sync 1 7 9 | put_sync 2 8 9",
    },
];
