//! A handle to a blob of the machine.

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use super::super::handle::Handle;
use super::super::{Blob, Lock, reserve};
use super::Simulated;
use super::faults::Fault;
use super::file::File;
use super::log::{CallKind, digest_of};
use super::machine::{FAILED, Machine, Request};
use super::names::FileId;
use crate::error::Result;

#[derive(Debug)]
pub(super) struct SimulatedBlob {
    machine: Simulated,
    file: FileId,
    partition: Arc<str>,
    name: Arc<str>,
    handle: Handle,
}

impl SimulatedBlob {
    /// A handle that was counted already.
    pub(super) fn new(machine: Simulated, file: FileId, request: Request, writable: bool) -> Self {
        Self {
            machine,
            file,
            handle: Handle::new(request.path(), writable),
            partition: request.partition,
            name: request.name,
        }
    }

    fn request(&self, kind: CallKind, offset: u64, len: u64) -> Request {
        Request {
            file: Some(self.file),
            offset,
            len,
            ..Request::of(kind, &self.partition, &self.name)
        }
    }

    /// A read; `fill` takes the bytes and gives back those that it took.
    fn read(&self, offset: u64, len: usize, fill: impl FnOnce(&File) -> Result<u64>) -> Result<()> {
        let request = self.request(CallKind::Read, offset, len as u64);
        self.machine
            .lock_machine()
            .call(&request, |machine, fault| {
                let file = machine.file(&request)?;
                let there = file.current.len();
                self.handle.check_read(offset, len as u64, there)?;
                if fault == Some(Fault::ReadError) {
                    return Err(request.failed(FAILED));
                }
                if file.unreadable.has(offset, len as u64) {
                    return Err(request.unreadable());
                }
                Ok(((), fill(file)?))
            })
    }
}

impl Blob for SimulatedBlob {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.read(offset, buf.len(), |file| {
            file.current.read(offset, buf);
            Ok(digest_of(buf))
        })
    }

    fn read_into(&self, buf: &mut Vec<u8>, offset: u64, len: usize) -> Result<()> {
        let start = buf.len();
        let read = self.read(offset, len, |file| {
            reserve(buf, len, self.handle.path())?;
            file.current.read_into(offset, len, buf);
            Ok(digest_of(buf.split_at(start).1))
        });
        read.inspect_err(|_| buf.truncate(start))
    }

    fn write_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> Result<()> {
        let bytes = bufs.iter().flat_map(|buf| buf.iter().copied());
        let bytes: Vec<u8> = bytes.collect();
        let len = bytes.len() as u64;
        let request = Request {
            digest: digest_of(&bytes),
            ..self.request(CallKind::Write, offset, len)
        };
        self.machine
            .lock_machine()
            .call(&request, |machine, fault| {
                self.handle.check_writable()?;
                let there = machine.file(&request)?.current.len();
                self.handle.check_reach(offset, len, there)?;
                write(machine, &request, &bytes, fault).map(|()| ((), 0))
            })
    }

    fn resize(&self, len: u64) -> Result<()> {
        let request = self.request(CallKind::Resize, 0, len);
        self.machine
            .lock_machine()
            .call(&request, |machine, fault| {
                self.handle.check_writable()?;
                let file = machine.file(&request)?;
                self.handle.check_reach(len, 0, file.current.len())?;
                if fault == Some(Fault::NoSpace) {
                    return Err(request.no_space());
                }
                file.resize(len);
                Ok(((), 0))
            })
    }

    fn sync(&self) -> Result<()> {
        let request = self.request(CallKind::Sync, 0, 0);
        self.machine
            .lock_machine()
            .call(&request, |machine, fault| {
                if fault == Some(Fault::FlushFails) {
                    let mut random = machine.random.clone();
                    machine.file(&request)?.fail_sync(&mut random);
                    machine.random = random;
                    return Err(request.failed(FAILED));
                }
                machine.file(&request)?.sync();
                Ok(((), 0))
            })
    }

    fn len(&self) -> Result<u64> {
        let request = self.request(CallKind::Len, 0, 0);
        self.machine.lock_machine().call(&request, |machine, _| {
            let len = machine.file(&request)?.current.len();
            Ok((len, len))
        })
    }

    fn path(&self) -> &Path {
        self.handle.path()
    }
}

/// Writes the bytes, or, as a fault or the disk's size says, the first of them.
fn write(
    machine: &mut Machine,
    request: &Request,
    bytes: &[u8],
    fault: Option<Fault>,
) -> Result<()> {
    let len = bytes.len() as u64;
    let part = match fault {
        Some(Fault::ShortWrite | Fault::NoSpace) => machine.random.below(len),
        _ => len,
    };
    let file = request.file.and_then(|id| machine.files.get(id));
    let room = file.map_or(0, |file| machine.room(file, request.offset, part));
    let (kept, _) = bytes.split_at(room as usize);
    machine.file(request)?.write(request.offset, kept.into());
    match fault {
        Some(Fault::ShortWrite) => Err(request.failed(FAILED)),
        Some(Fault::NoSpace) => Err(request.no_space()),
        _ if room < len => Err(request.no_space()),
        _ => Ok(()),
    }
}

impl Drop for SimulatedBlob {
    fn drop(&mut self) {
        self.machine.lock_machine().close(self.file);
    }
}

#[derive(Debug)]
pub(super) struct SimulatedLock {
    machine: Simulated,
    file: FileId,
}

impl SimulatedLock {
    pub(super) fn new(machine: Simulated, file: FileId) -> Self {
        Self { machine, file }
    }
}

impl Lock for SimulatedLock {}

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        let mut machine = self.machine.lock_machine();
        machine.locks.remove(&self.file);
        // A machine that has stopped does nothing any more, so its disk stays as it is.
        if !machine.stopped
            && let Some(file) = machine.files.get_mut(self.file)
        {
            file.resize(0);
        }
    }
}
