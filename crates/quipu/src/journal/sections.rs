//! The set of sections of a journal that is used on its own: what all journals share.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::config::Config;
use crate::error::{Error, Result};
use crate::format::{NEW_SUFFIX, section_name, section_number};
use crate::storage::{Access, BlobFile, OpenFiles, Storage, check_partition_name};

/// The sections of one journal, each with its files in one partition (`S` holds them).
#[derive(Debug)]
pub(super) struct Sections<S> {
    pub(super) files: Arc<OpenFiles>,
    pub(super) partition: Arc<str>,
    pub(super) map: BTreeMap<u64, S>,
    /// Sections below were pruned.
    pub(super) oldest_allowed: u64,
    /// Whether files were created or removed since the partition was flushed.
    pub(super) names_changed: bool,
    poisoned: Option<String>,
}

impl<S> Sections<S> {
    pub(super) fn new(storage: Arc<dyn Storage>, partition: &str, config: &Config) -> Result<Self> {
        check_partition_name(partition)?;
        if config.page_size == 0 {
            return Err(Error::InvalidOption {
                option: "page_size",
                reason: "a page has 1 to 65,535 bytes".to_owned(),
            });
        }
        let files = OpenFiles::new(storage, config.max_open_files, Access::Write, config.layout);
        Ok(Self {
            files,
            partition: Arc::from(partition),
            map: BTreeMap::new(),
            oldest_allowed: 0,
            names_changed: false,
            poisoned: None,
        })
    }

    pub(super) fn storage(&self) -> &dyn Storage {
        &**self.files.storage()
    }

    /// The numbers of the sections that have a file, ascending. What an interrupted creation left
    /// is removed; anything else that is no section is an error.
    pub(super) fn list(&self) -> Result<Vec<u64>> {
        let mut sections = Vec::new();
        for name in self.storage().list(&self.partition)? {
            match (section_number(&name), name.strip_suffix(NEW_SUFFIX)) {
                (Some(section), _) => sections.push(section),
                (None, Some(of)) if section_number(of).is_some() => {
                    self.storage().remove(&self.partition, &name)?;
                }
                _ => {
                    return Err(Error::NotABlob {
                        path: self.storage().path(&self.partition, &name),
                        reason: "its name is not that of a section, 16 hex digits",
                    });
                }
            }
        }
        Ok(sections)
    }

    pub(super) fn file(&self, section: u64) -> BlobFile {
        BlobFile::new(&self.files, &self.partition, section)
    }

    /// The section, or why there is none.
    pub(super) fn get(&self, section: u64) -> Result<&S> {
        if section < self.oldest_allowed {
            return Err(self.pruned(section));
        }
        self.map
            .get(&section)
            .ok_or(Error::SectionOutOfRange { section })
    }

    fn pruned(&self, section: u64) -> Error {
        Error::SectionPruned {
            section,
            oldest: self.oldest_allowed,
        }
    }

    /// Refuses a section that was pruned, and every one after a failed write.
    pub(super) fn check_writable(&self, section: u64) -> Result<()> {
        if section < self.oldest_allowed {
            return Err(self.pruned(section));
        }
        self.check_usable()
    }

    pub(super) fn check_usable(&self) -> Result<()> {
        match &self.poisoned {
            None => Ok(()),
            Some(cause) => Err(Error::Poisoned {
                cause: cause.clone(),
            }),
        }
    }

    /// Lets an error through and remembers it: nothing is written any more.
    pub(super) fn poison_on_error<T>(&mut self, result: Result<T>) -> Result<T> {
        result.inspect_err(|error| {
            self.poisoned.get_or_insert_with(|| error.to_string());
        })
    }

    /// Takes the sections below `min` out of the map; none of them is accepted again.
    pub(super) fn take_below(&mut self, min: u64) -> Vec<(u64, S)> {
        self.oldest_allowed = self.oldest_allowed.max(min);
        let kept = self.map.split_off(&min);
        std::mem::replace(&mut self.map, kept).into_iter().collect()
    }

    /// Takes the sections above `last` out of the map.
    pub(super) fn take_above(&mut self, last: u64) -> Vec<(u64, S)> {
        match last.checked_add(1) {
            Some(first) => self.map.split_off(&first).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// Removes the file of a section; durable after [`sync_names`](Self::sync_names).
    pub(super) fn remove_file(&mut self, section: u64) -> Result<()> {
        self.names_changed = true;
        match self
            .storage()
            .remove(&self.partition, &section_name(section))
        {
            Err(Error::NotFound { .. }) => Ok(()),
            other => other,
        }
    }

    /// Makes creations and removals durable.
    pub(super) fn sync_names(&mut self) -> Result<()> {
        if self.names_changed {
            self.storage().sync_partition(&self.partition)?;
            self.names_changed = false;
        }
        Ok(())
    }

    pub(super) fn oldest(&self) -> Option<u64> {
        self.map.keys().next().copied()
    }

    pub(super) fn newest(&self) -> Option<u64> {
        self.map.keys().next_back().copied()
    }
}
