//! A storage that holds up who makes a key table, so that a test can do something meanwhile.

use super::common::delegate::delegate;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use quipu::Result;
use quipu::storage::{Blob, Memory, OpenMode, Storage};

/// Nobody waits for longer: what is waited for has failed to come.
const LIMIT: Duration = Duration::from_secs(60);

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

/// A gate that is closed until this is dropped, also by a test that fails. To be declared behind the archive, whose
/// drop waits for who is held up.
#[must_use]
pub(super) struct Closed(Gate);

impl Drop for Closed {
    fn drop(&mut self) {
        if let Ok(mut state) = self.0.state.0.lock() {
            state.is_closed = false;
        }
        self.0.state.1.notify_all();
    }
}

impl Gate {
    pub(super) fn close(&self) -> Closed {
        self.state.0.lock().unwrap().is_closed = true;
        Closed(self.clone())
    }

    /// Returns once somebody waits who has read the entries of a table, and is about to make its file.
    pub(super) fn wait_for_a_table(&self) {
        self.wait_at_most(LIMIT);
    }

    fn wait_at_most(&self, limit: Duration) {
        let state = self.state.0.lock().unwrap();
        let waited = (self.state.1).wait_timeout_while(state, limit, |state| !state.waits);
        let (state, waited) = waited.unwrap();
        drop(state);
        assert!(
            !waited.timed_out(),
            "nobody makes a table, {limit:?} after it was due"
        );
    }

    fn pass(&self) {
        let mut state = self.state.0.lock().unwrap();
        state.waits = true;
        self.state.1.notify_all();
        let waited = (self.state.1).wait_timeout_while(state, LIMIT, |state| state.is_closed);
        let (mut state, waited) = waited.unwrap();
        state.waits = false;
        drop(state);
        assert!(!waited.timed_out(), "the gate was closed for {LIMIT:?}");
    }
}

impl Storage for Gate {
    fn open(&self, partition: &str, name: &str, mode: OpenMode) -> Result<Arc<dyn Blob>> {
        if mode == OpenMode::Create && name.starts_with("keys-") {
            self.pass();
        }
        self.memory.open(partition, name, mode)
    }

    delegate!(memory: remove, rename, list, sync_partition, remove_partition, lock, path_of);
}

#[test]
#[should_panic(expected = "nobody makes a table")]
fn who_waits_for_a_table_that_nobody_makes_is_told() {
    Gate::default().wait_at_most(Duration::from_millis(10));
}

/// A test that fails with the gate closed drops its archive, which waits for the thread at the gate.
#[test]
fn a_test_that_fails_opens_the_gate() {
    let (ended, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let failed = std::panic::catch_unwind(|| {
            let (_archive, _closed) = super::kept::making_a_table();
            panic!("as a test that fails");
        });
        ended.send(failed.is_err()).unwrap();
    });
    let ended = end.recv_timeout(LIMIT / 2);
    assert_eq!(ended, Ok(true), "the thread is still held up");
}
