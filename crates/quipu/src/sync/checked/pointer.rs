//! As the pointers of `arc_swap`: whoever loads one holds what it pointed to at that moment.

use std::ops::Deref;
use std::sync::Arc;

use super::RwLock;

/// As `arc_swap::ArcSwap`.
pub(crate) struct ArcSwap<T>(RwLock<Arc<T>>);

/// As `arc_swap::ArcSwapOption`.
pub(crate) struct ArcSwapOption<T>(RwLock<Option<Arc<T>>>);

/// As `arc_swap::Guard`.
pub(crate) struct Guard<P>(P);

impl<P> Deref for Guard<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.0
    }
}

impl<T> ArcSwap<T> {
    #[track_caller]
    pub(crate) fn new(value: Arc<T>) -> Self {
        Self(RwLock::new(value))
    }

    pub(crate) fn load(&self) -> Guard<Arc<T>> {
        Guard(Arc::clone(&self.0.read()))
    }

    pub(crate) fn store(&self, value: Arc<T>) {
        *self.0.write() = value;
    }

    pub(crate) fn rcu(&self, change: impl Fn(&Arc<T>) -> T) {
        let mut value = self.0.write();
        *value = Arc::new(change(&value));
    }
}

impl<T: Default> Default for ArcSwap<T> {
    #[track_caller]
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<T> ArcSwapOption<T> {
    pub(crate) fn load(&self) -> Guard<Option<Arc<T>>> {
        Guard(self.0.read().clone())
    }

    pub(crate) fn store(&self, value: Option<Arc<T>>) {
        drop(self.swap(value));
    }

    pub(crate) fn swap(&self, value: Option<Arc<T>>) -> Option<Arc<T>> {
        std::mem::replace(&mut *self.0.write(), value)
    }
}

impl<T> Default for ArcSwapOption<T> {
    #[track_caller]
    fn default() -> Self {
        Self(RwLock::default())
    }
}
