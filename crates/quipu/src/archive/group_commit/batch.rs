//! What becomes of the puts that share a flush, and who is to be told.

use std::sync::Arc;
use std::task::{Poll, Waker};

use crate::archive::writer::Put;
use crate::error::Result;
use crate::sync::{Condvar, Mutex};

/// One allocation for all that share a flush; each has a place in it.
#[derive(Debug, Default)]
pub(super) struct Batch {
    places: Mutex<Vec<Place>>,
    /// Waited for with the queue's lock: told when the results are there, or that a leader is wanted.
    pub(super) changed: Condvar,
}

#[derive(Debug)]
enum Place {
    /// Nothing is known; whom to wake, if a task waits already.
    Open(Option<Waker>),
    Known(Result<Put>),
    /// The result was taken.
    Empty,
}

/// A place in a batch.
#[derive(Debug)]
pub(super) struct Ticket {
    batch: Arc<Batch>,
    nth: usize,
}

impl Batch {
    pub(super) fn with_capacity(places: usize) -> Self {
        Self {
            places: Mutex::new(Vec::with_capacity(places)),
            changed: Condvar::default(),
        }
    }

    /// The next place.
    pub(super) fn join(this: &Arc<Self>) -> Ticket {
        let mut places = this.places.lock();
        places.push(Place::Open(None));
        Ticket {
            batch: Arc::clone(this),
            nth: places.len() - 1,
        }
    }

    /// Says what became of each; who is to be woken, without a lock.
    #[must_use]
    pub(super) fn tell(&self, results: impl IntoIterator<Item = Result<Put>>) -> Vec<Waker> {
        let mut places = self.places.lock();
        let told = places
            .iter_mut()
            .zip(results)
            .filter_map(
                |(place, result)| match std::mem::replace(place, Place::Known(result)) {
                    Place::Open(waker) => waker,
                    Place::Known(_) | Place::Empty => None,
                },
            );
        told.collect()
    }
}

impl Ticket {
    pub(super) fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The result, once.
    pub(super) fn result(&self) -> Option<Result<Put>> {
        let mut places = self.batch.places.lock();
        take(places.get_mut(self.nth)?)
    }

    /// The result, once; or the one to be woken then.
    pub(super) fn poll(&self, waker: &Waker) -> Poll<Result<Put>> {
        // Made and dropped without the lock: who knows what a waker does.
        let mut waker = Some(waker.clone());
        let mut places = self.batch.places.lock();
        let Some(place) = places.get_mut(self.nth) else {
            return Poll::Pending;
        };
        if let Some(result) = take(place) {
            return Poll::Ready(result);
        }
        if let Place::Open(last) = place {
            std::mem::swap(last, &mut waker);
        }
        drop(places);
        Poll::Pending
    }

    /// Nobody is to be woken.
    pub(super) fn forget(&self) {
        let mut places = self.batch.places.lock();
        let waker = match places.get_mut(self.nth) {
            Some(Place::Open(waker)) => waker.take(),
            _ => None,
        };
        drop(places);
        drop(waker);
    }
}

fn take(place: &mut Place) -> Option<Result<Put>> {
    match std::mem::replace(place, Place::Empty) {
        Place::Known(result) => Some(result),
        other => {
            *place = other;
            None
        }
    }
}
