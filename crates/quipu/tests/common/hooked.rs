//! A storage that calls back before a file is opened, gets its name or goes.

use super::common::delegate::delegate;
use std::fmt;
use std::sync::{Arc, Mutex};

use quipu::Result;
use quipu::storage::{Blob, Memory, OpenMode, Storage};

/// What is about to be done, and to which file: `open index/0000000000000000`.
type Hook = Box<dyn FnMut(&str) + Send>;

/// Memory whose calls can be watched; clones share it.
#[derive(Clone)]
pub struct Hooked {
    pub inner: Memory,
    hook: Arc<Mutex<Option<Hook>>>,
}

impl Hooked {
    pub fn new(inner: Memory) -> Self {
        Self {
            inner,
            hook: Arc::default(),
        }
    }

    /// Calls back the next time that `what` comes, and not again.
    pub fn once(&self, what: &'static str, then: impl FnOnce() + Send + 'static) {
        self.nth(0, what, then);
    }

    /// As [`once`](Self::once), but lets `what` come so many times before.
    pub fn nth(&self, nth: u32, what: &'static str, then: impl FnOnce() + Send + 'static) {
        let (mut before, mut then) = (nth, Some(then));
        let hook = move |call: &str| {
            if call == what {
                match before.checked_sub(1) {
                    Some(left) => before = left,
                    None => then.take().into_iter().for_each(|then| then()),
                }
            }
        };
        *self.hook.lock().unwrap() = Some(Box::new(hook));
    }

    fn call(&self, what: &str, partition: &str, name: &str) {
        // Taken out, so that what is called back can use the storage.
        let hook = self.hook.lock().unwrap().take();
        if let Some(mut hook) = hook {
            hook(&format!("{what} {partition}/{name}"));
            self.hook.lock().unwrap().get_or_insert(hook);
        }
    }
}

impl fmt::Debug for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooked").finish_non_exhaustive()
    }
}

impl Storage for Hooked {
    fn open(&self, partition: &str, name: &str, mode: OpenMode) -> Result<Arc<dyn Blob>> {
        self.call("open", partition, name);
        self.inner.open(partition, name, mode)
    }

    fn rename(&self, partition: &str, from: &str, to: &str) -> Result<()> {
        self.call("rename", partition, to);
        self.inner.rename(partition, from, to)
    }

    fn remove(&self, partition: &str, name: &str) -> Result<()> {
        self.call("remove", partition, name);
        self.inner.remove(partition, name)
    }

    delegate!(inner: list, sync_partition, remove_partition, lock, path_of);
}
