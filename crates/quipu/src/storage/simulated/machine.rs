//! The machine that all clones share: its disk, and what every call goes through.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::crash::Remains;
use super::faults::{Fault, FaultRates};
use super::file::{BLOCK, File};
use super::log::{Call, CallKind, Log, Outcome};
use super::names::{FileId, Names};
use super::random::{Random, mix};
use super::{When, path_of};
use crate::error::{Error, Result};

/// What a call asks for.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) kind: CallKind,
    pub(super) partition: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) target: Option<Arc<str>>,
    /// The file of a call through a handle.
    pub(super) file: Option<FileId>,
    pub(super) offset: u64,
    pub(super) len: u64,
    /// Stands for the bytes that it brings.
    pub(super) digest: u64,
}

impl Request {
    /// A call on a blob, or on a partition when `name` is empty.
    pub(super) fn new(kind: CallKind, partition: &str, name: &str) -> Self {
        Self::of(kind, &Arc::from(partition), &Arc::from(name))
    }

    pub(super) fn of(kind: CallKind, partition: &Arc<str>, name: &Arc<str>) -> Self {
        Self {
            kind,
            partition: Arc::clone(partition),
            name: Arc::clone(name),
            target: None,
            file: None,
            offset: 0,
            len: 0,
            digest: 0,
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        path_of(&self.partition, &self.name)
    }

    /// A failure of the machine, as the operating system would report it.
    pub(super) fn failed(&self, why: &'static str) -> Error {
        Error::io(self.kind.action(), self.path(), io::Error::other(why))
    }

    /// What a disk says of bytes that it cannot read.
    pub(super) fn unreadable(&self) -> Error {
        Error::io(
            self.kind.action(),
            self.path(),
            io::Error::from_raw_os_error(EIO),
        )
    }

    pub(super) fn no_space(&self) -> Error {
        Error::StorageFull {
            action: self.kind.action(),
            path: self.path(),
        }
    }

    pub(super) fn not_found(&self) -> Error {
        Error::NotFound { path: self.path() }
    }
}

/// What a call gives back, and what stands for it in the log's hash.
pub(super) type Done<T> = Result<(T, u64)>;

pub(super) const FAILED: &str = "the simulation failed this call";
/// The number of this error on every Unix.
const EIO: i32 = 5;
const STOPPED: &str = "the simulated machine has stopped";

#[derive(Debug)]
pub(super) struct Machine {
    pub(super) files: Vec<File>,
    pub(super) partitions: BTreeMap<Arc<str>, Names>,
    /// Whose lock is held.
    pub(super) locks: BTreeSet<FileId>,
    pub(super) capacity: Option<u64>,
    pub(super) rates: Option<FaultRates>,
    pub(super) injected: Vec<(u64, Fault)>,
    pub(super) stop_at: Option<(u64, When)>,
    pub(super) stopped: bool,
    pub(super) log: Log,
    pub(super) random: Random,
}

impl Machine {
    pub(super) fn new(seed: u64, disk: Remains, capacity: Option<u64>) -> Self {
        Self {
            files: disk.files,
            partitions: disk.partitions,
            locks: BTreeSet::new(),
            capacity,
            rates: None,
            injected: Vec::new(),
            stop_at: None,
            stopped: false,
            log: Log::default(),
            random: Random::new(mix(seed)),
        }
    }

    /// Takes one call: numbers it, stops or fails it where that was asked for, logs it.
    pub(super) fn call<T>(
        &mut self,
        request: &Request,
        run: impl FnOnce(&mut Self, Option<Fault>) -> Done<T>,
    ) -> Result<T> {
        let number = self.log.len();
        let stop = self.stop_at.filter(|&(at, _)| number >= at);
        if self.stopped || matches!(stop, Some((_, When::Before))) {
            self.stopped = true;
            self.note(request, Outcome::Stopped, 0);
            return Err(request.failed(STOPPED));
        }
        let fault = self.take_fault(number, request);
        if fault == Some(Fault::ErrorBefore) {
            self.note(request, Outcome::Failed(Fault::ErrorBefore), 0);
            return Err(request.failed(FAILED));
        }
        let result = run(self, fault);
        if stop.is_some() {
            self.stopped = true;
            self.note(request, Outcome::Stopped, 0);
            return Err(request.failed(STOPPED));
        }
        self.finish(request, fault, result)
    }

    fn finish<T>(&mut self, request: &Request, fault: Option<Fault>, done: Done<T>) -> Result<T> {
        match (done, fault) {
            (Ok(_), Some(Fault::ErrorAfter)) => {
                self.note(request, Outcome::Failed(Fault::ErrorAfter), 0);
                Err(request.failed(FAILED))
            }
            (Ok((value, digest)), fault) => {
                let outcome = fault.map_or(Outcome::Done, Outcome::Damaged);
                self.note(request, outcome, digest);
                Ok(value)
            }
            (Err(error @ (Error::Io { .. } | Error::StorageFull { .. })), Some(fault)) => {
                self.note(request, Outcome::Failed(fault), 0);
                Err(error)
            }
            (Err(error), _) => {
                self.note(request, Outcome::of(&error), 0);
                Err(error)
            }
        }
    }

