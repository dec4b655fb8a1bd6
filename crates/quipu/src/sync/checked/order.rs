//! The order in which locks are taken.
//!
//! Locks that are made at one place of the source are of one class. When a thread takes a lock
//! while it holds others, that order of classes is noted for good, in all threads and all orders
//! of steps that are tried; the reverse order is then an error, whether or not it comes to a
//! deadlock. So is taking a lock twice, also to read: `parking_lot` lets a waiting writer go first.
//!
//! With `QUIPU_LOCK_ORDER` set, each new order is told on the standard error.

use std::collections::BTreeSet;
use std::panic::Location;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

type Place = (&'static str, u32, u32);

/// (taken first, taken while that was held)
static ORDERS: LazyLock<Mutex<BTreeSet<(Place, Place)>>> = LazyLock::new(Mutex::default);

/// Where in the source a lock is made.
#[derive(Clone, Copy)]
pub(super) struct Class(Place);

/// The locks that one thread holds or waits for: class and address.
type Stack = Arc<Mutex<Vec<(Place, usize)>>>;

shuttle::thread_local!(static HELD: Stack = Stack::default());

/// A lock that a thread holds or waits for. Dropped after the lock's own guard.
pub(super) struct Held {
    stack: Stack,
    address: usize,
}

impl Class {
    #[track_caller]
    pub(super) fn here() -> Self {
        let caller = Location::caller();
        Self((caller.file(), caller.line(), caller.column()))
    }

    /// Notes that the thread is about to take the lock.
    pub(super) fn take<T>(self, lock: &T) -> Held {
        let address = std::ptr::from_ref(lock).addr();
        let stack = HELD.with(Arc::clone);
        for &(class, of) in locked(&stack).iter() {
            assert!(of != address, "{:?} is taken twice by a thread", self.0);
            note(class, self.0);
        }
        locked(&stack).push((self.0, address));
        Held { stack, address }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        locked(&self.stack).retain(|&(_, address)| address != self.address);
    }
}

fn note(first: Place, then: Place) {
    let mut orders = locked(&ORDERS);
    if orders.insert((first, then)) {
        if std::env::var_os("QUIPU_LOCK_ORDER").is_some() {
            eprintln!("lock order: {first:?} before {then:?}");
        }
        let reverse = leads_to(&orders, then, first);
        // Without the lock, which other tests go on to use.
        drop(orders);
        assert!(!reverse, "{then:?} and {first:?} are taken in both orders");
    }
}

/// Whether one lock is taken before the other, or before one that is.
fn leads_to(orders: &BTreeSet<(Place, Place)>, from: Place, to: Place) -> bool {
    let (mut seen, mut rest) = (BTreeSet::new(), vec![from]);
    while let Some(at) = rest.pop() {
        if at == to {
            return true;
        }
        if seen.insert(at) {
            let behind = orders.iter().filter(|(first, _)| *first == at);
            rest.extend(behind.map(|(_, then)| *then));
        }
    }
    false
}

fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::{Mutex, RwLock};

    /// One thread takes both orders one after the other, which no deadlock can show.
    #[test]
    #[should_panic(expected = "in both orders")]
    fn two_orders_are_told_without_a_deadlock() {
        shuttle::check_random(
            || {
                let (a, b) = (Mutex::new(0), RwLock::new(0));
                let first = (a.lock(), b.read());
                drop(first);
                let _second = (b.write(), a.lock());
            },
            1,
        );
    }

    #[test]
    #[should_panic(expected = "taken twice")]
    fn a_lock_that_is_read_twice_is_told() {
        shuttle::check_random(
            || {
                let lock = RwLock::new(0);
                let _twice = (lock.read(), lock.read());
            },
            1,
        );
    }

    #[test]
    fn one_order_is_fine() {
        shuttle::check_random(
            || {
                let (a, b) = (Mutex::new(0), RwLock::new(0));
                for _ in 0..2 {
                    let _both = (a.lock(), b.write());
                }
                let _other = b.read();
            },
            1,
        );
    }
}
