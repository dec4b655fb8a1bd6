//! The names of a partition: what is durable, what is seen, and the changes between.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Which of the machine's files.
pub(super) type FileId = usize;

/// Names and the files that they lead to.
pub(super) type NameMap = BTreeMap<Arc<str>, FileId>;

/// A change of names that was not made durable.
#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Create {
        name: Arc<str>,
        file: FileId,
    },
    Remove {
        name: Arc<str>,
    },
    Rename {
        from: Arc<str>,
        to: Arc<str>,
        file: FileId,
    },
}

impl NameChange {
    /// Does the change, also where earlier ones were lost: a file that was renamed has its new
    /// name and no other.
    pub(super) fn apply(&self, names: &mut NameMap) {
        match self {
            Self::Create { name, file } => {
                names.insert(Arc::clone(name), *file);
            }
            Self::Remove { name } => {
                names.remove(name);
            }
            Self::Rename { from, to, file } => {
                names.remove(from);
                names.retain(|_, other| other != file);
                names.insert(Arc::clone(to), *file);
            }
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    pub(super) durable: NameMap,
    pub(super) current: NameMap,
    pub(super) pending: Vec<NameChange>,
}

impl Names {
    /// A partition after a crash that left these names.
    pub(super) fn durable(names: NameMap) -> Self {
        Self {
            durable: names.clone(),
            current: names,
            pending: Vec::new(),
        }
    }

    pub(super) fn change(&mut self, change: NameChange) {
        change.apply(&mut self.current);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self) {
        if !self.pending.is_empty() {
            self.durable.clone_from(&self.current);
            self.pending.clear();
        }
    }
}
