//! A set of fixed size; what was not used for longest (about: a clock, not a list) makes room for the next.

use std::sync::Arc;

use crate::sync::ArcSwapOption;
use crate::sync::atomic::{AtomicBool, Ordering};

/// Slots, each with a member, and a mark of its use. Who changes which member is where holds the [`Hand`].
pub(super) struct Clock<T> {
    slots: Box<[Slot<T>]>,
}

struct Slot<T> {
    member: ArcSwapOption<Member<T>>,
    /// Used since the hand came by.
    used: AtomicBool,
}

/// What is in a slot, and whose it is.
pub(super) struct Member<T> {
    id: u64,
    item: Arc<T>,
}

#[derive(Debug, Default)]
pub(super) struct Hand {
    /// The slot to look at next.
    at: usize,
    /// How many slots have a member.
    members: usize,
}

impl Hand {
    pub(super) fn members(&self) -> usize {
        self.members
    }
}

impl<T> Clock<T> {
    pub(super) fn new(capacity: usize) -> Self {
        let slot = || Slot {
            member: ArcSwapOption::default(),
            used: AtomicBool::new(false),
        };
        Self {
            slots: (0..capacity).map(|_| slot()).collect(),
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// Bytes of memory of the slots.
    pub(super) fn memory(&self) -> usize {
        size_of_val(&*self.slots)
    }

    /// What `look` makes of the item of an id, if that is in this slot. No lock is taken, and no memory changed that
    /// others read, but for a mark that the first one sets.
    #[inline]
    pub(super) fn look<R>(
        &self,
        slot: usize,
        id: u64,
        look: impl FnOnce(&Arc<T>) -> R,
    ) -> Option<R> {
        let slot = self.slots.get(slot)?;
        let member = slot.member.load();
        let member = member.as_ref().filter(|member| member.id == id)?;
        // Read first: readers that find the mark set then share the line.
        if !slot.used.load(Ordering::Relaxed) {
            slot.used.store(true, Ordering::Relaxed);
        }
        Some(look(&member.item))
    }

    /// What `look` makes of every member.
    pub(super) fn each<'a, R>(
        &'a self,
        mut look: impl FnMut(&T) -> R + 'a,
    ) -> impl Iterator<Item = R> + 'a {
        let members = self.slots.iter().map(|slot| slot.member.load());
        members.filter_map(move |member| member.as_ref().map(|member| look(&member.item)))
    }

    /// The slot to use next: a free one, else one that was not used lately and that nobody holds,
    /// else any. Those in use are passed over because taking them out closes nothing.
    pub(super) fn free_slot(&self, hand: &mut Hand) -> usize {
        if hand.members < self.slots.len() {
            let is_free = |slot: &Slot<T>| slot.member.load().is_none();
            return self.turn(hand, is_free).unwrap_or(0);
        }
        // The first turn takes the marks away, so that the second finds what nobody holds.
        self.turn(hand, Slot::is_idle)
            .or_else(|| self.turn(hand, Slot::is_idle))
            .or_else(|| self.turn(hand, |_| true))
            .unwrap_or(0)
    }

    /// Moves the hand on, once around at most, to behind a slot that is `wanted`.
    fn turn(&self, hand: &mut Hand, wanted: impl Fn(&Slot<T>) -> bool) -> Option<usize> {
        for _ in 0..self.slots.len() {
            let at = hand.at;
            hand.at = if at + 1 < self.slots.len() { at + 1 } else { 0 };
            if self.slots.get(at).is_some_and(&wanted) {
                return Some(at);
            }
        }
        None
    }

    /// Puts an item into a slot. What was there is returned, to be dropped without the lock: that
    /// may close it.
    pub(super) fn fill(
        &self,
        hand: &mut Hand,
        slot: usize,
        id: u64,
        item: Arc<T>,
    ) -> Option<Arc<Member<T>>> {
        let slot = self.slots.get(slot)?;
        let before = slot.member.swap(Some(Arc::new(Member { id, item })));
        // Unmarked until it is asked for again: what is read once, one after the other, does
        // not push out what is in daily use. The hand has just left the slot, so its turn is last.
        slot.used.store(false, Ordering::Relaxed);
        hand.members += usize::from(before.is_none());
        before
    }

    pub(super) fn empty(&self, hand: &mut Hand, slot: usize) -> Option<Arc<Member<T>>> {
        let before = self.slots.get(slot)?.member.swap(None);
        hand.members -= usize::from(before.is_some());
        before
    }
}

impl<T> Slot<T> {
    /// Whether nobody used the member since the hand came by, nor holds it now. Takes the mark away.
    fn is_idle(&self) -> bool {
        let marked = self.used.swap(false, Ordering::Relaxed);
        let unheld = |member: &Arc<Member<T>>| Arc::strong_count(&member.item) == 1;
        !marked && self.member.load().as_ref().is_none_or(unheld)
    }
}
