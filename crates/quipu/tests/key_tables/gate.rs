//! A storage that holds up who makes a key table, so that a test can do something meanwhile.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};

use quipu::Result;
use quipu::storage::{Blob, Lock, Memory, OpenMode, Storage};

/// Memory behind a gate that is open at first.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate {
    pub(super) memory: Memory,
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Debug, Default)]
struct State {
    is_closed: bool,
    waits: bool,
}

impl Gate {
    pub(super) fn close(&self) {
        self.state.0.lock().unwrap().is_closed = true;
    }

    pub(super) fn open_up(&self) {
        self.state.0.lock().unwrap().is_closed = false;
        self.state.1.notify_all();
    }

    /// Returns once somebody waits who has read the entries of a table, and is about to make its file.
    pub(super) fn wait_for_a_table(&self) {
        let state = self.state.0.lock().unwrap();
        drop(self.state.1.wait_while(state, |state| !state.waits));
    }

    fn pass(&self) {
        let mut state = self.state.0.lock().unwrap();
        state.waits = true;
        self.state.1.notify_all();
        state = (self.state.1)
            .wait_while(state, |state| state.is_closed)
            .unwrap();
        state.waits = false;
    }
}

impl Storage for Gate {
    fn open(&self, partition: &str, name: &str, mode: OpenMode) -> Result<Arc<dyn Blob>> {
        if mode == OpenMode::Create && name.starts_with("keys-") {
            self.pass();
        }
        self.memory.open(partition, name, mode)
    }

    fn remove(&self, partition: &str, name: &str) -> Result<()> {
        self.memory.remove(partition, name)
    }

    fn rename(&self, partition: &str, from: &str, to: &str) -> Result<()> {
        self.memory.rename(partition, from, to)
    }

    fn list(&self, partition: &str) -> Result<Vec<String>> {
        self.memory.list(partition)
    }

    fn sync_partition(&self, partition: &str) -> Result<()> {
        self.memory.sync_partition(partition)
    }

    fn remove_partition(&self, partition: &str) -> Result<()> {
        self.memory.remove_partition(partition)
    }

    fn lock(&self, partition: &str, name: &str, holder: &str) -> Result<Box<dyn Lock>> {
        self.memory.lock(partition, name, holder)
    }

    fn path(&self, partition: &str, name: &str) -> PathBuf {
        self.memory.path(partition, name)
    }
}
