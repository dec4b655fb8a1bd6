//! Locks and atomics: the one place that says which are used.

pub(crate) use parking_lot::{Mutex, MutexGuard, RwLock, RwLockUpgradableReadGuard};
pub(crate) use std::sync::{OnceLock, atomic};
