//! The model: what must be there, what may be there, and nothing else.
//!
//! Each item that was put is *durable* (a sync has covered it), *stored* (its put returned: a
//! reader sees it, a crash may take it) or *doubtful* (its put failed: either may be). A prune, a
//! rewind or a removal that failed or was cut off by a crash is *pending*: after the next open all
//! of it was done, or nothing. An open that returned settles everything: what it shows is durable.

mod compare;

use std::collections::{BTreeMap, BTreeSet};

use crate::case::{Put, Settings};

pub use compare::Expect;

/// How sure an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sure {
    /// It must be there from now on.
    Durable,
    /// It is there for readers; a crash may take it.
    Stored,
    /// Its put failed.
    Doubtful,
}

/// An item that was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What was put.
    pub put: Put,
    /// How sure it is.
    pub sure: Sure,
}

/// What was begun and has not returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    /// The floor is being raised to here.
    Prune(u64),
    /// Items above go.
    Rewind(u64),
    /// Everything goes.
    Destroy,
    /// The manifest was taken away; an adoption makes another, with a floor of 0.
    Adopt,
}

/// What is known of one archive.
#[derive(Clone, Debug)]
pub struct Model {
    /// How it was made.
    pub settings: Settings,
    /// Items by index; at each index in the order of their puts.
    pub items: BTreeMap<u64, Vec<Stored>>,
    /// The first index that is not pruned.
    pub floor: u64,
    /// What was begun.
    pub pending: Option<Pending>,
    /// Indices whose items may be damaged.
    pub damaged: BTreeSet<u64>,
    /// Bytes were changed that nobody can name: anything may be lost, nothing may be wrong.
    pub suspect: bool,
    /// Bytes were changed on purpose: a verification finds them, whatever was filled since.
    pub scarred: bool,
    /// The marks were changed: what they told as damaged may be forgotten.
    pub marks_lost: bool,
    /// A flush failed, and then an open could not read all: what of that it could not write again may be shown by another
    /// open, and not stay.
    pub unwritten: bool,
    /// Whether compression was changed since the archive was made.
    pub mixed: bool,
    /// Indices that something was ever put to.
    pub touched: BTreeSet<u64>,
}

/// What a put must answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The item is stored.
    Stored,
    /// The index is taken.
    Exists,
    /// It may be taken or not.
    Either,
    /// It lies below the floor.
    BelowFloor,
}

impl Model {
    /// An archive without items.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            items: BTreeMap::new(),
            floor: 0,
            pending: None,
            damaged: BTreeSet::new(),
            suspect: false,
            scarred: false,
            marks_lost: false,
            unwritten: false,
            mixed: false,
            touched: BTreeSet::new(),
        }
    }

    /// What a put of that index has to say.
    pub fn answer(&self, index: u64, multi: bool) -> Answer {
        if index < self.floor {
            return Answer::BelowFloor;
        }
        let at = self.items.get(&index).map_or(&[][..], Vec::as_slice);
        let sure = at.iter().any(|item| item.sure != Sure::Doubtful);
        match (multi, sure, at.is_empty()) {
            (true, _, _) | (_, _, true) => Answer::Stored,
            _ if self.suspect || self.damaged.contains(&index) => Answer::Either,
            (_, true, _) => Answer::Exists,
            _ => Answer::Either,
        }
    }

    /// Notes an item.
    pub fn put(&mut self, put: Put, sure: Sure) {
        self.touched.insert(put.index);
        let at = self.items.entry(put.index).or_default();
        at.push(Stored { put, sure });
    }

    /// Everything stored is durable from now on.
    pub fn synced(&mut self) {
        for item in self.items.values_mut().flatten() {
            if item.sure == Sure::Stored {
                item.sure = Sure::Durable;
            }
        }
    }

    /// The floor is here now.
    pub fn pruned(&mut self, floor: u64) {
        self.floor = floor;
        self.items = self.items.split_off(&floor);
    }

    /// Nothing is above `index` any more, and the rest is durable.
    pub fn rewound(&mut self, index: u64) {
        self.items.retain(|&of, _| of <= index);
        self.synced();
    }

    /// The archive is gone.
    pub fn destroyed(&mut self) {
        self.items.clear();
        self.damaged.clear();
        self.floor = 0;
        (self.mixed, self.scarred, self.marks_lost) = (false, false, false);
    }

    /// Whether an index has an item that must be there.
    pub fn is_durable(&self, index: u64) -> bool {
        let at = self.items.get(&index).map_or(&[][..], Vec::as_slice);
        at.iter().any(|item| item.sure == Sure::Durable)
    }

    /// Indices worth a look: those ever put to, their neighbours, and the ends.
    pub fn interest(&self) -> BTreeSet<u64> {
        let near = |&index: &u64| [index.saturating_sub(1), index, index.saturating_add(1)];
        let mut all: BTreeSet<u64> = self.touched.iter().flat_map(near).collect();
        all.extend(near(&self.floor));
        all.extend([0, u64::MAX]);
        all
    }
}
