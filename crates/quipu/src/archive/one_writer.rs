//! One writer at a time: the lock that it holds, and how readers of an earlier one learn of it.

use std::sync::Arc;

use super::shared::Shared;
use crate::entropy;
use crate::error::{Error, Result};
use crate::manifest::{self, Manifest};
use crate::storage::{Lock, Storage};
use crate::sync::Mutex;

pub(super) fn lock(storage: &dyn Storage) -> Result<Box<dyn Lock>> {
    let program = std::env::current_exe().ok();
    let program = program.as_deref().and_then(|path| path.file_name());
    let program = program.unwrap_or_default().to_string_lossy().into_owned();
    let holder = match entropy::is_simulated() {
        true => "a simulation".to_owned(),
        false => format!("process {} ({program})", std::process::id()),
    };
    let locked = storage.lock(manifest::PARTITION, manifest::LOCK, &holder);
    locked.map_err(|error| match error {
        Error::Locked { holder, .. } => Error::Locked {
            path: storage.path("", ""),
            holder,
        },
        other => other,
    })
}

/// The writer goes: whoever reads on changes no file any more, since another writer's may be in their place.
pub(super) fn end_writes(shared: &Shared) {
    // A section that is being woken is put right as of this writer, and a table that is healed removed.
    let _no_table_moves = shared.tables.hold();
    let _none_wakes = shared.waking.lock();
    shared.files.end_writes();
}

/// Says that there is another writer, before an open takes what readers of an earlier one may have.
pub(super) fn announce(manifest: &mut Manifest, storage: &Arc<dyn Storage>) -> Result<()> {
    match manifest.announce(storage) {
        // What goes may be what fills the disk.
        Err(Error::StorageFull { .. }) => Ok(()),
        stored => stored,
    }
}

/// The manifest while an open reads the sections.
///
/// Readers of an earlier writer may have what that never synced and what a cut takes: they would find damage. So the
/// first cut stores the manifest before it; an open that cuts nothing writes nothing. Where the [look](super::look) at
/// the lengths is left for later, so it is until that.
pub(super) struct BeforeCuts(Arc<Mutex<Manifest>>);

impl BeforeCuts {
    pub(super) fn begin(shared: &Shared, manifest: &Manifest) -> Self {
        let announced = Arc::new(Mutex::new(manifest.clone()));
        let (of, storage) = (Arc::clone(&announced), Arc::clone(&shared.storage));
        let announce = move || announce(&mut of.lock(), &storage);
        shared.files.ask_before_cut(Some(Box::new(announce)));
        Self(announced)
    }

    /// The manifest as it is by now.
    pub(super) fn manifest(&self) -> Manifest {
        self.0.lock().clone()
    }

    /// The manifest for the writer; and these as long as what rests may have to be cut.
    pub(super) fn keep(self, shared: &Shared) -> (Manifest, Option<Self>) {
        match shared.look.is_due() {
            true => (self.manifest(), Some(self)),
            false => (self.end(shared), None),
        }
    }

    /// From now on the manifest changes elsewhere.
    pub(super) fn end(self, shared: &Shared) -> Manifest {
        shared.files.ask_before_cut(None);
        self.manifest()
    }
}