    fn note(&mut self, request: &Request, outcome: Outcome, digest: u64) {
        let call = Call {
            number: self.log.len(),
            kind: request.kind,
            partition: Arc::clone(&request.partition),
            name: Arc::clone(&request.name),
            target: request.target.clone(),
            offset: request.offset,
            len: request.len,
            outcome,
        };
        self.log.add(call, mix(request.digest) ^ digest);
    }

    /// The fault of this call: one that was asked for, or one that chance brings. A silent one has
    /// changed the disk when this returns.
    fn take_fault(&mut self, number: u64, request: &Request) -> Option<Fault> {
        let chance = match &self.rates {
            Some(rates) => rates.draw(&mut self.random),
            None => None,
        };
        for at in 0..self.injected.len() {
            let due = self.injected.get(at).filter(|&&(call, _)| number >= call);
            if let Some(&(_, fault)) = due
                && self.prepare(fault, request)
            {
                self.injected.remove(at);
                return Some(fault);
            }
        }
        chance.filter(|&fault| self.prepare(fault, request))
    }

    /// Whether a fault applies to a call; a silent one is done by this.
    fn prepare(&mut self, fault: Fault, request: &Request) -> bool {
        use CallKind::{
            Create, OpenRead, OpenWrite, Read, Rename, Resize, Sync, SyncPartition, Write,
        };
        let moves_bytes = request.len > 0;
        match fault {
            Fault::ErrorBefore | Fault::ErrorAfter => true,
            Fault::ShortWrite => request.kind == Write && moves_bytes,
            Fault::NoSpace => match request.kind {
                Write => moves_bytes,
                Resize => {
                    let file = request.file.and_then(|id| self.files.get(id));
                    file.is_some_and(|file| file.current.len() < request.len)
                }
                Create => self.file_id(&request.partition, &request.name).is_none(),
                Rename => true,
                _ => false,
            },
            Fault::FlushFails => matches!(request.kind, Sync | SyncPartition),
            Fault::ReadError => request.kind == Read && moves_bytes,
            Fault::FlippedBit | Fault::ZeroedBlock | Fault::StaleBlock => {
                request.kind == Read && moves_bytes && self.damage(fault, request)
            }
            Fault::Unreadable => match request.kind {
                Read => moves_bytes && self.spoil_block(request),
                OpenRead | OpenWrite => {
                    let file = self.file(request).ok();
                    file.map(|file| file.unreadable.whole()).is_some()
                }
                _ => false,
            },
        }
    }

    /// Whether there was a block that a read is about to read, which the disk cannot read any more.
    fn spoil_block(&mut self, request: &Request) -> bool {
        let chosen = self.random.below(request.len);
        let Ok(file) = self.file(request) else {
            return false;
        };
        let end = request.offset.saturating_add(request.len);
        let is_there = end <= file.current.len();
        if is_there {
            file.unreadable
                .block(request.offset.saturating_add(chosen) / BLOCK);
        }
        is_there
    }

    /// Damages durable bytes that a read is about to read; whether there were any to damage.
    fn damage(&mut self, fault: Fault, request: &Request) -> bool {
        let file = request.file.and_then(|id| self.files.get_mut(id));
        let Some(file) = file else { return false };
        let end = request.offset.saturating_add(request.len);
        let end = end.min(file.durable.len());
        let Some(bytes) = end.checked_sub(request.offset).filter(|&n| n > 0) else {
            return false;
        };
        if fault == Fault::FlippedBit {
            let bit = self.random.below(bytes.saturating_mul(8));
            file.flip_bit(request.offset.saturating_mul(8).saturating_add(bit));
            return true;
        }
        let first = request.offset / BLOCK;
        let blocks = end.div_ceil(BLOCK).saturating_sub(first);
        let start = self.random.below(blocks);
        (0..blocks).any(|n| {
            let block = first.saturating_add(start.saturating_add(n) % blocks);
            match fault {
                Fault::ZeroedBlock => file.zero_block(block),
                _ => file.stale_block(block),
            }
        })
    }

    pub(super) fn file_id(&self, partition: &str, name: &str) -> Option<FileId> {
        let names = self.partitions.get(partition)?;
        names.current.get(name).copied()
    }

    /// The file that a request names, or holds a handle to.
    pub(super) fn file(&mut self, request: &Request) -> Result<&mut File> {
        let id = match request.file {
            Some(id) => Some(id),
            None => self.file_id(&request.partition, &request.name),
        };
        let file = id.and_then(|id| self.files.get_mut(id));
        file.ok_or_else(|| request.not_found())
    }

    /// How many of the `len` bytes of a write at `offset` the disk has room for.
    pub(super) fn room(&self, file: &File, offset: u64, len: u64) -> u64 {
        let Some(capacity) = self.capacity else {
            return len;
        };
        let used = self.files.iter().map(File::stored);
        let free = capacity.saturating_sub(used.fold(0, u64::saturating_add));
        let (mut fits, mut too_many) = (0, len.saturating_add(1));
        if file.current.growth(offset, len) <= free {
            return len;
        }
        while too_many.saturating_sub(fits) > 1 {
            let middle = fits.saturating_add(too_many.saturating_sub(fits) / 2);
            match file.current.growth(offset, middle) <= free {
                true => fits = middle,
                false => too_many = middle,
            }
        }
        fits
    }
}
