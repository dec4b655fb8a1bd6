//! The calls of the trait, on the machine.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use super::super::{Blob, Lock, OpenMode, Storage, check_blob_name, check_partition_name};
use super::blob::{SimulatedBlob, SimulatedLock};
use super::faults::Fault;
use super::file::{File, read_padded};
use super::log::{CallKind, digest_of};
use super::machine::{Done, FAILED, Machine, Request};
use super::names::{FileId, NameChange, Names};
use super::{Simulated, path_of};
use crate::error::{Error, Result};

/// How much of a lock holder's text is shown, in bytes.
const MAX_HOLDER_LEN: u64 = 512;

impl Storage for Simulated {
    fn open(&self, partition: &str, name: &str, mode: OpenMode) -> Result<Arc<dyn Blob>> {
        let kind = match mode {
            OpenMode::Read => CallKind::OpenRead,
            OpenMode::Write => CallKind::OpenWrite,
            OpenMode::Create => CallKind::Create,
        };
        let request = Request::new(kind, partition, name);
        let mut machine = self.lock_machine();
        let file = machine.call(&request, |machine, fault| {
            check_names(&request)?;
            if fault == Some(Fault::NoSpace) {
                return Err(request.no_space());
            }
            let file = match mode {
                OpenMode::Create => machine.make_file(&request),
                _ => machine.find(&request)?,
            };
            let opened = machine.file(&request)?;
            if mode != OpenMode::Create && opened.unreadable.is_whole() {
                return Err(request.unreadable());
            }
            Ok((file, 0))
        })?;
        machine.count_handle(file);
        drop(machine);
        let writable = mode != OpenMode::Read;
        let blob = SimulatedBlob::new(self.clone(), file, request, writable);
        Ok(Arc::new(blob))
    }

    fn remove(&self, partition: &str, name: &str) -> Result<()> {
        let request = Request::new(CallKind::Remove, partition, name);
        self.lock_machine().call(&request, |machine, _| {
            check_names(&request)?;
            let file = machine.find(&request)?;
            let name = Arc::clone(&request.name);
            machine.change_names(&request, NameChange::Remove { name })?;
            machine.set_named(file, false);
            Ok(((), 0))
        })
    }

    fn rename(&self, partition: &str, from: &str, to: &str) -> Result<()> {
        let target: Arc<str> = Arc::from(to);
        let request = Request {
            target: Some(Arc::clone(&target)),
            ..Request::new(CallKind::Rename, partition, from)
        };
        self.lock_machine().call(&request, |machine, fault| {
            check_names(&request)?;
            check_blob_name(to)?;
            let file = machine.find(&request)?;
            if fault == Some(Fault::NoSpace) {
                return Err(request.no_space());
            }
            if from != to {
                if let Some(replaced) = machine.file_id(partition, to) {
                    machine.set_named(replaced, false);
                }
                let change = NameChange::Rename {
                    from: Arc::clone(&request.name),
                    to: target,
                    file,
                };
                machine.change_names(&request, change)?;
            }
            Ok(((), 0))
        })
    }

    fn list(&self, partition: &str) -> Result<Vec<String>> {
        let request = Request::new(CallKind::List, partition, "");
        self.lock_machine().call(&request, |machine, _| {
            check_partition_name(partition)?;
            let names = machine.partitions.get(partition);
            let names = names.iter().flat_map(|names| names.current.keys());
            let names: Vec<String> = names.map(|name| name.to_string()).collect();
            let digest = digest_of(names.join("/").as_bytes());
            Ok((names, digest))
        })
    }

    fn sync_partition(&self, partition: &str) -> Result<()> {
        let request = Request::new(CallKind::SyncPartition, partition, "");
        self.lock_machine().call(&request, |machine, fault| {
            check_partition_name(partition)?;
            if fault == Some(Fault::FlushFails) {
                return Err(request.failed(FAILED));
            }
            machine.names(&request)?.sync();
            Ok(((), 0))
        })
    }

    fn remove_partition(&self, partition: &str) -> Result<()> {
        let request = Request::new(CallKind::RemovePartition, partition, "");
        self.lock_machine().call(&request, |machine, _| {
            check_partition_name(partition)?;
            let names = machine.partitions.get(partition);
            if names.is_some_and(|names| !names.current.is_empty()) {
                let reason = ErrorKind::DirectoryNotEmpty.into();
                return Err(Error::io("remove", request.path(), reason));
            }
            machine.partitions.remove(partition);
            Ok(((), 0))
        })
    }

    fn lock(&self, partition: &str, name: &str, holder: &str) -> Result<Box<dyn Lock>> {
        let request = Request {
            digest: digest_of(holder.as_bytes()),
            ..Request::new(CallKind::Lock, partition, name)
        };
        let mut machine = self.lock_machine();
        let file = machine.call(&request, |machine, _| {
            check_names(&request)?;
            machine.write_holder(&request, holder)
        })?;
        machine.locks.insert(file);
        drop(machine);
        Ok(Box::new(SimulatedLock::new(self.clone(), file)))
    }

    fn path(&self, partition: &str, name: &str) -> PathBuf {
        path_of(partition, name)
    }
}

fn check_names(request: &Request) -> Result<()> {
    check_partition_name(&request.partition)?;
    check_blob_name(&request.name)
}

impl Machine {
    fn find(&self, request: &Request) -> Result<FileId> {
        let file = self.file_id(&request.partition, &request.name);
        file.ok_or_else(|| request.not_found())
    }

    fn names(&mut self, request: &Request) -> Result<&mut Names> {
        let names = self.partitions.get_mut(&request.partition);
        names.ok_or_else(|| Error::NotFound {
            path: path_of(&request.partition, ""),
        })
    }

    fn change_names(&mut self, request: &Request, change: NameChange) -> Result<()> {
        self.names(request)?.change(change);
        Ok(())
    }

    /// The file of that name, created with its partition where it is missing.
    fn make_file(&mut self, request: &Request) -> FileId {
        let partition = Arc::clone(&request.partition);
        let names = self.partitions.entry(partition).or_default();
        if let Some(&file) = names.current.get(&request.name) {
            return file;
        }
        let file = self.files.len();
        names.change(NameChange::Create {
            name: Arc::clone(&request.name),
            file,
        });
        self.files.push(File::created());
        file
    }

    fn set_named(&mut self, file: FileId, named: bool) {
        if let Some(file) = self.files.get_mut(file) {
            file.named = named;
        }
    }

    fn count_handle(&mut self, file: FileId) {
        if let Some(file) = self.files.get_mut(file) {
            file.handles = file.handles.saturating_add(1);
        }
    }

    pub(super) fn close(&mut self, file: FileId) {
        if let Some(file) = self.files.get_mut(file) {
            file.handles = file.handles.saturating_sub(1);
        }
    }

    /// Writes into the lock's blob who holds it, unless somebody else does.
    fn write_holder(&mut self, request: &Request, holder: &str) -> Done<FileId> {
        let id = self.make_file(request);
        let held = self.locks.contains(&id);
        let file = self.file(request)?;
        if held {
            let len = file.current.len().min(MAX_HOLDER_LEN);
            let text = read_padded(&file.current, 0, len as usize);
            let text = String::from_utf8_lossy(&text);
            return Err(Error::Locked {
                path: request.path(),
                holder: match text.trim() {
                    "" => "somebody who has not said who".to_owned(),
                    text => text.to_owned(),
                },
            });
        }
        file.resize(0);
        file.write(0, holder.as_bytes().into());
        Ok((id, 0))
    }
}
