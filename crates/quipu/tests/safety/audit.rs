//! What is durable of a disk after each call of a log, as far as names and lengths tell it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quipu::storage::simulated::{Call, CallKind, Outcome};

/// (partition, name)
type Place = (Arc<str>, Arc<str>);

#[derive(Clone, Copy, Default)]
struct Blob {
    len: u64,
    /// Changed since its last flush.
    dirty: bool,
    /// Cut since its last flush.
    cut: bool,
    /// Its name is durable.
    named: bool,
}

/// The blobs, and the partitions whose names are not durable.
#[derive(Default)]
pub(super) struct Disk {
    blobs: BTreeMap<Place, Blob>,
    unnamed: BTreeSet<Arc<str>>,
}

impl Disk {
    /// Takes in a call.
    pub(super) fn apply(&mut self, call: &Call) {
        if call.outcome != Outcome::Done {
            return;
        }
        let place = (Arc::clone(&call.partition), Arc::clone(&call.name));
        match call.kind {
            CallKind::Create if !self.blobs.contains_key(&place) => {
                self.blobs.insert(place, Blob::default());
                self.change_names(call);
            }
            CallKind::Remove => {
                self.blobs.remove(&place);
                self.change_names(call);
            }
            CallKind::Rename => {
                let mut blob = self.blobs.remove(&place).unwrap_or_default();
                blob.named = false;
                let to = call.target.clone().unwrap_or_default();
                self.blobs.insert((place.0, to), blob);
                self.change_names(call);
            }
            CallKind::SyncPartition => {
                self.unnamed.remove(&call.partition);
                let all = self.blobs.iter_mut();
                all.filter(|((of, _), _)| *of == call.partition)
                    .for_each(|(_, blob)| blob.named = true);
            }
            CallKind::Write | CallKind::Resize | CallKind::Sync => {
                if let Some(blob) = self.blobs.get_mut(&place) {
                    blob.apply(call);
                }
            }
            _ => {}
        }
    }

    /// A file that is being made, or made ahead of its use, counts for nothing until it gets its name: whether
    /// it is there after a crash is all the same.
    fn change_names(&mut self, call: &Call) {
        if call.kind == CallKind::Rename || !call.name.ends_with(".new") {
            self.unnamed.insert(Arc::clone(&call.partition));
        }
    }

    fn blob(&self, partition: &str, name: &str) -> Blob {
        let place = (Arc::from(partition), Arc::from(name));
        self.blobs.get(&place).copied().unwrap_or_default()
    }

    pub(super) fn has(&self, partition: &str, name: &str) -> bool {
        let place = (Arc::from(partition), Arc::from(name));
        self.blobs.contains_key(&place)
    }

    /// Whether all bytes and the length of a blob are durable.
    pub(super) fn is_flushed(&self, partition: &str, name: &str) -> bool {
        !self.blob(partition, name).dirty
    }

    /// Whether a blob is shorter than what is durable of it may be.
    pub(super) fn is_cut(&self, partition: &str, name: &str) -> bool {
        self.blob(partition, name).cut
    }

    /// Whether the name of a blob is durable.
    pub(super) fn has_durable_name(&self, partition: &str, name: &str) -> bool {
        self.blob(partition, name).named
    }

    /// Whether the names of a partition are durable.
    pub(super) fn is_named(&self, partition: &str) -> bool {
        !self.unnamed.contains(partition)
    }

    /// Whether everything in a partition is durable.
    pub(super) fn is_settled(&self, partition: &str) -> bool {
        let blobs = self.blobs.iter().filter(|((of, _), _)| &**of == partition);
        self.is_named(partition) && blobs.into_iter().all(|(_, blob)| !blob.dirty)
    }
}

impl Blob {
    fn apply(&mut self, call: &Call) {
        match call.kind {
            CallKind::Write => {
                self.len = self.len.max(call.offset + call.len);
                self.dirty = true;
            }
            CallKind::Resize => {
                self.cut |= call.len < self.len;
                self.dirty |= call.len != self.len;
                self.len = call.len;
            }
            _ => (self.dirty, self.cut) = (false, false),
        }
    }
}
